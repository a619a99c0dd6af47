/* restore.c - brings one image back, as the keeper's child and in the service's cgroup.
 *
 * On this path every millisecond is downtime: an unchanged image is not hashed again, and nothing
 * is loaded or forked that the restore does not need. */
#include "common/cleanup.h"
#include "common/fs.h"
#include "common/log.h"
#include "common/worker_abi.h"
#include "image/checkpoint.h"
#include "image/delta.h"
#include "image/layout.h"
#include "image/restorable.h"
#include "image/seal.h"
#include "worker/claim.h"
#include "worker/criu_log.h"
#include "worker/diagnose.h"
#include "worker/explain.h"
#include "worker/files_back.h"
#include "worker/hook.h"
#include "worker/open.h"
#include "worker/scratch.h"
#include "worker/tree.h"
#include "worker/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#define LOG_NAME           "restore.log"
#define ZOMBIE_WAIT_USEC   (2 * USEC_PER_SEC) /* a killed service's pid is free once it is reaped */
#define ZOMBIE_TRY_MSEC    20
#define UNPACK_EXTRA_BYTES (64ULL << 20) /* for all that is not pages */
#define WALL_BASE_USEC     (30 * USEC_PER_SEC)
#define WALL_BYTES         (20ULL << 20) /* one more second for each */

struct restore {
    const struct worker_args *args;
    char id[CHECKPOINT_ID_SIZE];
    char unpack[40]; /* "unpack-N" */
    struct opened at;
    int images_fd; /* what criu reads: the checkpoint's folder, or it unpacked */
    int work_fd;
    bool unpacked; /* in a folder of ours on the disk */
    struct criu_run run;
    struct criu_result result;
    struct reason reason; /* of the failure; of a failed PostRestore= when all went well */
};

static void restore_done(struct restore *r)
{
    if (r->unpacked)
        claim_remove(r->at.service_fd, r->unpack, r->images_fd);
    reason_done(&r->reason);
    fd_close(r->work_fd);
    fd_close(r->images_fd);
    opened_done(&r->at);
}

static const struct manifest *manifest(const struct restore *r)
{
    return r->at.chain.dirs[0].manifest;
}

static enum worker_result failed(struct restore *r, const char *what, int error)
{
    reason_set(&r->reason, error == -ENOSPC ? explain("No space left on device") : "", "%s: %s",
               what, strerror(-error));
    return WORKER_FAILED;
}

/* ---- before criu ---- */

static enum worker_result open_image(struct restore *r)
{
    int error;

    checkpoint_id_format(r->args->name, r->args->number, r->id);
    snprintf(r->unpack, sizeof(r->unpack), LAYOUT_UNPACK "%" PRIu64, r->args->number);
    error = opened_checkpoint(&r->at, r->args, r->args->name, r->args->number, &r->reason);
    if (error == -EBADMSG || error == -ENOENT || error == -EKEYREJECTED)
        return WORKER_CORRUPT;
    return error < 0 ? WORKER_FAILED : WORKER_OK;
}

static enum worker_result check_image(struct restore *r)
{
    _cleanup_free_ char *why = NULL;
    int error;

    for (size_t i = 0; i < r->at.chain.count; i++) {
        const struct image_dir *dir = &r->at.chain.dirs[i];

        error = r->args->verify_always
                    ? seal_check_all(dir->fd, dir->manifest, NULL, NULL, &r->reason)
                    : seal_check(dir->fd, dir->manifest, &r->reason);
        if (error == -EBADMSG)
            return WORKER_CORRUPT;
        if (error < 0)
            return failed(r, "checking the image", error);
    }
    error = restorable_files(manifest(r), r->args->files, &why);
    if (error < 0)
        return failed(r, "checking the host's files", error);
    if (error == NOT_RESTORABLE) {
        reason_set(&r->reason, "put that file back, or let the service start cold", "%s", why);
        return WORKER_UNRESTORABLE;
    }
    return WORKER_OK;
}

/* ---- images that criu cannot read as they are ---- */

static uint64_t image_bytes(const struct restore *r)
{
    return manifest(r)->pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* On the disk where memory is short; locked, so that nobody takes it for garbage. */
static int make_unpack_folder(struct restore *r)
{
    int fd;

    fd = scratch_memory(image_bytes(r) + UNPACK_EXTRA_BYTES);
    if (fd >= 0 && scratch_memory_available() > image_bytes(r) + UNPACK_EXTRA_BYTES)
        return fd;
    fd_close(fd);
    fd = claim_folder(r->at.service_fd, r->unpack);
    r->unpacked = fd >= 0;
    return fd;
}

static enum worker_result unpack(struct restore *r)
{
    const struct delta_options options = {.keys = r->at.keys};
    struct delta_stats stats;
    int error;

    r->images_fd = make_unpack_folder(r);
    if (r->images_fd < 0)
        return failed(r, "a folder for the unpacked image", r->images_fd);
    error =
        delta_make(r->at.chain.dirs, r->at.chain.count, NULL, 0, r->images_fd, &options, &stats);
    if (error == -EBADMSG || error == -EKEYREJECTED) {
        reason_set(&r->reason, "an older checkpoint is taken", "the image is damaged: %s",
                   strerror(-error));
        return WORKER_CORRUPT;
    }
    return error < 0 ? failed(r, "unpacking the image", error) : WORKER_OK;
}

static enum worker_result make_ready(struct restore *r)
{
    if (!chain_is_plain(&r->at.chain))
        return unpack(r);
    r->images_fd = fcntl(r->at.chain.dirs[0].fd, F_DUPFD_CLOEXEC, 3);
    return r->images_fd < 0 ? failed(r, r->id, -errno) : WORKER_OK;
}

/* Log and statistics of a restore do not belong into the image:
 * STATE/checkpoints/.tools/restore-NAME, emptied first. */
static enum worker_result open_work_folder(struct restore *r)
{
    _cleanup_close_ int tools_fd = -1;
    _cleanup_free_ char *name = NULL;
    int error;

    if (mkdirat(r->at.store_fd, LAYOUT_TOOLS, 0700) < 0 && errno != EEXIST)
        return failed(r, LAYOUT_TOOLS, -errno);
    tools_fd = openat(r->at.store_fd, LAYOUT_TOOLS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (tools_fd < 0)
        return failed(r, LAYOUT_TOOLS, -errno);
    if (asprintf(&name, "restore-%s", r->args->name) < 0) {
        name = NULL;
        return failed(r, "restore", -ENOMEM);
    }
    error = fs_remove_all(tools_fd, name);
    if (error < 0 || mkdirat(tools_fd, name, 0700) < 0)
        return failed(r, name, error < 0 ? error : -errno);
    r->work_fd = openat(tools_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return r->work_fd < 0 ? failed(r, name, -errno) : WORKER_OK;
}

/* ---- criu ---- */

/* The service does not run yet: a signal is the first thing it sees, a command is done before it
 * goes on. A failure is told but changes nothing: the memory is back. */
static void post_restore(pid_t pid, void *data)
{
    struct restore *r = data;
    const char *command = r->args->post_restore;
    char why[128] = "could not be started";

    if (r->args->post_restore_signal > 0 && kill(pid, r->args->post_restore_signal) < 0)
        reason_set(&r->reason, "", "PostRestore=: signal %d: %s", r->args->post_restore_signal,
                   strerror(errno));
    if (command && hook_run(command, "PERDURE_RESTORED", r->id, pid, why, sizeof(why)) != 0)
        reason_set(&r->reason, "run the command by hand to see why", "PostRestore=%s %s", command,
                   why);
}

static void set_up_run(struct restore *r)
{
    static const int fds[STREAM_COUNT] = {WORKER_FD_STDOUT, WORKER_FD_STDERR};
    const struct manifest *m = manifest(r);

    r->run = (struct criu_run){
        .binary = r->args->criu,
        .images_fd = r->images_fd,
        .work_fd = r->work_fd,
        .log_name = LOG_NAME,
        .log_level = 1,
        /* After a crash the peer has seen the end of the connection: closed, unless asked. */
        .tcp_established = m->tcp_established && r->args->tcp_established,
        .file_locks = m->file_locks,
        .wall_usec = WALL_BASE_USEC + image_bytes(r) / WALL_BYTES * USEC_PER_SEC,
        .data = r,
    };
    for (int i = 0; i < STREAM_COUNT; i++) {
        r->run.pipes[i].inode = m->pipe_inode[i];
        r->run.pipes[i].fd = fds[i];
    }
    if (r->args->post_restore || r->args->post_restore_signal > 0) {
        r->run.before_resume = post_restore;
        r->run.wall_usec += HOOK_TIMEOUT_USEC;
    }
}

/* A pid of the image is in use. True when it may be free soon: only a zombie has it. */
static bool may_be_free_soon(struct restore *r)
{
    char comm[TREE_COMM_SIZE];
    pid_t pid, holder;

    pid = criu_log_taken_pid(reason_why(&r->reason));
    if (pid <= 0)
        return false;
    if (tree_number_holder(pid, &holder) <= 0)
        return true;
    tree_comm(holder, comm);
    reason_set(&r->reason, explain("Can't fork for: File exists"),
               "pid %d is taken by process %d (%s)", (int)pid, (int)holder, comm);
    return false;
}

/* The list of files in an imported image is somebody else's word: nothing of this host is changed
 * by it. */
static enum worker_result put_files_back(struct restore *r)
{
    enum files_mode mode = r->args->files;

    if (manifest(r)->imported && mode != FILES_REFUSE)
        mode = FILES_IGNORE;
    return files_check_and_put_back(&r->at.chain.dirs[0], mode, &r->reason);
}

static enum worker_result run_criu(struct restore *r)
{
    uint64_t end = now_boottime_usec() + ZOMBIE_WAIT_USEC;

    set_up_run(r);
    for (;;) {
        criu_run_restore(&r->run, &r->result);
        if (r->result.error == 0)
            break;
        (void)diagnose(&r->run, &r->result, &r->reason);
        if (!may_be_free_soon(r) || now_boottime_usec() > end)
            return WORKER_FAILED;
        (void)poll(NULL, 0, ZOMBIE_TRY_MSEC);
        reason_done(&r->reason);
    }
    return WORKER_OK;
}

static enum worker_result bring_back(struct restore *r)
{
    static enum worker_result (*const steps[])(struct restore * r) = {
        open_image, check_image, make_ready, open_work_folder, put_files_back, run_criu,
    };
    enum worker_result result = WORKER_OK;

    for (size_t i = 0; i < ELEMENTS(steps) && result == WORKER_OK; i++)
        result = steps[i](r);
    return result;
}

int worker_restore(const struct worker_args *args)
{
    _cleanup_(restore_done) struct restore r = {
        .args = args, .at = OPENED_NONE, .images_fd = -1, .work_fd = -1};
    struct worker_report report = {0};

    /* Everything but the pipes ends with us, whatever we start. */
    (void)fcntl(WORKER_FD_REPORT, F_SETFD, FD_CLOEXEC);
    report.result = bring_back(&r);
    report.pid = report.result == WORKER_OK ? r.result.pid : 0;
    report.restore_usec = r.result.usec;
    if (r.reason.why) {
        snprintf(report.message, sizeof(report.message), "%s", reason_why(&r.reason));
        snprintf(report.cure, sizeof(report.cure), "%s", reason_cure(&r.reason));
    }
    if (fs_write_all(WORKER_FD_REPORT, &report, sizeof(report)) < 0)
        return EXIT_FAILURE;
    return report.result == WORKER_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
