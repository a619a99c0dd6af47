/* orphan.h - what the engine does when the keeper was killed: goes on pumping the services' output,
 * so that no service blocks on a full pipe until the next keeper takes over. */
#pragma once

#include "supervisord/keeper_proto.h"

struct orphan; /* the streams we hold a copy of */

int orphan_new(struct orphan **ret);
struct orphan *orphan_free(struct orphan *orphan);

/* For every KEEPER_STREAM record: takes the descriptor over in any case. Replaces an earlier one of
 * the same name and stream. */
int orphan_note(struct orphan *orphan, const struct keeper_record *record, int fd);

/* The service was forgotten. */
void orphan_forget(struct orphan *orphan, const char *name);

/* Call it when the keeper's channel says KEEPER_GONE, after closing the control and notify sockets
 * and all else: pumps until SIGTERM (the next keeper sends it and waits for our end) or until no
 * service has a pipe open any more; drains and returns. Makes its own event loop; SIGTERM must be
 * blocked by the caller. Returns 0 or -errno. */
int orphan_run(struct orphan *orphan);
