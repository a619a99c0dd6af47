/* job.c - one dump worker and its no-progress watchdog. */
#include "ckptd/job.h"

#include "ckptd/staging.h"
#include "ckptd/worker_run.h"
#include "common/cleanup.h"
#include "common/dump_request.h"
#include "common/proc.h"
#include "common/session.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/wait.h>

#define LOOK_USEC    (5 * USEC_PER_SEC)   /* between two looks at its progress */
#define RECHECK_USEC (20 * USEC_PER_MSEC) /* while what it left behind ends */

struct job {
    struct job_context context;
    char *name;
    uint64_t number, began;
    pid_t pid;            /* of the worker, and its session; 0: adopted, not known yet */
    int pidfd, report_fd; /* report_fd: -1 when adopted */
    sd_event_source *exit_source, *timer;
    uint64_t progress, last_change; /* usec, CLOCK_MONOTONIC */
    bool ended;                     /* the worker itself is gone */
    bool stalled;
    int wstatus; /* of a worker of ours */
    struct reason reason;
};

static void job_freep(struct job **job)
{
    job_free(*job);
}

struct job *job_free(struct job *job)
{
    if (!job)
        return NULL;
    sd_event_source_disable_unref(job->exit_source);
    sd_event_source_disable_unref(job->timer);
    fd_close(job->pidfd);
    fd_close(job->report_fd);
    reason_done(&job->reason);
    free(job->name);
    free(job);
    return NULL;
}

const char *job_name(const struct job *job)
{
    return job->name;
}

uint64_t job_number(const struct job *job)
{
    return job->number;
}

uint64_t job_began(const struct job *job)
{
    return job->began;
}

const struct reason *job_reason(const struct job *job)
{
    return &job->reason;
}

bool job_was_killed(const struct job *job)
{
    return job->stalled || job->report_fd < 0 || WIFSIGNALED(job->wstatus);
}

/* ---- the end ---- */

static void explain_end(struct job *job)
{
    if (job->stalled)
        reason_set(&job->reason, "look for a full or slow disk and for tasks in state D",
                   "the dump made no progress for %llu s and was killed",
                   (unsigned long long)(job->context.stall_usec / USEC_PER_SEC));
    else if (job->report_fd < 0)
        reason_set(&job->reason, "the next dump is a new try",
                   "a dump that an earlier ckptd had started did not finish");
    else if (worker_read_report(job->report_fd, &job->reason))
        return;
    else if (WIFSIGNALED(job->wstatus))
        reason_set(&job->reason, "the next dump is a new try",
                   "the dump worker was killed by signal %d", WTERMSIG(job->wstatus));
    else
        reason_set(&job->reason, "look at the daemon's log",
                   "the dump worker ended with status %d and gave no reason",
                   WEXITSTATUS(job->wstatus));
}

static int finish(struct job *job)
{
    explain_end(job);
    job->context.done(job, job->context.userdata);
    return 0;
}

static uint64_t now_monotonic(const struct job *job)
{
    uint64_t now = 0;

    (void)sd_event_now(job->context.event, CLOCK_MONOTONIC, &now);
    return now;
}

/* Re-arms the one timer; no job, no timer. */
static int look_again(struct job *job, uint64_t delay)
{
    int r = sd_event_source_set_time(job->timer, now_monotonic(job) + delay);

    return r < 0 ? r : sd_event_source_set_enabled(job->timer, SD_EVENT_ONESHOT);
}

/* The worker is gone; its criu may still be at work, and the staging folder with it. */
static int after_worker(struct job *job)
{
    bool clean = job->report_fd >= 0 && job->wstatus == 0;

    if (clean || session_count(job->pid, NULL) <= 0)
        return finish(job);
    return look_again(job, RECHECK_USEC);
}

static int on_exit_of_worker(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    struct job *job = userdata;

    job->ended = true;
    job->exit_source = sd_event_source_disable_unref(job->exit_source);
    if (job->report_fd >= 0)
        (void)waitpid(job->pid, &job->wstatus, 0);
    return after_worker(job);
}

/* ---- the watchdog ---- */

static uint64_t look_interval(const struct job *job)
{
    uint64_t quarter = job->context.stall_usec / 4;

    return quarter < LOOK_USEC ? quarter : LOOK_USEC;
}

static void note_progress(struct job *job)
{
    uint64_t progress = 0;

    (void)session_count(job->pid, &progress);
    progress += staging_bytes(store_fd(job->context.store), job->name, job->number);
    if (progress != job->progress)
        job->last_change = now_monotonic(job);
    job->progress = progress;
}

static int adopt_step(struct job *job);

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct job *job = userdata;

    if (job->pid == 0)
        return adopt_step(job);
    note_progress(job);
    if (!job->stalled && now_monotonic(job) - job->last_change >= job->context.stall_usec) {
        job->stalled = true;
        session_kill(job->pid);
    }
    if (job->ended)
        return after_worker(job);
    return look_again(job, look_interval(job));
}

/* ---- the beginning ---- */

static int job_new(const struct job_context *context, const char *name, uint64_t number,
                   struct job **ret)
{
    _cleanup_(job_freep) struct job *job = calloc(1, sizeof(*job));
    int r;

    if (!job)
        return -ENOMEM;
    job->context = *context;
    job->number = number;
    job->began = now_boottime_usec();
    job->pidfd = job->report_fd = -1;
    job->name = strdup(name);
    if (!job->name)
        return -ENOMEM;
    r = sd_event_add_time(context->event, &job->timer, CLOCK_MONOTONIC, USEC_INFINITY,
                          RECHECK_USEC / 2, on_timer, job);
    if (r < 0)
        return r;
    job->last_change = now_monotonic(job);
    *ret = TAKE_PTR(job);
    return 0;
}

/* From here on the worker's end is noticed and so is the lack of progress. */
static int watch_worker(struct job *job)
{
    int r = sd_event_add_io(job->context.event, &job->exit_source, job->pidfd, EPOLLIN,
                            on_exit_of_worker, job);

    return r < 0 ? r : look_again(job, look_interval(job));
}

int job_start(const struct job_context *context, const struct job_dump *dump, struct job **ret)
{
    _cleanup_(job_freep) struct job *job = NULL;
    _cleanup_close_ int request = -1;
    char number[24], parent[24];
    int r;

    r = job_new(context, dump->spec->name, dump->number, &job);
    if (r < 0 || (r = dump_request_pack(dump->spec, &request)) < 0)
        return r;
    snprintf(number, sizeof(number), "%" PRIu64, dump->number);
    snprintf(parent, sizeof(parent), "%" PRIu64, dump->parent);
    const char *argv[] = {
        dump->worker,  "dump",
        "--criu",      dump->criu,
        "--store",     store_path(context->store),
        "--keys",      dump->key_file,
        "--number",    number,
        "--parent",    parent,
        "--spec-fd",   WORKER_SPEC_FD_TEXT,
        "--report-fd", WORKER_REPORT_FD_TEXT,
        NULL,
    };
    r = worker_spawn(argv, request, WORKER_REPORT_FD, &job->pid, &job->report_fd);
    if (r < 0)
        return r;
    job->pidfd = proc_open(&(struct proc_id){.pid = job->pid});
    r = job->pidfd < 0 ? job->pidfd : watch_worker(job);
    if (r < 0) {
        session_kill(job->pid); /* it has not touched the service yet */
        (void)waitpid(job->pid, NULL, 0);
        return r;
    }
    *ret = TAKE_PTR(job);
    return 0;
}

/* Finds out who holds the staging folder. The worker writes its name a moment after it has taken
 * the lock; its criu inherits the lock, so that of a worker that is gone may still be held. */
static int adopt_step(struct job *job)
{
    struct proc_id worker;
    int r;

    r = staging_holder(store_fd(job->context.store), job->name, job->number, &worker);
    if (r == STAGING_FREE || r == -ENOENT)
        return finish(job);
    if (r < 0)
        return look_again(job, RECHECK_USEC);
    job->pid = worker.pid;
    job->pidfd = proc_open(&worker);
    if (job->pidfd >= 0)
        return watch_worker(job);
    job->ended = true;
    return after_worker(job);
}

int job_adopt(const struct job_context *context, const char *name, uint64_t number,
              struct job **ret)
{
    _cleanup_(job_freep) struct job *job = NULL;
    int r;

    r = job_new(context, name, number, &job);
    if (r < 0 || (r = look_again(job, 0)) < 0)
        return r;
    *ret = TAKE_PTR(job);
    return 0;
}
