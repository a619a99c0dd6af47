/* keeper.c - life of the keeper: one instance per state folder, sockets, signals, the end. */
#include "supervisord/keeper_state.h"

#include "common/cleanup.h"
#include "common/fs.h"
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

enum {
    BACKLOG = 64,
    LAST_DRAIN_MSEC = 1000, /* for a slow reader of our own output, per stream */
};

/* A condition of what start() calls: it cannot go on, and the reason is logged. */
enum { START_REFUSED = 1 };

/* ---- one instance ---- */

static int open_dir(const char *path, mode_t mode, const char *option, int *ret_fd)
{
    int fd, r;

    r = fs_mkdir_all(path, mode);
    fd = r < 0 ? -1 : open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (r == 0 && fd < 0)
        r = -errno;
    if (r == 0 && faccessat(fd, ".", W_OK, AT_EACCESS) < 0)
        r = -errno;
    if (r < 0) {
        log_error("cannot write to the folder %s: %s; mend it or name another with %s", path,
                  strerror(-r), option);
        fd_close(fd);
        return START_REFUSED;
    }
    *ret_fd = fd;
    return 0;
}

static int refuse_second(const char *path, pid_t pid)
{
    if (pid > 0)
        log_error("another supervisord (process %d) is running on %s: stop it first (kill %d), or "
                  "name other folders with --state-dir and --runtime-dir",
                  (int)pid, path, (int)pid);
    else
        log_error("another supervisord is running on %s: stop it first, or name other folders with "
                  "--state-dir and --runtime-dir",
                  path);
    return START_REFUSED;
}

static pid_t keeper_of_table(int state_dirfd)
{
    struct table_header header = {0};
    _cleanup_close_ int fd = openat(state_dirfd, DIRS_TABLE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0 || pread(fd, &header, sizeof(header), 0) != sizeof(header) ||
        header.magic != KEEPER_MAGIC)
        return 0;
    return header.keeper.pid;
}

static int lock_state(struct keeper *k)
{
    const char *path = k->config->dirs->state;
    int r = open_dir(path, 0700, "--state-dir", &k->state_dirfd);

    if (r != 0)
        return r;
    if (flock(k->state_dirfd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? refuse_second(path, keeper_of_table(k->state_dirfd)) : -errno;
    return 0;
}

static int lock_runtime(struct keeper *k)
{
    const char *path = k->config->dirs->runtime;
    _cleanup_close_ int dirfd = -1;
    char text[16] = {0};
    int r = open_dir(path, 0755, "--runtime-dir", &dirfd);

    if (r != 0)
        return r;
    k->lock_fd = openat(dirfd, DIRS_LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (k->lock_fd < 0)
        return -errno;
    if (flock(k->lock_fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK)
            return -errno;
        (void)!pread(k->lock_fd, text, sizeof(text) - 1, 0);
        return refuse_second(path, atoi(text));
    }
    (void)snprintf(text, sizeof(text), "%d\n", (int)getpid());
    if (ftruncate(k->lock_fd, 0) < 0 || pwrite(k->lock_fd, text, strlen(text), 0) < 0)
        return -errno;
    return 0;
}

static int open_table(struct keeper *k)
{
    struct table_header previous;
    int r;

    r = table_open(&k->table, k->state_dirfd, &previous);
    if (r < 0)
        return r;
    if (r == TABLE_OLD)
        log_notice("%s/%s is of another boot or version: none of its processes can be ours",
                   k->config->dirs->state, DIRS_TABLE);
    keeper_end_orphans(&previous);
    k->table.header.keeper.pid = getpid();
    (void)proc_stat(getpid(), &k->table.header.keeper.start_time, NULL, NULL);
    r = table_save_header(&k->table);
    return r < 0 ? r : table_load(&k->table);
}

/* ---- sockets ---- */

static int bind_socket(const char *folder, const char *name, int type, mode_t mode, gid_t group,
                       int *ret_fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    _cleanup_close_ int fd = -1;
    mode_t old_mask;
    int r;

    if (snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", folder, name) >=
        (int)sizeof(address.sun_path)) {
        log_error("%s is too long a name for a socket's folder: name a shorter --runtime-dir",
                  folder);
        return START_REFUSED;
    }
    fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    (void)unlink(address.sun_path); /* left by a killed keeper: we hold the lock */
    old_mask = umask(0177);
    r = bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
    (void)umask(old_mask);
    if (r == 0 && group != (gid_t)-1 && chown(address.sun_path, (uid_t)-1, group) < 0)
        r = -errno;
    if (r == 0 && chmod(address.sun_path, mode) < 0)
        r = -errno;
    if (r < 0) {
        log_error("cannot make the socket %s: %s", address.sun_path, strerror(-r));
        return START_REFUSED;
    }
    *ret_fd = TAKE_FD(fd);
    return 0;
}

static int open_sockets(struct keeper *k)
{
    const struct keeper_config *config = k->config;
    const char *runtime = config->dirs->runtime;
    int on = 1, r;

    r = bind_socket(runtime, DIRS_CONTROL_SOCK, SOCK_STREAM, config->control_mode,
                    config->control_group, &k->control_fd);
    if (r == 0)
        r = bind_socket(runtime, DIRS_NOTIFY_SOCK, SOCK_DGRAM, 0666, (gid_t)-1, &k->notify_fd);
    if (r != 0)
        return r;
    if (listen(k->control_fd, BACKLOG) < 0 ||
        setsockopt(k->notify_fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0)
        return -errno;
    return 0;
}

static void remove_sockets(struct keeper *k)
{
    int dirfd = open(k->config->dirs->runtime, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    (void)unlinkat(dirfd, DIRS_CONTROL_SOCK, 0);
    (void)unlinkat(dirfd, DIRS_NOTIFY_SOCK, 0);
    fd_close(dirfd);
}

/* ---- signals and the end ---- */

static int on_child(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata)
{
    keeper_reap(userdata);
    return 0;
}

static int on_terminate(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata)
{
    struct keeper *k = userdata;

    if (!k->terminating)
        (void)sd_notify(0, "STOPPING=1");
    k->terminating = true;
    if (si->ssi_signo == SIGQUIT && !k->config->run_mode)
        k->leave_running = true;
    k->pending |= PENDING_TERMINATE;
    engine_flush(k);
    return 0;
}

static int on_reload(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata)
{
    struct keeper *k = userdata;

    if (k->config->run_mode) /* the terminal is gone */
        return on_terminate(s, si, userdata);
    k->pending |= PENDING_RELOAD;
    engine_flush(k);
    return 0;
}

static int on_quit_limit(sd_event_source *s, uint64_t usec, void *userdata)
{
    struct keeper *k = userdata;

    if (k->engine.id.pid > 0)
        (void)kill(k->engine.id.pid, SIGKILL);
    if (k->ckptd.id.pid > 0)
        (void)kill(k->ckptd.id.pid, SIGKILL);
    return sd_event_exit(k->event, 0);
}

void keeper_quit(struct keeper *k, int exit_status, bool leave_running)
{
    if (k->quitting)
        return;
    k->quitting = true;
    k->exit_status = exit_status;
    k->leave_running = leave_running;
    (void)sd_notify(0, "STOPPING=1");
    k->engine.respawn = sd_event_source_disable_unref(k->engine.respawn);
    k->ckptd.respawn = sd_event_source_disable_unref(k->ckptd.respawn);
    k->ckptd.sock = fd_close(k->ckptd.sock);
    if (!leave_running)
        engine_detach(k); /* its end: it has said all and waits for this */
    /* The engine that leaves services running stays as their pump: nothing to wait for. */
    if (leave_running ||
        sd_event_add_time_relative(k->event, NULL, CLOCK_MONOTONIC, QUIT_WAIT_SEC * USEC_PER_SEC, 0,
                                   on_quit_limit, k) < 0)
        (void)sd_event_exit(k->event, 0);
    else
        keeper_daemon_ended(k);
}

void keeper_daemon_ended(struct keeper *k)
{
    if (k->engine.id.pid <= 0 && k->ckptd.id.pid <= 0)
        (void)sd_event_exit(k->event, 0);
}

static void finish(struct keeper *k)
{
    remove_sockets(k);
    for (unsigned i = 0; i < k->table.count && !k->leave_running; i++) {
        struct slot *slot = k->table.slots[i];
        struct family family;

        if (!slot)
            continue;
        slot_streams_drain(slot, LAST_DRAIN_MSEC);
        family = slot_family(slot);
        if (family_populated(&family))
            continue; /* the next keeper takes it over */
        family_remove(&family);
        table_drop(&k->table, slot);
    }
    k->table.header.keeper = (struct proc_id){0};
    (void)table_save_header(&k->table);
    (void)!ftruncate(k->lock_fd, 0);
}

static int add_signals(struct keeper *k)
{
    static const struct {
        int signal;
        sd_event_signal_handler_t handler;
    } signals[] = {
        {SIGCHLD, on_child},     {SIGTERM, on_terminate}, {SIGINT, on_terminate},
        {SIGQUIT, on_terminate}, {SIGHUP, on_reload},
    };
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < ELEMENTS(signals); i++)
        sigaddset(&set, signals[i].signal);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return -errno;
    for (size_t i = 0; i < ELEMENTS(signals); i++) {
        int r = sd_event_add_signal(k->event, NULL, signals[i].signal, signals[i].handler, k);

        if (r < 0)
            return r;
    }
    return 0;
}

/* 0, 1 and 2 must be taken, or a log or a socket would become some child's standard output. */
static int prepare_process(struct keeper *k)
{
    int fd, r;

    do {
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (fd < 0)
            return -errno;
        if (fd <= STDERR_FILENO)
            (void)fcntl(fd, F_SETFD, 0);
    } while (fd <= STDERR_FILENO);
    close(fd);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN);
    child_raise_fd_limit();
    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
        return -errno;
    r = sd_event_new(&k->event);
    return r < 0 ? r : 0;
}

static int start(struct keeper *k)
{
    int r;

    if (access(k->engine.argv[0], X_OK) < 0) {
        log_error("cannot execute %s: %s; reinstall perdure", k->engine.argv[0], strerror(errno));
        return START_REFUSED;
    }
    if ((r = prepare_process(k)) != 0 || (r = lock_state(k)) != 0 || (r = lock_runtime(k)) != 0 ||
        (r = open_sockets(k)) != 0 || (r = open_table(k)) != 0 || (r = add_signals(k)) != 0)
        return r;
    keeper_adopt(k);
    daemon_start(k, &k->ckptd);
    daemon_start(k, &k->engine);
    return 0;
}

static void keeper_done(struct keeper *k)
{
    engine_detach(k);
    fd_close(k->engine.peer_fd);
    fd_close(k->ckptd.sock);
    sd_event_source_disable_unref(k->engine.respawn);
    sd_event_source_disable_unref(k->ckptd.respawn);
    if (k->table.fd >= 0)
        table_done(&k->table);
    fd_close(k->control_fd);
    fd_close(k->notify_fd);
    sd_event_unref(k->event);
    fd_close(k->lock_fd);
    fd_close(k->state_dirfd); /* last: the lock of the instance */
}

int keeper_run(const struct keeper_config *config)
{
    struct keeper *k = calloc(1, sizeof(*k));
    int r, exit_status;

    if (!k)
        return 1;
    k->config = config;
    k->state_dirfd = k->lock_fd = k->control_fd = k->notify_fd = k->table.fd = -1;
    k->engine =
        (struct daemon){.what = "engine", .argv = config->engine_argv, .sock = -1, .peer_fd = -1};
    k->ckptd =
        (struct daemon){.what = "ckptd", .argv = config->ckptd_argv, .sock = -1, .peer_fd = -1};
    r = start(k);
    if (r < 0)
        log_error("cannot start: %s", strerror(-r));
    if (r == 0) {
        int broken = sd_event_loop(k->event);

        if (broken < 0) {
            log_error(
                "the event loop failed: %s; start supervisord again, it takes the services over",
                strerror(-broken));
            k->leave_running = true;
            k->exit_status = 1;
        }
        finish(k);
    }
    exit_status = r != 0 ? 1 : k->exit_status;
    keeper_done(k);
    free(k);
    return exit_status;
}
