/* worker.h - the modes of ckpt-worker; each returns the program's exit status. See layout.h for the
 * command line. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct worker_args {
    const char *criu;  /* --criu: path of the program */
    const char *store; /* --store: STATE/checkpoints (dump) */
    const char *image; /* --image: the checkpoint's folder (restore) */
    const char *dir;   /* --dir: a folder for scratch files and caches (selftest, unlock) */
    uint64_t number;   /* --number (dump) */
    int spec_fd, report_fd;
    const char *post_restore;
    int post_restore_signal;
    bool tcp_established;
};

int worker_dump(const struct worker_args *args);
int worker_restore(const struct worker_args *args);
int worker_selftest(const struct worker_args *args);
int worker_unlock(const struct worker_args *args);
