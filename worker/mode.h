/* mode.h - a worker program is a table of modes, one of which it runs: its command line is
 * "PROGRAM MODE OPTIONS". */
#pragma once

#include "worker/worker.h"

/* What a mode cannot do without. */
enum need {
    NEED_CRIU = 1 << 0,
    NEED_STORE = 1 << 1,
    NEED_NAME = 1 << 2,
    NEED_NUMBER = 1 << 3,
    NEED_SPEC = 1 << 4,
    NEED_REPORT = 1 << 5,
    NEED_DIR = 1 << 6,
    NEED_OTHER = 1 << 7,
    NEED_FILE = 1 << 8,
    NEED_KEYS = 1 << 9,
    NEED_UID = 1 << 10,
    NEED_CHECKPOINT = NEED_STORE | NEED_NAME | NEED_NUMBER | NEED_KEYS,
};

struct mode {
    const char *name;
    int (*run)(const struct worker_args *args);
    unsigned needs; /* enum need */
};

/* main() of the program; the table ends with a NULL name. Returns the exit status. */
int mode_main(const char *program, const struct mode *modes, int argc, char *argv[]);
