/* drill.c - proves a checkpoint: restores it in a sandbox up to the first instruction of the
 * program, and removes all of that again. */
#include "common/cleanup.h"
#include "common/proc.h"
#include "image/checkpoint.h"
#include "image/delta.h"
#include "image/seal.h"
#include "worker/background.h"
#include "worker/json.h"
#include "worker/kdat.h"
#include "worker/open.h"
#include "worker/sandbox.h"
#include "worker/scratch.h"
#include "worker/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define LOG_NAME       "drill.log"
#define LOG_BYTES      (64ULL << 20)        /* more than the watchdog lets it have */
#define EXTRA_BYTES    (64ULL << 20)        /* for all that is not pages */
#define WALL_BASE_USEC (120 * USEC_PER_SEC) /* at the lowest priority of a busy machine */
#define WALL_BYTES     (5ULL << 20)         /* one more second for each */

struct drill {
    const struct worker_args *args;
    char id[CHECKPOINT_ID_SIZE];
    struct opened at;
    int images_fd; /* what criu reads: the checkpoint's folder, or it unpacked in memory */
    int log_fd;    /* a folder in memory for criu's log */
    struct survey survey;
    struct reason reason;
};

/* How a drill ends when it could be made. */
enum { DAMAGED = 100 /* beside enum sandbox_verdict */ };

static void drill_done(struct drill *d)
{
    reason_done(&d->reason);
    survey_done(&d->survey);
    fd_close(d->log_fd);
    fd_close(d->images_fd);
    opened_done(&d->at);
}

static int failed(struct drill *d, const char *what, int error)
{
    reason_set(&d->reason, "", "the drill of %s: %s: %s", d->id, what, strerror(-error));
    return error;
}

static const struct manifest *manifest(const struct drill *d)
{
    return d->at.chain.dirs[0].manifest;
}

static uint64_t image_bytes(const struct drill *d)
{
    uint64_t memory = manifest(d)->pages * (uint64_t)sysconf(_SC_PAGESIZE);

    return memory > manifest(d)->bytes ? memory : manifest(d)->bytes;
}

/* What is wrong with the image itself is a verdict; `reason` is set. */
static int damaged_or(int error)
{
    return error == -EBADMSG || error == -EKEYREJECTED ? DAMAGED : error;
}

static int open_image(struct drill *d)
{
    int r = opened_checkpoint(&d->at, d->args, d->args->name, d->args->number, &d->reason);

    for (size_t i = 0; i < d->at.chain.count && r == 0; i++)
        r = seal_check_all(d->at.chain.dirs[i].fd, d->at.chain.dirs[i].manifest, NULL, NULL,
                           &d->reason);
    return damaged_or(r);
}

/* Nobody may be pushed out of memory for a drill. */
static int check_memory(struct drill *d)
{
    uint64_t needed = image_bytes(d) * (chain_is_plain(&d->at.chain) ? 1 : 2) + EXTRA_BYTES;

    if (needed <= scratch_memory_available())
        return 0;
    reason_set(&d->reason, "it is tried again when there is more",
               "the drill of %s needs %llu MB of memory, and that is not to spare", d->id,
               (unsigned long long)(needed >> 20));
    return -ENOMEM;
}

static int unpack(struct drill *d)
{
    const struct delta_options options = {.keys = d->at.keys};
    struct delta_stats stats;
    int r;

    d->images_fd = scratch_memory(image_bytes(d) + EXTRA_BYTES);
    if (d->images_fd < 0)
        return failed(d, "memory to unpack it", d->images_fd);
    r = delta_make(d->at.chain.dirs, d->at.chain.count, NULL, 0, d->images_fd, &options, &stats);
    return r < 0 ? damaged_or(failed(d, "unpacking it", r)) : 0;
}

static int make_ready(struct drill *d)
{
    int r = check_memory(d);

    if (r < 0)
        return r;
    d->log_fd = scratch_memory(LOG_BYTES * 2);
    if (d->log_fd < 0)
        return failed(d, "memory for the log", d->log_fd);
    if (!chain_is_plain(&d->at.chain))
        return unpack(d);
    d->images_fd = fcntl(d->at.chain.dirs[0].fd, F_DUPFD_CLOEXEC, 3);
    return d->images_fd < 0 ? failed(d, "its folder", -errno) : 0;
}

static int survey(struct drill *d)
{
    int r = survey_make(d->images_fd, &d->survey);

    if (r < 0)
        return damaged_or(failed(d, "reading its files", r));
    if (!d->survey.unprovable.why)
        return 0;
    reason_set(&d->reason, reason_cure(&d->survey.unprovable), "%s",
               reason_why(&d->survey.unprovable));
    return SANDBOX_IMPOSSIBLE;
}

static int try_image(struct drill *d)
{
    const struct manifest *m = manifest(d);
    struct sandbox sandbox = {
        .survey = &d->survey,
        .run =
            {
                .binary = d->args->criu,
                .images_fd = d->images_fd,
                .work_fd = d->log_fd,
                .log_name = LOG_NAME,
                .log_level = 1,
                .file_locks = m->file_locks,
                .wall_usec = WALL_BASE_USEC + image_bytes(d) / WALL_BYTES * USEC_PER_SEC,
            },
        .bytes = image_bytes(d) + EXTRA_BYTES,
    };
    bool cached;
    int version;

    for (int i = 0; i < STREAM_COUNT; i++)
        sandbox.run.pipes[i].inode = m->pipe_inode[i];
    kdat_prepare(d->args->criu, &version, &cached);
    return sandbox_try(&sandbox, &d->reason);
}

static int make_drill(struct drill *d)
{
    static int (*const steps[])(struct drill * d) = {open_image, make_ready, survey, try_image};
    int r = 0;

    for (size_t i = 0; i < ELEMENTS(steps) && r == 0; i++)
        r = steps[i](d);
    return r;
}

int worker_drill(const struct worker_args *args)
{
    _cleanup_(drill_done) struct drill d = {
        .args = args, .at = OPENED_NONE, .images_fd = -1, .log_fd = -1};
    uint64_t begin = now_boottime_usec();
    int r;

    background_enter(args->nice);
    checkpoint_id_format(args->name, args->number, d.id);
    r = make_drill(&d);
    if (r < 0)
        return report_failure(args, &d.reason);
    return json_report(
        args, json_pack("{s:i, s:s, s:b, s:b, s:o, s:I}", "version", 1, "id", d.id, "proven",
                        r == SANDBOX_RESTORED, "unprovable", r == SANDBOX_IMPOSSIBLE, "why",
                        json_text(d.reason.why ? d.reason.why : ""), "ms",
                        (json_int_t)((now_boottime_usec() - begin) / USEC_PER_MSEC)));
}
