/* ckpt_spec.h - what ckptd must know of a running service to checkpoint it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Output streams of a service that are pipes of ours: the inode is CRIU's key for it. */
enum { STREAM_STDOUT, STREAM_STDERR, STREAM_COUNT };

/* [Checkpoint] Files=: what a restore does about open regular files that changed since the freeze.
 */
enum files_mode {
    FILES_IGNORE,   /* CRIU's own behaviour: another size fails the restore, else nothing */
    FILES_REFUSE,   /* any change stops the restore, with an explanation */
    FILES_TRUNCATE, /* growth since the freeze is cut off */
    FILES_SNAPSHOT, /* the content of the freeze is put back: SnapshotPaths= */
};

/* [Checkpoint] Staging=: where a dump is written while the service is frozen. */
enum staging_mode {
    STAGING_AUTO, /* in memory when there is enough of it */
    STAGING_TMPFS,
    STAGING_DISK,
};

/* Which checkpoints are kept; one kept by any rule stays. */
struct retention_rules {
    uint32_t keep;                  /* the newest so many, at least 1 */
    uint32_t hourly, daily, weekly; /* the newest of each of the last so many hours, ... */
    uint64_t max_bytes;             /* 0: a third of the file system */
};

struct ckpt_spec {
    char *name;
    pid_t pid;           /* root of the tree to dump, as the host sees it */
    uint64_t start_time; /* with pid: proc_id */
    char *cgroup;        /* absolute path of the service's cgroup folder; "" when there is none */
    uint64_t pipe_inode[STREAM_COUNT]; /* 0: not a pipe of ours; both may be equal */
    uint64_t interval_usec;            /* 0: only on demand */
    struct retention_rules retention;
    uint32_t max_chain; /* parents of an image at most; 0: every image is full */
    uint32_t compress;  /* zstd level for what the newest image does not need; 0: none */
    bool encrypt;
    uint32_t drill_every; /* every n-th checkpoint is proven; 0: none */
    int32_t drill_nice;   /* of drills and all other background work, 0 to 19 */
    enum staging_mode staging;
    uint64_t staging_max; /* bytes of memory for a dump; 0: a quarter of the machine's */
    enum files_mode files;
    char *snapshot_paths; /* absolute paths or glob(7) patterns, one per line, "" none */
    uint64_t ghost_limit; /* bytes */
    bool tcp_established;
    bool file_locks;
    bool pid_namespace;
    char *pre_checkpoint;  /* command line, "" none */
    char *post_checkpoint; /* command line, "" none */
    char *restored_from;   /* id of the image this process was restored from, "" none */
};

void ckpt_spec_done(struct ckpt_spec *spec);
