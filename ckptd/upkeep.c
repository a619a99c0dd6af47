/* upkeep.c - background work on the store: what comes next, and one worker that does it. */
#include "ckptd/manager_state.h"

#include "ckptd/json.h"
#include "ckptd/retention.h"
#include "ckptd/task.h"
#include "common/cleanup.h"
#include "common/proc.h"
#include "common/strv.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define PAUSE_USEC    (30 * USEC_PER_SEC) /* after a failure */
#define ACCURACY_USEC (USEC_PER_SEC)
#define NICE_DEFAULT  19

enum work { WORK_NONE, WORK_REBASE, WORK_DRILL, WORK_PACK, WORK_SCRUB };

struct job_of_upkeep {
    enum work work;
    const char *name;
    const struct ckpt_spec *spec; /* NULL: nobody watches the service */
    uint64_t number, parent;
    bool packed;
};

struct upkeep {
    struct manager *manager;
    sd_event *event;
    sd_event_source *wake, *timer;
    struct task *task;
    enum work work;
    char *name; /* of the service it works on */
    uint64_t number;
    uint64_t not_before; /* after a failure; usec, CLOCK_BOOTTIME */
    size_t turn;         /* service that is looked at first: each gets its turn */
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
    return true;
}

static bool find_scrub(const struct manager *manager, const struct checkpoint *list, size_t count,
                       struct job_of_upkeep *ret)
{
    uint64_t now = now_realtime_usec();

    if (!manager->scrub_usec)
        return false;
    for (size_t i = 0; i < count; i++)
        if (list[i].state != CHECKPOINT_CORRUPT &&
            list[i].checked_realtime + manager->scrub_usec <= now) {
            ret->work = WORK_SCRUB;
            ret->number = list[i].number;
            return true;
        }
    return false;
}

static bool find_work_of(const struct manager *manager, const char *name, struct job_of_upkeep *ret)
{
    const struct ckpt_spec *spec = manager_watched(manager, name);
    size_t count;
    const struct checkpoint *list = store_list(manager->store, name, &count);

    *ret = (struct job_of_upkeep){.name = name, .spec = spec};
    if (count == 0)
        return false;
    return (spec && (find_rebase(list, count, spec, ret) ||
                     (manager_criu(manager)->usable && find_drill(list, count, spec, ret)) ||
                     find_pack(list, count, spec, ret))) ||
           find_scrub(manager, list, count, ret);
}

static bool find_work(struct upkeep *u, struct job_of_upkeep *ret)
{
    const struct store *store = u->manager->store;
    size_t services = 0;

    while (store_service(store, services))
        services++;
    for (size_t i = 0; i < services; i++) {
        size_t at = (u->turn + i) % services;

        if (find_work_of(u->manager, store_service(store, at), ret)) {
            u->turn = at + 1;
            return true;
        }
    }
    return false;
}

/* ---- its worker ---- */

static int add(char ***argv, const char *option, const char *value)
{
    int r = strv_extend(argv, option);

    return r < 0 || !value ? r : strv_extend(argv, value);
}

static int add_number(char ***argv, const char *option, uint64_t number)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRIu64, number);
    return add(argv, option, text);
}

static int make_argv(const struct manager *manager, const struct job_of_upkeep *job, char ***ret)
{
    static const char *const modes[] = {[WORK_REBASE] = "rebase",
                                        [WORK_DRILL] = "drill",
                                        [WORK_PACK] = "rebase",
                                        [WORK_SCRUB] = "verify"};
    bool rewrites = job->work == WORK_REBASE || job->work == WORK_PACK;
    _cleanup_strv_ char **argv = NULL;
    int r;

    if ((r = add(&argv, manager->worker, modes[job->work])) < 0 ||
        (r = add(&argv, "--store", store_path(manager->store))) < 0 ||
        (r = add(&argv, "--keys", manager->key_file)) < 0 ||
        (r = add(&argv, "--name", job->name)) < 0 ||
        (r = add_number(&argv, "--number", job->number)) < 0 ||
        (r = add_number(&argv, "--nice",
                        job->spec ? (uint64_t)job->spec->drill_nice : NICE_DEFAULT)) < 0)
        return r;
    if (job->work == WORK_DRILL && (r = add(&argv, "--criu", manager_criu(manager)->path)) < 0)
        return r;
    if (rewrites && job->parent && (r = add_number(&argv, "--parent", job->parent)) < 0)
        return r;
    if (rewrites && job->packed && job->spec->compress &&
        (r = add_number(&argv, "--zstd", job->spec->compress)) < 0)
        return r;
    if (rewrites && job->spec->encrypt && (r = add(&argv, "--encrypt", NULL)) < 0)
        return r;
    *ret = TAKE_PTR(argv);
    return 0;
}

static void learn(struct upkeep *u, const char *result)
{
    char id[CHECKPOINT_ID_SIZE];
    const struct ckpt_spec *spec = manager_watched(u->manager, u->name);

    if (u->work == WORK_SCRUB)
        manager_learn_verified(u->manager, result);
    else if (u->work == WORK_DRILL)
        manager_learn_drilled(u->manager, checkpoint_id_format(u->name, u->number, id), result);
    else if (store_reload(u->manager->store, u->name) < 0)
        log_error("%s: cannot read its checkpoints again", u->name);
    else if (spec)
        manager_prune(u->manager, u->name, &spec->retention);
}

static void on_done(struct task *task, const char *result, const struct reason *reason,
                    void *userdata)
{
    struct upkeep *u = userdata;

    if (result) {
        learn(u, result);
    } else {
        log_warning("%s@%" PRIu64 ": background work failed: %s", u->name, u->number,
                    reason_why(reason));
        u->not_before = now_boottime_usec() + PAUSE_USEC;
    }
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
        r = task_start(u->event, (const char *const *)argv, -1, &events, &u->task);
    if (r < 0)
        return r;
    u->work = job->work;
    u->number = job->number;
    u->name = TAKE_PTR(name);
    return 0;
}

/* ---- when ---- */

/* The next moment at which a scrub may be due, at the latest in an hour. */
static void sleep_until(struct upkeep *u, uint64_t usec)
{
    (void)sd_event_source_set_time(u->timer, usec);
    (void)sd_event_source_set_enabled(u->timer, SD_EVENT_ONESHOT);
}

static int on_wake(sd_event_source *source, void *userdata)
{
    struct upkeep *u = userdata;
    uint64_t now = now_boottime_usec();
    struct job_of_upkeep job;

    if (u->task || u->manager->stopping || !u->manager->key_file)
        return 0;
    if (now < u->not_before) {
        sleep_until(u, u->not_before);
        return 0;
    }
    if (!find_work(u, &job)) {
        if (u->manager->scrub_usec)
            sleep_until(u, now + 3600 * USEC_PER_SEC);
        return 0;
    }
    if (begin(u, &job) < 0)
        sleep_until(u, now + PAUSE_USEC);
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
    free(u);
    return NULL;
}
