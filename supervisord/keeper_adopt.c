/* keeper_adopt.c - takes over what a killed keeper left: its engine that pumps, and its services.
 */
#include "supervisord/keeper_state.h"

#include "common/cleanup.h"
#include "common/log.h"
#include "common/worker_abi.h"

#include <poll.h>
#include <signal.h>
#include <string.h>

static void wait_for_end(int pidfd, int msec)
{
    struct pollfd poll_fd = {.fd = pidfd, .events = POLLIN};

    (void)poll(&poll_fd, 1, msec);
}

/* Only when nobody pumps any more may we open pipes and logs. */
void keeper_end_orphans(const struct table_header *previous)
{
    const struct proc_id *ids[] = {&previous->engine, &previous->ckptd};
    int pidfds[ELEMENTS(ids)];

    for (size_t i = 0; i < ELEMENTS(ids); i++) {
        pidfds[i] = proc_open(ids[i]);
        if (pidfds[i] >= 0)
            (void)proc_send_signal(pidfds[i], SIGTERM);
    }
    for (size_t i = 0; i < ELEMENTS(ids); i++) {
        if (pidfds[i] < 0)
            continue;
        wait_for_end(pidfds[i], QUIT_WAIT_SEC * 1000);
        (void)proc_send_signal(pidfds[i], SIGKILL);
        wait_for_end(pidfds[i], QUIT_WAIT_SEC * 1000);
        fd_close(pidfds[i]);
    }
}

static bool main_is_alive(const struct keeper_record *record)
{
    const struct proc_id id = {.pid = record->pid, .start_time = record->start_time};
    _cleanup_close_ int pidfd = proc_open(&id);

    return pidfd >= 0;
}

/* The kernel gives no number to a process while a process group has it: when the leader's is
 * another process's now, the group was empty in between and what bears its number is not ours. */
static void forget_reused_group(struct slot *slot)
{
    struct slot_saved *saved = &slot->saved;
    uint64_t start_time, own = saved->leader == saved->worker_pid ? saved->worker_start_time
                                                                  : saved->record.start_time;

    if (saved->leader != saved->worker_pid && saved->leader != saved->record.pid)
        return;
    if (proc_stat(saved->leader, &start_time, NULL, NULL) == 0 && start_time != own)
        saved->leader = 0;
}

static void adopt_running(struct slot *slot)
{
    struct keeper_record *record = &slot->saved.record;
    bool alive = main_is_alive(record);

    slot_streams_adopt(slot);
    record->state = SLOT_RUNNING;
    record->flags |= KEEPER_ADOPTED;
    if (!alive) {
        slot_main_exited(slot, 0, 0, false);
        return;
    }
    slot_watch_main(slot);
    slot_write_down(slot);
    log_notice("%s: taken over, process %d", record->name, record->pid);
}

static void end_restore(struct slot *slot)
{
    const struct proc_id worker = {
        .pid = slot->saved.worker_pid,
        .start_time = slot->saved.worker_start_time,
    };
    _cleanup_close_ int pidfd = -1;

    /* It is in the cgroup, but where there is none its process group may not be all of it. */
    if (slot->saved.record.state == SLOT_RESTORING && (pidfd = proc_open(&worker)) >= 0) {
        (void)proc_send_signal(pidfd, SIGKILL);
        wait_for_end(pidfd, QUIT_WAIT_SEC * 1000);
    }
    slot_clear(slot, WORKER_INTERRUPTED, "the supervisor was killed during the restore\n");
}

void keeper_adopt(struct keeper *k)
{
    for (unsigned i = 0; i < k->table.count; i++) {
        struct slot *slot = k->table.slots[i];

        if (!slot)
            continue;
        slot->keeper = k;
        forget_reused_group(slot);
        if (slot->saved.record.request > k->highest_request)
            k->highest_request = slot->saved.record.request;
        switch (slot->saved.record.state) {
        case SLOT_SPAWNING:
        case SLOT_RUNNING:
            adopt_running(slot);
            break;
        case SLOT_EXITED:
            if (!(slot->saved.record.flags & KEEPER_EMPTY))
                slot_streams_adopt(slot);
            slot_check_empty(slot);
            break;
        case SLOT_RESTORING:
        case SLOT_CLEARING:
            end_restore(slot);
            break;
        default:
            break;
        }
    }
}
