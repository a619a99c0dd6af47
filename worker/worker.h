/* worker.h - the modes of ckpt-worker; each returns the program's exit status. What each needs of
 * the arguments is the tables in main.c and archive_main.c; what they report is in image/layout.h.
 */
#pragma once

#include "common/ckpt_spec.h"
#include "common/reason.h"

#include <stdbool.h>
#include <stdint.h>

struct worker_args {
    const char *criu;       /* --criu: path of the program */
    const char *store;      /* --store: STATE/checkpoints */
    const char *name;       /* --name: of the service */
    uint64_t number;        /* --number: of the checkpoint */
    const char *other_name; /* --other-name, --other-number: diff */
    uint64_t other_number;
    uint64_t parent;        /* --parent: dump: delta against it; rebase: its new one. 0: none */
    const char *keys;       /* --keys: path of the key file, see image/keys.h */
    uint32_t zstd;          /* --zstd: level; rebase, import: 0 for plain */
    bool encrypt;           /* --encrypt */
    const char *dir;        /* --dir: a folder for scratch files and caches (selftest, unlock) */
    int spec_fd, report_fd; /* --spec-fd, --report-fd */
    int file_fd;            /* --file-fd: the archive (export, import) or the folder (unpack) */
    bool trust;             /* --trust: import */
    int64_t uid;        /* --uid: import: the only user whose processes may be in it; -1: none */
    uint64_t max_bytes; /* --max-bytes: import: what may be written; 0: all but a reserve */
    int nice;           /* --nice: of background work; I/O priority goes with it */

    /* restore; appended by the engine, out of the policy */
    const char *post_restore;
    int post_restore_signal;
    bool tcp_established;
    bool verify_always;    /* --verify-always: hash every file again */
    enum files_mode files; /* --files=ignore|refuse|truncate|snapshot */
};

int worker_dump(const struct worker_args *args);
int worker_restore(const struct worker_args *args);
int worker_selftest(const struct worker_args *args);
int worker_unlock(const struct worker_args *args);
int worker_drill(const struct worker_args *args);
int worker_rebase(const struct worker_args *args);
int worker_verify(const struct worker_args *args);
int worker_export(const struct worker_args *args);
int worker_import(const struct worker_args *args);
int worker_unpack(const struct worker_args *args);
int worker_describe(const struct worker_args *args);
int worker_diff(const struct worker_args *args);

/* One progress line, at most ten a second and the last one always. */
void report_progress(const struct worker_args *args, uint64_t done, uint64_t total);

/* The final text, and the exit status that goes with it. */
int report_result(const struct worker_args *args, const char *json);
int report_failure(const struct worker_args *args, const struct reason *reason);
