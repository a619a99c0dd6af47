/* import.c - mode "import": makes a checkpoint out of an archive that may come from anywhere.
 *
 * What an image says is done with root's rights when it is restored. So the manifest, which has to
 * be first in the archive, must be sealed with a key of ours, unless the administrator vouches for
 * it (--trust); everything else must be what the manifest says. Nothing is listed before the rename
 * at the end. */
#include "common/cleanup.h"
#include "common/dirs.h"
#include "common/fs.h"
#include "common/proc.h"
#include "image/checkpoint.h"
#include "image/delta.h"
#include "image/image_users.h"
#include "image/layout.h"
#include "image/receive.h"
#include "image/seal.h"
#include "worker/archive_json.h"
#include "worker/background.h"
#include "worker/claim.h"
#include "worker/explain.h"
#include "worker/open.h"
#include "worker/scratch.h"
#include "worker/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define EXTRA_BYTES  (64ULL << 20) /* in memory, for all that is not pages */
#define PLAIN_FOLDER "import"      /* in the staging folder */

struct import {
    const struct worker_args *args;
    char id[CHECKPOINT_ID_SIZE]; /* that it gets */
    char staging[40], final[24];
    struct opened at;  /* store, service, keys */
    struct receive in; /* its manifest becomes that of the checkpoint */
    int staging_fd;
    int plain_fd; /* what came out of the archive: memory, or a folder in staging_fd */
    uint32_t *uids;
    size_t uid_count;
    uint64_t done, pages_done;
    struct reason reason;
};

static void import_done(struct import *m)
{
    receive_done(&m->in);
    free(m->uids);
    fd_close(m->plain_fd);
    fd_close(m->staging_fd);
    opened_done(&m->at);
    reason_done(&m->reason);
}

static int failed(struct import *m, const char *what, int error)
{
    if (!m->reason.why)
        reason_set(&m->reason, error == -ENOSPC ? explain("No space left on device") : "",
                   "importing: %s: %s", what, strerror(-error));
    return error;
}

/* ---- progress, in bytes: receiving, checking, writing ---- */

static void on_bytes(uint64_t bytes, void *data)
{
    struct import *m = data;
    uint64_t total = 3 * m->in.bytes;

    m->done += bytes;
    report_progress(m->args, m->done < total ? m->done : total, total);
}

static void on_pages(uint64_t done, uint64_t total, void *data)
{
    struct import *m = data;

    on_bytes((done - m->pages_done) * (uint64_t)sysconf(_SC_PAGESIZE), m);
    m->pages_done = done;
}

/* ---- room ---- */

/* What may be written: ckptd knows the reserve; without its word it is what it would be. */
static uint64_t room(const struct import *m)
{
    struct statvfs st;
    uint64_t free, reserve;

    if (m->args->max_bytes > 0)
        return m->args->max_bytes;
    if (fstatvfs(m->at.service_fd, &st) < 0)
        return 0;
    free = (uint64_t)st.f_bavail * st.f_frsize;
    reserve = (uint64_t)st.f_blocks * st.f_frsize / 20;
    return free > reserve ? free - reserve : 0;
}

/* Zero pages count as if they were none, so this may refuse what would just fit, but never fills
 * the disk. */
static int check_room(struct import *m, uint64_t copies)
{
    uint64_t have = room(m);

    if (m->in.bytes <= have / copies)
        return 0;
    reason_set(&m->reason, explain("No space left on device"),
               "the archive needs %" PRIu64 " MiB, the store has room for %" PRIu64 " MiB",
               (copies * m->in.bytes >> 20) + 1, have >> 20);
    return -ENOSPC;
}

/* ---- the files ---- */

static int write_worker_file(struct import *m)
{
    _cleanup_close_ int fd = -1;
    uint64_t start;
    char text[64];
    int r;

    if ((r = proc_stat(getpid(), &start, NULL, NULL)) < 0)
        return failed(m, LAYOUT_WORKER, r);
    snprintf(text, sizeof(text), "%d %" PRIu64 "\n", (int)getpid(), start);
    fd = openat(m->staging_fd, LAYOUT_WORKER, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return failed(m, LAYOUT_WORKER, -errno);
    r = fs_write_all(fd, text, strlen(text));
    return r < 0 ? failed(m, LAYOUT_WORKER, r) : 0;
}

static int open_staging(struct import *m)
{
    if (mkdirat(m->at.service_fd, m->staging, 0700) < 0)
        return failed(m, m->staging, -errno);
    m->staging_fd =
        openat(m->at.service_fd, m->staging, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (m->staging_fd < 0 || flock(m->staging_fd, LOCK_EX | LOCK_NB) < 0)
        return failed(m, m->staging, -errno);
    return write_worker_file(m);
}

/* Memory, when there is enough of it: then the disk sees the image once. */
static int open_plain(struct import *m)
{
    uint64_t size = m->in.bytes + EXTRA_BYTES;
    int r;

    m->plain_fd = scratch_memory_available() > size ? scratch_memory(size) : -1;
    if ((r = check_room(m, m->plain_fd >= 0 ? 1 : 2)) < 0 || m->plain_fd >= 0)
        return r;
    if (mkdirat(m->staging_fd, PLAIN_FOLDER, 0700) < 0)
        return failed(m, PLAIN_FOLDER, -errno);
    m->plain_fd =
        openat(m->staging_fd, PLAIN_FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    return m->plain_fd < 0 ? failed(m, PLAIN_FOLDER, -errno) : 0;
}

static int receive(struct import *m)
{
    int r;

    if ((r = open_staging(m)) < 0 || (r = open_plain(m)) < 0)
        return r;
    r = receive_files(&m->in, m->plain_fd, on_bytes, m, &m->reason);
    return r < 0 ? failed(m, "the archive", r) : 0;
}

/* ---- whose processes ---- */

static int refused(struct import *m, const char *what)
{
    reason_set(&m->reason, "copy or export it again", "the image is damaged: %s", what);
    return -EBADMSG;
}

static int check_users(struct import *m)
{
    int r = image_users(m->plain_fd, &m->uids, &m->uid_count);

    if (r == -EBADMSG)
        return refused(m, "the credentials of its processes cannot be read");
    if (r < 0)
        return failed(m, "the users of the processes", r);
    for (size_t i = 0; i < m->uid_count; i++) {
        if ((int64_t)m->uids[i] == m->args->uid)
            continue;
        reason_set(&m->reason, "import it for a service whose policy has that User=",
                   "the image holds processes with the rights of user %" PRIu32
                   ", the service %s runs as user %" PRId64,
                   m->uids[i], m->args->name, m->args->uid);
        return -EPERM;
    }
    return 0;
}

/* ---- whose files ---- */

/* A restore puts those back that the image has a copy of, with root's rights: only what the
 * service's user could do himself. */
static int check_files(struct import *m)
{
    for (size_t i = 0; i < m->in.manifest->file_count; i++) {
        const struct manifest_file *file = &m->in.manifest->files[i];

        if (file->deleted || !file->snapshot[0])
            continue;
        if ((int64_t)file->uid != m->args->uid) {
            reason_set(&m->reason, "import it for a service whose policy has that User=",
                       "the image would write %s, a file of user %" PRIu32
                       ", the service %s runs as user %" PRId64,
                       file->path, file->uid, m->args->name, m->args->uid);
            return -EPERM;
        }
        if (file->mode & ~(uint32_t)ACCESSPERMS)
            return refused(m, "a file with permissions that no checkpoint keeps");
    }
    return 0;
}

/* ---- the checkpoint ---- */

/* Written anew from what it holds: numbers of pages are counted, not believed. */
static int write_image(struct import *m)
{
    const struct image_dir plain = {.fd = m->plain_fd};
    const struct delta_options options = {
        .form = {.zstd = m->args->zstd, .encrypt = m->args->encrypt},
        .keys = m->at.keys,
        .progress = on_pages,
        .data = m,
    };
    struct delta_stats stats;
    int r;

    r = delta_make(&plain, 1, NULL, 0, m->staging_fd, &options, &stats);
    if (r == -EBADMSG)
        return refused(m, "its pages are not those of its page maps");
    if (r < 0)
        return failed(m, "writing the image", r);
    m->in.manifest->pages = stats.pages;
    m->in.manifest->pages_stored = stats.stored - stats.zero;
    m->plain_fd = fd_close(m->plain_fd);
    r = fs_remove_all(m->staging_fd, PLAIN_FOLDER);
    return r < 0 ? failed(m, PLAIN_FOLDER, r) : 0;
}

/* The archive's manifest becomes that of the new checkpoint. */
static int fill_manifest(struct import *m)
{
    struct manifest *manifest = m->in.manifest;
    char *name = strdup(m->args->name), *from = strdup("");

    if (!name || !from) {
        free(name);
        free(from);
        return failed(m, MANIFEST_FILE, -ENOMEM);
    }
    for (size_t i = 0; i < manifest->image_count; i++)
        free(manifest->images[i].name);
    free(manifest->images);
    manifest->images = NULL;
    manifest->image_count = 0;
    manifest->bytes = 0;
    free(manifest->service);
    manifest->service = name;
    manifest->number = m->args->number;
    manifest->imported = true;
    free(manifest->restored_from);
    manifest->restored_from = from; /* an id of another store says nothing here */
    return 0;
}

/* Retention takes no account of it, so that it stays until somebody unpins it. Written before the
 * rename: the sweep of a staging folder takes its marks along. */
static int pin(struct import *m)
{
    char mark[48];
    int r;

    snprintf(mark, sizeof(mark), "%s" LAYOUT_PINNED, m->final);
    r = fs_replace(m->at.service_fd, mark, "imported\n", strlen("imported\n"), 0600);
    return r < 0 ? failed(m, mark, r) : 0;
}

/* Killed in between, it is swept by ckptd, marks and all. */
static void clean_up(struct import *m)
{
    char mark[48];

    snprintf(mark, sizeof(mark), "%s" LAYOUT_PINNED, m->final);
    /* Not after the rename: then it is there, and pinned. */
    if (m->staging_fd < 0 || faccessat(m->at.service_fd, m->staging, F_OK, 0) < 0)
        return;
    (void)unlinkat(m->at.service_fd, mark, 0);
    claim_remove(m->at.service_fd, m->staging, m->staging_fd);
}

static int commit(struct import *m)
{
    int r;

    if ((r = seal_make(m->staging_fd, LAYOUT_WORKER, m->in.manifest)) < 0)
        return failed(m, "hashing the image", r);
    if ((r = manifest_write(m->staging_fd, m->in.manifest, m->at.keys)) < 0)
        return failed(m, MANIFEST_FILE, r);
    if (unlinkat(m->staging_fd, LAYOUT_WORKER, 0) < 0)
        return failed(m, LAYOUT_WORKER, -errno);
    if ((r = fs_sync_dir(m->staging_fd, NULL)) < 0)
        return failed(m, m->staging, r);
    if (renameat2(m->at.service_fd, m->staging, m->at.service_fd, m->final, RENAME_NOREPLACE) < 0)
        return failed(m, "renaming the staging folder", -errno);
    r = fs_sync_dir(m->at.service_fd, NULL);
    return r < 0 ? failed(m, "syncing the store", r) : 0;
}

static int import(struct import *m)
{
    static int (*const steps[])(struct import * m) = {
        receive, check_users, check_files, write_image, fill_manifest, pin, commit,
    };
    int r;

    if ((r = opened_folders(&m->at, m->args, m->args->name, &m->reason)) < 0)
        return failed(m, m->args->name, r);
    r = receive_begin(m->args->file_fd, m->args->trust ? NULL : m->at.keys, &m->in, &m->reason);
    if (r < 0)
        return failed(m, "the archive", r);
    for (size_t i = 0; i < ELEMENTS(steps) && r == 0; i++)
        r = steps[i](m);
    if (r == 0)
        report_progress(m->args, 3 * m->in.bytes, 3 * m->in.bytes);
    return r;
}

int worker_import(const struct worker_args *args)
{
    _cleanup_(import_done) struct import m = {
        .args = args, .at = OPENED_NONE, .staging_fd = -1, .plain_fd = -1};
    _cleanup_free_ char *result = NULL;

    background_enter(args->nice);
    checkpoint_id_format(args->name, args->number, m.id);
    snprintf(m.staging, sizeof(m.staging), LAYOUT_STAGING "%" PRIu64, args->number);
    snprintf(m.final, sizeof(m.final), "%" PRIu64, args->number);
    if (import(&m) < 0) {
        clean_up(&m);
        return report_failure(args, &m.reason);
    }
    result = archive_json_imported(m.id, m.in.manifest->bytes, m.uids, m.uid_count);
    return report_result(args, result ? result : "");
}
