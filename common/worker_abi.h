/* worker_abi.h - how the keeper runs a restore worker and how that answers.
 *
 * The keeper forks the worker like any service child: it is in the service's cgroup before the
 * first instruction of the worker, in its own session, and finds exactly these descriptors. The
 * worker restores, writes ONE struct worker_report, and exits; the restored root task is then
 * re-parented to the keeper (the nearest subreaper) and is the service from the report on. No
 * report, or one with pid <= 0: the keeper kills the cgroup, waits until it is empty, reaps, and
 * tells the engine. A worker reports only when the tasks run (CRIU's post-resume). */
#pragma once

#include <stdint.h>

enum {
    WORKER_FD_NULL = 0,   /* /dev/null */
    WORKER_FD_LOG = 2,    /* 1 and 2: the daemon's own stderr */
    WORKER_FD_REPORT = 3, /* write end of the report pipe */
    WORKER_FD_STDOUT = 4, /* the service's stdout pipe, or /dev/null */
    WORKER_FD_STDERR = 5, /* the service's stderr pipe, or /dev/null */
};

enum worker_result {
    WORKER_OK = 0,
    WORKER_FAILED,       /* this image did not restore now; an older one may */
    WORKER_CORRUPT,      /* the image is damaged: a file missing or its hash wrong */
    WORKER_UNRESTORABLE, /* the host changed: a library, an executable, a file */
    WORKER_INTERRUPTED,  /* the keeper's own conclusion: somebody killed the worker, or the keeper
                            itself; the image is not to blame */
};

struct worker_report {
    uint32_t result;       /* enum worker_result */
    int32_t pid;           /* of the restored root task as the host sees it */
    uint64_t restore_usec; /* criu restore, wall */
    char message[256];     /* CRIU's own first error line or ours; NUL-terminated */
    char cure[256];
};
