/* keeper_child.c - between fork and exec: the child is single-threaded, so the C library is usable.
 */
#include "supervisord/keeper_child.h"

#include "common/cleanup.h"
#include "common/fs.h"
#include "common/worker_abi.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum {
    FDS_MAX = 8,
    FD_ASIDE = 32,          /* where descriptors wait while their final numbers are still taken */
    EXIT_BEFORE_EXEC = 126, /* the reason went through the status pipe */
};

static int clone_process(uint64_t flags, int cgroup_fd, pid_t *ret_pid)
{
    struct clone_args args = {.flags = flags, .exit_signal = SIGCHLD};
    long pid;

    if (cgroup_fd >= 0) {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = (uint64_t)cgroup_fd;
    }
    pid = syscall(SYS_clone3, &args, sizeof(args));
    if (pid < 0)
        return -errno;
    *ret_pid = (pid_t)pid;
    return 0;
}

/* Linux 6.18 compares the kill count (cgroup.kill) of our cgroup with that of the new one and kills
 * the child at birth when they differ. So folders are made anew for each start (family_make()), and
 * whether that is enough, which it is not when our own was ever killed, is tried once. */
static bool clone_into_works(int cgroup_fd)
{
    static enum { UNKNOWN, WORKS, KILLS } verdict = UNKNOWN;
    int status;
    pid_t pid;

    if (verdict != UNKNOWN)
        return verdict == WORKS;
    verdict = KILLS;
    if (clone_process(0, cgroup_fd, &pid) < 0)
        return false;
    if (pid == 0)
        _exit(0);
    if (waitpid(pid, &status, 0) == pid && WIFEXITED(status))
        verdict = WORKS;
    return verdict == WORKS;
}

/* fork(2), if possible directly into a cgroup: moving a process there later takes a lock over all
 * processes that waits for an RCU period, 7 to 15 ms. */
static int fork_into(const char *cgroup, uint64_t flags, bool *ret_inside, pid_t *ret_pid)
{
    _cleanup_close_ int folder = -1;

    if (cgroup[0]) {
        folder = open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (folder < 0)
            return -errno;
    }
    *ret_inside = folder < 0 || clone_into_works(folder);
    return clone_process(flags, *ret_inside ? folder : -1, ret_pid);
}

static int join_cgroup(const char *cgroup)
{
    _cleanup_close_ int folder = open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return folder < 0 ? -errno : fs_write(folder, "cgroup.procs", "0");
}

static struct rlimit fd_limit; /* as we were started; rlim_max 0: not raised */

void child_raise_fd_limit(void)
{
    struct rlimit raised;

    if (getrlimit(RLIMIT_NOFILE, &fd_limit) < 0)
        return;
    raised = fd_limit;
    raised.rlim_cur = raised.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &raised);
}

static void reset_signals(void)
{
    sigset_t none;

    for (int i = 1; i < NSIG; i++)
        (void)signal(i, SIG_DFL);
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Descriptor fds[i] becomes number i (-1: that number is left as it is), `last` the number after
 * them; everything above is closed. Returns last's new number. */
static int arrange_fds(const int *fds, int count, int last)
{
    int aside[FDS_MAX];

    for (int i = 0; i < count; i++) {
        aside[i] = fds[i] < 0 ? -1 : fcntl(fds[i], F_DUPFD_CLOEXEC, FD_ASIDE);
        if (fds[i] >= 0 && aside[i] < 0)
            return -errno;
    }
    if (last >= 0 && (last = fcntl(last, F_DUPFD_CLOEXEC, FD_ASIDE)) < 0)
        return -errno;
    for (int i = 0; i < count; i++)
        if (aside[i] >= 0 && dup2(aside[i], i) < 0)
            return -errno;
    if (last >= 0 && dup3(last, count, O_CLOEXEC) < 0)
        return -errno;
    if (syscall(SYS_close_range, count + (last >= 0), ~0u, 0) < 0)
        return -errno;
    return count;
}

static int set_stdio(const struct child_plan *plan, int *status_fd)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC | O_NOCTTY);
    int out = plan->stream_fd[STREAM_STDOUT] < 0 ? null : plan->stream_fd[STREAM_STDOUT];
    int err = plan->stream_fd[STREAM_STDERR] < 0 ? null : plan->stream_fd[STREAM_STDERR];
    const int service[] = {null, out, err};
    const int worker[] = {
        [WORKER_FD_NULL] = null,         [1] = STDERR_FILENO,
        [WORKER_FD_LOG] = STDERR_FILENO, [WORKER_FD_REPORT] = plan->report_fd,
        [WORKER_FD_STDOUT] = out,        [WORKER_FD_STDERR] = err,
    };
    int r;

    if (null < 0)
        return -errno;
    r = plan->report_fd < 0 ? arrange_fds(service, ELEMENTS(service), *status_fd)
                            : arrange_fds(worker, ELEMENTS(worker), *status_fd);
    if (r < 0)
        return r;
    *status_fd = r;
    return 0;
}

static int set_limits(const struct spawn_spec *spec)
{
    for (uint32_t i = 0; i < spec->limit_count; i++) {
        const struct spawn_limit *want = &spec->limits[i];
        struct rlimit limit = {.rlim_cur = want->soft, .rlim_max = want->hard}, now;

        if (setrlimit(want->resource, &limit) == 0)
            continue;
        /* Without CAP_SYS_RESOURCE no limit can go above the hard one: as far as allowed. */
        if (errno != EPERM || getrlimit(want->resource, &now) < 0)
            return -errno;
        limit.rlim_max = want->hard < now.rlim_max ? want->hard : now.rlim_max;
        limit.rlim_cur = want->soft < limit.rlim_max ? want->soft : limit.rlim_max;
        if (setrlimit(want->resource, &limit) < 0)
            return -errno;
    }
    return 0;
}

static int set_oom(const struct spawn_spec *spec)
{
    char text[16];
    int r;

    if (spec->oom_score_adj == INT32_MIN)
        return 0;
    (void)snprintf(text, sizeof(text), "%d", spec->oom_score_adj);
    r = fs_write(AT_FDCWD, "/proc/self/oom_score_adj", text);
    return r == -EPERM || r == -EACCES ? 0 : r; /* as systemd: lowering it needs CAP_SYS_RESOURCE */
}

static int set_groups(const struct spawn_spec *spec)
{
    bool drop = spec->uid >= 0 && geteuid() == 0;

    if ((spec->group_count > 0 || drop) && setgroups(spec->group_count, spec->groups) < 0)
        return -errno;
    if (spec->gid >= 0 && setresgid((gid_t)spec->gid, (gid_t)spec->gid, (gid_t)spec->gid) < 0)
        return -errno;
    return 0;
}

static int set_user(const struct spawn_spec *spec)
{
    if (spec->uid >= 0 && setresuid((uid_t)spec->uid, (uid_t)spec->uid, (uid_t)spec->uid) < 0)
        return -errno;
    if (spec->no_new_privs && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    return 0;
}

/* Everything but exec; 0 or the stage that failed, with errno in *ret_error. */
static enum spawn_stage prepare(const struct child_plan *plan, int *status_fd, int *ret_error)
{
    const struct spawn_spec *spec = plan->view->spec;
    const char *workdir = plan->view->workdir;

    if ((*ret_error = set_stdio(plan, status_fd)) < 0)
        return SPAWN_STDIO;
    if ((*ret_error = set_limits(spec)) < 0)
        return SPAWN_LIMITS;
    if (spec->nice != INT32_MIN && setpriority(PRIO_PROCESS, 0, spec->nice) < 0) {
        *ret_error = -errno;
        return SPAWN_NICE;
    }
    if ((*ret_error = set_oom(spec)) < 0)
        return SPAWN_OOM;
    if ((*ret_error = set_groups(spec)) < 0)
        return SPAWN_GROUP;
    if ((*ret_error = set_user(spec)) < 0)
        return SPAWN_USER;
    if (spec->umask >= 0)
        (void)umask((mode_t)spec->umask);
    if (workdir[0] && chdir(workdir) < 0) {
        *ret_error = -errno;
        return SPAWN_CHDIR;
    }
    return SPAWN_NONE;
}

/* perdure-init PROGRAM ARGV0 ARGS...; it finds the status pipe as descriptor 3. */
static int exec_init(const struct child_plan *plan, int status_fd)
{
    const struct spawn_view *view = plan->view;
    char **argv = calloc(view->spec->argc + 3, sizeof(*argv));

    if (!argv)
        return -ENOMEM;
    argv[0] = (char *)plan->init_path;
    argv[1] = (char *)view->program;
    memcpy(argv + 2, view->argv, view->spec->argc * sizeof(*argv));
    (void)fcntl(status_fd, F_SETFD, 0);
    (void)execve(plan->init_path, argv, view->env);
    return -errno;
}

static bool in_pid_namespace(const struct child_plan *plan)
{
    /* A restored tree brings its own namespace along: CRIU makes it. */
    return plan->view->spec->pid_namespace && plan->report_fd < 0;
}

static void __attribute__((noreturn))
child_main(const struct child_plan *plan, bool inside, int go_fd, int status_fd)
{
    struct child_failure failure = {0};
    char byte;
    int error = 0;

    /* End of file: the keeper died before it could write down that we exist. */
    if (read(go_fd, &byte, 1) != 1)
        _exit(EXIT_BEFORE_EXEC);
    if (fd_limit.rlim_max > 0)
        (void)setrlimit(RLIMIT_NOFILE, &fd_limit);
    reset_signals();
    (void)setsid();
    if (!inside && (error = join_cgroup(plan->view->cgroup)) < 0)
        failure.stage = SPAWN_CGROUP;
    else
        failure.stage = prepare(plan, &status_fd, &error);
    if (failure.stage == SPAWN_NONE) {
        failure.stage = SPAWN_EXEC;
        if (in_pid_namespace(plan)) {
            error = exec_init(plan, status_fd);
        } else {
            (void)execve(plan->view->program, plan->view->argv, plan->view->env);
            error = -errno;
        }
    }
    failure.error = -error;
    (void)!write(status_fd, &failure, sizeof(failure));
    _exit(EXIT_BEFORE_EXEC);
}

/* Lets go of everything else at once: a child that waits must not hold the keeper's locks. */
static void keep_only(const int *keep, unsigned count)
{
    unsigned first = 3;

    for (;;) {
        unsigned next = ~0u;

        for (unsigned i = 0; i < count; i++)
            if (keep[i] >= (int)first && (unsigned)keep[i] < next)
                next = (unsigned)keep[i];
        if (next > first)
            (void)syscall(SYS_close_range, first, next == ~0u ? next : next - 1, 0);
        if (next == ~0u)
            return;
        first = next + 1;
    }
}

int child_start(const struct child_plan *plan, struct child *ret_child)
{
    _cleanup_close_ int go_read = -1, go_write = -1, status_read = -1, status_write = -1;
    uint64_t flags = in_pid_namespace(plan) ? CLONE_NEWPID : 0;
    int go[2], status[2], r;
    bool inside = true;
    pid_t pid;

    if (flags && !plan->init_path)
        return -ENOENT;
    if (pipe2(go, O_CLOEXEC) < 0)
        return -errno;
    go_read = go[0];
    go_write = go[1];
    if (pipe2(status, O_CLOEXEC) < 0)
        return -errno;
    status_read = status[0];
    status_write = status[1];
    if (fcntl(status_read, F_SETFL, O_NONBLOCK) < 0)
        return -errno;
    r = fork_into(plan->view->cgroup, flags, &inside, &pid);
    if (r < 0)
        return r;
    if (pid == 0) {
        const int keep[] = {go_read, status_write, plan->stream_fd[0], plan->stream_fd[1],
                            plan->report_fd};

        keep_only(keep, ELEMENTS(keep));
        child_main(plan, inside, go_read, status_write);
    }
    *ret_child = (struct child){pid, TAKE_FD(go_write), TAKE_FD(status_read)};
    return 0;
}

int child_release(struct child *child)
{
    ssize_t n = write(child->go_fd, "g", 1);

    child->go_fd = fd_close(child->go_fd);
    return n == 1 ? 0 : -EPIPE; /* killed already: its end is reported like any other */
}

int child_start_daemon(char *const *argv, const int *fds, int count, pid_t *ret_pid)
{
    int all[FDS_MAX] = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}, r;

    memcpy(all + 3, fds, (size_t)count * sizeof(*fds));
    r = clone_process(0, -1, ret_pid);
    if (r < 0 || *ret_pid > 0)
        return r;
    keep_only(fds, (unsigned)count);
    reset_signals();
    (void)setsid(); /* a Ctrl-C at the terminal is for the keeper alone */
    (void)unsetenv("NOTIFY_SOCKET");
    if (arrange_fds(all, count + 3, -1) >= 0)
        (void)execv(argv[0], argv);
    _exit(127);
}
