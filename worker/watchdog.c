/* watchdog.c - measures a criu's wall time and the size of its log, and kills it by pid. */
#include "worker/watchdog.h"

#include "common/cleanup.h"
#include "common/proc.h"
#include "worker/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

#define TICK_MSEC 1000

static uint64_t log_size(const struct watchdog_limits *limits)
{
    struct stat st;

    if (fstatat(limits->work_fd, limits->log_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return 0;
    return (uint64_t)st.st_size;
}

/* Everything below this process: criu and the half-restored tree, which would spin on without it.
 */
static void kill_below(void)
{
    _cleanup_free_ pid_t *pids = NULL;
    size_t count;

    if (tree_pids(getpid(), &pids, &count) < 0)
        return;
    for (size_t i = 1; i < count; i++)
        kill(pids[i], SIGKILL);
}

static void *watch(void *data)
{
    struct watchdog *w = data;
    const struct watchdog_limits *limits = &w->limits;
    uint64_t begin = now_boottime_usec();
    struct pollfd p = {.fd = w->stop_fd, .events = POLLIN};

    while (poll(&p, 1, TICK_MSEC) <= 0) {
        if (now_boottime_usec() - begin > limits->wall_usec)
            snprintf(w->why, sizeof(w->why), "criu did not end within %llu s",
                     limits->wall_usec / USEC_PER_SEC);
        else if (log_size(limits) > limits->log_bytes)
            snprintf(w->why, sizeof(w->why), "criu filled its log with errors");
        else
            continue;
        kill_below();
        break;
    }
    return NULL;
}

int watchdog_start(struct watchdog *w, const struct watchdog_limits *limits)
{
    int r;

    *w = (struct watchdog){.limits = *limits};
    w->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (w->stop_fd < 0)
        return -errno;
    r = pthread_create(&w->thread, NULL, watch, w);
    if (r != 0) {
        w->stop_fd = fd_close(w->stop_fd);
        return -r;
    }
    return 0;
}

bool watchdog_stop(struct watchdog *w)
{
    (void)eventfd_write(w->stop_fd, 1);
    pthread_join(w->thread, NULL);
    w->stop_fd = fd_close(w->stop_fd);
    return w->why[0] != '\0';
}
