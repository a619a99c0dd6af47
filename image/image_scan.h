/* image_scan.h - what a CRIU image contains, as far as perdure must know: the pipes, the files of
 * the host it needs, and signs that the dump went wrong although CRIU was content. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A pipe of the image; CRIU's key for it is "pipe:[INODE]". */
struct image_pipe {
    uint32_t inode;
    bool reader, writer; /* ends that are inside the image */
};

/* A regular file outside the image that the image refers to (images/regfile.proto). */
struct image_file {
    char *path; /* absolute, as the service sees it */
    uint32_t id;
    uint32_t flags;  /* open(2); of a mapping that writes to the file: O_RDWR */
    uint64_t size;   /* at the freeze, if `sized` */
    bool sized;      /* CRIU leaves out the size of logs: O_APPEND and write-only */
    uint64_t offset; /* of the descriptor */
    bool mapped;     /* executable or a mapping */
    bool open;       /* behind a descriptor */
    bool deleted;    /* it travels inside the image, as a ghost or a link */
};

struct image {
    struct image_pipe *pipes;
    size_t pipe_count;
    struct image_file *files;
    size_t file_count;
    char *mounts; /* a mountpoints-N.img: the service lives in a mount namespace of its own; or NULL
                   */
    char *run_id; /* of the criu that dumped: its nft table is "inet CRIU-RUN_ID"; "" unknown */
};

/* Reads files.img, fdinfo-*.img, mm-*.img, remap-fpath.img and inventory.img in the folder `dirfd`.
 * -ENOENT when files.img or inventory.img is missing, -EBADMSG when one is damaged. */
int image_scan(int dirfd, struct image *ret);
void image_done(struct image *image);

/* One end is outside the image, and the pipe is none of `keys` (0: not a key). */
bool image_pipe_is_half(const struct image_pipe *pipe, const uint64_t *keys, size_t key_count);
