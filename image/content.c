/* content.c - reads and copies files of an image. */
#include "image/content.h"

#include "common/cleanup.h"
#include "common/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

static int read_all(int fd, char *data, size_t size, uint64_t offset)
{
    while (size > 0) {
        ssize_t n = pread(fd, data, size, (off_t)offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EBADMSG;
        data += n;
        offset += (uint64_t)n;
        size -= (size_t)n;
    }
    return 0;
}

int content_read(const struct image_dir *dir, const char *name, size_t max, char **ret_data,
                 size_t *ret_size)
{
    _cleanup_free_ char *data = NULL;
    _cleanup_close_ int fd = -1;
    struct stat st;
    int r;

    r = pack_open(dir, name, &fd);
    if (r < 0)
        return r;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > max)
        return -EBADMSG;
    data = malloc((size_t)st.st_size + 1);
    if (!data)
        return -ENOMEM;
    r = read_all(fd, data, (size_t)st.st_size, 0);
    if (r < 0)
        return r;
    *ret_data = TAKE_PTR(data);
    *ret_size = (size_t)st.st_size;
    return 0;
}

/* For file systems, or pairs of them, that copy_file_range(2) does not serve. */
static int copy_by_hand(int from_fd, uint64_t from, int to_fd, uint64_t to, uint64_t size)
{
    _cleanup_free_ char *buffer = NULL;
    const size_t room = 1 << 18;

    buffer = malloc(room);
    if (!buffer)
        return -ENOMEM;
    for (uint64_t done = 0; done < size;) {
        size_t part = size - done < room ? (size_t)(size - done) : room;
        int r = read_all(from_fd, buffer, part, from + done);

        if (r == 0)
            r = fs_write_at(to_fd, buffer, part, to + done);
        if (r < 0)
            return r;
        done += part;
    }
    return 0;
}

int content_copy_range(int from_fd, uint64_t from, int to_fd, uint64_t to, uint64_t size)
{
    while (size > 0) {
        loff_t in = (loff_t)from, out = (loff_t)to;
        ssize_t n = copy_file_range(from_fd, &in, to_fd, &out, (size_t)size, 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EIO))
            return -errno;
        if (n <= 0) /* 0 is the end of the file, or a file system that does not know better */
            return copy_by_hand(from_fd, from, to_fd, to, size);
        from += (uint64_t)n;
        to += (uint64_t)n;
        size -= (uint64_t)n;
    }
    return 0;
}

int content_copy(int from_fd, int to_fd)
{
    off_t data, hole = 0;
    struct stat st;

    if (ioctl(to_fd, FICLONE, from_fd) == 0)
        return 0;
    if (fstat(from_fd, &st) < 0 || ftruncate(to_fd, st.st_size) < 0)
        return -errno;
    while ((data = lseek(from_fd, hole, SEEK_DATA)) >= 0) {
        int r;

        hole = lseek(from_fd, data, SEEK_HOLE);
        if (hole < 0)
            return -errno;
        r = content_copy_range(from_fd, (uint64_t)data, to_fd, (uint64_t)data,
                               (uint64_t)(hole - data));
        if (r < 0)
            return r;
    }
    return errno == ENXIO ? 0 : -errno; /* ENXIO: nothing but a hole until the end */
}
