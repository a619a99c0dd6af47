/* keeper_child.h - what a new process does between fork and exec. */
#pragma once

#include "supervisord/spawn_spec.h"

#include <sys/types.h>

struct child_failure { /* through the status pipe, once; end of file without it: exec has happened
                        */
    uint32_t stage;    /* enum spawn_stage */
    int32_t error;     /* errno */
};

struct child_plan {
    const struct spawn_view *view;
    int stream_fd[STREAM_COUNT]; /* for the child; -1: /dev/null */
    int report_fd;               /* -1: a service; else a restore worker (common/worker_abi.h) */
    const char *init_path;       /* for view->spec->pid_namespace */
};

struct child { /* a forked process that waits for child_release() */
    pid_t pid;
    int go_fd;     /* closing it without release ends the child: so does the keeper's death */
    int status_fd; /* read end, non-blocking */
};

/* Forks into the cgroup (when there is one). Everything in `plan` stays the caller's. */
int child_start(const struct child_plan *plan, struct child *ret_child);
int child_release(struct child *child);

/* Starts a daemon of ours with fds[i] as descriptor 3 + i. */
int child_start_daemon(char *const *argv, const int *fds, int count, pid_t *ret_pid);

/* Raises our own limit of open files, also for daemons of ours; services and workers get back the
 * one we were started with. */
void child_raise_fd_limit(void);
