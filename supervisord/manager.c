/* manager.c - the engine's units: stepping their state machines and carrying out the actions. */
#include "supervisord/manager.h"

#include "common/cleanup.h"
#include "common/log.h"
#include "common/timespan.h"
#include "common/utf8.h"
#include "supervisord/orphan.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>

static int unit_compare(const void *a, const void *b)
{
    const struct unit *const *x = a, *const *y = b;

    return strcmp((*x)->policy->name, (*y)->policy->name);
}

static int name_compare(const void *name, const void *unit)
{
    return strcmp(name, (*(struct unit *const *)unit)->policy->name);
}

struct unit *manager_find(const struct manager *m, const char *name)
{
    struct unit **found =
        m->unit_count ? bsearch(name, m->units, m->unit_count, sizeof(*m->units), name_compare)
                      : NULL;

    return found ? *found : NULL;
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct unit *unit = userdata;
    char span[TIMESPAN_SIZE];

    unit->svc.deadline = 0;
    if (unit->svc.state == SERVICE_STOPPING && stop_command_timeout(unit))
        return 0;
    if (unit->svc.state == SERVICE_STARTING && !unit->record.error[0])
        unit_set_error(unit, "it was not ready within TimeoutStartSec=%s",
                       timespan_format(unit->policy->timeout_start_usec, 1, span));
    unit_step(unit, EV_TIMEOUT);
    return 0;
}

int manager_add_unit(struct manager *m, struct policy *policy, struct unit **ret)
{
    _cleanup_free_ struct unit *unit = calloc(1, sizeof(*unit));
    struct unit **units;

    units = reallocarray(m->units, m->unit_count + 1, sizeof(*units));
    if (!unit || !units) {
        if (units)
            m->units = units;
        policy_free(policy);
        return -ENOMEM;
    }
    m->units = units;
    unit->manager = m;
    unit->policy = policy;
    service_init(&unit->svc, policy);
    units[m->unit_count++] = unit;
    if (ret)
        *ret = unit;
    unit = NULL;
    qsort(units, m->unit_count, sizeof(*units), unit_compare);
    return 0;
}

void manager_remove_unit(struct manager *m, struct unit *unit)
{
    for (size_t i = 0; i < m->unit_count; i++)
        if (m->units[i] == unit) {
            memmove(&m->units[i], &m->units[i + 1], (m->unit_count - i - 1) * sizeof(*m->units));
            m->unit_count--;
            break;
        }
    sd_event_source_disable_unref(unit->timer);
    sd_event_source_disable_unref(unit->pid_file_watch);
    sd_event_source_disable_unref(unit->stop_command);
    sd_bus_slot_unref(unit->select);
    sd_bus_slot_unref(unit->poison);
    policy_free(unit->policy);
    free(unit->slot);
    free(unit->cgroup);
    free(unit->status_text);
    free(unit->checkpoint.id);
    free(unit->checkpoint.kind);
    free(unit->checkpoint.not_restorable);
    free(unit->checkpoint_error);
    free(unit);
}

void unit_set_error(struct unit *unit, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    (void)vsnprintf(unit->record.error, sizeof(unit->record.error), format, ap);
    va_end(ap);
    utf8_mend(unit->record.error);
}

int unit_save(struct unit *unit, bool durable)
{
    struct manager *m = unit->manager;
    int r;

    record_from_service(&unit->record, &unit->svc);
    r = proc_boot_id(unit->record.boot_id);
    if (r == 0)
        r = record_write(m->services_fd, unit->policy->name, &unit->record, durable);
    if (r < 0)
        log_error("%s: cannot write its state to %s/%s: %s; free space or mend the folder's mode",
                  unit->policy->name, m->dirs->state, DIRS_SERVICES, strerror(-r));
    return r;
}

/* One timer a unit, armed only while something is due: an idle engine never wakes up. */
void unit_arm_deadline(struct unit *unit)
{
    int r;

    if (unit->svc.deadline == 0) {
        if (unit->timer)
            (void)sd_event_source_set_enabled(unit->timer, SD_EVENT_OFF);
        return;
    }
    if (!unit->timer)
        r = sd_event_add_time(unit->manager->event, &unit->timer, CLOCK_BOOTTIME,
                              unit->svc.deadline, 1000, on_deadline, unit);
    else if ((r = sd_event_source_set_time(unit->timer, unit->svc.deadline)) >= 0)
        r = sd_event_source_set_enabled(unit->timer, SD_EVENT_ONESHOT);
    if (r < 0)
        log_error("%s: cannot arm its timer: %s", unit->policy->name, strerror(-r));
}

void unit_carry_out(struct unit *unit, enum service_action action)
{
    switch (action) {
    case ACT_NONE:
        break;
    case ACT_SPAWN:
        ask_spawn(unit);
        break;
    case ACT_RESTORE:
        ckpt_select(unit);
        break;
    case ACT_STOP:
        stop_command_start(unit);
        break;
    case ACT_KILL:
        ask_kill(unit);
        break;
    }
}

static void describe_change(struct unit *unit, enum service_state before)
{
    struct service *svc = &unit->svc;
    const char *name = unit->policy->name;

    if (svc->reason && svc->state == SERVICE_FAILED && !unit->record.error[0])
        unit_set_error(unit, "%s", svc->reason);
    switch (svc->state) {
    case SERVICE_STOPPED:
        if (!unit->policy_lost)
            unit->record.error[0] = '\0';
        log_debug("%s: stopped", name);
        break;
    case SERVICE_UP:
        unit->record.error[0] = '\0';
        unit->up_realtime = now_realtime_usec();
        unit->down_realtime = 0;
        log_info("%s: up, pid %d%s%s", name, (int)svc->pid,
                 unit->record.recovered_from[0] ? ", from " : "", unit->record.recovered_from);
        break;
    case SERVICE_FAILED:
        /* In `perdure run` its exit status becomes ours: that says it. */
        log_line(unit->manager->run_mode && svc->ever_exited ? LOG_INFO : LOG_ERR, "%s: failed: %s",
                 name, unit->record.error);
        break;
    default:
        log_debug("%s: %s", name, service_state_name(svc));
    }
    if (before == SERVICE_UP && unit->down_realtime == 0)
        unit->down_realtime = now_realtime_usec();
}

static bool unit_is_down(const struct unit *unit)
{
    return unit->svc.state == SERVICE_STOPPED || unit->svc.state == SERVICE_FAILED;
}

static int on_sweep(sd_event_source *source, void *userdata)
{
    struct manager *m = userdata;

    for (size_t i = m->unit_count; i-- > 0;) {
        struct unit *unit = m->units[i];

        if (!unit->removed || !unit_is_down(unit))
            continue;
        ask_forget(unit);
        orphan_forget(m->orphan, unit->policy->name);
        (void)record_remove(m->services_fd, unit->policy->name);
        control_unit_gone(m->control, unit->policy->name);
        manager_remove_unit(m, unit);
    }
    return 0;
}

/* A unit cannot be freed inside its own step. */
static void schedule_sweep(struct manager *m)
{
    int r = m->sweep ? sd_event_source_set_enabled(m->sweep, SD_EVENT_ONESHOT)
                     : sd_event_add_defer(m->event, &m->sweep, on_sweep, m);

    if (r < 0)
        log_error("cannot schedule the removal of old services: %s", strerror(-r));
}

/* What must be known of a start or stop by whoever comes after us. */
static void note_action(struct unit *unit, enum service_action action)
{
    if (action == ACT_STOP)
        unit->record.stop_next = 0;
    if (action != ACT_SPAWN && action != ACT_RESTORE)
        return;
    unit->record.stopped_cleanly = 0;
    if (action == ACT_RESTORE || unit->svc.automatic)
        return;
    /* Begun anew by a person's wish: the memory of before is not for automatic recovery. */
    unit->record.floor_boot = now_boottime_usec();
    unit->record.floor_realtime = now_realtime_usec();
    unit->record.branch_number = 0;
}

static void note_poison(struct unit *unit)
{
    struct service *svc = &unit->svc;

    if (svc->poison_number == 0)
        return;
    log_warning("%s: checkpoint %s@%llu is poisoned: the service died within MinUptime= of it",
                unit->policy->name, unit->policy->name, (unsigned long long)svc->poison_number);
    unit->record.poison_number = svc->poison_number;
    svc->poison_number = 0;
}

static void leave_state(struct unit *unit, enum service_state before)
{
    if (before == SERVICE_STARTING)
        unit->pid_file_watch = sd_event_source_disable_unref(unit->pid_file_watch);
    if (before == SERVICE_RESTORING) { /* an image chosen from now on would be nobody's */
        unit->select = sd_bus_slot_unref(unit->select);
        unit->select_wanted = false;
    }
    if (before == SERVICE_UP)
        ckpt_unwatch(unit);
}

void unit_step(struct unit *unit, enum service_event event)
{
    struct service *svc = &unit->svc;
    struct manager *m = unit->manager;
    enum service_state before = svc->state;
    bool desired = svc->desired_up, stopped_cleanly = unit->record.stopped_cleanly;
    enum service_action action;

    action = service_step(svc, event, now_boottime_usec());
    if (before != svc->state && (event == EV_START || event == EV_RESTART || event == EV_RESTORE))
        unit->record.error[0] = '\0'; /* of an attempt that is history */
    /* What we end because we end ourselves is wanted again at the next start, which is then a cold
     * one, because this end is a clean one. */
    if (m->terminating) {
        unit->record.stopped_cleanly |= event == EV_STOP && desired;
        svc->desired_up = desired;
    } else if (desired != svc->desired_up) {
        unit->record.stopped_cleanly = 0;
    }
    unit_arm_deadline(unit);
    if (before != svc->state)
        describe_change(unit, before);
    else if (svc->state == SERVICE_CLEARING && event == EV_TIMEOUT && svc->reason)
        unit_set_error(unit, "%s", svc->reason);
    note_poison(unit);
    note_action(unit, action);
    /* All that we do is written down before it is begun. A wish must be on disk before it shows;
     * the rest need only survive our own death, and a crash is answered before the disk is. */
    (void)unit_save(unit,
                    desired != svc->desired_up || stopped_cleanly != unit->record.stopped_cleanly);
    if (before != svc->state)
        leave_state(unit, before);
    ckpt_poison(unit);
    unit_carry_out(unit, action);
    if (before != SERVICE_UP && svc->state == SERVICE_UP)
        ckpt_watch(unit);
    if (before != svc->state)
        control_unit_changed(m->control, unit);
    if (unit->removed && unit_is_down(unit))
        schedule_sweep(m);
    manager_check_done(m);
}

void manager_terminate(struct manager *m, bool leave_running)
{
    if (m->terminating)
        return;
    m->terminating = true;
    m->leave_running = leave_running;
    for (size_t i = 0; i < m->unit_count && m->table_complete && !leave_running; i++)
        if (m->units[i]->svc.state != SERVICE_STOPPED)
            unit_step(m->units[i], EV_STOP);
    manager_check_done(m);
}

/* In `perdure run` the one service ending is our end; its status becomes ours. */
static int status_of_run(const struct unit *unit)
{
    const struct service_exit *e = &unit->svc.exit;

    if (!unit->svc.ever_exited)
        return unit->svc.state == SERVICE_FAILED ? 1 : 0;
    if (!e->known)
        return 1;
    return e->code == CLD_EXITED ? e->status : 128 + e->status;
}

void manager_check_done(struct manager *m)
{
    if (!m->table_complete)
        return;
    if (m->run_mode && !m->terminating && m->unit_count == 1 && unit_is_down(m->units[0])) {
        m->terminating = true;
        m->exit_status = status_of_run(m->units[0]);
    }
    if (!m->terminating || m->quit_asked)
        return;
    for (size_t i = 0; i < m->unit_count && !m->leave_running; i++)
        if (!unit_is_down(m->units[i]))
            return;
    if (m->run_mode && m->unit_count == 1)
        m->exit_status = status_of_run(m->units[0]);
    m->quit_asked = true;
    ask_quit(m);
}
