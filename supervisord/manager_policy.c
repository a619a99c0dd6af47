/* manager_policy.c - policies and recorded wishes become units: at start, and again at reload. */
#include "supervisord/manager.h"

#include "common/cleanup.h"
#include "common/fs.h"
#include "common/log.h"
#include "common/strv.h"
#include "supervisord/resume.h"

#include <errno.h>
#include <string.h>

static int load(struct manager *m, struct policy_set *ret_set)
{
    _cleanup_free_ char *dir = fs_join(m->dirs->config, DIRS_POLICIES);
    int r;

    if (!dir)
        return -ENOMEM;
    policy_errors_done(&m->errors);
    r = policy_set_load(dir, &m->errors, ret_set);
    for (size_t i = 0; i < m->errors.count; i++)
        log_error("%s:%u: %s", m->errors.items[i].file, m->errors.items[i].line,
                  m->errors.items[i].message);
    return r;
}

static bool is_of_this_boot(const struct record *record)
{
    char boot_id[BOOT_ID_LEN + 1];

    return proc_boot_id(boot_id) == 0 && strcmp(boot_id, record->boot_id) == 0;
}

void unit_recall(struct unit *unit)
{
    struct manager *m = unit->manager;
    struct record record;
    int r;

    r = record_read(m->services_fd, unit->policy->name, &record);
    if (r < 0)
        log_error("%s: cannot read its recorded state: %s; starting it as new", unit->policy->name,
                  strerror(-r));
    if (r != 0) {
        unit->svc.desired_up = true; /* a policy that was never seen is started */
        return;
    }
    record_to_service(&record, is_of_this_boot(&record), &unit->svc);
    if (!is_of_this_boot(&record))
        record.floor_boot = record.branch_boot = 0;
    else if (record.exited_at)
        unit->down_realtime = now_realtime_usec() - (now_boottime_usec() - record.exited_at);
    unit->record = record;
}

int policies_load(struct manager *m)
{
    struct policy_set set = {0};
    int r;

    r = load(m, &set);
    for (size_t i = 0; r >= 0 && i < set.count; i++) {
        struct unit *unit;

        r = manager_add_unit(m, TAKE_PTR(set.items[i]), &unit);
        if (r >= 0)
            unit_recall(unit);
    }
    policy_set_done(&set);
    return r;
}

/* Up before and not ended by anybody's wish: its memory is wanted back. Else it begins cold. */
static void begin(struct unit *unit)
{
    bool interrupted = unit->record.magic == RECORD_MAGIC && !unit->record.stopped_cleanly;

    if (unit->policy_lost || unit->manager->terminating || unit->svc.state != SERVICE_STOPPED ||
        !unit->svc.desired_up)
        return;
    unit_step(unit, interrupted ? EV_BOOT : EV_START);
}

/* `perdure run` makes what was recorded begin anew, with or without its memory. */
static void begin_run(struct unit *unit)
{
    struct service *svc = &unit->svc;

    svc->state = SERVICE_STOPPED;
    svc->deadline = 0;
    if (!unit->manager->cold && unit->record.magic == RECORD_MAGIC) {
        unit_step(unit, EV_BOOT);
        return;
    }
    svc->restarts = 0;
    svc->ever_exited = false;
    unit_step(unit, EV_START);
}

static void carry_on(struct unit *unit, enum resume resume, uint64_t restore_usec)
{
    switch (resume) {
    case RESUME_NOTHING:
        break;
    case RESUME_BEGIN:
        begin(unit);
        break;
    case RESUME_STARTED:
        unit_step(unit, EV_SPAWNED);
        break;
    case RESUME_RESTORED:
        unit_restored(unit, restore_usec);
        break;
    case RESUME_EMPTIED:
        unit_step(unit, EV_EMPTIED);
        break;
    case RESUME_PID_FILE:
        pid_file_wait(unit);
        break;
    case RESUME_SPAWN:
        unit_carry_out(unit, ACT_SPAWN);
        break;
    case RESUME_RESTORE:
        unit_carry_out(unit, ACT_RESTORE);
        break;
    case RESUME_STOP:
        stop_command_start(unit);
        break;
    case RESUME_KILL:
        unit_carry_out(unit, ACT_KILL);
        break;
    }
}

/* A keeper died in the middle of its shutdown: what was to end for that alone is to run again. */
static void take_back_shutdown(struct unit *unit)
{
    struct service *svc = &unit->svc;

    if (!unit->manager->terminating && unit->record.stopped_cleanly && svc->desired_up &&
        svc->goal == GOAL_DOWN &&
        (svc->state == SERVICE_STOPPING || svc->state == SERVICE_CLEARING)) {
        svc->goal = GOAL_COLD;
        svc->automatic = false;
    }
}

static void resume(struct unit *unit)
{
    struct manager *m = unit->manager;
    struct service *svc = &unit->svc;
    struct record *record = &unit->record;
    bool known = record->magic == RECORD_MAGIC && is_of_this_boot(record);
    _cleanup_free_ struct keeper_record *slot = TAKE_PTR(unit->slot);
    enum resume next;

    next = service_resume(svc, known ? record->state : SERVICE_STATE_COUNT, slot,
                          record->outcome_usec, now_boottime_usec());
    if (svc->state == SERVICE_UP && !svc->up_since)
        svc->up_since = svc->state_since;
    take_back_shutdown(unit);
    /* A new keeper ends a restore that the old one began. The image is not to blame: once more. */
    if (m->first_start && svc->state == SERVICE_RESTORING && next == RESUME_NOTHING)
        svc->state = SERVICE_CLEARING;
    if (m->run_mode && m->first_start && !svc->occupied &&
        !slot_has_news(slot, record->outcome_usec)) {
        begin_run(unit);
        return;
    }
    if (m->terminating && (next == RESUME_SPAWN || next == RESUME_RESTORE)) {
        svc->state = SERVICE_STOPPED; /* not begun, so nothing is to be ended */
        svc->deadline = 0;
        next = RESUME_NOTHING;
    }
    unit_arm_deadline(unit);
    if (svc->state == SERVICE_UP) {
        ckpt_watch(unit);
        (void)unit_save(unit, false);
    }
    carry_on(unit, next, slot ? slot->restore_usec : 0);
    if (!m->terminating && record->stopped_cleanly) { /* that shutdown is history */
        record->stopped_cleanly = 0;
        (void)unit_save(unit, false);
    }
}

/* An engine that was ending this instance died of it: its keeper still waits for the end. */
static bool shutdown_goes_on(const struct manager *m)
{
    for (size_t i = 0; i < m->unit_count && !m->first_start; i++)
        if (m->units[i]->record.stopped_cleanly)
            return true;
    return false;
}

void policies_resume(struct manager *m)
{
    bool terminate = m->terminating || shutdown_goes_on(m);

    m->terminating = terminate; /* so that nothing begins */
    for (size_t i = 0; i < m->unit_count; i++)
        resume(m->units[i]);
    m->terminating = false;
    if (terminate)
        manager_terminate(m, m->leave_running);
}

/* ---- reload ---- */

void reload_report_done(struct reload_report *report)
{
    strv_free(report->added);
    strv_free(report->removed);
    strv_free(report->changed);
    *report = (struct reload_report){0};
}

static bool file_is_bad(const struct manager *m, const struct policy *policy)
{
    for (size_t i = 0; i < m->errors.count; i++)
        if (policy->path &&
            strncmp(m->errors.items[i].file, policy->path, strlen(policy->path)) == 0)
            return true;
    return false;
}

static void replace_policy(struct unit *unit, struct policy *policy)
{
    struct policy *old = unit->policy;

    unit->policy = policy;
    service_set_policy(&unit->svc, policy);
    policy_free(old);
    if (unit->policy_lost) {
        unit->policy_lost = false;
        unit->record.error[0] = '\0';
    }
    if (unit->svc.state == SERVICE_UP) {
        ckpt_unwatch(unit);
        ckpt_watch(unit);
    }
}

static int merge(struct manager *m, struct policy **policy, struct reload_report *report)
{
    struct unit *unit = manager_find(m, (*policy)->name);
    _cleanup_strv_ char **keys = NULL;
    int r;

    if (!unit) {
        if ((r = strv_extend(&report->added, (*policy)->name)) < 0 ||
            (r = manager_add_unit(m, TAKE_PTR(*policy), &unit)) < 0)
            return r;
        unit_recall(unit);
        begin(unit);
        return 0;
    }
    r = policy_diff(unit->policy, *policy, &keys);
    if (r < 0)
        return r;
    if (unit->removed) { /* back before it was gone: new all the same */
        unit->removed = false;
        r = strv_extend(&report->added, (*policy)->name);
        replace_policy(unit, TAKE_PTR(*policy));
        unit_step(unit, EV_START);
    } else if (keys || unit->policy_lost) {
        r = strv_extend(&report->changed, (*policy)->name);
        replace_policy(unit, TAKE_PTR(*policy));
    }
    return r;
}

static int drop_removed(struct manager *m, const struct policy_set *set,
                        struct reload_report *report)
{
    for (size_t i = m->unit_count; i-- > 0;) {
        struct unit *unit = m->units[i];
        int r;

        if (policy_set_find(set, unit->policy->name) || file_is_bad(m, unit->policy) ||
            unit->policy_lost || unit->removed)
            continue;
        r = strv_extend(&report->removed, unit->policy->name);
        if (r < 0)
            return r;
        unit->removed = true;
        unit_step(unit, EV_STOP);
    }
    return 0;
}

int policies_reload(struct manager *m, struct reload_report *ret_report)
{
    _cleanup_(reload_report_done) struct reload_report report = {0};
    struct policy_set set = {0};
    int r;

    r = load(m, &set);
    if (r >= 0)
        r = drop_removed(m, &set, &report); /* before merging takes the policies out of the set */
    for (size_t i = 0; r >= 0 && i < set.count; i++)
        r = merge(m, &set.items[i], &report);
    policy_set_done(&set);
    if (r < 0)
        return r;
    log_info("policies read again: %zu added, %zu removed, %zu changed, %zu errors",
             strv_length(report.added), strv_length(report.removed), strv_length(report.changed),
             m->errors.count);
    *ret_report = report;
    report = (struct reload_report){0};
    return 0;
}
