/* criu.c - libcriu (lib/c/criu.h of CRIU): each call forks `criu swrk` and waits for it. */
#include "worker/criu.h"

#include "common/cleanup.h"
#include "common/proc.h"
#include "worker/watchdog.h"

#include <criu/criu.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>

#define LOG_BYTES_MAX (64ULL << 20)

static void opts_freep(criu_opts **opts)
{
    if (*opts)
        criu_local_free_opts(*opts);
}

/* What dump and restore share. */
static int new_opts(const struct criu_run *run, criu_opts **ret)
{
    _cleanup_(opts_freep) criu_opts *opts = NULL; /* NULL matters: init frees what it finds */

    if (criu_local_init_opts(&opts) < 0)
        return -ENOMEM;
    if (criu_local_set_service_binary(opts, run->binary) < 0 ||
        criu_local_set_log_file(opts, run->log_name) < 0)
        return -ENOMEM;
    criu_local_set_images_dir_fd(opts, run->images_fd);
    criu_local_set_work_dir_fd(opts, run->work_fd);
    criu_local_set_log_level(opts, run->log_level);
    /* The worker is in the right cgroup already; any other mode would move the service. */
    criu_local_set_manage_cgroups(opts, true);
    criu_local_set_manage_cgroups_mode(opts, CRIU_CG_MODE_IGNORE);
    criu_local_set_ext_unix_sk(opts, true);
    criu_local_set_file_locks(opts, run->file_locks);
    criu_local_set_tcp_established(opts, run->tcp_established);
    criu_local_set_tcp_close(opts, !run->tcp_established);
    if (run->tcp_established)
        (void)criu_local_set_network_lock(opts, CRIU_NETWORK_LOCK_NFTABLES);
    *ret = TAKE_PTR(opts);
    return 0;
}

/* libcriu wants SIGCHLD blocked around its calls and unblocks it in criu (lib/c/criu.c). */
static void block_sigchld(sigset_t *ret_old)
{
    sigset_t mask;

    sigemptyset(&mask);
    sigaddset(&mask, SIGCHLD);
    pthread_sigmask(SIG_BLOCK, &mask, ret_old);
}

typedef int (*libcriu_call)(criu_opts *opts);

/* Runs `call` and sets all but the wall-clock limit's outcome. */
static void call_libcriu(criu_opts *opts, libcriu_call call, struct criu_result *ret)
{
    uint64_t begin = now_boottime_usec();
    sigset_t old;
    int r, error;

    block_sigchld(&old);
    r = call(opts);
    error = errno;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    ret->usec = now_boottime_usec() - begin;
    /* criu's own errno, where it sets one, says more than libcriu's -EBADE. */
    if (r < 0)
        ret->error = r == -EBADE && error > 0 ? -error : r;
    else
        ret->pid = r;
}

static void call_watched(const struct criu_run *run, criu_opts *opts, libcriu_call call,
                         struct criu_result *ret)
{
    const struct watchdog_limits limits = {
        .wall_usec = run->wall_usec,
        .log_bytes = LOG_BYTES_MAX,
        .work_fd = run->work_fd,
        .log_name = run->log_name,
    };
    struct watchdog dog;

    ret->error = watchdog_start(&dog, &limits);
    if (ret->error < 0)
        return;
    call_libcriu(opts, call, ret);
    if (watchdog_stop(&dog) && ret->error < 0) {
        ret->error = -ETIME;
        memcpy(ret->why, dog.why, sizeof(ret->why));
    }
}

/* libcriu's callback carries no user data. */
static const struct criu_run *notified;

static int on_notify(char *action, criu_notify_arg_t arg)
{
    /* The image is closed, nothing is thawed yet (cr-dump.c). */
    if (strcmp(action, "post-dump") == 0 && notified->while_frozen)
        notified->while_frozen(notified->data);
    /* The tasks exist, wait in the restorer, and their pid is known in this one (cr-service.c). */
    if (strcmp(action, "post-restore") == 0 && notified->before_resume)
        notified->before_resume(criu_notify_pid(arg), notified->data);
    if (strcmp(action, "pre-resume") == 0 && notified->held)
        notified->held(notified->data);
    return 0;
}

void criu_run_dump(const struct criu_run *run, struct criu_result *ret)
{
    _cleanup_(opts_freep) criu_opts *opts = NULL;

    *ret = (struct criu_result){0};
    ret->error = new_opts(run, &opts);
    if (ret->error < 0)
        return;
    criu_local_set_pid(opts, run->pid);
    criu_local_set_leave_running(opts, true);
    /* A classic daemon's session leader is gone: it forked twice (daemon(7)). */
    criu_local_set_shell_job(opts, getsid(run->pid) != run->pid);
    criu_local_set_ghost_limit(opts, run->ghost_limit > UINT32_MAX ? UINT32_MAX : run->ghost_limit);
    if (run->tcp_established && run->log_level < CRIU_LOG_INFO)
        criu_local_set_log_level(opts, CRIU_LOG_INFO);
    if (run->while_frozen) {
        notified = run;
        criu_local_set_notify_cb(opts, on_notify);
    }
    call_libcriu(opts, criu_local_dump, ret);
}

void criu_run_restore(const struct criu_run *run, struct criu_result *ret)
{
    _cleanup_(opts_freep) criu_opts *opts = NULL;
    char key[32];

    *ret = (struct criu_result){0};
    ret->error = new_opts(run, &opts);
    if (ret->error < 0)
        return;
    for (size_t i = 0; i < STREAM_COUNT; i++) {
        /* Both streams may be one pipe: one key. */
        if (!run->pipes[i].inode || (i > 0 && run->pipes[i].inode == run->pipes[0].inode))
            continue;
        snprintf(key, sizeof(key), "pipe:[%" PRIu64 "]", run->pipes[i].inode);
        ret->error = criu_local_add_inherit_fd(opts, run->pipes[i].fd, key);
        if (ret->error < 0)
            return;
    }
    if (run->before_resume || run->held) {
        notified = run;
        criu_local_set_notify_cb(opts, on_notify);
    }
    /* Without effect on a root that led its session; else it joins the worker's (pstree.c). */
    criu_local_set_shell_job(opts, true);
    call_watched(run, opts, criu_local_restore, ret);
}

int criu_program_version(const char *binary)
{
    _cleanup_(opts_freep) criu_opts *opts = NULL;
    sigset_t old;
    int r;

    if (criu_local_init_opts(&opts) < 0 || criu_local_set_service_binary(opts, binary) < 0)
        return -ENOMEM;
    block_sigchld(&old);
    r = criu_local_get_version(opts);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return r;
}
