/* worker_run.c - starting ckpt-worker with posix_spawn(3). */
#include "ckptd/worker_run.h"

#include "common/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>

#define REPORT_MAX 4096
#define SPARE_FD   16 /* above every descriptor that the worker is given */

extern char **environ;

static void actions_donep(posix_spawn_file_actions_t *actions)
{
    posix_spawn_file_actions_destroy(actions);
}

static void attr_donep(posix_spawnattr_t *attr)
{
    posix_spawnattr_destroy(attr);
}

/* Signals as after a fresh exec: sd-event's blocked ones and our ignored ones are not inherited. */
static int set_attributes(posix_spawnattr_t *attr)
{
    sigset_t none, all;

    sigemptyset(&none);
    sigfillset(&all);
    if (posix_spawnattr_setsigmask(attr, &none) != 0 ||
        posix_spawnattr_setsigdefault(attr, &all) != 0 ||
        posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK |
                                           POSIX_SPAWN_SETSIGDEF) != 0)
        return -EINVAL;
    return 0;
}

static int set_descriptors(posix_spawn_file_actions_t *actions, int spec_fd, int report_fd,
                           int report_as)
{
    int r = posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0);

    if (r == 0)
        r = posix_spawn_file_actions_adddup2(actions, 2, 1);
    if (r == 0 && spec_fd >= 0)
        r = posix_spawn_file_actions_adddup2(actions, spec_fd, WORKER_SPEC_FD);
    if (r == 0)
        r = posix_spawn_file_actions_adddup2(actions, report_fd, report_as);
    return -r;
}

/* A close-on-exec copy that no dup2 above can run over. */
static int move_up(int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, SPARE_FD);

    return copy < 0 ? -errno : copy;
}

int worker_spawn(const char *const argv[], int spec_fd, int report_as, pid_t *ret_pid,
                 int *ret_report_fd)
{
    _cleanup_(actions_donep) posix_spawn_file_actions_t actions;
    _cleanup_(attr_donep) posix_spawnattr_t attr;
    _cleanup_close_ int reading = -1, writing = -1, report = -1, spec = -1;
    int pipe_fds[2], r;

    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attr);
    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return -errno;
    reading = pipe_fds[0];
    writing = pipe_fds[1];
    if (fcntl(reading, F_SETFL, O_NONBLOCK) < 0)
        return -errno;
    if ((report = move_up(writing)) < 0 || (spec_fd >= 0 && (spec = move_up(spec_fd)) < 0))
        return -errno;
    if ((r = set_attributes(&attr)) < 0 ||
        (r = set_descriptors(&actions, spec, report, report_as)) < 0)
        return r;
    r = posix_spawn(ret_pid, argv[0], &actions, &attr, (char *const *)argv, environ);
    if (r != 0)
        return -r;
    *ret_report_fd = TAKE_FD(reading);
    return 0;
}

char *worker_read_all(int report_fd)
{
    char text[REPORT_MAX + 1];
    ssize_t n = read(report_fd, text, REPORT_MAX);

    if (n <= 0)
        return NULL;
    text[n] = '\0';
    return strdup(text);
}

bool worker_read_report(int report_fd, struct reason *reason)
{
    _cleanup_free_ char *text = worker_read_all(report_fd);

    if (!text)
        return false;
    reason_parse(reason, text);
    return true;
}
