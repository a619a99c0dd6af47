/* tracee.h - the system calls of a traced process: what each is about, and another outcome for it.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum call_kind {
    CALL_OTHER,
    CALL_WRITE, /* data or size of a file */
    CALL_MAP,   /* a mapping through which a file can be written */
    CALL_SYNC,
    CALL_OPEN, /* that may make or empty a file */
    CALL_MKDIR,
    CALL_LINK, /* hard or symbolic */
    CALL_RENAME,
    CALL_EXCHANGE,
    CALL_UNLINK,
    CALL_RMDIR,
};

struct call {
    long number;
    uint64_t args[6];
    enum call_kind kind;
    int fd;               /* of WRITE, MAP and SYNC; else -1 */
    char path[PATH_MAX];  /* absolute, of the file or the entry; "" of OTHER */
    char other[PATH_MAX]; /* of RENAME and EXCHANGE: where to */
};

/* At the stop of a system call's entry. False when it is none. */
bool tracee_entry(pid_t pid, struct call *ret);

/* At the stop of its exit; `ret_result` is -errno when it failed. */
bool tracee_exit(pid_t pid, long *ret_result);

/* At the entry: the call does not happen. At the exit after that: its result. */
bool tracee_skip(pid_t pid);
bool tracee_set_result(pid_t pid, long result);

/* At the entry: another value for the third argument, the size of a write. */
bool tracee_set_size(pid_t pid, uint64_t size);
