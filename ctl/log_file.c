/* log_file.c - see log_file.h; inotify(7). */
#include "ctl/log_file.h"

#include "common/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#define BLOCK 65536

static int open_present(struct log_file *log)
{
    struct stat st;
    int fd = open(log->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) < 0) {
        fd_close(fd);
        return -errno;
    }
    if (!S_ISREG(st.st_mode)) {
        fd_close(fd);
        return -ENOTSUP;
    }
    fd_close(log->fd);
    log->fd = fd;
    log->inode = st.st_ino;
    log->offset = 0;
    return 0;
}

int log_file_open(struct log_file *log, const char *path, bool may_be_missing)
{
    int r;

    *log = (struct log_file){.path = strdup(path), .fd = -1, .watch_fd = -1};
    if (!log->path)
        return -ENOMEM;
    r = open_present(log);
    if (r == -ENOENT && may_be_missing)
        r = 0;
    if (r < 0)
        log_file_done(log);
    return r;
}

void log_file_done(struct log_file *log)
{
    log->fd = fd_close(log->fd);
    log->watch_fd = fd_close(log->watch_fd);
    free(TAKE_PTR(log->path));
}

int log_file_seek_last(struct log_file *log, unsigned lines)
{
    char block[4096];
    struct stat st;
    uint64_t end;

    if (log->fd < 0)
        return 0;
    if (fstat(log->fd, &st) < 0)
        return -errno;
    log->offset = end = (uint64_t)st.st_size;
    for (unsigned found = 0; lines > 0 && end > 0;) {
        size_t want = end < sizeof(block) ? (size_t)end : sizeof(block);
        ssize_t n = pread(log->fd, block, want, (off_t)(end - want));

        if (n < 0)
            return -errno;
        if ((size_t)n < want) /* cut meanwhile */
            break;
        for (size_t i = want; i-- > 0;) {
            bool last_byte = end - want + i + 1 == (uint64_t)st.st_size;

            if (block[i] == '\n' && !last_byte && ++found == lines) {
                log->offset = end - want + i + 1;
                return 0;
            }
        }
        end -= want;
    }
    if (lines > 0)
        log->offset = 0;
    return 0;
}

int log_file_drain(struct log_file *log, log_file_sink_t sink, void *userdata)
{
    _cleanup_free_ char *block = malloc(BLOCK);
    int r;

    if (!block)
        return -ENOMEM;
    while (log->fd >= 0) {
        ssize_t n = pread(log->fd, block, BLOCK, (off_t)log->offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        log->offset += (uint64_t)n;
        r = sink(userdata, block, (size_t)n);
        if (r < 0)
            return r;
    }
    return 0;
}

int log_file_watch(struct log_file *log)
{
    _cleanup_close_ int fd = inotify_init1(IN_CLOEXEC);
    _cleanup_free_ char *folder = strdup(log->path);

    if (fd < 0)
        return -errno;
    if (!folder)
        return -ENOMEM;
    if (inotify_add_watch(fd, dirname(folder), IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0)
        return -errno;
    log->watch_fd = TAKE_FD(fd);
    return 0;
}

/* Blocks until one of the events read is about our file. */
static int wait_event(const struct log_file *log)
{
    char buf[sizeof(struct inotify_event) + NAME_MAX + 1]
        __attribute__((aligned(__alignof__(struct inotify_event))));
    const char *slash = strrchr(log->path, '/');
    const char *name = slash ? slash + 1 : log->path;

    for (;;) {
        ssize_t n = read(log->watch_fd, buf, sizeof(buf));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        for (char *p = buf; p < buf + n;) {
            const struct inotify_event *event = (const struct inotify_event *)(void *)p;

            if ((event->mask & IN_Q_OVERFLOW) || (event->len > 0 && strcmp(event->name, name) == 0))
                return 0;
            p += sizeof(*event) + event->len;
        }
    }
}

int log_file_wait(struct log_file *log, log_file_sink_t sink, void *userdata)
{
    struct stat st;
    int r;

    r = wait_event(log);
    if (r < 0)
        return r;
    if (log->fd >= 0 && fstat(log->fd, &st) == 0 && (uint64_t)st.st_size < log->offset)
        log->offset = 0; /* cut: it begins anew */
    r = log_file_drain(log, sink, userdata);
    if (r < 0)
        return r;
    if (stat(log->path, &st) < 0 || (log->fd >= 0 && st.st_ino == log->inode))
        return 0;
    r = open_present(log); /* replaced, or there at last */
    return r < 0 ? r : log_file_drain(log, sink, userdata);
}
