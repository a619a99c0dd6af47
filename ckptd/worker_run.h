/* worker_run.h - starting ckpt-worker: its descriptors, its session, its report. */
#pragma once

#include "common/reason.h"

#include <stdbool.h>
#include <sys/types.h>

/* Where the worker finds what ckptd hands it; 0 is /dev/null, 1 and 2 are the daemon's stderr. */
#define WORKER_SPEC_FD        3
#define WORKER_REPORT_FD      4
#define WORKER_SPEC_FD_TEXT   "3"
#define WORKER_REPORT_FD_TEXT "4"

/* Starts argv[0] as leader of a new session with an empty signal mask. `spec_fd` becomes
 * WORKER_SPEC_FD (-1: none). *ret_report_fd is the read end, non-blocking, of a pipe whose write
 * end is the child's `report_as`. The child is the caller's to reap. */
int worker_spawn(const char *const argv[], int spec_fd, int report_as, pid_t *ret_pid,
                 int *ret_report_fd);

/* All that a worker that has ended wrote, as a new string; NULL when that is nothing. */
char *worker_read_all(int report_fd);

/* Reads "message\ncure" of a worker that has ended; false when it said nothing. */
bool worker_read_report(int report_fd, struct reason *reason);
