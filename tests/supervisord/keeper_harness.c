/* keeper_harness.c - a real keeper in a child process, with the test as its engine. */
#include "tests/supervisord/keeper_harness.h"

#include "common/cleanup.h"
#include "common/fdpass.h"
#include "common/fs.h"
#include "common/log.h"
#include "common/proc.h"
#include "common/worker_abi.h"
#include "supervisord/keeper.h"
#include "supervisord/keeper_cgroup.h"
#include "supervisord/keeper_fds.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>

enum { WAIT_MSEC = 5000 };

static char own_path[256];
static char init_path[300];

/* ---- what the keeper starts ---- */

static void __attribute__((noreturn)) play_engine(const char *socket_path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    pid_t self = getpid();
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", socket_path);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        fdpass_send(fd, &self, sizeof(self), ENGINE_FD_KEEPER) < 0)
        _exit(9);
    for (;;)
        pause();
}

/* Modes: "ok" leaves a process that exits 42 when it gets SIGTERM; "dead" one that has exited 43
 * before the report; "mute" leaves a sleeping process and no word; "hang" never ends; "corrupt"
 * says so. */
static void __attribute__((noreturn)) play_worker(const char *mode)
{
    struct worker_report report = {.result = WORKER_OK, .restore_usec = 1234};
    pid_t middle;
    int ids[2];

    if (strcmp(mode, "corrupt") == 0) {
        report.result = WORKER_CORRUPT;
        strcpy(report.message, "pages-1.img: wrong hash");
        strcpy(report.cure, "use an older one");
        _exit(write(WORKER_FD_REPORT, &report, sizeof(report)) < 0);
    }
    if (pipe(ids) < 0)
        _exit(1);
    middle = fork();
    if (middle == 0) {
        sigset_t term;
        int signal;

        sigemptyset(&term);
        sigaddset(&term, SIGTERM);
        sigprocmask(SIG_BLOCK, &term, NULL);
        report.pid = fork();
        if (report.pid == 0) {
            (void)!write(WORKER_FD_STDOUT, "restored\n", 9);
            close(WORKER_FD_REPORT);
            if (strcmp(mode, "dead") == 0)
                _exit(43);
            sigwait(&term, &signal);
            _exit(42);
        }
        (void)!write(ids[1], &report.pid, sizeof(report.pid));
        _exit(0);
    }
    (void)!read(ids[0], &report.pid, sizeof(report.pid));
    waitpid(middle, NULL, 0); /* the "restored" process is the keeper's child from here on */
    if (strcmp(mode, "hang") == 0)
        pause();
    if (strcmp(mode, "mute") == 0)
        kill(getpid(), SIGKILL);
    if (strcmp(mode, "dead") == 0) {
        char state = 'R';

        for (int i = 0; i < 1000 && proc_stat(report.pid, NULL, NULL, &state) == 0; i++)
            usleep(1000);
    }
    _exit(write(WORKER_FD_REPORT, &report, sizeof(report)) < 0);
}

void harness_main(int argc, char **argv)
{
    ssize_t n = readlink("/proc/self/exe", own_path, sizeof(own_path) - 1);
    char *slash;

    own_path[n > 0 ? n : 0] = '\0';
    if (argc == 3 && strcmp(argv[1], "engine") == 0)
        play_engine(argv[2]);
    if (argc == 3 && strcmp(argv[1], "worker") == 0)
        play_worker(argv[2]);
    slash = strrchr(own_path, '/');
    (void)snprintf(init_path, sizeof(init_path), "%.*s/../perdure-init", (int)(slash - own_path),
                   own_path);
    log_init("keeper", getenv("VERBOSE") ? LOG_DEBUG : LOG_CRIT);
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); /* what a killed keeper leaves comes to us */
}

const char *harness_init_path(void)
{
    return init_path;
}

/* ---- keeper and engine ---- */

void harness_start_keeper(struct harness *h)
{
    char state[128], runtime[128], config[128];

    (void)snprintf(state, sizeof(state), "%s/state", h->root);
    (void)snprintf(runtime, sizeof(runtime), "%s/run", h->root);
    (void)snprintf(config, sizeof(config), "%s/config", h->root);
    h->keeper = fork();
    if (h->keeper == 0) {
        struct dirs dirs = {.config = config, .state = state, .runtime = runtime};
        struct keeper_config keeper = {
            .dirs = &dirs,
            .engine_argv = h->engine_argv,
            .init_path = init_path,
            .control_mode = 0600,
            .control_group = (gid_t)-1,
        };

        close(h->listen_fd);
        fd_close(h->channel);
        _exit(keeper_run(&keeper));
    }
    assert_true(h->keeper > 0);
}

void harness_accept_engine(struct harness *h)
{
    struct pollfd poll_fd = {.fd = h->listen_fd, .events = POLLIN};
    int fd, r;

    h->channel = fd_close(h->channel);
    assert_int_equal(poll(&poll_fd, 1, WAIT_MSEC), 1);
    fd = accept4(h->listen_fd, NULL, NULL, SOCK_CLOEXEC);
    poll_fd.fd = fd;
    assert_int_equal(poll(&poll_fd, 1, WAIT_MSEC), 1);
    r = fdpass_receive(fd, &h->engine, sizeof(h->engine), &h->channel);
    assert_int_equal(r, 0);
    close(fd);
}

void harness_start(struct harness *h)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    *h = (struct harness){.root = "/tmp/perdure-test-XXXXXX", .channel = -1};
    assert_non_null(mkdtemp(h->root));
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/engine", h->root);
    h->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(h->listen_fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(h->listen_fd, 8), 0);
    h->engine_argv[0] = own_path;
    h->engine_argv[1] = "engine";
    h->engine_argv[2] = strdup(address.sun_path);
    harness_start_keeper(h);
    harness_accept_engine(h);
}

void harness_kill_engine(struct harness *h)
{
    assert_int_equal(kill(h->engine, SIGKILL), 0);
    harness_accept_engine(h);
}

/* The orphans become our children: reap those that are dead, leave the others alone. */
static void reap(void)
{
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
}

void harness_kill_keeper(struct harness *h)
{
    assert_int_equal(kill(h->keeper, SIGKILL), 0);
    assert_int_equal(waitpid(h->keeper, NULL, 0), h->keeper);
    (void)kill(h->engine, SIGKILL);
    h->channel = fd_close(h->channel);
    h->keeper = 0;
}

int harness_quit(struct harness *h)
{
    int status;

    harness_send(h, KEEPER_QUIT, "", 3, 0);
    (void)kill(h->engine, SIGKILL); /* it would exit by itself */
    assert_int_equal(waitpid(h->keeper, &status, 0), h->keeper);
    h->keeper = 0;
    return WEXITSTATUS(status);
}

static int kill_child(pid_t pid, void *userdata)
{
    pid_t parent;

    if (proc_stat(pid, NULL, &parent, NULL) == 0 && parent == getpid())
        (void)kill(pid, SIGKILL);
    return 0;
}

static void kill_children(void)
{
    _cleanup_closedir_ DIR *dir = opendir("/proc");
    struct dirent *entry;

    while (dir && (entry = readdir(dir)))
        if (atoi(entry->d_name) > 0)
            (void)kill_child(atoi(entry->d_name), NULL);
}

void harness_stop(struct harness *h)
{
    struct family family = {.cgroup = h->cgroup};

    if (h->keeper > 0) {
        (void)kill(h->keeper, SIGKILL);
        (void)waitpid(h->keeper, NULL, 0);
    }
    if (h->cgroup[0])
        (void)family_kill(&family);
    for (int i = 0; i < 500; i++) { /* orphans of orphans come one generation at a time */
        kill_children();
        reap();
        if (waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD)
            break;
        usleep(2000);
    }
    family_remove(&family);
    fd_close(h->channel);
    fd_close(h->listen_fd);
    free(h->engine_argv[2]);
    assert_int_equal(fs_remove_all(AT_FDCWD, h->root), 0);
}

/* ---- records ---- */

struct keeper_record harness_receive(struct harness *h, int *ret_fd)
{
    struct pollfd poll_fd = {.fd = h->channel, .events = POLLIN};
    struct keeper_record record;
    int fd = -1, r;

    if (poll(&poll_fd, 1, WAIT_MSEC) != 1)
        fail_msg("the keeper sent nothing");
    r = keeper_receive(h->channel, &record, &fd);
    if (r != 0)
        fail_msg("receive: %d", r);
    if (ret_fd)
        *ret_fd = fd;
    else
        fd_close(fd);
    return record;
}

struct keeper_record harness_expect(struct harness *h, enum keeper_type type)
{
    for (;;) {
        struct keeper_record record = harness_receive(h, NULL);

        if (record.type == type)
            return record;
        if (record.type == KEEPER_REFUSED)
            fail_msg("refused: %s", strerror(record.value));
    }
}

void harness_send(struct harness *h, enum keeper_type type, const char *name, int value,
                  uint32_t flags)
{
    struct keeper_record record = keeper_record(type, ++h->request, name);

    record.value = value;
    record.pid = value;
    record.flags = flags;
    assert_int_equal(keeper_send(h->channel, &record, -1), 0);
}

void harness_send_text(struct harness *h, enum keeper_type type, const char *name, const char *text)
{
    struct keeper_record record = keeper_record(type, ++h->request, name);

    strcpy(record.text, text);
    assert_int_equal(keeper_send(h->channel, &record, -1), 0);
}

void harness_fill(struct harness *h, struct spawn_request *spec, const char *name, char log[128])
{
    *spec = (struct spawn_request){
        .spec = {.stream = {STREAM_APPEND, STREAM_SAME},
                 .uid = -1,
                 .gid = -1,
                 .umask = -1,
                 .nice = INT32_MIN,
                 .oom_score_adj = INT32_MIN,
                 .own_group_only = !h->cgroup[0]},
        .cgroup = "",
        .workdir = "/",
        .target = {log, ""},
        .program = "/bin/sh",
    };
    (void)snprintf(log, 128, "%s/%s.log", h->root, name);
}

void harness_send_spec(struct harness *h, enum keeper_type type, const char *name,
                       const struct spawn_request *spec, uint64_t request)
{
    struct keeper_record record = keeper_record(type, request, name);
    _cleanup_close_ int memfd = -1;

    assert_int_equal(spawn_request_seal(spec, &memfd), 0);
    assert_int_equal(keeper_send(h->channel, &record, memfd), 0);
}

static uint64_t start(struct harness *h, enum keeper_type type, const char *name,
                      const char *program, char *const *argv)
{
    char log[128], cgroup[300] = "";
    char *env[] = {"PATH=/usr/bin:/bin", NULL};
    struct spawn_request spec;

    harness_fill(h, &spec, name, log);
    if (h->cgroup[0])
        (void)snprintf(cgroup, sizeof(cgroup), "%s/%s", h->cgroup, name);
    spec.cgroup = cgroup;
    spec.program = program;
    spec.argv = argv;
    spec.env = env;
    harness_send_spec(h, type, name, &spec, ++h->request);
    return h->request;
}

uint64_t harness_spawn(struct harness *h, const char *name, const char *script)
{
    char *argv[] = {"sh", "-c", (char *)script, NULL};

    return start(h, KEEPER_SPAWN, name, "/bin/sh", argv);
}

uint64_t harness_restore(struct harness *h, const char *name, const char *mode)
{
    char *argv[] = {own_path, "worker", (char *)mode, NULL};

    return start(h, KEEPER_RESTORE, name, own_path, argv);
}

bool harness_log_is(struct harness *h, const char *name, const char *expected)
{
    _cleanup_free_ char *data = NULL;
    char path[200];

    (void)snprintf(path, sizeof(path), "%s/%s.log", h->root, name);
    if (fs_read(AT_FDCWD, path, 1 << 20, &data, NULL) < 0)
        return expected[0] == '\0';
    if (strcmp(data, expected) != 0)
        print_message("log of %s: \"%s\"\n", name, data);
    return strcmp(data, expected) == 0;
}

void harness_wait_log(struct harness *h, const char *name, const char *text)
{
    char path[200];

    (void)snprintf(path, sizeof(path), "%s/%s.log", h->root, name);
    for (int i = 0; i < WAIT_MSEC; i++) {
        _cleanup_free_ char *data = NULL;

        if (fs_read(AT_FDCWD, path, 1 << 20, &data, NULL) == 0 && strstr(data, text))
            return;
        usleep(1000);
    }
    fail_msg("%s never wrote %s", name, text);
}
