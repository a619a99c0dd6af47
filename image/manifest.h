/* manifest.h - the facts of one checkpoint: STATE/checkpoints/NAME/N/manifest.json.
 *
 * Written last into the staging folder, so a folder without one is garbage. Everything else in the
 * folder is a plain CRIU image directory (unless packed, see pack.h): `criu restore -D` and `crit`
 * work on it. The last line of the file authenticates all before it, and is looked at before any of
 * it is parsed. */
#pragma once

#include "common/ckpt_spec.h"
#include "common/proc.h"
#include "image/keys.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MANIFEST_FILE    "manifest.json"
#define MANIFEST_VERSION 2
#define MANIFEST_MAX     (64u << 20) /* bytes; far above a tree of thousands of tasks */
#define HASH_HEX         64          /* SHA-256 */

/* One file of the image, and what it looked like when its hash was last known to be right: a
 * restore re-hashes only files whose inode, size, mtime or ctime differ. */
struct manifest_image {
    char *name; /* as stored, see pack.h */
    uint64_t size, inode;
    uint64_t plain_size; /* of what CRIU reads; `size` when it is not packed */
    int64_t mtime_nsec, ctime_nsec;
    char sha256[HASH_HEX + 1];
};

/* A file outside the image that the image needs: executable, library, open regular file. Size,
 * offset and mtime are those of the freeze. */
struct manifest_file {
    char *path;
    uint64_t device, inode, size;
    int64_t mtime_nsec;
    uint64_t offset;         /* of the descriptor that is furthest, when open */
    uint32_t flags;          /* open(2), of all its descriptors together */
    char *snapshot;          /* file of the image that holds its content; "" none */
    bool deleted;            /* it has no name any more: CRIU carries it as a ghost or a link */
    bool mapped;             /* mapped executable/library: must be unchanged */
    bool open;               /* an open descriptor */
    bool append;             /* O_APPEND and write-only: CRIU does not check its size */
    uint32_t mode, uid, gid; /* permissions and owner, for a file that must be made anew */
};

struct manifest {
    char *service;
    uint64_t number;                   /* id is service@number */
    uint64_t time_realtime, time_boot; /* of the freeze, usec */
    char boot_id[BOOT_ID_LEN + 1];
    uint64_t parent;              /* number; 0: a full image */
    uint64_t pages, pages_stored; /* of the image; of these with bytes in its own folder */
    char key[KEYS_ID_SIZE];       /* that authenticates it */
    uint64_t frozen_usec, dump_usec, bytes /* allocated, of all image files */;
    uint64_t delta_cpu_usec, hash_cpu_usec; /* processor time of writing it, of hashing it */
    unsigned criu_version;                  /* 40101 */
    char *criu_git, *kernel, *machine /* x86_64 */, *cpu /* model and flags hash */, *host;
    pid_t pid; /* root of the tree, at dump */
    uint64_t pipe_inode[STREAM_COUNT];
    bool tcp_established, file_locks, pid_namespace;
    bool imported; /* of another store: restored by hand only, until it has run here */
    uint64_t ghost_limit;
    enum files_mode files_mode; /* of the policy at the dump */
    uint64_t files_usec;        /* part of frozen_usec: facts and snapshots of files */
    char *restored_from;
    struct manifest_image *images;
    size_t image_count;
    struct manifest_file *files;
    size_t file_count;
};

struct manifest *manifest_free(struct manifest *manifest);

/* Durable; sealed with the newest key. -EINVAL: no keys, or a path that is not text. */
int manifest_write(int dirfd, const struct manifest *manifest, const struct keys *keys);

/* -EBADMSG: not a manifest, of another version, or with a path or name that leaves its folder.
 * -EKEYREJECTED: not sealed by us; -ENOKEY: by a key that we do not have. Without keys (NULL) who
 * sealed it does not count: for what the administrator trusts. */
int manifest_read(int dirfd, const struct keys *keys, struct manifest **ret);

/* The same of a text in memory, without keys. */
int manifest_parse(const char *data, size_t size, struct manifest **ret);

/* 0: we have sealed that text. -EKEYREJECTED, -ENOKEY, -EBADMSG. */
int manifest_verify(const char *data, size_t size, const struct keys *keys);
