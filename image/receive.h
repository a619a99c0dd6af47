/* receive.h - takes a checkpoint out of an archive, and believes nothing of it. */
#pragma once

#include "common/reason.h"
#include "image/archive.h"
#include "image/manifest.h"

struct receive {
    struct archive_in *archive;
    struct manifest *manifest; /* of a full, plain image; its images by name */
    bool *seen;                /* which of these have come */
    uint64_t bytes;            /* of all of them */
};

/* Reads the manifest from the archive `fd`, which may be a pipe, before anything else is taken.
 * `keys`: it has to be sealed with one of them; NULL: somebody vouches for it. -EKEYREJECTED,
 * -ENOKEY, -EBADMSG; `reason` is set whenever it fails for what the archive is. */
int receive_begin(int fd, const struct keys *keys, struct receive *ret, struct reason *reason);

/* Writes every file of the manifest into the folder `dirfd` and compares the hashes; -EBADMSG when
 * one is missing, different or too much. `tell` hears of each byte twice. Two files are no part of
 * an image and are gone in the end: ARCHIVE_CONFIG and ARCHIVE_SPEC. */
int receive_files(struct receive *in, int dirfd, archive_tell_t tell, void *data,
                  struct reason *reason);

void receive_done(struct receive *in);
