/* stream.c - both ends of a stream: a file that is read, a file that is written. */
#include "image/stream.h"

#include "common/cleanup.h"
#include "common/fs.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#define BLOCK 4096      /* what a hole can be made of */
#define CHUNK (1 << 20) /* a read */

static const uint8_t zero_block[32 * BLOCK];

static bool is_zero(const uint8_t *data, size_t size)
{
    return data[0] == 0 && memcmp(data, data + 1, size - 1) == 0;
}

int stream_write_zeros(struct sink *sink, uint64_t size)
{
    int r = 0;

    while (r == 0 && size > 0) {
        size_t n = size < sizeof(zero_block) ? (size_t)size : sizeof(zero_block);

        r = sink->write(sink, zero_block, n);
        size -= n;
    }
    return r;
}

/* ---- reading ---- */

/* Length of the run of blocks at the start of `data` that are zero, or of those that are not. The
 * first block ends where BLOCK divides the offset in the file. */
static size_t run_length(const uint8_t *data, size_t size, uint64_t offset, bool *ret_zero)
{
    size_t length = 0;

    while (length < size) {
        size_t block = BLOCK - (offset + length) % BLOCK;
        bool zero;

        if (block > size - length)
            block = size - length;
        zero = is_zero(data + length, block);
        if (length > 0 && zero != *ret_zero)
            break;
        *ret_zero = zero;
        length += block;
    }
    return length;
}

static int push_runs(struct sink *to, const uint8_t *data, size_t size, uint64_t offset)
{
    int r = 0;

    while (r == 0 && size > 0) {
        bool zero;
        size_t n = run_length(data, size, offset, &zero);

        r = zero ? to->zeros(to, n) : to->write(to, data, n);
        data += n;
        offset += n;
        size -= n;
    }
    return r;
}

static int push_extent(int fd, uint64_t at, uint64_t end, uint8_t *chunk, struct sink *to)
{
    while (at < end) {
        size_t want = end - at < CHUNK ? (size_t)(end - at) : CHUNK;
        ssize_t n = pread(fd, chunk, want, (off_t)at);
        int r;

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0) /* somebody cuts it while we read */
            return -EBADMSG;
        r = push_runs(to, chunk, (size_t)n, at);
        if (r < 0)
            return r;
        at += (uint64_t)n;
    }
    return 0;
}

/* The next extent with data at or after `at`; both ends at `size` when there is none. Where the
 * file system does not know its holes, all is one extent. */
static void next_extent(int fd, uint64_t at, uint64_t size, uint64_t *ret_start, uint64_t *ret_end)
{
    off_t start = lseek(fd, (off_t)at, SEEK_DATA), end;

    if (start < 0) {
        *ret_start = errno == ENXIO ? size : at;
        *ret_end = size;
        return;
    }
    end = lseek(fd, start, SEEK_HOLE);
    *ret_start = (uint64_t)start < size ? (uint64_t)start : size;
    *ret_end = end > start && (uint64_t)end < size ? (uint64_t)end : size;
}

int stream_file(int fd, struct sink *to)
{
    _cleanup_free_ uint8_t *chunk = malloc(CHUNK);
    uint64_t at = 0, size, start, end;
    struct stat st;
    int r = 0;

    if (!chunk)
        return -ENOMEM;
    if (fstat(fd, &st) < 0)
        return -errno;
    size = (uint64_t)st.st_size;
    while (r == 0 && at < size) {
        next_extent(fd, at, size, &start, &end);
        if (start > at)
            r = to->zeros(to, start - at);
        if (r == 0)
            r = push_extent(fd, start, end, chunk, to);
        at = end;
    }
    return r < 0 ? r : to->finish(to);
}

/* ---- writing ---- */

static int file_zeros(struct sink *sink, uint64_t size)
{
    struct file_sink *file = (struct file_sink *)sink;

    if (size > file->max - file->at)
        return -EBADMSG;
    file->at += size;
    return 0;
}

static int file_write(struct sink *sink, const void *data, size_t size)
{
    struct file_sink *file = (struct file_sink *)sink;
    const uint8_t *bytes = data;

    if (size > file->max - file->at)
        return -EBADMSG;
    while (size > 0) {
        bool zero;
        size_t n = run_length(bytes, size, file->at, &zero);
        int r = zero ? 0 : fs_write_at(file->fd, bytes, n, file->at);

        if (r < 0)
            return r;
        bytes += n;
        file->at += n;
        size -= n;
    }
    return 0;
}

/* A hole at the end has no other way to be there. */
static int file_finish(struct sink *sink)
{
    struct file_sink *file = (struct file_sink *)sink;

    return ftruncate(file->fd, (off_t)file->at) < 0 ? -errno : 0;
}

void file_sink_init(struct file_sink *file, int fd, uint64_t max)
{
    *file = (struct file_sink){
        .sink = {.write = file_write, .zeros = file_zeros, .finish = file_finish},
        .fd = fd,
        .max = max,
    };
}
