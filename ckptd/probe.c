/* probe.c - finds criu and has it tested by a worker, once per boot. */
#include "ckptd/probe.h"

#include "ckptd/json.h"
#include "ckptd/worker_run.h"
#include "common/cleanup.h"
#include "common/fs.h"
#include "common/proc.h"
#include "common/session.h"
#include "image/layout.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* Line 1: what it holds for; line 2: the result. */
#define CACHE        LAYOUT_TOOLS "/selftest.facts"
#define CACHE_MAX    8192
#define TIMEOUT_USEC (30 * USEC_PER_SEC)

/* In this order: what `make deps` built here, then the distribution's. */
static const char *const usual_places[] = {
    "/opt/perdure/criu/sbin/criu",
    "/usr/sbin/criu",
    "/usr/local/sbin/criu",
};

struct probe {
    struct criu_facts facts;
    sd_event *event;
    const struct store *store;
    char *key;
    pid_t pid;
    int pidfd, report_fd;
    sd_event_source *exit_source, *timer;
    probe_done_t done;
    void *userdata;
};

static void probe_freep(struct probe **probe)
{
    probe_free(*probe);
}

struct probe *probe_free(struct probe *probe)
{
    if (!probe)
        return NULL;
    sd_event_source_disable_unref(probe->exit_source);
    sd_event_source_disable_unref(probe->timer);
    fd_close(probe->pidfd);
    fd_close(probe->report_fd);
    reason_done(&probe->facts.reason);
    free(probe->facts.path);
    free(probe->facts.warning);
    free(probe->key);
    free(probe);
    return NULL;
}

const struct criu_facts *probe_facts(const struct probe *probe)
{
    return &probe->facts;
}

/* ---- what is known without a test ---- */

static int find_criu(const char *path, char **ret)
{
    for (size_t i = 0; !path && i < ELEMENTS(usual_places); i++)
        if (access(usual_places[i], X_OK) == 0)
            path = usual_places[i];
    if (!path)
        return 0;
    *ret = strdup(path);
    return *ret ? 0 : -ENOMEM;
}

static int unusable(struct probe *probe, const char *cure, const char *why)
{
    reason_set(&probe->facts.reason, cure, "%s", why);
    probe->facts.known = true;
    return 0;
}

/* What a result holds for: another boot, criu or kernel needs a new test. */
static int make_key(struct probe *probe, const struct host *host)
{
    char boot_id[BOOT_ID_LEN + 1];
    struct stat st;
    int r;

    r = proc_boot_id(boot_id);
    if (r < 0)
        return r;
    if (stat(probe->facts.path, &st) < 0)
        return -errno;
    r = asprintf(&probe->key, "%s %s %s %lld %lld.%09ld", boot_id, host->kernel, probe->facts.path,
                 (long long)st.st_size, (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
    if (r < 0)
        probe->key = NULL;
    return r < 0 ? -ENOMEM : 0;
}

static bool is_perfect(const struct criu_facts *facts)
{
    return facts->usable && facts->sockets && facts->other_users;
}

static bool read_cache(struct probe *probe)
{
    _cleanup_free_ char *text = NULL;
    size_t len = strlen(probe->key);

    if (fs_read(store_fd(probe->store), CACHE, CACHE_MAX, &text, NULL) < 0 ||
        strncmp(text, probe->key, len) != 0 || text[len] != '\n')
        return false;
    return json_read_selftest(text + len + 1, &probe->facts) == 0 && is_perfect(&probe->facts);
}

/* Only a good result is kept: what was missing may be there next time. Without the cache there is
 * only a second test. */
static void write_cache(const struct probe *probe, const char *result)
{
    _cleanup_free_ char *text = NULL;

    if (asprintf(&text, "%s\n%s", probe->key, result) < 0)
        text = NULL;
    else
        (void)fs_replace(store_fd(probe->store), CACHE, text, strlen(text), 0600);
}

/* ---- the test ---- */

static int on_exit_of_worker(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    struct probe *probe = userdata;
    _cleanup_free_ char *result = NULL;

    probe->exit_source = sd_event_source_disable_unref(probe->exit_source);
    probe->timer = sd_event_source_disable_unref(probe->timer);
    (void)waitpid(probe->pid, NULL, 0);
    result = worker_read_all(probe->report_fd);
    if (!result || json_read_selftest(result, &probe->facts) < 0)
        unusable(probe, "look at the daemon's log", "the self-test of CRIU ended without a result");
    else if (is_perfect(&probe->facts))
        write_cache(probe, result);
    probe->facts.known = true;
    probe->done(probe->userdata);
    return 0;
}

static int on_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct probe *probe = userdata;

    session_kill(probe->pid); /* the tasks of a self-test are our own */
    return 0;
}

/* Scratch folders of tests that were killed: .tools/selftest-PID. */
static void sweep_scratch(const struct probe *probe)
{
    _cleanup_closedir_ DIR *dir = NULL;
    struct dirent *entry;
    int fd, pid;

    fd = openat(store_fd(probe->store), LAYOUT_TOOLS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        fd_close(fd);
        return;
    }
    while ((entry = readdir(dir)))
        if (sscanf(entry->d_name, "selftest-%d", &pid) == 1 && kill(pid, 0) < 0 && errno == ESRCH)
            (void)fs_remove_all(fd, entry->d_name);
}

static int start_test(struct probe *probe, const char *worker)
{
    _cleanup_free_ char *dir = fs_join(store_path(probe->store), LAYOUT_TOOLS);
    const char *argv[] = {worker, "selftest", "--criu", probe->facts.path, "--dir", dir, NULL};
    int r;

    if (!dir)
        return -ENOMEM;
    sweep_scratch(probe);
    r = worker_spawn(argv, -1, STDOUT_FILENO, &probe->pid, &probe->report_fd);
    if (r < 0)
        return r;
    probe->pidfd = proc_open(&(struct proc_id){.pid = probe->pid});
    if (probe->pidfd < 0)
        return probe->pidfd;
    r = sd_event_add_io(probe->event, &probe->exit_source, probe->pidfd, EPOLLIN, on_exit_of_worker,
                        probe);
    return r < 0 ? r
                 : sd_event_add_time_relative(probe->event, &probe->timer, CLOCK_MONOTONIC,
                                              TIMEOUT_USEC, USEC_PER_SEC, on_timeout, probe);
}

static int begin(struct probe *probe, const char *worker, const char *path, const struct host *host)
{
    int r;

    r = find_criu(path, &probe->facts.path);
    if (r < 0)
        return r;
    if (!proc_have_cap(CAP_SYS_ADMIN))
        return unusable(probe, "run supervisord as root",
                        "checkpoints need root (CAP_SYS_ADMIN and CAP_SYS_PTRACE)");
    if (!probe->facts.path)
        return unusable(probe, "install CRIU 4.0 or newer, or run `make deps`; --criu= names it",
                        "no criu program was found");
    r = make_key(probe, host);
    if (r == -ENOMEM)
        return r;
    if (r < 0)
        return unusable(probe, "correct the path given with --criu", "criu cannot be found there");
    if (read_cache(probe)) {
        probe->facts.known = true;
        return 0;
    }
    r = start_test(probe, worker);
    return r == -ENOENT ? unusable(probe, "install perdure again", "ckpt-worker cannot be found")
                        : r;
}

int probe_start(sd_event *event, const struct store *store, const char *worker, const char *path,
                const struct host *host, probe_done_t done, void *userdata, struct probe **ret)
{
    _cleanup_(probe_freep) struct probe *probe = calloc(1, sizeof(*probe));
    int r;

    if (!probe)
        return -ENOMEM;
    probe->event = event;
    probe->store = store;
    probe->done = done;
    probe->userdata = userdata;
    probe->pidfd = probe->report_fd = -1;
    if (mkdirat(store_fd(store), LAYOUT_TOOLS, 0700) < 0 && errno != EEXIST)
        return -errno;
    r = begin(probe, worker, path, host);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(probe);
    return 0;
}
