/* criu.h - one run of criu by libcriu: options in, result out. criu.c is the only file that
 * includes <criu/criu.h>; these calls block until criu has ended. */
#pragma once

#include "common/ckpt_spec.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define CRIU_VERSION_MIN 40000 /* 4.0: the first that runs on kernels >= 6.13 */

struct criu_run {
    const char *binary; /* absolute path of criu */
    int images_fd;      /* folder of the images */
    int work_fd;        /* folder of log and statistics */
    const char *log_name;
    int log_level;        /* 1 errors ... 4 debug; > 1 lengthens the freeze */
    bool tcp_established; /* keep connections, behind a network lock; else they are closed in the
                             image */
    bool file_locks;

    /* dump */
    pid_t pid;
    uint64_t ghost_limit;
    /* Called when the image is written and every task still frozen. May be NULL: a notification
     * less in the frozen window. */
    void (*while_frozen)(void *data);

    /* restore */
    uint64_t wall_usec; /* the watchdog ends it then */
    /* pipe `inode` of the image becomes `fd` (not close-on-exec) */
    struct {
        uint64_t inode;
        int fd;
    } pipes[STREAM_COUNT];
    /* Called while all tasks are restored and not running yet; the result is ignored. May be NULL.
     */
    void (*before_resume)(pid_t pid, void *data);
    /* Called when every task is whole and held before its next instruction; a caller that wants it
     * to stay so does not return. May be NULL. */
    void (*held)(void *data);
    void *data;
};

struct criu_result {
    int error;     /* 0, or -errno: -EEXIST a pid is taken (restore), -ESRCH no such process (dump),
                      -ETIME killed by the watchdog, others: see the log */
    char why[128]; /* for -ETIME */
    pid_t pid;     /* restored root task; it is a child of our nearest subreaper */
    uint64_t usec; /* wall */
};

/* The dumped tree goes on running. With tcp_established the log level is at least 3, so that the
 * log names the run's nft table (criu_log_run_id). */
void criu_run_dump(const struct criu_run *run, struct criu_result *ret);

void criu_run_restore(const struct criu_run *run, struct criu_result *ret);

/* Version of the program, 40101 for 4.1.1; < 0 when it cannot be run. */
int criu_program_version(const char *binary);
