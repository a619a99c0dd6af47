/* commit.c - makes what criu has dumped a checkpoint: what of it is stored, its facts, its seal,
 * and the rename that lists it. */
#include "worker/dump.h"

#include "common/cleanup.h"
#include "common/fs.h"
#include "common/log.h"
#include "image/delta.h"
#include "image/layout.h"
#include "image/seal.h"
#include "image/stats.h"
#include "worker/facts.h"
#include "worker/files_keep.h"
#include "worker/kdat.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define FILES_SLOW_USEC (100 * USEC_PER_MSEC)

/* ---- what is stored ---- */

/* Of this process alone: criu is a child. */
static uint64_t own_cpu_usec(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * USEC_PER_SEC + (uint64_t)ts.tv_nsec / 1000;
}

/* A parent that cannot be had any more costs space, not the checkpoint. */
static void open_parent(struct dump *d, const struct worker_args *args)
{
    _cleanup_(reason_done) struct reason reason = {};

    if (!args->parent)
        return;
    if (chain_open(d->at.service_fd, d->spec.name, args->parent, d->at.keys, &d->at.chain,
                   &reason) < 0)
        log_warning("%s: written in full: %s", d->id, reason_why(&reason));
}

/* The dump, or what of it differs from the parent, goes to the disk. */
static int store_image(struct dump *d, const struct worker_args *args)
{
    const struct image_dir dump = {.fd = d->dump_fd};
    struct delta_options options = {.form.encrypt = d->spec.encrypt, .keys = d->at.keys};
    struct delta_stats stats;
    uint64_t begin;
    char link[32];
    int r;

    open_parent(d, args);
    begin = own_cpu_usec();
    if (d->at.chain.count > 0) {
        snprintf(link, sizeof(link), "../%" PRIu64, args->parent);
        options.parent_link = link;
        d->manifest->parent = args->parent;
    }
    r = delta_make(&dump, 1, d->at.chain.dirs, d->at.chain.count, d->staging_fd, &options, &stats);
    if (r < 0)
        return dump_failed(d, "writing the image", r);
    d->manifest->delta_cpu_usec = own_cpu_usec() - begin;
    d->manifest->pages = stats.pages;
    d->manifest->pages_stored = stats.stored - stats.zero;
    r = files_keep_store(d->staging_fd, d->manifest, &options.form, d->at.keys);
    if (r < 0)
        return dump_failed(d, "keeping the service's files", r);
    d->dump_fd = fd_close(d->dump_fd);
    r = fs_remove_all(d->staging_fd, DUMP_FOLDER);
    return r < 0 ? dump_failed(d, DUMP_FOLDER, r) : 0;
}

/* ---- its facts ---- */

static int fill_manifest(struct dump *d, const struct worker_args *args)
{
    struct manifest *m = d->manifest;
    uint64_t real = now_realtime_usec(), boot = now_boottime_usec();
    struct dump_stats stats;
    int r, version;

    r = stats_dump_read(d->staging_fd, &stats);
    if (r < 0)
        return dump_failed(d, STATS_DUMP_FILE, r);
    m->number = args->number;
    m->frozen_usec = stats.frozen_usec;
    m->dump_usec = d->result.usec;
    m->time_realtime = facts_freeze_time(d->dump_fd, real - d->result.usec);
    m->time_boot = boot - (real > m->time_realtime ? real - m->time_realtime : 0);
    version = kdat_version(args->criu);
    m->criu_version = version > 0 ? (unsigned)version : 0;
    m->pid = d->spec.pid;
    memcpy(m->pipe_inode, d->spec.pipe_inode, sizeof(m->pipe_inode));
    m->tcp_established = d->spec.tcp_established;
    m->file_locks = d->spec.file_locks;
    m->pid_namespace = d->spec.pid_namespace;
    m->ghost_limit = d->spec.ghost_limit;
    m->service = strdup(d->spec.name);
    m->restored_from = strdup(d->spec.restored_from);
    m->criu_git = strdup("");
    if (!m->service || !m->restored_from || !m->criu_git)
        return dump_failed(d, MANIFEST_FILE, -ENOMEM);
    m->files_mode = d->spec.files;
    if (m->files_usec > FILES_SLOW_USEC)
        log_warning("%s: %llu ms of the freeze went into its files; see SnapshotPaths=", d->id,
                    (unsigned long long)(m->files_usec / USEC_PER_MSEC));
    r = facts_host(m);
    if (r == 0 && m->files_mode == FILES_IGNORE) /* else it was done while frozen */
        r = facts_files(&d->image, m);
    if (r == 0 && m->file_count == 0) /* there is always a program: nobody asked us then */
        r = -ENODATA;
    return r < 0 ? dump_failed(d, "facts of the host", r) : 0;
}

/* ---- commit ---- */

static int seal_and_rename(struct dump *d)
{
    uint64_t begin = own_cpu_usec();
    int r;

    r = seal_make(d->staging_fd, LAYOUT_WORKER, d->manifest);
    if (r == -ENOSYS) {
        reason_set(&d->reason, "install libssl3 (OpenSSL)", "libcrypto cannot be loaded");
        return r;
    }
    if (r < 0)
        return dump_failed(d, "hashing the image", r);
    d->manifest->hash_cpu_usec = own_cpu_usec() - begin;
    r = manifest_write(d->staging_fd, d->manifest, d->at.keys);
    if (r < 0)
        return dump_failed(d, MANIFEST_FILE, r);
    if (unlinkat(d->staging_fd, LAYOUT_WORKER, 0) < 0)
        return dump_failed(d, LAYOUT_WORKER, -errno);
    r = fs_sync_dir(d->staging_fd, NULL);
    if (r < 0)
        return dump_failed(d, d->staging, r);
    if (renameat2(d->at.service_fd, d->staging, d->at.service_fd, d->final, RENAME_NOREPLACE) < 0)
        return dump_failed(d, "renaming the staging folder", -errno);
    r = fs_sync_dir(d->at.service_fd, NULL);
    return r < 0 ? dump_failed(d, "syncing the store", r) : 0;
}

int dump_commit(struct dump *d, const struct worker_args *args)
{
    int r;

    if ((r = fill_manifest(d, args)) < 0 || (r = store_image(d, args)) < 0)
        return r;
    return seal_and_rename(d);
}
