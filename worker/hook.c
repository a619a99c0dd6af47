/* hook.c - forks a shell for a hook and waits for it on its pidfd. */
#include "worker/hook.h"

#include "common/cleanup.h"
#include "common/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

_Noreturn static void child(const char *command, const char *variable, const char *id, pid_t pid)
{
    char text[16];
    sigset_t none;
    int null;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    setpgid(0, 0); /* in the worker's session, by which ckptd finds it */
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    dup2(null, STDIN_FILENO);
    dup2(STDERR_FILENO, STDOUT_FILENO);
    syscall(SYS_close_range, 3, ~0U, 0);
    snprintf(text, sizeof(text), "%d", (int)pid);
    setenv(variable, id, 1);
    setenv("PERDURE_PID", text, 1);
    setenv("HOME", "/root", 0); /* the worker has none, for criu's sake */
    execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    _exit(127);
}

/* 1 when it has ended within the limit. */
static int wait_until_ended(pid_t pid)
{
    _cleanup_close_ int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    uint64_t end = now_boottime_usec() + HOOK_TIMEOUT_USEC;
    struct pollfd p = {.fd = fd, .events = POLLIN};

    if (fd < 0)
        return -errno;
    for (;;) {
        uint64_t now = now_boottime_usec();
        int r = poll(&p, 1, now < end ? (int)((end - now) / 1000) + 1 : 0);

        if (r < 0 && errno == EINTR)
            continue;
        return r < 0 ? -errno : r;
    }
}

int hook_run(const char *command, const char *variable, const char *id, pid_t pid, char *ret_why,
             size_t size)
{
    int ended, status;
    pid_t hook;

    hook = fork();
    if (hook < 0)
        return -errno;
    if (hook == 0)
        child(command, variable, id, pid);
    ended = wait_until_ended(hook);
    if (ended <= 0)
        kill(-hook, SIGKILL);
    while (waitpid(hook, &status, 0) < 0)
        if (errno != EINTR)
            return -errno;
    if (ended < 0)
        return ended;
    if (ended == 0)
        snprintf(ret_why, size, "took more than %llu s", HOOK_TIMEOUT_USEC / USEC_PER_SEC);
    else if (WIFSIGNALED(status))
        snprintf(ret_why, size, "was ended by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else if (WEXITSTATUS(status) != 0)
        snprintf(ret_why, size, "ended with status %d", WEXITSTATUS(status));
    else
        return 0;
    return 1;
}
