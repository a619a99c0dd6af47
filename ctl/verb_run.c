/* verb_run.c - `perdure run`: one command under a supervisord of its own, in the foreground.
 *
 * supervisord --run ends with its one service and exits with that service's status, and it stops
 * the service when its standard input ends. So the pipe that we hold is both: closing it is Ctrl-C,
 * and our death, however sudden, leaves nothing behind. */
#include "common/cleanup.h"
#include "common/fs.h"
#include "common/proc.h"
#include "common/timespan.h"
#include "ctl/run.h"
#include "ctl/run_policy.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* ---- what to run ---- */

/* 0, -ENOENT, or -EACCES when something is there that cannot be executed. */
static int try_program(const char *folder, const char *word, char **ret)
{
    _cleanup_free_ char *path = NULL, *absolute = NULL;
    _cleanup_free_ char *cwd = NULL;
    struct stat st;

    path = folder && *folder ? fs_join(folder, word) : strdup(word);
    if (!path)
        return -ENOMEM;
    if (stat(path, &st) < 0)
        return errno == EACCES ? -EACCES : -ENOENT;
    if (!S_ISREG(st.st_mode) || access(path, X_OK) < 0)
        return -EACCES;
    if (path[0] != '/') {
        cwd = getcwd(NULL, 0);
        absolute = cwd ? fs_join(cwd, path) : NULL;
        if (!absolute)
            return cwd ? -ENOMEM : -errno;
    }
    *ret = absolute ? TAKE_PTR(absolute) : TAKE_PTR(path);
    return 0;
}

/* As execvp(3) looks for it. */
static int find_command(const char *word, char **ret)
{
    const char *search = getenv("PATH");
    _cleanup_free_ char *folders = NULL;
    int found = -ENOENT, r;
    char *rest, *folder;

    if (*word == '\0')
        return -ENOENT;
    if (strchr(word, '/'))
        return try_program(NULL, word, ret);
    folders = strdup(search ? search : "/usr/local/bin:/usr/bin:/bin");
    if (!folders)
        return -ENOMEM;
    for (rest = folders; (folder = strsep(&rest, ":"));) {
        r = try_program(folder, word, ret);
        if (r == 0 || r == -ENOMEM)
            return r;
        if (r == -EACCES)
            found = r;
    }
    return found;
}

static int read_command(const struct ctl *ctl, struct run *run, int argc, char **argv)
{
    int r;

    if (argc == 0)
        return ctl->policy
                   ? EXIT_OK
                   : report(ctl, EXIT_USAGE, "as in `perdure run -- redis-server --port 7000`",
                            "there is no command to run");
    r = find_command(argv[0], &run->program);
    if (r == -ENOENT)
        return report(ctl, EXIT_NOT_FOUND, "install it, or write its full path",
                      "command not found: %s", argv[0]);
    if (r == -EACCES)
        return report(ctl, EXIT_NOT_EXECUTABLE, "is it a program? `chmod +x` makes a script one",
                      "not executable: %s", argv[0]);
    if (r < 0)
        return report_errno(ctl, r, argv[0]);
    run->argv = calloc((size_t)argc + 1, sizeof(char *));
    if (!run->argv)
        return report_errno(ctl, -ENOMEM, argv[0]);
    memcpy(run->argv, argv, (size_t)argc * sizeof(char *));
    run->argv[0] = run->program;
    return EXIT_OK;
}

static int read_options(const struct ctl *ctl, struct run *run)
{
    _cleanup_free_ char *stem = NULL;

    if (ctl->interval && (timespan_parse(ctl->interval, USEC_PER_SEC, &run->interval) < 0 ||
                          run->interval == USEC_INFINITY))
        return report(ctl, EXIT_USAGE, "write it like 10s or 1min 30s; 0 is: only on demand",
                      "'%s' is not an interval", ctl->interval);
    if (ctl->name) {
        run->name = strdup(ctl->name);
    } else if (run->argv) {
        run->name = run_name(run->argv[0]);
    } else {
        stem = strdup(ctl->policy);
        if (stem && strlen(stem) > 4 && strcmp(stem + strlen(stem) - 4, ".ini") == 0)
            stem[strlen(stem) - 4] = '\0';
        run->name = stem ? run_name(stem) : NULL;
    }
    if (!run->name)
        return report_errno(ctl, -ENOMEM, "run");
    return check_names(ctl, 1, &run->name);
}

/* ---- supervisord ---- */

static int spawn_supervisord(const struct ctl *ctl, const struct run *run, bool cold, int owner_fd,
                             pid_t *ret_pid)
{
    _cleanup_free_ char *program = find_program("supervisord");
    char *argv[] = {program,
                    "--run",
                    "--config-dir",
                    run->config,
                    "--state-dir",
                    run->state,
                    "--runtime-dir",
                    run->runtime,
                    cold ? "--cold" : NULL,
                    NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    int r;

    if (!program)
        return report_errno(ctl, -ENOMEM, "run");
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, owner_fd, STDIN_FILENO);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    /* Its own session: the terminal's Ctrl-C is ours to translate. */
    posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    r = posix_spawn(ret_pid, program, &actions, &attributes, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (r != 0)
        return report(ctl, EXIT_FAILED, "is perdure installed completely?", "cannot start %s: %s",
                      program, strerror(r));
    return EXIT_OK;
}

/* Until supervisord ends; a signal to us closes the pipe. Its wait status. */
static int wait_for_end(pid_t pid, const sigset_t *signals, int *owner_fd)
{
    int status = 0;

    while (waitpid(pid, &status, WNOHANG) != pid) {
        int signal = sigwaitinfo(signals, NULL);

        if (signal > 0 && signal != SIGCHLD)
            *owner_fd = fd_close(*owner_fd);
    }
    return status;
}

static int supervise(const struct ctl *ctl, const struct run *run)
{
    _cleanup_close_ int read_end = -1, owner_fd = -1;
    bool cold = !ctl->resume;
    int ends[2], status, code;
    sigset_t signals;
    uint64_t begun;
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return report_errno(ctl, -errno, "cannot make a pipe");
    read_end = ends[0];
    owner_fd = ends[1];
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGCHLD);
    sigprocmask(SIG_BLOCK, &signals, NULL);

    for (;;) {
        begun = now_boottime_usec();
        code = spawn_supervisord(ctl, run, cold, read_end, &pid);
        if (code != EXIT_OK)
            return code;
        status = wait_for_end(pid, &signals, &owner_fd);
        if (WIFEXITED(status))
            return WEXITSTATUS(status);
        if (now_boottime_usec() - begun < USEC_PER_SEC)
            return report(ctl, EXIT_FAILED, "its last lines above may say why",
                          "supervisord was killed by signal %d", WTERMSIG(status));
        cold = false; /* the service runs on without it: the next one adopts it */
    }
}

int verb_run(struct ctl *ctl, int argc, char **argv)
{
    _cleanup_(run_done) struct run run = {0};
    int code;

    code = read_command(ctl, &run, argc, argv);
    if (code == EXIT_OK)
        code = read_options(ctl, &run);
    if (code == EXIT_OK)
        code = run_make_folders(ctl, &run);
    if (code == EXIT_OK)
        code = run_make_policy(ctl, &run);
    if (code != EXIT_OK)
        return code;
    if (geteuid() != 0)
        fprintf(stderr,
                "perdure: %s is supervised, but not checkpointed: reading the memory of a process\n"
                "  and rebuilding it is the superuser's alone; with sudo it keeps its memory\n",
                run.name);
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "perdure: see also `perdure --runtime-dir %s status`\n", run.runtime);
    return supervise(ctl, &run);
}
