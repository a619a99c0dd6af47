/* manifest.h - the facts of one checkpoint: STATE/checkpoints/NAME/N/manifest.json.
 *
 * Written last into the staging folder, so a folder without one is garbage. Everything else in the
 * folder is a plain CRIU image directory: `criu restore -D` and `crit` work on it. */
#pragma once

#include "common/ckpt_spec.h"
#include "common/proc.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MANIFEST_FILE    "manifest.json"
#define MANIFEST_VERSION 1
#define HASH_HEX         64 /* SHA-256 */

/* One file of the image, and what it looked like when its hash was last known to be right: a
 * restore re-hashes only files whose inode, size, mtime or ctime differ. */
struct manifest_image {
    char *name;
    uint64_t size, inode;
    int64_t mtime_nsec, ctime_nsec;
    char sha256[HASH_HEX + 1];
};

/* A file outside the image that the image needs: executable, library, open regular file. */
struct manifest_file {
    char *path;
    uint64_t device, inode, size;
    int64_t mtime_nsec;
    bool mapped; /* mapped executable/library: must be unchanged */
    bool open;   /* an open descriptor */
    bool append; /* O_APPEND and write-only: CRIU does not check its size */
};

struct manifest {
    char *service;
    uint64_t number;                   /* id is service@number */
    uint64_t time_realtime, time_boot; /* of the freeze, usec */
    char boot_id[BOOT_ID_LEN + 1];
    char *kind; /* "full" */
    uint64_t frozen_usec, dump_usec, bytes /* allocated, of all image files */;
    unsigned criu_version; /* 40101 */
    char *criu_git, *kernel, *machine /* x86_64 */, *cpu /* model and flags hash */, *host;
    pid_t pid; /* root of the tree, at dump */
    uint64_t pipe_inode[STREAM_COUNT];
    bool tcp_established, file_locks, pid_namespace;
    uint64_t ghost_limit;
    char *restored_from;
    struct manifest_image *images;
    size_t image_count;
    struct manifest_file *files;
    size_t file_count;
};

struct manifest *manifest_free(struct manifest *manifest);
int manifest_write(int dirfd, const struct manifest *manifest); /* durable */
/* -EBADMSG: not a manifest, of a newer version, or with a path or name that leaves its folder. */
int manifest_read(int dirfd, struct manifest **ret);
