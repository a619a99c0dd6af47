/* keeper_service.c - a slot's life: spawn, running, exit, empty. */
#include "supervisord/keeper_state.h"

#include "common/cleanup.h"
#include "common/log.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

void slot_write_down(struct slot *slot)
{
    int r = slot_save(&slot->keeper->table, slot);

    if (r < 0)
        log_error("%s: cannot write the keeper's table: %s; a new keeper would not know its state",
                  slot->saved.record.name, strerror(-r));
}

int slot_ready_for_start(struct slot *slot, const char *cgroup)
{
    const struct keeper_record *record = &slot->saved.record;
    struct family then = slot_family(slot), now = {.cgroup = cgroup};
    bool down = record->state == SLOT_DOWN ||
                (record->state == SLOT_EXITED && (record->flags & KEEPER_EMPTY) &&
                 !(slot->pending & PENDING_EXITED));

    return !down || family_populated(&then) || family_populated(&now) ? -EBUSY : 0;
}

static void reset(struct slot *slot, uint64_t request, enum keeper_type begun_by,
                  const struct spawn_view *view)
{
    struct keeper_record *record = &slot->saved.record, fresh;

    fresh = keeper_record(KEEPER_SLOT, request, record->name);
    memcpy(fresh.pipe_inode, record->pipe_inode, sizeof(fresh.pipe_inode));
    strcpy(fresh.cgroup, view->cgroup); /* the engine channel has checked its length */
    fresh.state = SLOT_DOWN;
    fresh.flags = (view->cgroup[0] ? 0 : KEEPER_NO_CGROUP) |
                  (view->spec->pid_namespace ? KEEPER_PID_NAMESPACE : 0);
    *record = fresh;
    slot->saved.begun_by = begun_by;
    slot->saved.leader = 0;
    slot->saved.worker_pid = 0;
    slot->pending &= PENDING_SLOT;
    slot_close_process(slot);
    slot->empty_source = sd_event_source_disable_unref(slot->empty_source);
}

static int write_down_child(struct slot *slot, const struct child *child)
{
    struct slot_saved *saved = &slot->saved;
    uint64_t start_time;
    int r;

    r = proc_stat(child->pid, &start_time, NULL, NULL);
    if (r < 0)
        return r;
    saved->leader = child->pid;
    if (saved->begun_by == KEEPER_SPAWN) {
        saved->record.state = SLOT_SPAWNING;
        saved->record.pid = child->pid;
        saved->record.start_time = start_time;
    } else {
        saved->record.state = SLOT_RESTORING;
        saved->worker_pid = child->pid;
        saved->worker_start_time = start_time;
    }
    return slot_save(&slot->keeper->table, slot);
}

static int start_child(struct slot *slot, const struct spawn_view *view, int report_fd)
{
    struct child_plan plan = {
        .view = view,
        .report_fd = report_fd,
        .init_path = slot->keeper->config->init_path,
    };
    struct child child;
    int r;

    r = slot_streams_for_child(slot, plan.stream_fd);
    if (r < 0)
        return r;
    r = child_start(&plan, &child);
    for (int i = 0; i < STREAM_COUNT; i++)
        fd_close(plan.stream_fd[i]);
    if (r < 0)
        return r;
    slot->status_fd = child.status_fd;
    /* Known before it does anything: if we die now, it ends or the next keeper finds it here. */
    r = write_down_child(slot, &child);
    if (r < 0) {
        fd_close(child.go_fd);
        return r;
    }
    (void)child_release(&child);
    return 0;
}

enum spawn_stage slot_begin(struct slot *slot, uint64_t request, enum keeper_type begun_by,
                            const struct spawn_view *view, int report_fd, int *ret_error)
{
    struct family family;

    reset(slot, request, begun_by, view);
    family = slot_family(slot);
    if ((*ret_error = slot_streams_open(slot, view, begun_by == KEEPER_SPAWN)) < 0)
        return SPAWN_LOG;
    if ((*ret_error = family_make(&family)) < 0)
        return SPAWN_CGROUP;
    if ((*ret_error = start_child(slot, view, report_fd)) < 0)
        return SPAWN_FORK;
    return SPAWN_NONE;
}

static void spawn_failed(struct slot *slot, enum spawn_stage stage, int error)
{
    struct keeper_record *record = &slot->saved.record;

    slot_close_process(slot);
    record->state = SLOT_DOWN;
    record->outcome = KEEPER_SPAWN_FAILED;
    record->stage = stage;
    record->value = -error;
    record->pid = 0;
    record->when_usec = now_boottime_usec();
    slot->saved.leader = 0;
    slot_write_down(slot);
    slot_tell(slot, PENDING_FAILED);
}

/* Exec has happened, or the child has said why not and is about to end; false: neither yet. */
static bool read_status(struct slot *slot)
{
    struct keeper_record *record = &slot->saved.record;
    struct child_failure failure;
    ssize_t n = read(slot->status_fd, &failure, sizeof(failure));

    if (n < 0 && errno == EAGAIN)
        return false;
    if (n == sizeof(failure) && failure.stage != SPAWN_NONE) {
        record->stage = failure.stage;
        record->value = failure.error;
    }
    slot->status_source = sd_event_source_disable_unref(slot->status_source);
    slot->status_fd = fd_close(slot->status_fd);
    return true;
}

void slot_running(struct slot *slot, pid_t pid, uint64_t start_time)
{
    struct slot_saved *saved = &slot->saved;

    saved->record.state = SLOT_RUNNING;
    saved->record.pid = pid;
    saved->record.start_time = start_time;
    saved->started_usec = now_boottime_usec();
    slot_watch_main(slot);
    slot_write_down(slot);
    slot_tell(slot, PENDING_STREAMS | PENDING_STARTED);
}

static int on_status(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
    struct slot *slot = userdata;
    const struct keeper_record *record = &slot->saved.record;

    if (read_status(slot) && record->stage == SPAWN_NONE)
        slot_running(slot, record->pid, record->start_time);
    return 0; /* else its end comes as SIGCHLD */
}

void slot_spawn(struct slot *slot, uint64_t request, const struct spawn_view *view)
{
    enum spawn_stage stage;
    int error;

    stage = slot_begin(slot, request, KEEPER_SPAWN, view, -1, &error);
    if (stage != SPAWN_NONE) {
        spawn_failed(slot, stage, error);
        return;
    }
    error = sd_event_add_io(slot->keeper->event, &slot->status_source, slot->status_fd, EPOLLIN,
                            on_status, slot);
    if (error < 0) /* it runs: better to call it started than to lose it */
        slot_running(slot, slot->saved.record.pid, slot->saved.record.start_time);
}

/* ---- exit and after ---- */

void slot_main_exited(struct slot *slot, int code, int status, bool known)
{
    struct keeper_record *record = &slot->saved.record;
    struct family family = slot_family(slot);

    if (record->state == SLOT_SPAWNING) {
        (void)read_status(slot);
        if (record->stage != SPAWN_NONE) {
            spawn_failed(slot, record->stage, -record->value);
            return;
        }
        slot->saved.started_usec = now_boottime_usec();
        slot->pending |= PENDING_STREAMS | PENDING_STARTED;
    }
    slot_streams_drain(slot, 0);
    slot_close_process(slot);
    record->state = SLOT_EXITED;
    record->outcome = KEEPER_EXITED;
    record->code = code;
    record->value = status;
    record->when_usec = now_boottime_usec();
    record->flags &= ~(uint32_t)(KEEPER_EMPTY | KEEPER_STATUS_UNKNOWN);
    if (!known)
        record->flags |= KEEPER_STATUS_UNKNOWN;
    if (!family_populated(&family)) {
        record->flags |= KEEPER_EMPTY;
        slot->saved.leader = 0; /* from now on the number may become another's */
    }
    slot_write_down(slot);
    slot_tell(slot, PENDING_EXITED);
    slot_check_empty(slot);
}

static int on_maybe_empty(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
    struct slot *slot = userdata;

    keeper_reap(slot->keeper);
    slot_check_empty(slot);
    return 0;
}

static void became_empty(struct slot *slot)
{
    struct keeper_record *record = &slot->saved.record;

    slot_streams_drain(slot, 0);
    record->flags |= KEEPER_EMPTY;
    slot->saved.leader = 0;
    if (record->outcome == 0)
        record->state = SLOT_DOWN;
    slot_write_down(slot);
    slot_tell(slot, PENDING_EMPTIED);
}

void slot_check_empty(struct slot *slot)
{
    const struct keeper_record *record = &slot->saved.record;
    struct family family = slot_family(slot);
    int r;

    slot->empty_source = sd_event_source_disable_unref(slot->empty_source);
    if (record->state != SLOT_CLEARING &&
        (record->state != SLOT_EXITED || (record->flags & KEEPER_EMPTY)))
        return;
    r = family_watch(&family, slot->keeper->event, on_maybe_empty, slot, &slot->empty_source);
    if (r < 0)
        log_error("%s: cannot watch its processes: %s", record->name, strerror(-r));
    if (r != 0)
        return;
    if (record->state == SLOT_CLEARING)
        slot_cleared(slot);
    else
        became_empty(slot);
}

void slot_acknowledge(struct slot *slot)
{
    struct keeper_record *record = &slot->saved.record;

    record->outcome = 0;
    if (record->state == SLOT_EXITED && (record->flags & KEEPER_EMPTY))
        record->state = SLOT_DOWN;
    slot_write_down(slot);
}

/* ---- requests on what runs ---- */

int slot_set_main(struct slot *slot, const struct proc_id *id)
{
    struct keeper_record *record = &slot->saved.record;
    struct family family = slot_family(slot);
    uint64_t start_time;
    int r;

    if (record->state != SLOT_RUNNING && record->state != SLOT_EXITED)
        return -EINVAL;
    r = proc_stat(id->pid, &start_time, NULL, NULL);
    if (r < 0)
        return r;
    if (id->start_time && id->start_time != start_time)
        return -ESRCH;
    /* A daemon makes its own process group: without cgroups its being our child must do. */
    if (!family_has(&family, id->pid) && (record->cgroup[0] || !is_our_child(id->pid)))
        return -EPERM;
    if (!record->cgroup[0])
        slot->saved.leader = getpgid(id->pid);
    record->pid = id->pid;
    record->start_time = start_time;
    record->state = SLOT_RUNNING;
    record->outcome = 0;
    record->flags &= ~(uint32_t)(KEEPER_EMPTY | KEEPER_STATUS_UNKNOWN);
    slot->empty_source = sd_event_source_disable_unref(slot->empty_source);
    slot_watch_main(slot);
    slot_write_down(slot);
    return 0;
}

int slot_signal(struct slot *slot, int signal, bool group)
{
    const struct keeper_record *record = &slot->saved.record;
    struct family family = slot_family(slot);

    if (signal < 1 || signal >= NSIG)
        return -EINVAL;
    if (record->state != SLOT_RUNNING && record->state != SLOT_EXITED &&
        record->state != SLOT_SPAWNING)
        return -ESRCH;
    /* Our init would pass it on to a process that has got it already. */
    if (group)
        return family_signal(&family, signal,
                             record->flags & KEEPER_PID_NAMESPACE ? record->pid : 0);
    if (record->state == SLOT_SPAWNING)
        return kill(record->pid, signal) < 0 ? -errno : 0; /* our child, not yet reaped */
    return slot->pidfd < 0 ? -ESRCH : proc_send_signal(slot->pidfd, signal);
}

int slot_kill(struct slot *slot)
{
    const struct keeper_record *record = &slot->saved.record;
    struct family family = slot_family(slot);
    int r;

    r = family_kill(&family);
    if (slot->pidfd >= 0) /* without a cgroup it may have left the process group */
        (void)proc_send_signal(slot->pidfd, SIGKILL);
    if (record->state == SLOT_DOWN ||
        (record->state == SLOT_EXITED && (record->flags & KEEPER_EMPTY)))
        slot_tell(slot, PENDING_EMPTIED);
    return r;
}
