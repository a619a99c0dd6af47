/* seal.h - makes a finished dump durable and provable, and proves it before a restore. */
#pragma once

#include "common/reason.h"
#include "image/manifest.h"

/* Lists, hashes and syncs every file of the image folder except `except` (may be NULL) into
 * manifest->images and bytes. The symbolic link `parent` is no file: manifest->parent says it. */
int seal_make(int dirfd, const char *except, struct manifest *manifest);

/* Every file of the manifest is there with its size, none was added that CRIU would read, `parent`
 * leads where the manifest says, and the files that are not the very ones last seen (inode, size,
 * times) have the recorded hash. < 0: `reason` is set; -EBADMSG: the image is damaged, and it names
 * the file. */
int seal_check(int dirfd, const struct manifest *manifest, struct reason *reason);

/* The same, but hashes every file whatever it looks like. `tell` (may be NULL) hears how many bytes
 * were done since it was called last; all together these are seal_bytes(), if nothing is wrong. */
int seal_check_all(int dirfd, const struct manifest *manifest,
                   void (*tell)(uint64_t bytes, void *data), void *data, struct reason *reason);
uint64_t seal_bytes(const struct manifest *manifest);
