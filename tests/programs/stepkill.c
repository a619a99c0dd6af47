/* stepkill.c - kills a process with SIGKILL right before its N-th system call that others can see.
 *
 * usage: stepkill PID N         count from now on in process PID
 *        stepkill PID N WORD    count in the next child of PID that executes a command line with
 *                               the argument WORD, from that execve(2) on
 *
 * Prints "ready", then "killed NUMBER-OF-THE-CALL MONOTONIC-NS" and ends; or, told to end by
 * SIGTERM before that, "undisturbed COUNT". The call of a killed process does not happen
 * (ptrace(2): it dies in the stop at its entry), so N and N+1 are right before and right after call
 * N. */
#include "tests/programs/visible.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CHILDREN = PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE };

/* Nor is what only looks: an openat(2) to read, a close(2) of a file that the kernel makes up. */
static bool only_looks(pid_t pid, const struct __ptrace_syscall_info *info)
{
    char link[64], path[16];

    if (info->entry.nr == SYS_openat)
        return (info->entry.args[2] & (O_ACCMODE | O_CREAT | O_TRUNC)) == O_RDONLY;
    if (info->entry.nr != SYS_close)
        return false;
    snprintf(link, sizeof(link), "/proc/%d/fd/%d", (int)pid, (int)info->entry.args[0]);
    return readlink(link, path, sizeof(path)) >= 5 &&
           (memcmp(path, "/proc", 5) == 0 || memcmp(path, "/sys/", 5) == 0);
}

static bool has_argument(pid_t pid, const char *word)
{
    char path[40], text[4096];
    ssize_t n;
    int fd;

    snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (fd >= 0)
        close(fd);
    for (ssize_t i = 0; i < n; i += (ssize_t)strnlen(text + i, (size_t)(n - i)) + 1)
        if (strncmp(text + i, word, (size_t)(n - i)) == 0)
            return true;
    return false;
}

struct watch {
    pid_t parent, target; /* target 0: not born yet */
    const char *word;
    unsigned long wanted, count;
};

static void kill_target(const struct watch *w, long number)
{
    struct timespec now;

    kill(w->target, SIGKILL);
    clock_gettime(CLOCK_MONOTONIC, &now);
    printf("killed %ld %lld\n", number, now.tv_sec * 1000000000LL + now.tv_nsec);
    exit(0);
}

static void on_syscall(struct watch *w)
{
    struct __ptrace_syscall_info info;

    if (ptrace(PTRACE_GET_SYSCALL_INFO, w->target, sizeof(info), &info) <= 0 ||
        info.op != PTRACE_SYSCALL_INFO_ENTRY || !is_visible((long)info.entry.nr) ||
        only_looks(w->target, &info))
        return;
    if (++w->count == w->wanted)
        kill_target(w, (long)info.entry.nr);
}

static void on_stop(struct watch *w, pid_t pid, int status)
{
    int event = status >> 16, signal = WSTOPSIG(status);

    if (event == PTRACE_EVENT_EXEC && pid != w->parent) {
        /* Not further: criu traces the service, and a process has one tracer. */
        if (w->target || !has_argument(pid, w->word)) {
            ptrace(PTRACE_DETACH, pid, 0, 0);
            return;
        }
        w->target = pid;
        ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD);
    } else if (pid == w->target && !event && signal == (SIGTRAP | 0x80)) {
        on_syscall(w);
    } else if (event == PTRACE_EVENT_STOP && signal != SIGTRAP) {
        ptrace(PTRACE_LISTEN, pid, 0, 0);
        return;
    }
    if (event || signal == (SIGTRAP | 0x80))
        signal = 0;
    ptrace(pid == w->target ? PTRACE_SYSCALL : PTRACE_CONT, pid, 0, signal);
}

static void run(struct watch *w, const sigset_t *set)
{
    int status;
    pid_t pid;

    for (;;) {
        while ((pid = waitpid(-1, &status, WNOHANG | __WALL)) > 0) {
            if (WIFSTOPPED(status))
                on_stop(w, pid, status);
            else if (pid == w->target)
                return;
        }
        if (pid < 0 || sigwaitinfo(set, NULL) == SIGTERM)
            return;
    }
}

int main(int argc, char **argv)
{
    struct watch w = {0};
    sigset_t set;

    if (argc < 3 || argc > 4)
        return 2;
    w.parent = atoi(argv[1]);
    w.wanted = strtoul(argv[2], NULL, 10);
    w.word = argc > 3 ? argv[3] : NULL;
    w.target = w.word ? 0 : w.parent;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (ptrace(PTRACE_SEIZE, w.parent, 0,
               w.word ? CHILDREN | PTRACE_O_TRACEEXEC : PTRACE_O_TRACESYSGOOD) < 0 ||
        (!w.word && ptrace(PTRACE_INTERRUPT, w.parent, 0, 0) < 0)) {
        perror("ptrace");
        return 1;
    }
    /* The first stop turns the counting on; the parent of a target needs none. */
    if (!w.word) {
        int status;

        if (waitpid(w.parent, &status, __WALL) != w.parent || !WIFSTOPPED(status))
            return 1;
        ptrace(PTRACE_SYSCALL, w.parent, 0, 0);
    }
    puts("ready");
    run(&w, &set);
    printf("undisturbed %lu\n", w.count);
    return 0; /* which lets go of all that are traced */
}
