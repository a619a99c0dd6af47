/* seal.h - makes a finished dump durable and provable, and proves it before a restore. */
#pragma once

#include "common/reason.h"
#include "image/manifest.h"

/* Lists, hashes and syncs every file of the image folder except `except` (may be NULL) into
 * manifest->images and bytes. */
int seal_make(int dirfd, const char *except, struct manifest *manifest);

/* Every file of the manifest is there with its size, none was added that CRIU would read, and those
 * that are not the very files last seen (inode, size, times) have the recorded hash. -EBADMSG: the
 * image is damaged, and `reason` names the file. */
int seal_check(int dirfd, const struct manifest *manifest, struct reason *reason);
