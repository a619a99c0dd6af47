/* keeper_reap.c - the one place that reaps: every exit status goes to whom it belongs. */
#include "supervisord/keeper_state.h"

#include "common/log.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

bool is_our_child(pid_t pid)
{
    pid_t parent;

    return proc_stat(pid, NULL, &parent, NULL) == 0 && parent == getpid();
}

static bool restoring(struct keeper *k)
{
    for (unsigned i = 0; i < k->table.count; i++)
        if (k->table.slots[i] && k->table.slots[i]->saved.record.state == SLOT_RESTORING)
            return true;
    return false;
}

/* A restored process can die before we have read which pid it has: until then any stranger may turn
 * out to be the service. */
static void remember(struct keeper *k, const siginfo_t *si)
{
    if (!restoring(k))
        return;
    k->dead[k->dead_next++ % DEAD_MAX] = (struct dead){
        .pid = si->si_pid,
        .code = si->si_code,
        .status = si->si_status,
        .when_usec = now_boottime_usec(),
    };
}

const struct dead *keeper_find_dead(struct keeper *k, pid_t pid, uint64_t since_usec)
{
    for (unsigned i = 0; i < DEAD_MAX; i++)
        if (k->dead[i].pid == pid && k->dead[i].when_usec >= since_usec)
            return &k->dead[i];
    return NULL;
}

static bool is_main(const struct slot *slot, pid_t pid)
{
    uint32_t state = slot->saved.record.state;

    return slot->saved.record.pid == pid && (state == SLOT_SPAWNING || state == SLOT_RUNNING);
}

static void dispatch(struct keeper *k, const siginfo_t *si)
{
    if (si->si_pid == k->engine.id.pid) {
        daemon_gone(k, &k->engine, si->si_code, si->si_status);
        return;
    }
    if (si->si_pid == k->ckptd.id.pid) {
        daemon_gone(k, &k->ckptd, si->si_code, si->si_status);
        return;
    }
    for (unsigned i = 0; i < k->table.count; i++) {
        struct slot *slot = k->table.slots[i];

        if (!slot)
            continue;
        if (slot->saved.record.state == SLOT_RESTORING && slot->saved.worker_pid == si->si_pid) {
            slot_worker_exited(slot, si->si_code, si->si_status);
            return;
        }
        if (is_main(slot, si->si_pid)) {
            slot_main_exited(slot, si->si_code, si->si_status, true);
            return;
        }
    }
    remember(k, si);
}

void keeper_reap(struct keeper *k)
{
    for (;;) {
        siginfo_t si = {0};

        if (waitid(P_ALL, 0, &si, WEXITED | WNOHANG) < 0 || si.si_pid == 0)
            return;
        dispatch(k, &si);
    }
}

/* ---- the end of a main process that somebody else reaps ---- */

static int on_foreign_end(sd_event_source *s, int fd, uint32_t revents, void *userdata);

static int on_status_retry(sd_event_source *s, uint64_t usec, void *userdata)
{
    struct slot *slot = userdata;

    slot->timer = sd_event_source_disable_unref(slot->timer);
    return on_foreign_end(NULL, slot->pidfd, 0, slot);
}

static int on_foreign_end(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
    struct slot *slot = userdata;
    int status;

    slot->pidfd_source = sd_event_source_disable_unref(slot->pidfd_source);
    keeper_reap(slot->keeper); /* it may have become our child since */
    if (slot->saved.record.state != SLOT_RUNNING || slot->pidfd < 0)
        return 0;
    if (proc_exit_status(slot->pidfd, &status) == 0) {
        if (WIFEXITED(status))
            slot_main_exited(slot, CLD_EXITED, WEXITSTATUS(status), true);
        else
            slot_main_exited(slot, WCOREDUMP(status) ? CLD_DUMPED : CLD_KILLED, WTERMSIG(status),
                             true);
        return 0;
    }
    /* The kernel tells it once its parent, init as a rule, has reaped it: nothing to wait on. */
    if (slot->status_until == 0)
        slot->status_until = now_boottime_usec() + STATUS_WAIT_MSEC * USEC_PER_MSEC;
    if (now_boottime_usec() >= slot->status_until ||
        sd_event_add_time_relative(slot->keeper->event, &slot->timer, CLOCK_MONOTONIC,
                                   STATUS_TRY_MSEC * USEC_PER_MSEC, USEC_PER_MSEC, on_status_retry,
                                   slot) < 0)
        slot_main_exited(slot, 0, 0, false);
    return 0;
}

void slot_watch_main(struct slot *slot)
{
    const struct keeper_record *record = &slot->saved.record;
    const struct proc_id id = {.pid = record->pid, .start_time = record->start_time};
    int r;

    slot_close_process(slot);
    slot->status_until = 0;
    slot->pidfd = proc_open(&id);
    if (is_our_child(id.pid))
        return; /* its end comes as SIGCHLD */
    r = slot->pidfd < 0 ? slot->pidfd
                        : sd_event_add_io(slot->keeper->event, &slot->pidfd_source, slot->pidfd,
                                          EPOLLIN, on_foreign_end, slot);
    if (r < 0)
        log_error("%s: cannot watch process %d: %s", record->name, (int)id.pid, strerror(-r));
}
