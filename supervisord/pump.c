/* pump.c - from a service's pipe into its log, without losing or doubling a byte. */
#include "supervisord/pump.h"

#include "common/cleanup.h"
#include "common/fs.h"
#include "common/log.h"
#include "common/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

enum {
    SPLICE_MAX = 1 << 20, /* the largest a pipe can be without privileges, pipe(7) */
    COPY_MAX = 4096,      /* PIPE_BUF: a pipe that polls writable takes it whole */
};

struct pump {
    sd_event *event;
    sd_event_source *readable;
    sd_event_source *retry; /* only while the target takes nothing */
    int pipe_fd, log_fd;
    char *path;
    bool copies; /* the target is not a regular file: read and write instead of splice */
    bool is_socket;
    bool reported;
    char *residue; /* read but not yet taken by such a target */
    size_t residue_size;
    void (*on_end)(struct pump *pump, void *userdata);
    void *userdata;
};

static int open_own_output(int stream, int *ret_fd)
{
    int own = stream == STREAM_STDOUT ? STDOUT_FILENO : STDERR_FILENO;
    char path[32];
    struct stat st;
    int fd = -1;

    if (fstat(own, &st) < 0)
        return -errno;
    /* Our own open file description where that is possible: non-blocking must not leak to whoever
     * shares the terminal. A regular file's offset on the other hand is shared on purpose. */
    if (S_ISCHR(st.st_mode) || S_ISFIFO(st.st_mode)) {
        snprintf(path, sizeof(path), "/proc/self/fd/%d", own);
        fd = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    }
    if (fd < 0)
        fd = fcntl(own, F_DUPFD_CLOEXEC, 3);
    if (fd < 0)
        return -errno;
    *ret_fd = fd;
    return 0;
}

static int open_file(const char *path)
{
    int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    _cleanup_free_ char *folder = NULL;
    int fd, r;

    fd = open(path, flags, 0600);
    if (fd >= 0 || errno != ENOENT)
        return fd < 0 ? -errno : fd;
    folder = strdup(path);
    if (!folder)
        return -ENOMEM;
    *strrchr(folder, '/') = '\0';
    r = fs_mkdir_all(folder[0] ? folder : "/", 0755);
    if (r < 0)
        return r;
    fd = open(path, flags, 0600);
    return fd < 0 ? -errno : fd;
}

int pump_open_log(enum stream_kind kind, int stream, const char *path, bool from_start, int *ret_fd)
{
    int fd;

    if (kind == STREAM_INHERIT)
        return open_own_output(stream, ret_fd);
    if (path[0] != '/')
        return -EINVAL;
    fd = open_file(path);
    if (fd < 0)
        return fd;
    if (!from_start)
        (void)lseek(fd, 0, SEEK_END); /* a terminal or FIFO has no end and needs none */
    *ret_fd = fd;
    return 0;
}

int pump_reopen_pipe(int fd, int flags)
{
    char path[32];
    int copy;

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    copy = open(path, flags | O_CLOEXEC);
    return copy < 0 ? -errno : copy;
}

int pump_open_pipe(int *ret_fd)
{
    int ends[2], fd;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    fd = pump_reopen_pipe(ends[0], O_RDWR | O_NONBLOCK);
    close(ends[0]);
    close(ends[1]);
    if (fd < 0)
        return fd;
    *ret_fd = fd;
    return 0;
}

static ssize_t target_write(struct pump *p, const void *data, size_t size)
{
    ssize_t n;

    do {
        n = p->is_socket ? send(p->log_fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL)
                         : write(p->log_fd, data, size);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN ? -EBUSY : -errno;
    return n;
}

static bool target_is_writable(const struct pump *p, int wait_ms)
{
    struct pollfd poll_fd = {.fd = p->log_fd, .events = POLLOUT};

    return poll(&poll_fd, 1, wait_ms) > 0;
}

static ssize_t flush_residue(struct pump *p)
{
    ssize_t n = target_write(p, p->residue, p->residue_size);

    if (n < 0)
        return n;
    p->residue_size -= (size_t)n;
    memmove(p->residue, p->residue + n, p->residue_size);
    return n;
}

static ssize_t copy_once(struct pump *p)
{
    ssize_t n;

    if (!p->residue && !(p->residue = malloc(COPY_MAX)))
        return -ENOMEM;
    if (!target_is_writable(p, 0))
        return -EBUSY;
    if (p->residue_size > 0)
        return flush_residue(p);
    n = read(p->pipe_fd, p->residue, COPY_MAX);
    if (n <= 0)
        return n < 0 ? -errno : 0;
    p->residue_size = (size_t)n;
    return flush_residue(p);
}

/* Bytes moved; 0: the pipe has no writer and nothing in it; -EAGAIN: it is empty; -EBUSY: the
 * target takes no more now; else what is wrong with the target. */
static ssize_t move_once(struct pump *p)
{
    ssize_t n;

    if (!p->copies) {
        n = splice(p->pipe_fd, NULL, p->log_fd, NULL, SPLICE_MAX, SPLICE_F_NONBLOCK);
        if (n >= 0)
            return n;
        if (errno != EINVAL)
            return errno == EINTR ? -EAGAIN : -errno;
        p->copies = true; /* a file system without splice */
    }
    return copy_once(p);
}

static void resume(struct pump *p)
{
    p->retry = sd_event_source_disable_unref(p->retry);
    (void)sd_event_source_set_enabled(p->readable, SD_EVENT_ON);
}

static int on_retry_time(sd_event_source *s, uint64_t usec, void *userdata)
{
    resume(userdata);
    return 0;
}

static int on_retry_writable(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
    resume(userdata);
    return 0;
}

/* Nobody reads our own output any more: the service must not stop for that. */
static void discard_from_now_on(struct pump *p)
{
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return;
    p->retry = sd_event_source_disable_unref(p->retry);
    close(p->log_fd);
    p->log_fd = fd;
    p->is_socket = false;
    p->residue_size = 0;
}

/* What is in the pipe stays there until the target takes it again. */
static void target_blocks(struct pump *p, int error)
{
    int r;

    if (error == -EPIPE || error == -ECONNRESET || (error == -EIO && p->copies)) {
        log_warning("cannot write to %s: %s; output is dropped from now on", p->path,
                    strerror(-error));
        discard_from_now_on(p);
        return;
    }
    if (error != -EBUSY && !p->reported) {
        p->reported = true;
        log_error("cannot write to %s: %s; the service's output waits in its pipe, make room",
                  p->path, strerror(-error));
    }
    if (p->retry)
        return;
    r = error == -EBUSY
            ? sd_event_add_io(p->event, &p->retry, p->log_fd, EPOLLOUT, on_retry_writable, p)
            : -EPERM;
    if (r < 0)
        r = sd_event_add_time_relative(p->event, &p->retry, CLOCK_MONOTONIC, USEC_PER_SEC, 0,
                                       on_retry_time, p);
    if (r >= 0)
        (void)sd_event_source_set_enabled(p->readable, SD_EVENT_OFF);
}

static int on_readable(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
    struct pump *p = userdata;
    ssize_t n = move_once(p);

    if (n > 0) {
        p->reported = false;
    } else if (n == 0) {
        (void)sd_event_source_set_enabled(p->readable, SD_EVENT_OFF);
        if (p->on_end)
            p->on_end(p, p->userdata);
    } else if (n != -EAGAIN) {
        target_blocks(p, (int)n);
    }
    return 0; /* whatever happens: the loop goes on */
}

int pump_new(sd_event *event, int pipe_fd, int log_fd, const char *path,
             void (*on_end)(struct pump *pump, void *userdata), void *userdata, struct pump **ret)
{
    struct stat st;
    struct pump *p;
    int r;

    if (fstat(log_fd, &st) < 0)
        return -errno;
    p = calloc(1, sizeof(*p));
    if (!p)
        return -ENOMEM;
    p->pipe_fd = p->log_fd = -1;
    p->event = sd_event_ref(event);
    p->copies = !S_ISREG(st.st_mode);
    p->is_socket = S_ISSOCK(st.st_mode);
    p->on_end = on_end;
    p->userdata = userdata;
    p->path = strdup(path[0] ? path : "our own output");
    r = p->path ? sd_event_add_io(event, &p->readable, pipe_fd, EPOLLIN, on_readable, p) : -ENOMEM;
    if (r < 0) {
        pump_free(p);
        return r;
    }
    p->pipe_fd = pipe_fd;
    p->log_fd = log_fd;
    *ret = p;
    return 0;
}

struct pump *pump_free(struct pump *p)
{
    if (!p)
        return NULL;
    sd_event_source_disable_unref(p->readable);
    sd_event_source_disable_unref(p->retry);
    fd_close(p->pipe_fd);
    fd_close(p->log_fd);
    free(p->path);
    free(p->residue);
    sd_event_unref(p->event);
    free(p);
    return NULL;
}

int pump_drain(struct pump *p, int wait_ms)
{
    int present = 0;

    /* No further than what is there now: a chatty child of the service would keep us for ever. */
    if (ioctl(p->pipe_fd, FIONREAD, &present) < 0)
        return -errno;
    for (ssize_t left = present + (ssize_t)p->residue_size; left > 0;) {
        ssize_t n = move_once(p);

        if (n == 0 || n == -EAGAIN)
            return 0;
        if (n == -EBUSY && wait_ms > 0 && target_is_writable(p, wait_ms))
            continue;
        if (n < 0) {
            target_blocks(p, (int)n);
            return -EAGAIN;
        }
        left -= n;
    }
    return 0;
}

/* Is the byte before the offset something else than a newline? */
static bool in_mid_line(int fd)
{
    off_t at = lseek(fd, 0, SEEK_CUR);
    char last;

    return at > 0 && pread(fd, &last, 1, at - 1) == 1 && last != '\n';
}

int pump_mark_log(int log_fd, const char *text)
{
    char line[2048];
    int size;

    size = snprintf(line, sizeof(line) - 1, "%s%s", in_mid_line(log_fd) ? "\n" : "", text);
    if (size < 0 || (size_t)size >= sizeof(line) - 1)
        return -E2BIG;
    line[size++] = '\n';
    return fs_write_all(log_fd, line, (size_t)size); /* in one write(2) unless the disk is full */
}

int pump_mark(struct pump *p, const char *text)
{
    int r;

    r = pump_drain(p, 0);
    if (r < 0)
        return r;
    if (p->copies && !target_is_writable(p, 0))
        return -EAGAIN;
    return pump_mark_log(p->log_fd, text);
}

int pump_pipe_fd(const struct pump *p)
{
    return p->pipe_fd;
}

int pump_log_fd(const struct pump *p)
{
    return p->log_fd;
}
