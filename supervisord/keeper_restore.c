/* keeper_restore.c - a slot's restore: the worker, its word, and clearing up when it fails. */
#include "supervisord/keeper_state.h"

#include "common/cleanup.h"
#include "common/log.h"
#include "common/worker_abi.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>

static int on_limit(sd_event_source *s, uint64_t usec, void *userdata)
{
    struct slot *slot = userdata;
    struct family family = slot_family(slot);

    log_error("%s: the restore has not ended in %d s: killing it", slot->saved.record.name,
              RESTORE_LIMIT_SEC);
    (void)family_kill(&family); /* the worker's end is reported like any other */
    return 0;
}

int slot_restore(struct slot *slot, uint64_t request, const struct spawn_view *view)
{
    _cleanup_close_ int report_read = -1, report_write = -1;
    enum spawn_stage stage;
    char text[256];
    int ends[2], error;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    report_read = ends[0];
    report_write = ends[1];
    if (fcntl(report_read, F_SETFL, O_NONBLOCK) < 0)
        return -errno;
    slot->begun_usec = now_boottime_usec();
    stage = slot_begin(slot, request, KEEPER_RESTORE, view, report_write, &error);
    if (stage != SPAWN_NONE) {
        (void)snprintf(text, sizeof(text), "cannot start the restore worker: %s: %s\n",
                       spawn_stage_name(stage), strerror(-error));
        slot_clear(slot, WORKER_FAILED, text);
        return 0;
    }
    slot->report_fd = TAKE_FD(report_read);
    (void)sd_event_add_time_relative(slot->keeper->event, &slot->timer, CLOCK_MONOTONIC,
                                     RESTORE_LIMIT_SEC * USEC_PER_SEC, 0, on_limit, slot);
    return 0;
}

/* What the worker has said: WORKER_OK with a pid, or a result and a text for people. */
static void read_report(struct slot *slot, int code, int status, struct worker_report *ret,
                        char *text, size_t size)
{
    struct child_failure failure = {0};

    *ret = (struct worker_report){.result = WORKER_FAILED};
    if (read(slot->report_fd, ret, sizeof(*ret)) == sizeof(*ret)) {
        ret->message[sizeof(ret->message) - 1] = '\0';
        ret->cure[sizeof(ret->cure) - 1] = '\0';
        (void)snprintf(text, size, "%s\n%s", ret->message, ret->cure);
        if (ret->result == WORKER_OK && ret->pid <= 0)
            ret->result = WORKER_FAILED;
        return;
    }
    *ret = (struct worker_report){.result = WORKER_FAILED};
    if (read(slot->status_fd, &failure, sizeof(failure)) == sizeof(failure))
        (void)snprintf(text, size, "cannot start the restore worker: %s: %s\n",
                       spawn_stage_name(failure.stage), strerror(failure.error));
    else {
        if (code == CLD_KILLED && status == SIGKILL)
            ret->result = WORKER_INTERRUPTED;
        (void)snprintf(text, size, "the restore worker died without a word: %s %d\n",
                       code == CLD_EXITED ? "exit status" : "signal", status);
    }
}

/* The worker's word alone makes a process the service, and only when it is where it must be. */
static bool accept_process(struct slot *slot, pid_t pid)
{
    struct family family = slot_family(slot);
    uint64_t start_time;
    char state;

    if (!is_our_child(pid) || proc_stat(pid, &start_time, NULL, &state) < 0)
        return false;
    /* A zombie is in no cgroup.procs; its exit is what we reap next. */
    if (state != 'Z' && family.cgroup[0] && !family_has(&family, pid))
        return false;
    if (!family.cgroup[0])
        slot->saved.leader = getpgid(pid);
    slot_running(slot, pid, start_time);
    return true;
}

void slot_worker_exited(struct slot *slot, int code, int status)
{
    struct keeper_record *record = &slot->saved.record;
    struct worker_report report;
    const struct dead *dead;
    char text[600];

    read_report(slot, code, status, &report, text, sizeof(text));
    slot_close_process(slot);
    slot->saved.worker_pid = 0;
    if (report.result != WORKER_OK) {
        slot_clear(slot, (int)report.result, text);
        return;
    }
    record->restore_usec = report.restore_usec;
    if (accept_process(slot, report.pid))
        return;
    dead = keeper_find_dead(slot->keeper, report.pid, slot->begun_usec);
    if (dead) { /* it ran, and has ended already */
        record->pid = report.pid;
        record->state = SLOT_RUNNING;
        slot->saved.started_usec = dead->when_usec;
        slot->pending |= PENDING_STREAMS | PENDING_STARTED;
        slot_main_exited(slot, dead->code, dead->status, true);
        return;
    }
    (void)snprintf(text, sizeof(text),
                   "the restore worker reported process %d, which is not in the service's cgroup\n",
                   report.pid);
    slot_clear(slot, WORKER_FAILED, text);
}

void slot_clear(struct slot *slot, int result, const char *text)
{
    struct keeper_record *record = &slot->saved.record;
    struct family family = slot_family(slot);
    int r;

    slot_close_process(slot);
    record->state = SLOT_CLEARING;
    record->value = result;
    if (text != record->text)
        (void)snprintf(record->text, sizeof(record->text), "%s", text);
    slot_write_down(slot);
    r = family_kill(&family);
    if (r < 0)
        log_error("%s: cannot kill what a failed restore left: %s", record->name, strerror(-r));
    slot_check_empty(slot);
}

void slot_cleared(struct slot *slot)
{
    struct keeper_record *record = &slot->saved.record;

    keeper_reap(slot->keeper);
    slot_streams_drain(slot, 0);
    record->state = SLOT_DOWN;
    record->outcome = KEEPER_RESTORE_FAILED;
    record->pid = 0;
    slot->saved.leader = 0;
    record->when_usec = now_boottime_usec();
    slot_write_down(slot);
    slot_tell(slot, PENDING_FAILED);
}
