/* init.c - perdure-init: the first process of a service's own pid namespace (PidNamespace=yes).
 *
 * Starts the service, passes signals on to it, reaps, and exits as it does (128+n for a signal),
 * which ends the namespace. Usage: perdure-init PROGRAM ARGV0 [ARGS...]; descriptor 3 is the pipe
 * through which a failing exec is reported (struct child_failure). */
#include "supervisord/keeper_child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    STATUS_FD = 3,
    EXIT_USAGE = 2,
    EXIT_CANNOT_EXECUTE = 126,
    EXIT_SIGNAL_BASE = 128,
};

static void report(enum spawn_stage stage)
{
    struct child_failure failure = {.stage = stage, .error = errno};

    (void)!write(STATUS_FD, &failure, sizeof(failure));
}

static pid_t start_service(char **argv, const sigset_t *old_mask)
{
    pid_t pid = fork();

    if (pid < 0)
        report(SPAWN_FORK);
    if (pid != 0)
        return pid;
    (void)sigprocmask(SIG_SETMASK, old_mask, NULL);
    (void)execv(argv[1], argv + 2);
    report(SPAWN_EXEC);
    _exit(EXIT_CANNOT_EXECUTE);
}

/* Reaps all that is dead; returns the service's exit status once it is among them, else -1. */
static int reap(pid_t service)
{
    int status, result = -1;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        if (pid == service)
            result = WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_SIGNAL_BASE + WTERMSIG(status);
    return result;
}

int main(int argc, char **argv)
{
    sigset_t all, old_mask;
    pid_t service;

    if (argc < 3)
        return EXIT_USAGE;
    (void)fcntl(STATUS_FD, F_SETFD, FD_CLOEXEC);
    sigfillset(&all);
    (void)sigprocmask(SIG_BLOCK, &all, &old_mask);
    service = start_service(argv, &old_mask);
    close(STATUS_FD); /* a checkpoint must not find it */
    if (service < 0)
        return EXIT_CANNOT_EXECUTE;
    for (;;) {
        int signal = sigwaitinfo(&all, NULL), status;

        if (signal == SIGCHLD && (status = reap(service)) >= 0)
            return status;
        if (signal > 0 && signal != SIGCHLD)
            (void)kill(service, signal);
    }
}
