/* pages_writer.c - pages into a file by few large writes; a page of zeros becomes a hole. */
#include "image/pages_writer.h"

#include "image/content.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#define BATCH_BYTES (4u << 20)
#define LONG_RUN    (1u << 20) /* worth asking the file system to share its blocks */

void pages_writer_init(struct pages_writer *writer, int fd, uint32_t pages_id)
{
    *writer = (struct pages_writer){.fd = fd, .pagemap.pages_id = pages_id};
}

void pages_writer_done(struct pages_writer *writer)
{
    pagemap_done(&writer->pagemap);
}

/* Consumes `done` bytes of the batch's first pieces; returns the first that is left. */
static struct iovec *advance(struct iovec *piece, size_t done)
{
    while (done > 0 && done >= piece->iov_len)
        done -= (piece++)->iov_len;
    if (done > 0) {
        piece->iov_base = (char *)piece->iov_base + done;
        piece->iov_len -= done;
    }
    return piece;
}

static int flush(struct pages_writer *writer)
{
    struct iovec *piece = writer->batch, *end = piece + writer->count;

    while (piece < end) {
        ssize_t n = pwritev(writer->fd, piece, (int)(end - piece), (off_t)writer->at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EFAULT ? -EIO : -errno; /* the mapped file cannot be read */
        writer->at += (uint64_t)n;
        piece = advance(piece, (size_t)n);
    }
    writer->count = 0;
    writer->size = 0;
    return 0;
}

static int put(struct pages_writer *writer, const uint8_t *data, uint64_t size, uint64_t at)
{
    struct iovec *last = writer->count ? &writer->batch[writer->count - 1] : NULL;
    int r;

    if (last && (at != writer->at + writer->size || writer->size >= BATCH_BYTES ||
                 writer->count == sizeof(writer->batch) / sizeof(writer->batch[0]))) {
        r = flush(writer);
        if (r < 0)
            return r;
        last = NULL;
    }
    if (!last)
        writer->at = at;
    if (last && (const uint8_t *)last->iov_base + last->iov_len == data)
        last->iov_len += size;
    else
        writer->batch[writer->count++] = (struct iovec){(void *)data, size};
    writer->size += size;
    return 0;
}

static bool is_zero(const uint8_t *page)
{
    uint64_t first;

    memcpy(&first, page, sizeof(first));
    return first == 0 && memcmp(page, page + sizeof(first), PAGEMAP_PAGE - sizeof(first)) == 0;
}

/* How many of the next pages are all zero, or are all not. */
static uint64_t run_of(const uint8_t *data, uint64_t pages, bool zero)
{
    uint64_t n = 1;

    while (n < pages && is_zero(data + n * PAGEMAP_PAGE) == zero)
        n++;
    return n;
}

int pages_writer_store(struct pages_writer *writer, const struct pages_extent *extent)
{
    const uint8_t *data = extent->file->data + extent->offset;
    uint64_t at = writer->pagemap.bytes, run;
    int r;

    r = pagemap_append(&writer->pagemap, extent->address, extent->pages, extent->flags);
    for (uint64_t i = 0; r == 0 && i < extent->pages; i += run) {
        bool zero = is_zero(data + i * PAGEMAP_PAGE);
        uint64_t offset = i * PAGEMAP_PAGE, size;

        run = run_of(data + offset, extent->pages - i, zero);
        size = run * PAGEMAP_PAGE;
        if (zero)
            writer->zero += run;
        else if (size >= LONG_RUN)
            r = content_copy_range(extent->file->fd, extent->offset + offset, writer->fd,
                                   at + offset, size);
        else
            r = put(writer, data + offset, size, at + offset);
    }
    return r;
}

int pages_writer_leave(struct pages_writer *writer, uint64_t address, uint64_t pages)
{
    return pagemap_append(&writer->pagemap, address, pages, PE_PARENT);
}

int pages_writer_end(struct pages_writer *writer)
{
    int r = flush(writer);

    if (r < 0)
        return r;
    return ftruncate(writer->fd, (off_t)writer->pagemap.bytes) < 0 ? -errno : 0;
}
