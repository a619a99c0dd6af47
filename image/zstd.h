/* zstd.h - compression on the way; the only file that knows libzstd. What it writes is one plain
 * zstd frame with its content's size and checksum: zstd(1) reads it. */
#pragma once

#include "image/stream.h"

/* A sink that pushes on to `to`, compressed; exactly `size` bytes will come. */
int zstd_compress(uint32_t level, uint64_t size, struct sink *to, struct sink **ret);

/* A sink that takes one frame and pushes on its content. -EBADMSG: it is damaged, cut off, or
 * followed by something. */
int zstd_decompress(struct sink *to, struct sink **ret);

struct sink *zstd_free(struct sink *sink);

/* Size of the content as the frame's beginning says. -EBADMSG. */
int zstd_content_size(const void *data, size_t size, uint64_t *ret_size);
#define ZSTD_BEGINNING 18 /* bytes that suffice for it */
