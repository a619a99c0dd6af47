/* pages_writer.h - writes one pages-N.img and the pagemap that goes with it. */
#pragma once

#include "image/pagemap.h"
#include "image/pages.h"

#include <sys/uio.h>

struct pages_writer {
    int fd; /* pages-N.img, empty at first; borrowed */
    struct pagemap pagemap;
    uint64_t zero;           /* pages that became holes */
    struct iovec batch[256]; /* bytes on their way into the file, one behind the other ... */
    unsigned count;
    uint64_t at, size; /* ... from here on, so many */
};

void pages_writer_init(struct pages_writer *writer, int fd, uint32_t pages_id);
void pages_writer_done(struct pages_writer *writer);

/* The next pages, with their bytes. These must stay mapped until the end. */
int pages_writer_store(struct pages_writer *writer, const struct pages_extent *extent);

/* The next pages, left to the parent. */
int pages_writer_leave(struct pages_writer *writer, uint64_t address, uint64_t pages);

/* Everything is in the file, which then has its full size. */
int pages_writer_end(struct pages_writer *writer);
