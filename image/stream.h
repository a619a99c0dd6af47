/* stream.h - bytes on their way from one file through coders into another: whoever has bytes pushes
 * them on. So a file is compressed and encrypted, or brought back, in one pass and without a
 * temporary file between. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct sink {
    int (*write)(struct sink *sink, const void *data, size_t size);
    int (*zeros)(struct sink *sink, uint64_t size); /* the same as that many zero bytes */
    int (*finish)(struct sink *sink);               /* no more comes; once, after success */
};

/* Pushes a whole file and finishes; its holes and zero blocks go as zeros. */
int stream_file(int fd, struct sink *to);

/* Zeros as written bytes, for a sink that knows no shorter way. */
int stream_write_zeros(struct sink *sink, uint64_t size);

/* The last sink: a new, empty file, with holes where blocks are zero. */
struct file_sink {
    struct sink sink;
    int fd; /* borrowed; its offset is not used */
    uint64_t at, max;
};

/* More than `max` bytes are -EBADMSG. */
void file_sink_init(struct file_sink *file, int fd, uint64_t max);
