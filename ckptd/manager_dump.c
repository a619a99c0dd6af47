/* manager_dump.c - one dump: its beginning, its end, and what a killed one leaves. */
#include "ckptd/manager_state.h"

#include "ckptd/retention.h"
#include "ckptd/space.h"
#include "ckptd/staging.h"
#include "ckptd/worker_run.h"
#include "common/cleanup.h"
#include "common/fs.h"
#include "common/proc.h"
#include "common/session.h"
#include "image/layout.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/wait.h>

/* ---- the end of a dump ---- */

void run_free(struct run *run)
{
    job_free(run->job);
    free(run);
}

static struct run *take_run(struct manager *manager, const struct job *job)
{
    for (struct run **p = &manager->runs; *p; p = &(*p)->next)
        if ((*p)->job == job) {
            struct run *run = *p;

            *p = run->next;
            return run;
        }
    return NULL;
}

static void failed(struct manager *manager, const char *name, uint64_t ticket,
                   const struct reason *reason)
{
    struct watch *w = manager_find_active(manager, name);

    if (w)
        schedule_failed(&w->schedule, now_boottime_usec(), reason_why(reason));
    manager_tell(manager, &(struct outcome){.name = name, .ticket = ticket, .reason = reason});
}

static void committed(struct manager *manager, const struct run *run, const char *name,
                      const struct checkpoint *checkpoint)
{
    struct watch *w = manager_find_active(manager, name);

    if (w)
        schedule_succeeded(&w->schedule, job_began(run->job), now_boottime_usec());
    manager_tell(manager,
                 &(struct outcome){.name = name, .ticket = run->ticket, .checkpoint = checkpoint});
}

void manager_prune(struct manager *manager, const char *name, const struct retention_rules *rules)
{
    struct space_limits limits = manager_space_limits(manager, rules);
    struct reason reason = {};
    int r;

    r = store_prune(manager->store, name, rules, now_realtime_usec());
    if (r >= 0)
        r = space_make_room(manager->store, name, &limits, (struct space_need){}, &reason);
    if (r < 0)
        log_warning("%s: cannot remove old checkpoints: %s", name, strerror(-r));
    reason_done(&reason);
}

/* An adopted dump has its limits from its watch; without one yet, the watch prunes when it comes.
 */
static void prune_after(struct manager *manager, const struct run *run, const char *name)
{
    const struct ckpt_spec *spec = manager_watched(manager, name);

    if (spec)
        manager_prune(manager, name, &spec->retention);
    else if (!run->adopted)
        manager_prune(manager, name, &run->rules);
}

/* Says in the failure whether the service runs again after its criu was killed. */
static void thaw(struct manager *manager, const char *name, struct reason *reason)
{
    const struct ckpt_spec *spec = manager_watched(manager, name);
    _cleanup_free_ char *why = NULL, *cure = NULL;
    int asleep;

    if (!spec)
        return;
    asleep = service_thaw(spec->cgroup, spec->pid);
    why = strdup(reason_why(reason));
    cure = strdup(reason_cure(reason));
    if (!why || !cure)
        return;
    if (asleep == 0)
        reason_set(reason, cure, "%s; the service runs on", why);
    else
        reason_set(reason, "restart the service", "%s; %d of its tasks do not run again", why,
                   asleep);
}

/* A worker that was killed may have left its criu's network lock (an nft table) with its log. */
static void unlock_network(struct manager *manager, const char *folder)
{
    const char *argv[] = {manager->worker, "unlock", "--dir", folder, NULL};
    _cleanup_free_ char *log = fs_join(folder, LAYOUT_DUMP_LOG);
    _cleanup_close_ int report_fd = -1;
    pid_t pid;

    if (!log || access(log, F_OK) < 0)
        return;
    if (worker_spawn(argv, -1, WORKER_REPORT_FD, &pid, &report_fd) < 0)
        return;
    /* A few milliseconds, after a kill only; the folder must stay until it has ended. */
    (void)waitpid(pid, NULL, 0);
}

static int remove_half_made(const char *name, enum folder_kind kind, uint64_t number, bool held,
                            void *userdata)
{
    struct manager *manager = userdata;
    _cleanup_free_ char *path = NULL;
    int r;

    if (held)
        return 0;
    path = staging_path(store_path(manager->store), name, number);
    if (!path)
        return -ENOMEM;
    if (kind == FOLDER_STAGING)
        unlock_network(manager, path);
    r = store_sweep(manager->store, name, kind, number);
    if (r < 0)
        log_warning("%s: cannot remove what is left of work on its checkpoint %" PRIu64 ": %s",
                    name, number, strerror(-r));
    return 0;
}

static void ended_badly(struct manager *manager, const struct run *run, const char *name)
{
    const struct reason *said = job_reason(run->job);
    struct reason reason = {};
    int r;

    reason_set(&reason, reason_cure(said), "%s", reason_why(said));
    if (job_was_killed(run->job))
        thaw(manager, name, &reason);
    r = staging_each(store_fd(manager->store), name, remove_half_made, manager);
    if (r < 0)
        log_warning("%s: cannot look for half-made checkpoints: %s", name, strerror(-r));
    failed(manager, name, run->ticket, &reason);
    reason_done(&reason);
}

/* The store decides, not the worker's exit status: it may have been killed after the commit. */
static void on_job_done(struct job *job, void *userdata)
{
    struct manager *manager = userdata;
    struct run *run = take_run(manager, job);
    const char *name = job_name(job);
    const struct checkpoint *checkpoint;
    int r;

    r = store_reload(manager->store, name);
    if (r < 0)
        log_error("%s: cannot read its checkpoints: %s", name, strerror(-r));
    checkpoint = store_find(manager->store, name, job_number(job));
    if (checkpoint && checkpoint->imported) {
        log_info("%s: an import that an earlier ckptd had begun is done", name);
        manager_tell(manager, &(struct outcome){.name = name, .dropped = true});
    } else if (checkpoint && checkpoint->state == CHECKPOINT_WHOLE) {
        committed(manager, run, name, checkpoint);
        prune_after(manager, run, name);
    } else {
        ended_badly(manager, run, name);
    }
    run_free(run);
    manager_arm_timer(manager);
    manager_wake_queue(manager);
    upkeep_wake(manager->upkeep);
}

/* ---- the beginning of a dump ---- */

static struct job_context job_context(struct manager *manager)
{
    return (struct job_context){
        .event = manager->event,
        .store = manager->store,
        .stall_usec = manager->stall_usec,
        .done = on_job_done,
        .userdata = manager,
    };
}

static int run_new(struct manager *manager, struct run **ret)
{
    *ret = calloc(1, sizeof(**ret));
    return *ret ? 0 : -ENOMEM;
}

static void add_run(struct manager *manager, struct run *run)
{
    run->next = manager->runs;
    manager->runs = run;
}

/* Settles Staging=: auto now means "in memory, and on the disk when that is full", disk no memory
 * at all. `need` is what the dump may take. */
static void choose_staging(struct ckpt_spec *spec, uint64_t need)
{
    uint64_t total = 0, available = 0;

    (void)proc_memory(&total, &available);
    if (!spec->staging_max)
        spec->staging_max = total / 4;
    if (spec->staging == STAGING_AUTO && (need > spec->staging_max || need > available / 2))
        spec->staging = STAGING_DISK;
}

/* 0: the image will be full. */
static uint64_t choose_parent(const struct manager *manager, const struct watch *w)
{
    size_t count;
    const struct checkpoint *list = store_list(manager->store, w->spec.name, &count), *c;
    uint64_t number = retention_parent(list, count, w->spec.max_chain);

    /* What builds on something compressed has to be unpacked for every restore. */
    for (uint64_t n = w->spec.encrypt ? 0 : number; n; n = c->parent) {
        c = store_find(manager->store, w->spec.name, n);
        if (!c || c->packed)
            return 0;
    }
    return number;
}

/* 0: it runs. > 0 or < 0: it does not, and `reason` says why. */
static int begin_dump(struct manager *manager, struct watch *w, uint64_t ticket,
                      struct reason *reason)
{
    const struct criu_facts *criu = manager_criu(manager);
    struct space_limits limits = manager_space_limits(manager, &w->spec.retention);
    struct job_context context = job_context(manager);
    uint64_t number, parent;
    struct space_need need;
    _cleanup_free_ struct run *run = NULL;
    _cleanup_close_ int pidfd = -1;
    struct ckpt_spec spec;
    int r;

    pidfd = proc_open(&(struct proc_id){.pid = w->spec.pid, .start_time = w->spec.start_time});
    if (pidfd < 0) {
        reason_set(reason, "", "process %d of %s is gone", (int)w->spec.pid, w->spec.name);
        return pidfd;
    }
    parent = choose_parent(manager, w);
    need = space_need_of(manager->store, &w->spec, parent != 0);
    r = space_make_room(manager->store, w->spec.name, &limits, need, reason);
    if (r != 0)
        return r;
    r = store_begin(manager->store, w->spec.name, &number);
    if (r < 0 || (r = run_new(manager, &run)) < 0)
        return r;
    spec = w->spec; /* borrows its strings */
    /* Keeping connections means locking the network while the service is frozen, and a criu that is
     * killed then breaks them for good: only where somebody asked for this very dump. */
    spec.tcp_established = spec.tcp_established && ticket;
    choose_staging(&spec, need.free);
    const struct job_dump dump = {
        .worker = manager->worker,
        .criu = criu->path,
        .key_file = manager->key_file,
        .spec = &spec,
        .number = number,
        .parent = parent,
    };
    r = job_start(&context, &dump, &run->job);
    if (r < 0)
        return r;
    run->ticket = ticket;
    run->rules = w->spec.retention;
    add_run(manager, TAKE_PTR(run));
    return 0;
}

void manager_start_dump(struct manager *manager, struct watch *w)
{
    const struct criu_facts *criu = manager_criu(manager);
    uint64_t ticket = watch_dequeue(w);
    struct reason reason = {};
    int r = 0;

    if (!criu->usable)
        reason_set(&reason, reason_cure(&criu->reason), "%s", reason_why(&criu->reason));
    else if ((r = begin_dump(manager, w, ticket, &reason)) == 0)
        return;
    if (!reason.why)
        reason_set(&reason, "look at the state folder and at the daemon's log",
                   "cannot begin a dump: %s", strerror(-r));
    failed(manager, w->spec.name, ticket, &reason);
    reason_done(&reason);
}

/* ---- leftovers ---- */

/* A dump in progress goes on; what nobody works on any more is garbage. */
static int adopt_or_remove(const char *name, enum folder_kind kind, uint64_t number, bool held,
                           void *userdata)
{
    struct manager *manager = userdata;
    struct job_context context = job_context(manager);
    _cleanup_free_ struct run *run = NULL;
    int r;

    if (!held)
        return remove_half_made(name, kind, number, held, userdata);
    if (kind != FOLDER_STAGING)
        return 0;
    r = run_new(manager, &run);
    if (r < 0 || (r = job_adopt(&context, name, number, &run->job)) < 0)
        return r;
    log_info("%s: a dump that an earlier ckptd started still runs", name);
    run->adopted = true;
    add_run(manager, TAKE_PTR(run));
    return 0;
}

int manager_look_after_leftovers(struct manager *manager)
{
    for (size_t i = 0; store_service(manager->store, i); i++) {
        int r = staging_each(store_fd(manager->store), store_service(manager->store, i),
                             adopt_or_remove, manager);

        if (r >= 0)
            r = store_sweep_files(manager->store, store_service(manager->store, i));
        if (r < 0)
            return r;
    }
    return 0;
}
