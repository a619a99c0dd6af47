/* preflight.c - looks through /proc for what CRIU does not dump, with the cure for each. */
#include "ckptd/preflight.h"

#include "common/bytesize.h"
#include "common/cleanup.h"
#include "common/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#define MAPS_MAX  (32 * 1024 * 1024)
#define PROCS_MAX (1024 * 1024)

/* Inodes of all sockets of the service. */
struct sockets {
    uint32_t *inodes;
    size_t count;
};

struct scan {
    const struct preflight *preflight;
    struct problems *problems;
    struct sockets *sockets;
    pid_t pid;
    int proc_fd, task_fd; /* folders PROC and PROC/PID */
    char comm[32];
};

void problems_done(struct problems *problems)
{
    for (size_t i = 0; i < problems->count; i++)
        reason_done(&problems->list[i]);
    free(problems->list);
    *problems = (struct problems){};
}

/* Adds "process PID (COMM) ..."; each sentence once. */
__attribute__((format(printf, 3, 4))) static int problem(struct scan *scan, const char *cure,
                                                         const char *format, ...)
{
    struct problems *all = scan->problems;
    _cleanup_free_ char *text = NULL;
    struct reason fresh = {}, *more;
    va_list args;
    int n;

    va_start(args, format);
    n = vasprintf(&text, format, args);
    va_end(args);
    if (n < 0) {
        text = NULL;
        return -ENOMEM;
    }
    reason_set(&fresh, cure, "process %d (%s) %s", (int)scan->pid, scan->comm, text);
    for (size_t i = 0; i < all->count; i++)
        if (strcmp(reason_why(&all->list[i]), reason_why(&fresh)) == 0) {
            reason_done(&fresh);
            return 0;
        }
    more = realloc(all->list, (all->count + 1) * sizeof(*more));
    if (!more) {
        reason_done(&fresh);
        return -ENOMEM;
    }
    all->list = more;
    all->list[all->count++] = fresh;
    return 0;
}

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool ends_with(const char *text, const char *suffix)
{
    size_t n = strlen(text), m = strlen(suffix);

    return n >= m && strcmp(text + n - m, suffix) == 0;
}

/* ---- descriptors ---- */

/* Is this device (fdinfo's "sdev", kernel form) mounted as overlayfs? proc_pid_mountinfo(5). */
static bool is_overlay(struct scan *scan, unsigned sdev)
{
    _cleanup_free_ char *text = NULL;
    char *save = NULL;

    if (fs_read(scan->task_fd, "mountinfo", PROCS_MAX, &text, NULL) < 0)
        return false;
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        const char *type = strstr(line, " - ");
        unsigned major, minor;

        if (type && starts_with(type + 3, "overlay ") &&
            sscanf(line, "%*d %*d %u:%u", &major, &minor) == 2 && sdev == (major << 20 | minor))
            return true;
    }
    return false;
}

static int look_at_inotify(struct scan *scan, const char *fd)
{
    _cleanup_free_ char *text = NULL;
    char path[32];

    snprintf(path, sizeof(path), "fdinfo/%.10s", fd);
    if (fs_read(scan->task_fd, path, PROCS_MAX, &text, NULL) < 0)
        return 0;
    for (char *p = text; (p = strstr(p, " sdev:")); p++) {
        unsigned sdev;

        if (sscanf(p, " sdev:%x", &sdev) == 1 && is_overlay(scan, sdev))
            return problem(scan, "keep what it watches on a file system other than overlayfs",
                           "watches files on overlayfs with inotify (descriptor %s)", fd);
    }
    return 0;
}

static int look_at_deleted(struct scan *scan, const char *fd, const char *target)
{
    char path[32], size[BYTESIZE_SIZE];
    struct stat st;

    snprintf(path, sizeof(path), "fd/%.10s", fd);
    if (fstatat(scan->task_fd, path, &st, 0) < 0 || !S_ISREG(st.st_mode))
        return 0;
    if ((uint64_t)st.st_size <= scan->preflight->ghost_limit)
        return 0;
    return problem(scan, "raise GhostLimit= in the policy's [Checkpoint] section",
                   "holds a deleted file of %s, above GhostLimit=: %s",
                   bytesize_format((uint64_t)st.st_size, size), target);
}

/* ---- sockets ---- */

static int note_socket(struct scan *scan, const char *fd, const char *target)
{
    struct sockets *sockets = scan->sockets;
    uint32_t inode, *more;

    if (sscanf(target, "socket:[%" SCNu32 "]", &inode) != 1)
        return 0;
    more = realloc(sockets->inodes, (sockets->count + 1) * sizeof(*more));
    if (!more)
        return -ENOMEM;
    more[sockets->count++] = inode;
    sockets->inodes = more;
    return 0;
}

static bool has_socket(const struct sockets *sockets, uint32_t inode)
{
    for (size_t i = 0; i < sockets->count; i++)
        if (sockets->inodes[i] == inode)
            return true;
    return false;
}

/* Both ends must be in the service; CRIU takes only datagram peers from outside (sk-unix.c). */
static int look_at_socket(struct scan *scan, const char *fd, const char *target)
{
    const struct preflight *preflight = scan->preflight;
    uint32_t inode;

    if (sscanf(target, "socket:[%" SCNu32 "]", &inode) != 1)
        return 0;
    if (preflight->sockets)
        return problem(scan, reason_cure(preflight->sockets),
                       "has sockets, which do not work here: %s", reason_why(preflight->sockets));
    for (size_t i = 0; i < preflight->peer_count; i++)
        if (preflight->peers[i].inode == inode &&
            !has_socket(scan->sockets, preflight->peers[i].peer))
            return problem(scan,
                           "let it use a pipe, TCP or a named datagram socket, or close the "
                           "connection in PreCheckpoint=",
                           "has a unix stream connection to a process outside (descriptor %s)", fd);
    return 0;
}

/* ---- all descriptors ---- */

static bool is_terminal(const char *target)
{
    return starts_with(target, "/dev/pts/") || starts_with(target, "/dev/tty") ||
           strcmp(target, "/dev/console") == 0;
}

static int look_at_fd(struct scan *scan, const char *fd, const char *target)
{
    if (strstr(target, "[io_uring]"))
        return problem(scan,
                       "make it fall back: sysctl kernel.io_uring_disabled=2 or the program's own "
                       "option, then restart it",
                       "uses io_uring (descriptor %s)", fd);
    if (strstr(target, "[userfaultfd]"))
        return problem(scan, "turn off the program's use of userfaultfd",
                       "holds a userfaultfd (descriptor %s)", fd);
    if (is_terminal(target))
        return problem(scan, "start it without a terminal: StandardInput=null, output to pipes",
                       "holds the terminal %s (descriptor %s)", target, fd);
    if (starts_with(target, "socket:"))
        return look_at_socket(scan, fd, target);
    if (strstr(target, "inotify"))
        return look_at_inotify(scan, fd);
    if (ends_with(target, " (deleted)") && !starts_with(target, "/memfd:"))
        return look_at_deleted(scan, fd, target);
    return 0;
}

typedef int (*look_fd_t)(struct scan *scan, const char *fd, const char *target);

/* Calls `look` for every descriptor of the task. */
static int each_fd(struct scan *scan, look_fd_t look)
{
    _cleanup_closedir_ DIR *dir = NULL;
    struct dirent *entry;
    int fd;

    fd = openat(scan->task_fd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return -ENOMEM;
    }
    while ((entry = readdir(dir))) {
        char target[PATH_MAX + 1];
        ssize_t n = readlinkat(fd, entry->d_name, target, PATH_MAX);
        int r;

        if (n < 0)
            continue;
        target[n] = '\0';
        r = look(scan, entry->d_name, target);
        if (r < 0)
            return r;
    }
    return 0;
}

static int note_sockets(struct scan *scan)
{
    return each_fd(scan, note_socket);
}

static int look_at_fds(struct scan *scan)
{
    return each_fd(scan, look_at_fd);
}

/* ---- the task itself ---- */

static int look_at_maps(struct scan *scan)
{
    _cleanup_free_ char *maps = NULL;

    if (fs_read(scan->task_fd, "maps", MAPS_MAX, &maps, NULL) < 0)
        return 0;
    if (!strstr(maps, " /SYSV"))
        return 0;
    return problem(scan, "let it use POSIX shared memory (shm_open, memfd) or mmap instead",
                   "uses SysV shared memory of the host's IPC namespace");
}

static bool is_ours(const struct preflight *preflight, pid_t pid)
{
    for (size_t i = 0; i < preflight->count; i++)
        if (preflight->pids[i] == pid)
            return true;
    return false;
}

/* proc_pid_stat(5) field 6. */
static int look_at_session(struct scan *scan)
{
    _cleanup_free_ char *stat = NULL;
    const char *p;
    int session;

    if (fs_read(scan->task_fd, "stat", 4096, &stat, NULL) < 0 || !(p = strrchr(stat, ')')) ||
        sscanf(p + 1, " %*c %*d %*d %d", &session) != 1 || is_ours(scan->preflight, session))
        return 0;
    return problem(scan, "let the session's leader live on, or start the program with setsid",
                   "is in session %d, whose leader is gone or not of this service", session);
}

static int look_at_mount_namespace(struct scan *scan)
{
    char theirs[64], ours[64];
    ssize_t n = readlinkat(scan->task_fd, "ns/mnt", theirs, sizeof(theirs));
    ssize_t m = readlinkat(scan->proc_fd, "self/ns/mnt", ours, sizeof(ours));

    if (n <= 0 || m <= 0 || (n == m && memcmp(theirs, ours, (size_t)n) == 0))
        return 0;
    return problem(scan, "start it without unshare or a sandbox that makes its own mounts",
                   "lives in a mount namespace of its own");
}

/* The folder of a task belongs to its user, proc(5). */
static int look_at_user(struct scan *scan)
{
    const struct reason *why = scan->preflight->other_users;
    struct stat st;

    if (!why || fstat(scan->task_fd, &st) < 0 || st.st_uid == 0)
        return 0;
    return problem(scan, reason_cure(why), "runs as another user, which does not work here: %s",
                   reason_why(why));
}

static void read_comm(struct scan *scan)
{
    _cleanup_free_ char *comm = NULL;

    if (fs_read(scan->task_fd, "comm", 64, &comm, NULL) < 0)
        return;
    comm[strcspn(comm, "\n")] = '\0';
    snprintf(scan->comm, sizeof(scan->comm), "%s", comm);
}

typedef int (*look_t)(struct scan *scan);

static int each_look(struct scan *scan, const look_t *looks, size_t count)
{
    read_comm(scan);
    for (size_t i = 0; i < count; i++) {
        int r = looks[i](scan);

        if (r < 0)
            return r;
    }
    return 0;
}

/* Goes through the service's tasks; one that has ended is passed over. */
static int each_task(struct scan *scan, const look_t *looks, size_t count)
{
    const struct preflight *preflight = scan->preflight;

    for (size_t i = 0; i < preflight->count; i++) {
        _cleanup_close_ int task_fd = -1;
        char path[16];
        int r;

        snprintf(path, sizeof(path), "%d", (int)preflight->pids[i]);
        task_fd = openat(scan->proc_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (task_fd < 0)
            continue;
        scan->pid = preflight->pids[i];
        scan->task_fd = task_fd;
        r = each_look(scan, looks, count);
        if (r < 0)
            return r;
    }
    return 0;
}

int preflight_run(const struct preflight *preflight, struct problems *problems)
{
    static const look_t first[] = {note_sockets};
    static const look_t second[] = {look_at_fds, look_at_maps, look_at_session,
                                    look_at_mount_namespace, look_at_user};
    _cleanup_close_ int proc_fd = open(preflight->proc, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct sockets sockets = {};
    struct scan scan = {.preflight = preflight,
                        .problems = problems,
                        .sockets = &sockets,
                        .proc_fd = proc_fd,
                        .comm = "?"};
    int r;

    if (proc_fd < 0)
        return -errno;
    r = each_task(&scan, first, ELEMENTS(first));
    if (r >= 0)
        r = each_task(&scan, second, ELEMENTS(second));
    free(sockets.inodes);
    return r;
}
