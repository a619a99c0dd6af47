/* watchdog.h - a thread that kills a restoring criu that does not end: one with a truncated image
 * spins for ever and fills the disk with its log.
 *
 * It is a thread because libcriu blocks its caller for the whole run. It looks once a second and
 * ends with watchdog_stop(), so a normal run never sees it wake. Dumps are watched by ckptd, which
 * sees their whole session. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct watchdog_limits {
    uint64_t wall_usec;
    uint64_t log_bytes;
    int work_fd; /* the folder with the log; borrowed */
    const char *log_name;
};

struct watchdog {
    struct watchdog_limits limits;
    pthread_t thread;
    int stop_fd;
    char why[128]; /* set when it has killed */
};

/* `w` must stay where it is until watchdog_stop(). */
int watchdog_start(struct watchdog *w, const struct watchdog_limits *limits);

/* Ends the thread. True when it has killed: w->why says for what. */
bool watchdog_stop(struct watchdog *w);
