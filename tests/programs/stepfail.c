/* stepfail.c - runs a program and lets it die, or its disk fail, at its N-th system call.
 *
 * usage: stepfail FOLDER WHAT N ROUND PROGRAM [ARGUMENT]...
 *
 * WHAT is one of
 * - kill: SIGKILL right before the N-th call that others can see (visible.h);
 * - power: the same, and FOLDER looks like after a loss of power (disk.h, by ROUND);
 * - ENOSPC, EIO: the N-th call that would change FOLDER fails with that error, once;
 * - full, dead: from the N-th on all of them do. On a disk that becomes full the first write takes
 *   half, and what frees space goes on working;
 * - count: nothing happens.
 *
 * Calls are counted from the last execve(2) on, those of the main thread. What the program starts
 * is left alone; a loss of power ends it, too, but never criu. After the death, what still works in
 * FOLDER is waited for.
 *
 * Prints "died CALL VISIBLE LOST-FILES LOST-ENTRIES", or "ended STATUS VISIBLE CHANGES FAILED
 * FIRST": the wait status, how many calls were counted, how many were let fail, and which of the
 * visible ones was the first that would change FOLDER. */
#include "tests/programs/disk.h"
#include "tests/programs/visible.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const struct way {
    const char *name;
    int error; /* 0: the program dies */
    bool stays, records;
} ways[] = {
    {"count", 0, false, false},       {"kill", 0, false, false},  {"power", 0, false, true},
    {"ENOSPC", ENOSPC, false, false}, {"EIO", EIO, false, false}, {"full", ENOSPC, true, false},
    {"dead", EIO, true, false},
};

/* A process that is traced; others than the first only where the disk is recorded. */
struct task {
    pid_t pid;
    bool inside;   /* between entry and exit of a call */
    bool skipping; /* the call that does not happen */
    struct call call;
    struct entry *entry;
};

enum { MAX_TASKS = 16 };

struct watch {
    struct task tasks[MAX_TASKS]; /* [0]: the program; a pid of 0: free */
    const char *folder;
    const struct way *way;
    unsigned long wanted, visible, changes, failed, first;
    unsigned round;
    int status; /* of the program */
};

static bool is_below(const char *path, const char *folder)
{
    size_t len = strlen(folder);

    return strncmp(path, folder, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

static bool is_here(const struct watch *w, const struct call *call)
{
    return is_below(call->path, w->folder) || is_below(call->other, w->folder);
}

static bool changes_disk(const struct watch *w, const struct call *call)
{
    return call->kind != CALL_OTHER && call->kind != CALL_MAP && is_here(w, call);
}

/* ---- what still works in the folder: a criu whose worker has died ---- */

static bool uses_folder(const char *pid, const char *folder)
{
    char path[64], target[PATH_MAX];
    struct dirent *entry;
    bool found = false;
    DIR *dir;

    snprintf(path, sizeof(path), "/proc/%.20s/fd", pid);
    dir = opendir(path);
    while (dir && !found && (entry = readdir(dir))) {
        ssize_t n = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);

        target[n > 0 ? n : 0] = '\0';
        found = is_below(target, folder);
    }
    if (dir)
        closedir(dir);
    return found;
}

static bool is_used(const char *folder)
{
    DIR *dir = opendir("/proc");
    struct dirent *entry;
    bool found = false;

    while (dir && !found && (entry = readdir(dir)))
        found = entry->d_name[0] >= '1' && entry->d_name[0] <= '9' &&
                uses_folder(entry->d_name, folder);
    if (dir)
        closedir(dir);
    return found;
}

static void wait_until_unused(const char *folder)
{
    const struct timespec pause = {.tv_nsec = 2000000};

    for (int i = 0; i < 10000 && is_used(folder); i++)
        nanosleep(&pause, NULL);
}

/* ---- the end of the program ---- */

static void die(struct watch *w)
{
    struct disk_loss loss = {0, 0};

    for (int i = 0; i < MAX_TASKS; i++)
        if (w->tasks[i].pid)
            kill(w->tasks[i].pid, SIGKILL);
    for (int i = 0; i < MAX_TASKS; i++)
        if (w->tasks[i].pid)
            (void)waitpid(w->tasks[i].pid, NULL, __WALL);
    wait_until_unused(w->folder);
    if (w->way->records) {
        loss = disk_lose(w->round);
        disk_done();
    }
    printf("died %ld %lu %u %u\n", w->tasks[0].call.number, w->visible, loss.files, loss.entries);
    exit(0);
}

/* ---- one call ---- */

static bool fails(const struct watch *w, const struct call *call)
{
    if (w->way->error == 0 || w->changes < w->wanted || (w->changes > w->wanted && !w->way->stays))
        return false;
    return w->way->error != ENOSPC || (call->kind != CALL_UNLINK && call->kind != CALL_RMDIR);
}

/* The first write to a disk that becomes full. */
static bool takes_half(const struct watch *w, const struct task *task)
{
    const struct call *call = &task->call;

    return w->way->stays && w->way->error == ENOSPC && w->changes == w->wanted &&
           (call->number == SYS_write || call->number == SYS_pwrite64) && call->args[2] > 1 &&
           tracee_set_size(task->pid, call->args[2] / 2);
}

/* To open without making anything is to look. */
static bool others_see(const struct call *call)
{
    return is_visible(call->number) && (call->number != SYS_openat || call->kind == CALL_OPEN);
}

static void count(struct watch *w, struct task *task)
{
    w->visible += others_see(&task->call);
    if (!w->way->error && w->visible == w->wanted && others_see(&task->call))
        die(w);
    w->changes += changes_disk(w, &task->call);
    if (w->changes == 1 && changes_disk(w, &task->call))
        w->first = w->visible;
    if (changes_disk(w, &task->call) && fails(w, &task->call)) {
        w->failed++;
        task->skipping = !takes_half(w, task) && tracee_skip(task->pid);
    }
}

static void on_entry(struct watch *w, struct task *task)
{
    if (!tracee_entry(task->pid, &task->call))
        return;
    task->inside = true;
    if (task == w->tasks)
        count(w, task);
    if (w->way->records && is_here(w, &task->call))
        task->entry = disk_before(&task->call);
}

static void on_exit_of_call(struct watch *w, struct task *task)
{
    long result;

    task->inside = false;
    if (task->skipping && !tracee_set_result(task->pid, -w->way->error))
        abort();
    task->skipping = false;
    if (w->way->records && is_here(w, &task->call) && tracee_exit(task->pid, &result))
        disk_after(task->pid, &task->call, task->entry, result);
    task->entry = NULL;
}

/* ---- the processes ---- */

static struct task *find_task(struct watch *w, pid_t pid)
{
    for (int i = 0; i < MAX_TASKS; i++)
        if (w->tasks[i].pid == pid)
            return &w->tasks[i];
    return NULL;
}

/* A process has one tracer: criu traces the service, and in a worker's self-test its child. */
static bool traces_itself(pid_t pid)
{
    char path[64], text[4096] = "", *mode;
    size_t size;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
    file = fopen(path, "re");
    size = file ? fread(text, 1, sizeof(text) - 2, file) : 0;
    if (file)
        fclose(file);
    mode = text + strlen(text) + (size > 0);
    return (strlen(text) > 5 && strcmp(text + strlen(text) - 5, "/criu") == 0) ||
           strcmp(mode, "selftest") == 0;
}

/* False: it is not traced any longer. */
static bool on_exec(struct watch *w, struct task *task)
{
    if (task == w->tasks)
        w->visible = w->changes = w->failed = w->first = 0;
    else if (traces_itself(task->pid)) {
        ptrace(PTRACE_DETACH, task->pid, 0, 0);
        task->pid = 0;
        return false;
    }
    return true;
}

static void on_stop(struct watch *w, struct task *task, int status)
{
    int event = status >> 16, signal = WSTOPSIG(status);

    if (event == PTRACE_EVENT_EXEC && !on_exec(w, task))
        return;
    if (signal == (SIGTRAP | 0x80)) {
        if (task->inside)
            on_exit_of_call(w, task);
        else
            on_entry(w, task);
    }
    if (event || signal == (SIGTRAP | 0x80))
        signal = 0;
    ptrace(PTRACE_SYSCALL, task->pid, 0, signal);
}

/* A new child comes with a stop of its own. */
static void on_child(struct watch *w, pid_t pid)
{
    struct task *task = find_task(w, 0);

    if (!task)
        abort();
    *task = (struct task){.pid = pid};
    ptrace(PTRACE_SYSCALL, pid, 0, 0);
}

static void run(struct watch *w)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, __WALL)) > 0) {
        struct task *task = find_task(w, pid);

        if (WIFSTOPPED(status) && task)
            on_stop(w, task, status);
        else if (WIFSTOPPED(status))
            on_child(w, pid);
        else if (task == w->tasks)
            w->status = status;
        if (task && !WIFSTOPPED(status) && task != w->tasks)
            task->pid = 0;
    }
}

/* ---- main ---- */

static pid_t start(char **argv, long options)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        execv(argv[0], argv);
        perror(argv[0]);
        _exit(127);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status) ||
        ptrace(PTRACE_SETOPTIONS, pid, 0, options) < 0)
        return -1;
    ptrace(PTRACE_SYSCALL, pid, 0, 0);
    return pid;
}

int main(int argc, char **argv)
{
    const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL,
               children = PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE;
    struct watch w = {0};

    if (argc < 6)
        return 2;
    w.folder = argv[1];
    for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++)
        if (strcmp(ways[i].name, argv[2]) == 0)
            w.way = &ways[i];
    w.wanted = strtoul(argv[3], NULL, 10);
    w.round = (unsigned)strtoul(argv[4], NULL, 10);
    if (!w.way || (w.way->records && !disk_init(w.folder)))
        return 2;
    w.tasks[0].pid = start(argv + 5, options | (w.way->records ? children : 0));
    if (w.tasks[0].pid < 0)
        return 1;
    run(&w);
    if (w.way->records)
        disk_done();
    printf("ended %d %lu %lu %lu %lu\n", w.status, w.visible, w.changes, w.failed, w.first);
    return 0;
}
