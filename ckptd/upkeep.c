/* upkeep.c - background work on the store: what comes next, and one worker that does it. */
#include "ckptd/manager_state.h"

#include "ckptd/command.h"
#include "ckptd/retention.h"
#include "ckptd/task.h"
#include "common/cleanup.h"
#include "common/proc.h"
#include "common/strv.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define PAUSE_USEC      (30 * USEC_PER_SEC) /* after a failure; twice as long after the next */
#define PAUSE_DOUBLES   7                   /* at most so often: about an hour */
#define ACCURACY_USEC   (USEC_PER_SEC)
#define SCRUB_LOOK_USEC (3600 * USEC_PER_SEC)
#define NICE_DEFAULT    19

enum work { WORK_REBASE, WORK_DRILL, WORK_PACK, WORK_SCRUB, WORK_KINDS };

struct job_of_upkeep {
    enum work work;
    const char *name;
    const struct ckpt_spec *spec; /* NULL: nobody watches the service */
    uint64_t number, parent;
    bool packed;
    uint64_t need; /* bytes on the disk beside what is there, about */
};

struct upkeep {
    struct manager *manager;
    sd_event *event;
    sd_event_source *wake, *timer;
    struct task *task;
    enum work work;
    char *name; /* of the service it works on */
    uint64_t number;
    /* A kind of work that fails waits, and the others do not wait for it. */
    struct {
        unsigned failures;
        uint64_t until; /* usec, CLOCK_BOOTTIME */
    } pauses[WORK_KINDS];
    char *doubted; /* service of the checkpoint to be hashed next; NULL none */
    uint64_t doubted_number;
    size_t turn; /* service that is looked at first: each gets its turn */
};

/* ---- what comes next ---- */

static bool find_rebase(const struct checkpoint *list, size_t count, const struct ckpt_spec *spec,
                        struct job_of_upkeep *ret)
{
    _cleanup_free_ bool *wanted = calloc(count, sizeof(*wanted));
    /* Begun before the chain is full, so that the next dump need not be a full one. */
    uint32_t limit = spec->max_chain - spec->max_chain / 4;
    struct retention_rebase next;
    size_t i;

    if (!wanted)
        return false;
    retention_wanted(list, count, &spec->retention, now_realtime_usec(), wanted);
    i = retention_rebase(list, count, wanted, limit, &next);
    if (i == RETENTION_NONE)
        return false;
    ret->work = WORK_REBASE;
    ret->number = next.number;
    ret->parent = next.parent;
    ret->packed = list[i].packed;
    ret->need = next.parent ? list[i].bytes : list[i].pages * (uint64_t)sysconf(_SC_PAGESIZE);
    return true;
}

/* Every n-th is due when n numbers have gone by since the last one that a drill has looked at. */
static bool find_drill(const struct checkpoint *list, size_t count, const struct ckpt_spec *spec,
                       struct job_of_upkeep *ret)
{
    const struct checkpoint *newest = NULL;
    uint64_t last = 0;

    for (size_t i = 0; i < count; i++) {
        if (list[i].state == CHECKPOINT_WHOLE)
            newest = &list[i];
        if (list[i].proven || list[i].unprovable)
            last = list[i].number;
    }
    if (!spec->drill_every || !newest || newest->number < last + spec->drill_every)
        return false;
    ret->work = WORK_DRILL;
    ret->number = newest->number;
    return true;
}

static bool find_pack(const struct checkpoint *list, size_t count, const struct ckpt_spec *spec,
                      struct job_of_upkeep *ret)
{
    size_t i = spec->compress ? retention_pack(list, count) : RETENTION_NONE;

    if (i == RETENTION_NONE)
        return false;
    ret->work = WORK_PACK;
    ret->number = list[i].number;
    ret->parent = list[i].parent;
    ret->packed = true;
    ret->need = list[i].bytes;
    return true;
}

static bool find_scrub(const struct manager *manager, const struct checkpoint *list, size_t count,
                       struct job_of_upkeep *ret)
{
    uint64_t now = now_realtime_usec();

    if (!manager->scrub_usec)
        return false;
    /* A time that is still to come is of a clock that was ahead. */
    for (size_t i = 0; i < count; i++)
        if (list[i].state != CHECKPOINT_CORRUPT &&
            (list[i].checked_realtime > now ||
             list[i].checked_realtime + manager->scrub_usec <= now)) {
            ret->work = WORK_SCRUB;
            ret->number = list[i].number;
            return true;
        }
    return false;
}

static bool is_time_for(const struct upkeep *u, enum work work)
{
    return now_boottime_usec() >= u->pauses[work].until;
}

/* What saves space later must not take the last of it now. */
static bool has_room(const struct upkeep *u, const struct job_of_upkeep *job)
{
    uint64_t room;

    return manager_room(u->manager, &room) == 0 && room >= job->need;
}

static bool find_work_of(const struct upkeep *u, const char *name, struct job_of_upkeep *ret)
{
    const struct manager *manager = u->manager;
    const struct ckpt_spec *spec = manager_watched(manager, name);
    size_t count;
    const struct checkpoint *list = store_list(manager->store, name, &count);

    *ret = (struct job_of_upkeep){.name = name, .spec = spec};
    if (count == 0)
        return false;
    if (spec && is_time_for(u, WORK_REBASE) && find_rebase(list, count, spec, ret) &&
        has_room(u, ret))
        return true;
    if (spec && is_time_for(u, WORK_DRILL) && manager_criu(manager)->usable &&
        find_drill(list, count, spec, ret))
        return true;
    if (spec && is_time_for(u, WORK_PACK) && find_pack(list, count, spec, ret) && has_room(u, ret))
        return true;
    return is_time_for(u, WORK_SCRUB) && find_scrub(manager, list, count, ret);
}

static bool find_doubted(const struct upkeep *u, struct job_of_upkeep *ret)
{
    if (!u->doubted)
        return false;
    *ret = (struct job_of_upkeep){
        .work = WORK_SCRUB,
        .name = u->doubted,
        .spec = manager_watched(u->manager, u->doubted),
        .number = u->doubted_number,
    };
    return true;
}

static bool find_work(struct upkeep *u, struct job_of_upkeep *ret)
{
    const struct store *store = u->manager->store;
    size_t services = 0;

    while (store_service(store, services))
        services++;
    for (size_t i = 0; i < services; i++) {
        size_t at = (u->turn + i) % services;

        if (find_work_of(u, store_service(store, at), ret)) {
            u->turn = at + 1;
            return true;
        }
    }
    return false;
}

/* ---- its worker ---- */

static int make_argv(const struct manager *manager, const struct job_of_upkeep *job, char ***ret)
{
    static const char *const modes[] = {[WORK_REBASE] = "rebase",
                                        [WORK_DRILL] = "drill",
                                        [WORK_PACK] = "rebase",
                                        [WORK_SCRUB] = "verify"};
    bool rewrites = job->work == WORK_REBASE || job->work == WORK_PACK;
    _cleanup_strv_ char **argv = NULL;
    int r;

    if ((r = command_begin(manager, modes[job->work], &argv)) < 0 ||
        (r = command_add_checkpoint(&argv, job->name, job->number)) < 0 ||
        (r = command_add_number(&argv, "--nice",
                                job->spec ? (uint64_t)job->spec->drill_nice : NICE_DEFAULT)) < 0)
        return r;
    if (job->work == WORK_DRILL &&
        (r = command_add(&argv, "--criu", manager_criu(manager)->path)) < 0)
        return r;
    if (rewrites && job->parent && (r = command_add_number(&argv, "--parent", job->parent)) < 0)
        return r;
    if (rewrites && job->packed && job->spec->compress &&
        (r = command_add_number(&argv, "--zstd", job->spec->compress)) < 0)
        return r;
    if (rewrites && job->spec->encrypt && (r = command_add(&argv, "--encrypt", NULL)) < 0)
        return r;
    *ret = TAKE_PTR(argv);
    return 0;
}

/* The store decides: a worker may have been killed after its exchange. */
static void learn_rewritten(struct upkeep *u)
{
    const struct ckpt_spec *spec = manager_watched(u->manager, u->name);

    if (store_reload(u->manager->store, u->name) < 0)
        log_error("%s: cannot read its checkpoints again", u->name);
    else if (spec)
        manager_prune(u->manager, u->name, &spec->retention);
}

static void learn(struct upkeep *u, const char *result)
{
    char id[CHECKPOINT_ID_SIZE];

    if (u->work == WORK_REBASE || u->work == WORK_PACK)
        learn_rewritten(u);
    else if (result && u->work == WORK_SCRUB)
        manager_learn_verified(u->manager, result);
    else if (result)
        manager_learn_drilled(u->manager, checkpoint_id_format(u->name, u->number, id), result);
}

/* What is still to be done would be done again at once, and again. */
static bool achieved_nothing(const struct upkeep *u)
{
    struct job_of_upkeep next;

    return find_work_of(u, u->name, &next) && next.work == u->work && next.number == u->number;
}

static void pause_after(struct upkeep *u, bool failed)
{
    unsigned *failures = &u->pauses[u->work].failures;

    u->pauses[u->work].until = failed ? now_boottime_usec() + (PAUSE_USEC << *failures) : 0;
    if (!failed)
        *failures = 0;
    else if (*failures < PAUSE_DOUBLES)
        ++*failures;
}

static void on_done(struct task *task, const char *result, const struct reason *reason,
                    void *userdata)
{
    struct upkeep *u = userdata;

    if (!result)
        log_warning("%s@%" PRIu64 ": background work failed: %s", u->name, u->number,
                    reason_why(reason));
    learn(u, result);
    /* It may have come upon damage, which must be known before anything builds on it. */
    if (!result && u->work != WORK_SCRUB)
        upkeep_doubt(u, u->name, u->number);
    pause_after(u, !result || achieved_nothing(u));
    free(TAKE_PTR(u->name));
    u->task = task_free(task);
    upkeep_wake(u);
}

static int begin(struct upkeep *u, const struct job_of_upkeep *job)
{
    const struct task_events events = {.done = on_done, .userdata = u};
    _cleanup_strv_ char **argv = NULL;
    _cleanup_free_ char *name = strdup(job->name);
    int r;

    if (!name)
        return -ENOMEM;
    r = make_argv(u->manager, job, &argv);
    if (r >= 0)
        r = task_start(u->event, (const char *const *)argv, -1, u->manager->stall_usec, &events,
                       &u->task);
    if (r < 0)
        return r;
    u->work = job->work;
    u->number = job->number;
    u->name = TAKE_PTR(name);
    return 0;
}

/* ---- when ---- */

static void sleep_until(struct upkeep *u, uint64_t usec)
{
    (void)sd_event_source_set_time(u->timer, usec);
    (void)sd_event_source_set_enabled(u->timer, SD_EVENT_ONESHOT);
}

/* The end of a pause; or a scrub may be due, which is looked for once an hour when it is rare. */
static uint64_t next_look(const struct upkeep *u, uint64_t now)
{
    uint64_t scrub = u->manager->scrub_usec, next = USEC_INFINITY;

    if (scrub)
        next = now + (scrub < SCRUB_LOOK_USEC ? scrub : SCRUB_LOOK_USEC);

    for (int i = 0; i < WORK_KINDS; i++)
        if (u->pauses[i].until > now && u->pauses[i].until < next)
            next = u->pauses[i].until;
    return next;
}

static int on_wake(sd_event_source *source, void *userdata)
{
    struct upkeep *u = userdata;
    uint64_t now = now_boottime_usec();
    struct job_of_upkeep job;

    if (u->task || u->manager->stopping || !u->manager->key_file)
        return 0;
    if (!find_doubted(u, &job) && !find_work(u, &job))
        sleep_until(u, next_look(u, now));
    else if (begin(u, &job) < 0)
        sleep_until(u, now + PAUSE_USEC);
    else
        free(TAKE_PTR(u->doubted));
    return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    upkeep_wake(userdata);
    return 0;
}

void upkeep_wake(struct upkeep *u)
{
    (void)sd_event_source_set_enabled(u->wake, SD_EVENT_ONESHOT);
}

void upkeep_doubt(struct upkeep *u, const char *name, uint64_t number)
{
    char *copy = strdup(name);

    if (!copy)
        return;
    free(u->doubted);
    u->doubted = copy;
    u->doubted_number = number;
    upkeep_wake(u);
}

int upkeep_new(struct manager *manager, sd_event *event, struct upkeep **ret)
{
    struct upkeep *u = calloc(1, sizeof(*u));
    int r;

    if (!u)
        return -ENOMEM;
    u->manager = manager;
    u->event = event;
    if ((r = sd_event_add_defer(event, &u->wake, on_wake, u)) < 0 ||
        (r = sd_event_add_time(event, &u->timer, CLOCK_BOOTTIME, 0, ACCURACY_USEC, on_timer, u)) <
            0 ||
        (r = sd_event_source_set_enabled(u->timer, SD_EVENT_OFF)) < 0) {
        upkeep_free(u);
        return r;
    }
    *ret = u;
    return 0;
}

struct upkeep *upkeep_free(struct upkeep *u)
{
    if (!u)
        return NULL;
    sd_event_source_disable_unref(u->wake);
    sd_event_source_disable_unref(u->timer);
    task_free(u->task);
    free(u->name);
    free(u->doubted);
    free(u);
    return NULL;
}
