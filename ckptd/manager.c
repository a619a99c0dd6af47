/* manager.c - which dump runs when, and what follows its end. */
#include "ckptd/manager_state.h"

#include "common/cleanup.h"
#include "common/dirs.h"
#include "common/proc.h"

#include <errno.h>
#include <string.h>

#define TIMER_ACCURACY_USEC (20 * USEC_PER_MSEC)

static void manager_freep(struct manager **manager)
{
    manager_free(*manager);
}

struct store *manager_store(struct manager *manager)
{
    return manager->store;
}

const struct criu_facts *manager_criu(const struct manager *manager)
{
    static const struct criu_facts not_yet = {.known = false};

    return manager->probe ? probe_facts(manager->probe) : &not_yet;
}

const struct host *manager_host(const struct manager *manager)
{
    return &manager->host;
}

const char *manager_key_file(const struct manager *manager)
{
    return manager->key_file;
}

uint64_t manager_stall_usec(const struct manager *manager)
{
    return manager->stall_usec;
}

struct select_context manager_select_context(struct manager *manager)
{
    return (struct select_context){
        .store = manager->store,
        .host = &manager->host,
        .criu = manager_criu(manager),
        .worker = manager->worker,
        .key_file = manager->key_file,
    };
}

static struct watch *find_watch(const struct manager *manager, const char *name)
{
    for (struct watch *w = manager->watches; w; w = w->next)
        if (strcmp(w->spec.name, name) == 0)
            return w;
    return NULL;
}

struct watch *manager_find_active(const struct manager *manager, const char *name)
{
    struct watch *w = find_watch(manager, name);

    return w && w->active ? w : NULL;
}

const struct ckpt_spec *manager_watched(const struct manager *manager, const char *name)
{
    struct watch *w = manager_find_active(manager, name);

    return w ? &w->spec : NULL;
}

bool manager_is_dumping(const struct manager *manager, const char *name)
{
    for (const struct run *run = manager->runs; run; run = run->next)
        if (strcmp(job_name(run->job), name) == 0)
            return true;
    return false;
}

/* ---- the timer and the queue ---- */

/* The queue is worked off from the loop, never from within a call of the engine. */
void manager_wake_queue(struct manager *manager)
{
    (void)sd_event_source_set_enabled(manager->queue, SD_EVENT_ONESHOT);
}

static bool is_waiting(const struct manager *manager, const struct watch *w)
{
    return w->active && !w->queued && !manager_is_dumping(manager, w->spec.name);
}

/* One timer, at the earliest of all; none when nothing is due. */
void manager_arm_timer(struct manager *manager)
{
    uint64_t due = SCHEDULE_NEVER;

    if (manager_criu(manager)->usable && !manager->stopping)
        for (const struct watch *w = manager->watches; w; w = w->next)
            if (is_waiting(manager, w) && w->schedule.due < due)
                due = w->schedule.due;
    (void)sd_event_source_set_time(manager->timer, due);
    (void)sd_event_source_set_enabled(manager->timer,
                                      due == SCHEDULE_NEVER ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

static void enqueue(struct manager *manager, struct watch *w)
{
    if (!w->queued)
        w->queued = ++manager->last_place;
    manager_wake_queue(manager);
}

static int on_due(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct manager *manager = userdata;
    uint64_t now = now_boottime_usec();

    for (struct watch *w = manager->watches; w; w = w->next)
        if (is_waiting(manager, w) && w->schedule.due <= now)
            enqueue(manager, w);
    manager_arm_timer(manager);
    return 0;
}

static struct watch *first_in_queue(const struct manager *manager)
{
    struct watch *first = NULL;

    for (struct watch *w = manager->watches; w; w = w->next)
        if (w->queued && (!first || w->queued < first->queued))
            first = w;
    return first;
}

/* Takes it out of the queue and returns the ticket it had. */
uint64_t watch_dequeue(struct watch *w)
{
    w->queued = 0;
    return TAKE(w->ticket, 0);
}

void manager_tell(struct manager *manager, const struct outcome *outcome)
{
    manager->events.ended(outcome, manager->events.userdata);
}

static void drop_queued(struct manager *manager, struct watch *w, const char *why)
{
    struct reason reason = {};
    uint64_t ticket;

    if (!w->queued)
        return;
    ticket = watch_dequeue(w);
    if (!ticket)
        return;
    reason_set(&reason, "", "%s", why);
    manager_tell(manager,
                 &(struct outcome){
                     .name = w->spec.name, .ticket = ticket, .reason = &reason, .dropped = true});
    reason_done(&reason);
}

static int on_queue(sd_event_source *source, void *userdata)
{
    struct manager *manager = userdata;
    struct watch *w;

    if (!manager_criu(manager)->known)
        return 0;
    while (!manager->runs && (w = first_in_queue(manager)))
        manager_start_dump(manager, w);
    manager_arm_timer(manager);
    return 0;
}

/* ---- what the engine asks for ---- */

static void watch_free(struct watch *w)
{
    ckpt_spec_done(&w->spec);
    free(w);
}

static bool is_same_process(const struct ckpt_spec *a, const struct ckpt_spec *b)
{
    return a->pid == b->pid && a->start_time == b->start_time;
}

/* Freeze time of the newest checkpoint if it is of this very process, that is not older than it. */
static uint64_t last_freeze(const struct manager *manager, const struct ckpt_spec *spec)
{
    const struct checkpoint *newest = store_newest(manager->store, spec->name);
    uint64_t started = spec->start_time * (USEC_PER_SEC / (uint64_t)sysconf(_SC_CLK_TCK));

    return newest && newest->time_boot > started ? newest->time_boot : 0;
}

/* An engine learns once per watch that there will be no checkpoints at all. */
static void tell_unusable(struct manager *manager, const struct watch *w)
{
    const struct criu_facts *criu = manager_criu(manager);

    if (criu->known && !criu->usable)
        manager_tell(manager, &(struct outcome){.name = w->spec.name, .reason = &criu->reason});
}

int manager_watch(struct manager *manager, struct ckpt_spec *spec)
{
    struct watch *w = find_watch(manager, spec->name);
    uint64_t now = now_boottime_usec();

    if (w && is_same_process(&w->spec, spec)) {
        schedule_change_interval(&w->schedule, spec->interval_usec, now);
    } else {
        if (w)
            drop_queued(manager, w, "the service was started again meanwhile");
        else if (!(w = calloc(1, sizeof(*w))))
            return -ENOMEM;
        else {
            w->next = manager->watches;
            manager->watches = w;
        }
        schedule_start(&w->schedule, spec->interval_usec, now, last_freeze(manager, spec));
    }
    ckpt_spec_done(&w->spec);
    w->spec = TAKE(*spec, (struct ckpt_spec){});
    w->active = true;
    /* An earlier ckptd may have died after a commit, before it removed what was too much. */
    if (!manager_is_dumping(manager, w->spec.name))
        manager_prune(manager, w->spec.name, &w->spec.retention);
    tell_unusable(manager, w);
    manager_arm_timer(manager);
    upkeep_wake(manager->upkeep);
    return 0;
}

int manager_unwatch(struct manager *manager, const char *name)
{
    for (struct watch **p = &manager->watches; *p; p = &(*p)->next) {
        struct watch *w = *p;

        if (strcmp(w->spec.name, name) != 0)
            continue;
        *p = w->next;
        drop_queued(manager, w, "the service is no longer running");
        watch_free(w);
        manager_arm_timer(manager);
        break;
    }
    return manager_is_dumping(manager, name) ? MANAGER_BUSY : 0;
}

void manager_forget_engine(struct manager *manager)
{
    for (struct watch *w = manager->watches; w; w = w->next) {
        (void)watch_dequeue(w);
        w->active = false;
    }
    manager_arm_timer(manager);
}

void manager_stop(struct manager *manager)
{
    manager->stopping = true;
    for (struct watch *w = manager->watches; w; w = w->next)
        drop_queued(manager, w, "supervisord is stopping");
    manager_arm_timer(manager);
}

int manager_checkpoint(struct manager *manager, const char *name, uint64_t *ret_ticket)
{
    struct watch *w = manager_find_active(manager, name);

    if (!w)
        return -ESRCH;
    if (manager->stopping)
        return -ESHUTDOWN;
    if (!w->ticket)
        w->ticket = ++manager->last_ticket;
    enqueue(manager, w);
    *ret_ticket = w->ticket;
    return 0;
}

/* ---- start and end ---- */

void manager_on_criu_known(void *userdata)
{
    struct manager *manager = userdata;

    for (const struct watch *w = manager->watches; w; w = w->next)
        if (w->active)
            tell_unusable(manager, w);
    manager->events.criu_known(manager->events.userdata);
    manager_arm_timer(manager);
    manager_wake_queue(manager);
    upkeep_wake(manager->upkeep);
}

static int open_all(struct manager *manager, const struct manager_options *options)
{
    int r;

    manager->archiver = find_program("ckpt-archive");
    manager->worker = find_program("ckpt-worker");
    if (!manager->worker || !manager->archiver)
        return -ENOMEM;
    if ((r = host_read(&manager->host)) < 0 ||
        (r = store_open(options->state_dir, NULL, &manager->store)) < 0 ||
        (r = sd_event_add_time(manager->event, &manager->timer, CLOCK_BOOTTIME, SCHEDULE_NEVER,
                               TIMER_ACCURACY_USEC, on_due, manager)) < 0 ||
        (r = sd_event_add_defer(manager->event, &manager->queue, on_queue, manager)) < 0 ||
        (r = upkeep_new(manager, manager->event, &manager->upkeep)) < 0)
        return r;
    return manager_look_after_leftovers(manager);
}

int manager_new(sd_event *event, const struct manager_options *options,
                const struct manager_events *events, struct manager **ret)
{
    _cleanup_(manager_freep) struct manager *manager = calloc(1, sizeof(*manager));
    int r;

    if (!manager)
        return -ENOMEM;
    manager->event = event;
    manager->events = *events;
    manager->stall_usec = options->stall_usec;
    manager->state_dir = strdup(options->state_dir);
    if (!manager->state_dir)
        return -ENOMEM;
    r = open_all(manager, options);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(manager);
    return 0;
}

struct manager *manager_free(struct manager *manager)
{
    if (!manager)
        return NULL;
    for (struct run *run = manager->runs, *next; run; run = next) {
        next = run->next;
        run_free(run);
    }
    for (struct watch *w = manager->watches, *next; w; w = next) {
        next = w->next;
        watch_free(w);
    }
    sd_event_source_disable_unref(manager->timer);
    sd_event_source_disable_unref(manager->queue);
    upkeep_free(manager->upkeep);
    probe_free(manager->probe);
    store_free(manager->store);
    host_done(&manager->host);
    free(manager->worker);
    free(manager->archiver);
    free(manager->criu);
    free(manager->state_dir);
    free(manager->key_file);
    free(manager);
    return NULL;
}
