/* sandbox.c - the namespaces of a drill, and their pid 1, which runs criu.
 *
 * CRIU's last word before it lets the tasks go is "pre-resume": they exist whole and are held by
 * ptrace(2) on their return from the restorer. There pid 1 says so, kills all that is in its
 * namespace, CRIU with its tasks, and exits. Should it die itself, CRIU is for a moment without
 * anybody to wait for and lets them go: it leaves them stopped then. */
#include "worker/sandbox.h"

#include "common/cleanup.h"
#include "common/fs.h"
#include "worker/diagnose.h"
#include "worker/world.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define PIDS_OF_OURS 64 /* criu and its helpers */
#define FIRST_PID    1000
#define CONFIG_FILE  "/dev/criu.conf"

/* What pid 1 says, in one write. */
struct word {
    int verdict; /* enum sandbox_verdict, or -errno */
    char why[1024], cure[512];
};

/* ---- pid 1 ---- */

static void say(int fd, int verdict, const struct reason *reason)
{
    struct word word = {.verdict = verdict};

    if (reason) {
        snprintf(word.why, sizeof(word.why), "%s", reason_why(reason));
        snprintf(word.cure, sizeof(word.cure), "%s", reason_cure(reason));
    }
    (void)fs_write_all(fd, &word, sizeof(word));
}

static int failed(struct reason *reason, const char *what, int error)
{
    reason_set(reason, "", "the sandbox: %s: %s", what, strerror(-error));
    return error;
}

/* Sockets of the host's addresses are bound although nobody has these here. */
static int set_up_network(struct reason *reason)
{
    _cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    int r;

    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &lo) < 0)
        return failed(reason, "interface lo", -errno);
    r = fs_write(AT_FDCWD, "/proc/sys/net/ipv4/ip_nonlocal_bind", "1");
    if (r == 0)
        r = fs_write(AT_FDCWD, "/proc/sys/net/ipv6/ip_nonlocal_bind", "1");
    return r < 0 && r != -ENOENT /* no IPv6 */ ? failed(reason, "ip_nonlocal_bind", r) : 0;
}

/* criu must not get a number that the image needs. */
static int choose_pids(const struct survey *s, struct reason *reason)
{
    uint32_t first = FIRST_PID;
    char text[16];
    int r;

    for (size_t i = 0; i < s->number_count && s->numbers[i] < first + PIDS_OF_OURS; i++)
        if (s->numbers[i] >= first)
            first = s->numbers[i] + 1;
    snprintf(text, sizeof(text), "%u", first - 1);
    r = fs_write(AT_FDCWD, "/proc/sys/kernel/ns_last_pid", text);
    return r < 0 ? failed(reason, "ns_last_pid", r) : 0;
}

/* Output goes to pipes that nobody reads. */
static int set_up_streams(struct criu_run *run, struct reason *reason)
{
    int fds[2];

    for (int i = 0; i < STREAM_COUNT; i++) {
        if (!run->pipes[i].inode)
            continue;
        if (pipe(fds) < 0)
            return failed(reason, "a pipe", -errno);
        run->pipes[i].fd = fds[1];
    }
    return 0;
}

/* libcriu has no call for this option; criu reads the file that its environment names. */
static int leave_stopped(struct reason *reason)
{
    static const char option[] = "leave-stopped\n";
    int r = fs_replace(AT_FDCWD, CONFIG_FILE, option, strlen(option), 0600);

    if (r == 0 && setenv("CRIU_CONFIG_FILE", CONFIG_FILE, 1) < 0)
        r = -ENOMEM;
    return r < 0 ? failed(reason, CONFIG_FILE, r) : 0;
}

static void on_held(void *data)
{
    (void)kill(-1, SIGKILL); /* before our end of CRIU's socket is closed */
    say(*(int *)data, SANDBOX_RESTORED, NULL);
    _exit(EXIT_SUCCESS);
}

/* Errors that come from where we are and not from what is restored. */
static bool is_of_the_place(const char *error)
{
    return strstr(error, strerror(EROFS)) || strstr(error, strerror(EADDRNOTAVAIL));
}

static int judge(const struct criu_run *run, const struct criu_result *result,
                 struct reason *reason)
{
    (void)diagnose(run, result, reason);
    if (result->error == -ECOMM || result->error == -ETIME || result->error == -ECONNREFUSED)
        return result->error;
    if (strstr(reason_why(reason), strerror(ENOSPC)))
        return -ENOSPC;
    return is_of_the_place(reason_why(reason)) ? SANDBOX_IMPOSSIBLE : SANDBOX_REFUSED;
}

static int restore(const struct sandbox *s, int word_fd, struct reason *reason)
{
    const struct world world = {
        .survey = s->survey,
        .program = s->run.binary,
        .bytes = s->bytes,
    };
    struct criu_run run = s->run;
    struct criu_result result;
    int r;

    /* A session that the image's root can join if it led none. */
    if (setsid() < 0 || unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) < 0)
        return failed(reason, "namespaces", -errno);
    r = world_enter(&world, reason);
    if (r != 0)
        return r == WORLD_IMPOSSIBLE ? SANDBOX_IMPOSSIBLE : r;
    if ((r = set_up_network(reason)) < 0 || (r = choose_pids(s->survey, reason)) < 0 ||
        (r = set_up_streams(&run, reason)) < 0 || (r = leave_stopped(reason)) < 0)
        return r;
    run.held = on_held;
    run.data = &word_fd;
    criu_run_restore(&run, &result);
    /* No word of CRIU's, but it is content: all is there, stopped. */
    return result.error == 0 ? SANDBOX_RESTORED : judge(&run, &result, reason);
}

/* Ends with our parent, which may be gone already: then the pipe that only it writes to is at its
 * end. */
static void end_with_parent(int alive_fd)
{
    struct pollfd p = {.fd = alive_fd};

    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || poll(&p, 1, 0) != 0)
        _exit(EXIT_FAILURE);
}

_Noreturn static void run_pid_1(const struct sandbox *s, const int alive[2], const int words[2])
{
    struct reason reason = {0};

    close(alive[1]);
    close(words[0]);
    end_with_parent(alive[0]);
    say(words[1], restore(s, words[1], &reason), &reason);
    _exit(EXIT_FAILURE);
}

/* ---- the caller ---- */

static int hear(int fd, pid_t pid, struct reason *reason)
{
    struct word word;
    ssize_t n;

    while ((n = read(fd, &word, sizeof(word))) < 0 && errno == EINTR)
        ;
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    if (n != (ssize_t)sizeof(word)) {
        reason_set(reason, "see who killed it (dmesg: out of memory?)",
                   "the drill ended in the middle of its work");
        return -EPIPE;
    }
    if (word.verdict != SANDBOX_RESTORED)
        reason_set(reason, word.cure, "%s", word.why);
    return word.verdict;
}

static void close_both(int (*fds)[2])
{
    fd_close((*fds)[0]);
    fd_close((*fds)[1]);
}

int sandbox_try(const struct sandbox *s, struct reason *reason)
{
    _cleanup_(close_both) int alive[2] = {-1, -1};
    _cleanup_(close_both) int words[2] = {-1, -1};
    pid_t pid;

    if (pipe2(alive, O_CLOEXEC) < 0 || pipe2(words, O_CLOEXEC) < 0)
        return failed(reason, "a pipe", -errno);
    /* For our children only. */
    if (unshare(CLONE_NEWPID) < 0)
        return failed(reason, "a pid namespace", -errno);
    pid = fork();
    if (pid < 0)
        return failed(reason, "its first process", -errno);
    if (pid == 0)
        run_pid_1(s, alive, words);
    words[1] = fd_close(words[1]);
    return hear(words[0], pid, reason);
}
