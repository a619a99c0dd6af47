/* ckpt_spec.h - what ckptd must know of a running service to checkpoint it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Output streams of a service that are pipes of ours: the inode is CRIU's key for it. */
enum { STREAM_STDOUT, STREAM_STDERR, STREAM_COUNT };

struct ckpt_spec {
    char *name;
    pid_t pid;           /* root of the tree to dump, as the host sees it */
    uint64_t start_time; /* with pid: proc_id */
    char *cgroup;        /* absolute path of the service's cgroup folder; "" when there is none */
    uint64_t pipe_inode[STREAM_COUNT]; /* 0: not a pipe of ours; both may be equal */
    uint64_t interval_usec;            /* 0: only on demand */
    uint32_t keep;
    uint64_t max_bytes;   /* 0: a third of the file system */
    uint64_t ghost_limit; /* bytes */
    bool tcp_established;
    bool file_locks;
    bool pid_namespace;
    char *pre_checkpoint;  /* command line, "" none */
    char *post_checkpoint; /* command line, "" none */
    char *restored_from;   /* id of the image this process was restored from, "" none */
};

void ckpt_spec_done(struct ckpt_spec *spec);
