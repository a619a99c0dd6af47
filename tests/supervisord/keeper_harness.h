/* keeper_harness.h - runs a real keeper in a child process; the test is its engine.
 *
 * The test program starts itself again as "engine": that one passes the keeper's channel on to the
 * test through a socket and sleeps. Killing it makes the keeper start another. */
#pragma once

#include "supervisord/keeper_proto.h"
#include "supervisord/spawn_spec.h"

#include <stdbool.h>
#include <sys/types.h>

struct harness {
    char root[64];    /* everything is below it */
    char cgroup[256]; /* "" none */
    pid_t keeper;
    pid_t engine; /* the one whose channel we have */
    int listen_fd, channel;
    uint64_t request;
    char *engine_argv[4];
};

/* For main(): plays "engine" or "worker" when started as such (does not return), else sets up. */
void harness_main(int argc, char **argv);

const char *harness_init_path(void); /* perdure-init of this build */

void harness_start(struct harness *h);        /* folders and a keeper */
void harness_start_keeper(struct harness *h); /* another one on the same folders */
void harness_accept_engine(struct harness *h);
void harness_kill_engine(struct harness *h);
void harness_kill_keeper(struct harness *h);
int harness_quit(struct harness *h);  /* QUIT with 3; returns the keeper's exit status */
void harness_stop(struct harness *h); /* ends and removes all that is left */

/* Next record of `type`; others before it are skipped. Fails the test after 5 s. */
struct keeper_record harness_expect(struct harness *h, enum keeper_type type);
/* The same that also hands out the descriptor. */
struct keeper_record harness_receive(struct harness *h, int *ret_fd);

void harness_send(struct harness *h, enum keeper_type type, const char *name, int value,
                  uint32_t flags);
void harness_send_text(struct harness *h, enum keeper_type type, const char *name,
                       const char *text);

/* SPAWN of `sh -c script` (or RESTORE by our "worker" with that mode) logging to ROOT/NAME.log. */
uint64_t harness_spawn(struct harness *h, const char *name, const char *script);
uint64_t harness_restore(struct harness *h, const char *name, const char *mode);
void harness_fill(struct harness *h, struct spawn_request *spec, const char *name, char log[128]);
void harness_send_spec(struct harness *h, enum keeper_type type, const char *name,
                       const struct spawn_request *spec, uint64_t request);

bool harness_log_is(struct harness *h, const char *name, const char *expected);

/* Waits until `text` is in the log. */
void harness_wait_log(struct harness *h, const char *name, const char *text);
