/* content.h - what is in an image's files: read whole into memory, or copied without being seen. */
#pragma once

#include "image/pack.h"

#include <stdint.h>

/* Plain content of the file that CRIU calls `name`, into a new buffer that the caller frees.
 * -EBADMSG: damaged, or more than `max` bytes; otherwise what pack_open() says. */
int content_read(const struct image_dir *dir, const char *name, size_t max, char **ret_data,
                 size_t *ret_size);

/* Copies the whole file into an empty one: shares its blocks where the file system can, and leaves
 * out its holes. */
int content_copy(int from_fd, int to_fd);

/* Copies `size` bytes between two files, in the kernel where it can. -EBADMSG: `from_fd` ends
 * before that. */
int content_copy_range(int from_fd, uint64_t from, int to_fd, uint64_t to, uint64_t size);
