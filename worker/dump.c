/* dump.c - one checkpoint from the freeze to its image; outlives ckptd.
 *
 * Nothing is listed before the rename at the end: killed anywhere, this leaves a staging folder
 * that nobody holds, and ckptd sweeps it. */
#include "worker/dump.h"

#include "common/cleanup.h"
#include "common/dump_request.h"
#include "common/fs.h"
#include "common/log.h"
#include "common/session.h"
#include "image/image_timers.h"
#include "image/layout.h"
#include "worker/diagnose.h"
#include "worker/explain.h"
#include "worker/files_keep.h"
#include "worker/hook.h"
#include "worker/kdat.h"
#include "worker/netlock.h"
#include "worker/real_ids.h"
#include "worker/scratch.h"
#include "worker/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>

static void dump_done(struct dump *d)
{
    ckpt_spec_done(&d->spec);
    image_done(&d->image);
    d->manifest = manifest_free(d->manifest);
    reason_done(&d->reason);
    fd_close(d->dump_fd);
    fd_close(d->staging_fd);
    opened_done(&d->at);
}

int dump_failed(struct dump *d, const char *what, int error)
{
    const char *cure = error == -ENOSPC ? explain("No space left on device") : "";

    reason_set(&d->reason, cure, "checkpoint %s: %s: %s", d->id, what, strerror(-error));
    return error;
}

/* ---- begin ---- */

static int open_dir(int dirfd, const char *path)
{
    int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

    return fd < 0 ? -errno : fd;
}

/* Folders; the lock stays with every criu we start, which inherits the descriptor: the folder is in
 * use as long as any of them lives. */
static int open_folders(struct dump *d, const struct worker_args *args)
{
    int r = opened_folders(&d->at, args, d->spec.name, &d->reason);

    if (r < 0)
        return r;
    if (mkdirat(d->at.service_fd, d->staging, 0700) < 0 && errno != EEXIST)
        return dump_failed(d, d->staging, -errno);
    if ((d->staging_fd = open_dir(d->at.service_fd, d->staging)) < 0)
        return dump_failed(d, d->staging, d->staging_fd);
    if (flock(d->staging_fd, LOCK_EX | LOCK_NB) < 0)
        return dump_failed(d, d->staging, -errno);
    (void)fcntl(d->staging_fd, F_SETFD, 0);
    return 0;
}

static int write_worker_file(struct dump *d)
{
    _cleanup_close_ int fd = -1;
    uint64_t start;
    char text[64];
    int r;

    r = proc_stat(getpid(), &start, NULL, NULL);
    if (r < 0)
        return dump_failed(d, LAYOUT_WORKER, r);
    snprintf(text, sizeof(text), "%d %" PRIu64 "\n", (int)getpid(), start);
    fd = openat(d->staging_fd, LAYOUT_WORKER, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return dump_failed(d, LAYOUT_WORKER, -errno);
    r = fs_write_all(fd, text, strlen(text));
    return r < 0 ? dump_failed(d, LAYOUT_WORKER, r) : 0;
}

static int begin(struct dump *d, const struct worker_args *args)
{
    int r;

    r = dump_request_read(args->spec_fd, &d->spec);
    if (r < 0)
        return dump_failed(d, "the request", r);
    checkpoint_id_format(d->spec.name, args->number, d->id);
    snprintf(d->staging, sizeof(d->staging), LAYOUT_STAGING "%" PRIu64, args->number);
    snprintf(d->final, sizeof(d->final), "%" PRIu64, args->number);
    d->manifest = calloc(1, sizeof(*d->manifest));
    if (!d->manifest)
        return dump_failed(d, MANIFEST_FILE, -ENOMEM);
    r = open_folders(d, args);
    return r < 0 ? r : write_worker_file(d);
}

static int pre_checkpoint(struct dump *d)
{
    const char *command = d->spec.pre_checkpoint;
    char why[128];
    int r;

    if (!command[0])
        return 0;
    r = hook_run(command, "PERDURE_CHECKPOINT", d->id, d->spec.pid, why, sizeof(why));
    if (r < 0)
        return dump_failed(d, "PreCheckpoint=", r);
    if (r > 0) {
        reason_set(&d->reason, "no checkpoint is taken when PreCheckpoint= fails; run it by hand",
                   "PreCheckpoint=%s %s", command, why);
        return -ECANCELED;
    }
    return 0;
}

/* Whatever became of the dump: what PreCheckpoint= has quieted must go on. */
static void post_checkpoint(struct dump *d)
{
    const char *command = d->spec.post_checkpoint;
    char why[128] = "could not be started";

    if (command[0] &&
        hook_run(command, "PERDURE_CHECKPOINT", d->id, d->spec.pid, why, sizeof(why)) != 0)
        log_warning("%s: PostCheckpoint=%s %s", d->spec.name, command, why);
}

/* ---- dump ---- */

/* The dump goes on all the same: that its service runs again depends on it. */
static void while_frozen(void *data)
{
    struct dump *d = data;

    d->files_error = files_keep(&d->spec, d->dump_fd, d->staging_fd, d->manifest, &d->reason);
}

static void run_criu(struct dump *d)
{
    struct real_ids ids;

    real_ids_borrow(d->spec.pid, &ids);
    criu_run_dump(&d->run, &d->result);
    real_ids_return(&ids);
}

/* After a failure nothing of ours may stay on the service. */
static void clean_up_after_criu(struct dump *d)
{
    int asleep;

    if (d->spec.tcp_established)
        (void)netlock_remove_of_log(d->staging_fd, LAYOUT_DUMP_LOG);
    asleep = service_thaw(d->spec.cgroup, d->spec.pid);
    if (asleep > 0)
        log_error("%s: %d of its processes are still stopped after a failed dump; kill -CONT them",
                  d->spec.name, asleep);
}

/* A folder of its own for the dump: what becomes of it, a delta or all of it, is written beside. */
static int open_disk(struct dump *d)
{
    int r = fs_remove_all(d->staging_fd, DUMP_FOLDER);

    if (r == 0 && mkdirat(d->staging_fd, DUMP_FOLDER, 0700) < 0)
        r = -errno;
    if (r == 0)
        r = d->dump_fd = open_dir(d->staging_fd, DUMP_FOLDER);
    return r < 0 ? dump_failed(d, DUMP_FOLDER, r) : 0;
}

static int open_memory(struct dump *d)
{
    int r = d->dump_fd = scratch_memory(d->spec.staging_max);

    return r < 0 ? dump_failed(d, "memory for the dump (Staging=)", r) : 0;
}

/* Twice when there is no word why the first time: then talkative. */
static int dump_into_folder(struct dump *d)
{
    d->run.images_fd = d->dump_fd;
    for (d->run.log_level = 1;; d->run.log_level = 4) {
        run_criu(d);
        if (d->result.error == 0)
            return d->files_error;
        clean_up_after_criu(d);
        if (diagnose(&d->run, &d->result, &d->reason) || d->result.error == -ECOMM ||
            d->run.log_level > 1)
            return d->result.error;
    }
}

/* Memory that is full says nothing about the disk. */
static bool memory_was_full(const struct dump *d)
{
    struct statfs st;

    return fstatfs(d->dump_fd, &st) == 0 && st.f_type == TMPFS_MAGIC && st.f_bavail == 0;
}

/* CRIU speaks of a device without space, and the disk is not meant. */
static int explain_small_memory(struct dump *d)
{
    reason_done(&d->reason);
    reason_set(&d->reason, "raise StagingMax=, or write Staging=auto or Staging=disk",
               "checkpoint %s: the dump does not fit into the %llu MB of memory that Staging=tmpfs "
               "may take (StagingMax=)",
               d->id, (unsigned long long)(d->spec.staging_max >> 20));
    return -ENOSPC;
}

static int dump_service(struct dump *d, const struct worker_args *args)
{
    const struct proc_id id = {d->spec.pid, d->spec.start_time};
    _cleanup_close_ int pidfd = proc_open(&id);
    int r;

    if (pidfd < 0) {
        reason_set(&d->reason, "nothing is to be done: the next start of the service is watched",
                   "the service's process %d has ended", (int)d->spec.pid);
        return -ESRCH;
    }
    d->run = (struct criu_run){
        .binary = args->criu,
        .work_fd = d->staging_fd,
        .log_name = LAYOUT_DUMP_LOG,
        .tcp_established = d->spec.tcp_established,
        .file_locks = d->spec.file_locks,
        .pid = d->spec.pid,
        .ghost_limit = d->spec.ghost_limit,
        .while_frozen = d->spec.files != FILES_IGNORE ? while_frozen : NULL,
        .data = d,
    };
    r = d->spec.staging == STAGING_DISK ? open_disk(d) : open_memory(d);
    if (r < 0)
        return r;
    r = dump_into_folder(d);
    if (r == 0 || d->spec.staging == STAGING_DISK || !memory_was_full(d))
        return r;
    if (d->spec.staging == STAGING_TMPFS)
        return explain_small_memory(d);
    reason_done(&d->reason);
    d->dump_fd = fd_close(d->dump_fd);
    r = open_disk(d);
    return r < 0 ? r : dump_into_folder(d);
}

/* ---- checks ---- */

/* A pipe to a process outside that is not ours comes back without its other end, and the service
 * dies at its first write: such an image is none. */
static int check_pipes(struct dump *d)
{
    const struct image *image = &d->image;

    for (size_t i = 0; i < image->pipe_count; i++) {
        char comm[TREE_COMM_SIZE];
        pid_t peer;
        int r;

        if (!image_pipe_is_half(&image->pipes[i], d->spec.pipe_inode, STREAM_COUNT))
            continue;
        r = tree_pipe_peer(image->pipes[i].inode, d->spec.pid, &peer);
        if (r < 0)
            return dump_failed(d, "/proc", r);
        if (r == 0)
            continue; /* broken before the dump, broken after the restore */
        tree_comm(peer, comm);
        reason_set(&d->reason,
                   "let the service start that process itself, or use a FIFO or a socket",
                   "the service shares pipe:[%u] with process %d (%s) outside it",
                   image->pipes[i].inode, (int)peer, comm);
        return -EXDEV;
    }
    return 0;
}

static int check_image(struct dump *d)
{
    int r;

    r = image_rearm_timers(d->dump_fd, NULL);
    if (r == 0)
        r = image_scan(d->dump_fd, &d->image);
    if (r < 0)
        return dump_failed(d, "the new image cannot be read", r);
    if (d->image.mounts) {
        reason_set(&d->reason,
                   "run it and supervisord in one mount namespace (no Private*= or Protect*= in "
                   "supervisord's unit, no unshare --mount in ExecStart=)",
                   "the service lives in another mount namespace (%s)", d->image.mounts);
        return -EXDEV;
    }
    return check_pipes(d);
}

/* Another program's criu throws our cache away when it finds it: made again in time for the next
 * run. */
static void renew_cache(const struct worker_args *args)
{
    bool cached;
    int version;

    kdat_prepare(args->criu, &version, &cached);
}

static int make_checkpoint(struct dump *d, const struct worker_args *args)
{
    int r;

    r = begin(d, args);
    if (r < 0)
        return r;
    r = pre_checkpoint(d);
    if (r < 0)
        return r;
    r = dump_service(d, args);
    post_checkpoint(d);
    if (r < 0)
        return r;
    r = check_image(d);
    if (r < 0)
        return r;
    return dump_commit(d, args);
}

int worker_dump(const struct worker_args *args)
{
    _cleanup_(dump_done) struct dump d = {.at = OPENED_NONE, .staging_fd = -1, .dump_fd = -1};

    if (make_checkpoint(&d, args) >= 0) {
        renew_cache(args);
        return report_result(args, "");
    }
    if (d.at.service_fd >= 0 && d.staging_fd >= 0)
        (void)fs_remove_all(d.at.service_fd, d.staging);
    return report_failure(args, &d.reason);
}
