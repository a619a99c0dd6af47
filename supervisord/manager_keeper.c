/* manager_keeper.c - what the keeper tells becomes events. */
#include "supervisord/manager.h"

#include "common/cleanup.h"
#include "common/log.h"
#include "common/worker_abi.h"
#include "supervisord/keeper_fds.h"
#include "supervisord/orphan.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

/* ---- from the keeper ---- */

static void take_identity(struct unit *unit, const struct keeper_record *record)
{
    unit->svc.pid = record->pid;
    unit->svc.start_time = record->start_time;
    memcpy(unit->pipe_inode, record->pipe_inode, sizeof(unit->pipe_inode));
    free(unit->cgroup);
    unit->cgroup = record->cgroup[0] ? strdup(record->cgroup) : NULL;
}

void unit_restored(struct unit *unit, uint64_t restore_usec)
{
    struct record *facts = &unit->record;
    char mark[512], stamp[RFC3339_SIZE], image_stamp[RFC3339_SIZE];

    (void)snprintf(facts->recovered_from, sizeof(facts->recovered_from), "%s@%llu",
                   unit->policy->name, (unsigned long long)unit->svc.attempt_number);
    /* After a power loss nobody knows when it ended, so nobody knows what was lost. */
    facts->work_lost_known = facts->attempt_time_realtime != 0 && unit->down_realtime != 0;
    facts->work_lost_usec = unit->down_realtime > facts->attempt_time_realtime
                                ? unit->down_realtime - facts->attempt_time_realtime
                                : 0;
    if (unit->svc.goal == GOAL_MANUAL)
        record_note_branch(facts, now_boottime_usec(), now_realtime_usec());
    unit_step(unit, EV_RESTORED);
    (void)snprintf(mark, sizeof(mark),
                   "perdure: %s: restored from %s (memory of %s); what follows may repeat\n",
                   format_rfc3339(now_realtime_usec(), stamp), facts->recovered_from,
                   format_rfc3339(facts->attempt_time_realtime, image_stamp));
    ask_mark(unit, mark);
    if (facts->work_lost_known)
        log_notice("%s: restored from %s in %llu ms, work lost %.1f s", unit->policy->name,
                   facts->recovered_from, (unsigned long long)(restore_usec / 1000),
                   (double)facts->work_lost_usec / 1e6);
    else
        log_notice("%s: restored from %s in %llu ms, work lost unknown", unit->policy->name,
                   facts->recovered_from, (unsigned long long)(restore_usec / 1000));
}

static void on_restore_failed(struct unit *unit, const struct keeper_record *record)
{
    char first_line[512];
    const char *cure;
    uint64_t number = unit->svc.attempt_number;

    (void)snprintf(first_line, sizeof(first_line), "%.*s", (int)strcspn(record->text, "\n"),
                   record->text);
    log_warning("%s: restore from %s@%llu failed: %s", unit->policy->name, unit->policy->name,
                (unsigned long long)number, first_line);
    cure = strchr(record->text, '\n');
    unit_set_error(unit, "restore from %s@%llu failed: %s%s%s", unit->policy->name,
                   (unsigned long long)number, first_line, cure && cure[1] ? "; " : "",
                   cure ? cure + 1 : "");
    unit->svc.interrupted = record->value == WORKER_INTERRUPTED;
    if (record->value == WORKER_CORRUPT)
        ckpt_corrupt(unit, number, first_line);
    unit_step(unit, EV_RESTORE_FAILED);
}

static void on_exited(struct unit *unit, const struct keeper_record *record)
{
    struct service *svc = &unit->svc;

    svc->exit = (struct service_exit){
        .known = !(record->flags & KEEPER_STATUS_UNKNOWN),
        .code = record->code,
        .status = record->value,
    };
    /* The tiny init of a pid namespace can only exit: 128+n stands for signal n. */
    if (unit->policy->pid_namespace && svc->exit.known && svc->exit.code == CLD_EXITED &&
        svc->exit.status > 128 && svc->exit.status <= 128 + 64) {
        svc->exit.code = CLD_KILLED;
        svc->exit.status -= 128;
    }
    svc->ever_exited = true;
    svc->exited_at = record->when_usec;
    svc->occupied = !(record->flags & KEEPER_EMPTY);
    unit->down_realtime = now_realtime_usec() - (now_boottime_usec() - record->when_usec);
    svc->pid = 0;
    if (svc->state == SERVICE_STARTING && unit->policy->type == TYPE_FORKING &&
        service_exit_is_clean(svc) && (svc->occupied || !unit->cgroup)) {
        (void)unit_save(unit, false);
        pid_file_wait(unit);
        return;
    }
    if (svc->state == SERVICE_UP)
        log_info("%s: ended: %s %d", unit->policy->name,
                 !svc->exit.known               ? "unknown status"
                 : svc->exit.code == CLD_EXITED ? "exit status"
                                                : "signal",
                 svc->exit.status);
    /* What is left of it may be the ExecStop= command that ended it: that one is let finish. */
    if (svc->state == SERVICE_STOPPING && unit->stop_command && svc->occupied)
        (void)unit_save(unit, false);
    else
        unit_step(unit, EV_EXITED);
}

static void on_spawn_failed(struct unit *unit, const struct keeper_record *record)
{
    unit_set_error(unit, "cannot start %s: %s failed: %s", unit->policy->exec_start_line,
                   spawn_stage_name(record->stage), strerror(record->value));
    log_error("%s: %s", unit->policy->name, unit->record.error);
    if (record->stage == SPAWN_EXEC) {
        /* sh(1)'s words for it, so that `perdure run` can say them. */
        unit->svc.exit =
            (struct service_exit){true, CLD_EXITED, record->value == ENOENT ? 127 : 126};
        unit->svc.ever_exited = true;
    }
    unit_step(unit, EV_SPAWN_FAILED);
}

/* The table at our start. It is judged when it is complete: policies_resume(). */
static void on_slot(struct unit *unit, const struct keeper_record *record)
{
    take_identity(unit, record);
    if (record->state != SLOT_RUNNING && record->state != SLOT_SPAWNING)
        unit->svc.pid = 0;
    unit->life = record->request;
    free(unit->slot);
    unit->slot = malloc(sizeof(*record));
    if (unit->slot)
        *unit->slot = *record;
}

static void on_table_end(struct manager *m, const struct keeper_record *record)
{
    int r;

    if (record->request > m->next_request)
        m->next_request = record->request;
    m->first_start = record->value;
    m->table_complete = true;
    policies_resume(m);
    /* Only now: before, nobody could have been told the truth, or been obeyed. */
    if ((r = notify_open(m, ENGINE_FD_NOTIFY)) < 0 ||
        (r = control_open(m, ENGINE_FD_CONTROL, &m->control)) < 0) {
        log_error("cannot listen to services and users: %s", strerror(-r));
        (void)sd_event_exit(m->event, r);
        return;
    }
    ask_ready(m);
    manager_check_done(m);
}

/* A running service whose policy can no longer be read is kept, not judged. */
static struct unit *unit_without_policy(struct manager *m, const char *name)
{
    char *argv[] = {"unknown", NULL};
    struct policy *policy;
    struct unit *unit;

    if (policy_new(name, argv, &policy) < 0)
        return NULL;
    policy->restart = RESTART_NO;
    policy->checkpoint_enabled = false;
    if (manager_add_unit(m, policy, &unit) < 0)
        return NULL;
    unit_recall(unit);
    /* Unwanted and without a policy: a reload had just removed it. */
    unit->removed = !unit->svc.desired_up;
    unit->policy_lost = true;
    unit_set_error(unit, "its policy is gone or broken; it runs on unsupervised until "
                         "`perdure check` is content and `perdure reload` was run");
    return unit;
}

static void on_refused(struct unit *unit, const struct keeper_record *record)
{
    enum service_state state = unit->svc.state;

    log_warning("%s: the keeper refused a request: %s", unit->policy->name,
                strerror(record->value));
    if (record->request != unit->life) {
        /* It knows no such service, so there is nothing to signal or to kill. */
        if (record->value == ENOENT && record->request > unit->life) {
            unit->svc.occupied = false;
            if (state == SERVICE_STOPPING || state == SERVICE_CLEARING)
                unit_step(unit, EV_EMPTIED);
        }
        return;
    }
    if (record->value == EBUSY) {
        unit_step(unit, EV_REFUSED);
        return;
    }
    unit_set_error(unit, "the keeper cannot start it: %s%s", strerror(record->value),
                   record->value == ENOSPC ? " (too many services for one instance)" : "");
    unit_step(unit, state == SERVICE_RESTORING ? EV_RESTORE_FAILED : EV_SPAWN_FAILED);
}

/* An end or a failure: judged once, written down, and then acknowledged, so that neither we nor a
 * successor count it twice. */
static void on_outcome(struct unit *unit, const struct keeper_record *record)
{
    if (record->when_usec != unit->record.outcome_usec) {
        unit->record.outcome_usec = record->when_usec;
        if (record->type == KEEPER_EXITED)
            on_exited(unit, record);
        else if (record->type == KEEPER_SPAWN_FAILED)
            on_spawn_failed(unit, record);
        else
            on_restore_failed(unit, record);
    }
    ask_acknowledge(unit);
}

static void on_unit_record(struct unit *unit, const struct keeper_record *record)
{
    switch (record->type) {
    case KEEPER_SLOT:
        on_slot(unit, record);
        break;
    case KEEPER_SPAWNED:
        take_identity(unit, record);
        unit_step(unit, EV_SPAWNED);
        break;
    case KEEPER_RESTORED:
        take_identity(unit, record);
        unit_restored(unit, record->restore_usec);
        break;
    case KEEPER_SPAWN_FAILED:
    case KEEPER_RESTORE_FAILED:
    case KEEPER_EXITED:
        on_outcome(unit, record);
        break;
    case KEEPER_EMPTIED:
        if (record->request < unit->life)
            break; /* of the life before the one we have asked for since */
        unit->svc.occupied = false;
        unit_step(unit, EV_EMPTIED);
        break;
    case KEEPER_REFUSED:
        on_refused(unit, record);
        break;
    default:
        break;
    }
}

static void on_record(struct manager *m, const struct keeper_record *record, int *fd)
{
    struct unit *unit;

    switch (record->type) {
    case KEEPER_TABLE_END:
        on_table_end(m, record);
        return;
    case KEEPER_PEER:
        if (*fd >= 0 && ckpt_connect(m, TAKE_FD(*fd)) < 0)
            log_error("cannot speak to ckptd");
        return;
    case KEEPER_TERMINATE:
        manager_terminate(m, record->flags & KEEPER_LEAVE_RUNNING);
        return;
    case KEEPER_RELOAD: {
        _cleanup_(reload_report_done) struct reload_report report = {0};

        (void)policies_reload(m, &report);
        return;
    }
    case KEEPER_STREAM:
        (void)orphan_note(m->orphan, record, TAKE_FD(*fd));
        return;
    default:
        break;
    }
    unit = manager_find(m, record->name);
    if (!unit && record->type == KEEPER_SLOT)
        unit = unit_without_policy(m, record->name);
    if (unit)
        on_unit_record(unit, record);
    else if (record->type == KEEPER_REFUSED)
        log_warning("%s: the keeper refused a request: %s", record->name, strerror(record->value));
}

static int on_keeper(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    struct manager *m = userdata;

    keeper_client_flush(m);
    for (;;) {
        struct keeper_record record;
        _cleanup_close_ int passed = -1;
        int r;

        r = keeper_receive(fd, &record, &passed);
        if (r == -EAGAIN)
            return 0;
        if (r == KEEPER_GONE || r < 0)
            return sd_event_exit(m->event, r == KEEPER_GONE ? KEEPER_GONE : r);
        on_record(m, &record, &passed);
    }
}

int keeper_client_open(struct manager *m)
{
    m->keeper_fd = ENGINE_FD_KEEPER;
    return sd_event_add_io(m->event, &m->keeper_source, m->keeper_fd, EPOLLIN, on_keeper, m);
}
