/* preflight.h - what in a running service CRIU is known not to dump, found by looking at /proc. */
#pragma once

#include "ckptd/unix_peer.h"
#include "common/reason.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct problems {
    struct reason *list;
    size_t count;
};
void problems_done(struct problems *problems);

struct preflight {
    const char *proc;  /* "/proc"; a test has a folder of its own */
    const pid_t *pids; /* of the service */
    size_t count;
    uint64_t ghost_limit;          /* bytes of a deleted file that still go into the image */
    const struct unix_peer *peers; /* of the host */
    size_t peer_count;
    /* Why CRIU does not dump such here; NULL: it does. */
    const struct reason *sockets, *other_users;
};

/* Adds what is decidable from /proc: io_uring, userfaultfd, terminals, inotify on overlayfs, SysV
 * shared memory, deleted files over the limit, a session leader outside, a mount namespace of its
 * own, stream sockets to processes outside. A task that ends meanwhile has no problems. -ENOMEM. */
int preflight_run(const struct preflight *preflight, struct problems *problems);
