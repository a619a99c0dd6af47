/* export.c - mode "export": writes a checkpoint, with all that its parents hold, as one archive. */
#include "common/cleanup.h"
#include "common/fs.h"
#include "image/archive.h"
#include "image/checkpoint.h"
#include "image/delta.h"
#include "image/layout.h"
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

#define ZSTD_LEVEL  3
#define EXTRA_BYTES (64ULL << 20) /* in memory, for all that is not pages */

struct exporter {
    const struct worker_args *args;
    char id[CHECKPOINT_ID_SIZE];
    char folder[48]; /* in the service's folder, when memory is short */
    bool on_disk;
    struct opened at;
    int image_fd; /* the full image, plain: the checkpoint's own folder, or one made here */
    int extra_fd; /* in memory: what is not in that folder */
    struct manifest manifest; /* of the archive; borrows from the checkpoint's but images */
    uint64_t done, total, pages_done;
    struct reason reason;
};

static void export_done(struct exporter *e)
{
    if (e->on_disk)
        claim_remove(e->at.service_fd, e->folder, e->image_fd);
    for (size_t i = 0; i < e->manifest.image_count; i++)
        free(e->manifest.images[i].name);
    free(e->manifest.images);
    fd_close(e->extra_fd);
    fd_close(e->image_fd);
    opened_done(&e->at);
    reason_done(&e->reason);
}

static int failed(struct exporter *e, const char *what, int error)
{
    if (!e->reason.why)
        reason_set(&e->reason, error == -ENOSPC ? explain("No space left on device") : "",
                   "exporting %s: %s: %s", e->id, what, strerror(-error));
    return error;
}

static const struct manifest *manifest(const struct exporter *e)
{
    return e->at.chain.dirs[0].manifest;
}

/* ---- progress, in bytes: the check of the source, making it plain, writing ---- */

static void on_bytes(uint64_t bytes, void *data)
{
    struct exporter *e = data;

    e->done += bytes;
    report_progress(e->args, e->done < e->total ? e->done : e->total, e->total);
}

static void on_pages(uint64_t done, uint64_t total, void *data)
{
    struct exporter *e = data;

    on_bytes((done - e->pages_done) * (uint64_t)sysconf(_SC_PAGESIZE), e);
    e->pages_done = done;
}

static uint64_t image_bytes(const struct exporter *e)
{
    return manifest(e)->pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* A full image that nobody has packed goes out as it is. */
static bool is_ready(const struct exporter *e)
{
    return e->at.chain.count == 1 && chain_is_plain(&e->at.chain);
}

/* ---- the image, full and plain ---- */

/* What is written gets a new manifest: damage must not be taken over as truth. */
static int check(struct exporter *e)
{
    const struct chain *chain = &e->at.chain;
    int r;

    e->total = (is_ready(e) ? 1 : 2) * image_bytes(e);
    for (size_t i = 0; i < chain->count; i++)
        e->total += seal_bytes(chain->dirs[i].manifest);
    for (size_t i = 0; i < chain->count; i++) {
        r = seal_check_all(chain->dirs[i].fd, chain->dirs[i].manifest, on_bytes, e, &e->reason);
        if (r < 0)
            return failed(e, "checking it", r);
    }
    return 0;
}

static int open_disk(struct exporter *e)
{
    int fd;

    snprintf(e->folder, sizeof(e->folder), LAYOUT_UNPACK "%" PRIu64,
             (uint64_t)LAYOUT_EXPORT + e->args->number);
    fd = claim_folder(e->at.service_fd, e->folder);
    e->on_disk = fd >= 0;
    return fd;
}

static int open_folder(struct exporter *e)
{
    uint64_t size = image_bytes(e) + EXTRA_BYTES;
    int fd = scratch_memory_available() > size ? scratch_memory(size) : -ENOMEM;

    return fd >= 0 ? fd : open_disk(e);
}

static int make_plain(struct exporter *e)
{
    const struct chain *chain = &e->at.chain;
    const struct delta_options options = {.keys = e->at.keys, .progress = on_pages, .data = e};
    struct delta_stats stats;
    int r;

    e->manifest = *manifest(e);
    e->manifest.images = NULL;
    e->manifest.image_count = 0;
    e->manifest.parent = 0;
    e->manifest.bytes = 0;
    if (is_ready(e)) {
        e->image_fd = fcntl(chain->dirs[0].fd, F_DUPFD_CLOEXEC, 3);
        return e->image_fd < 0 ? failed(e, "its folder", -errno) : 0;
    }
    e->image_fd = open_folder(e);
    if (e->image_fd < 0)
        return failed(e, "a folder for the full image", e->image_fd);
    r = delta_make(chain->dirs, chain->count, NULL, 0, e->image_fd, &options, &stats);
    if (r < 0)
        return failed(e, "making the full image", r);
    e->manifest.pages = stats.pages;
    e->manifest.pages_stored = stats.stored - stats.zero;
    return 0;
}

/* ---- what else is in the archive ---- */

static int write_text(struct exporter *e, const char *name, char *text)
{
    _cleanup_free_ char *owned = text;
    _cleanup_close_ int fd = -1;
    int r;

    if (!owned)
        return failed(e, name, -ENOMEM);
    fd = openat(e->extra_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    r = fd < 0 ? -errno : fs_write_all(fd, owned, strlen(owned));
    return r < 0 ? failed(e, name, r) : 0;
}

/* ---- the manifest ---- */

static bool is_log(const char *name)
{
    size_t len = strlen(name);

    return len > 4 && strcmp(name + len - 4, ".log") == 0;
}

/* What was checked a moment ago need not be hashed again. */
static int take_list(struct exporter *e)
{
    const struct manifest *m = manifest(e);

    e->manifest.images = calloc(m->image_count, sizeof(*m->images));
    if (!e->manifest.images)
        return -ENOMEM;
    for (size_t i = 0; i < m->image_count; i++) {
        struct manifest_image *image = &e->manifest.images[e->manifest.image_count];

        if (is_log(m->images[i].name))
            continue;
        *image = m->images[i];
        image->name = strdup(m->images[i].name);
        if (!image->name)
            return -ENOMEM;
        e->manifest.image_count++;
    }
    e->manifest.bytes = m->bytes;
    return 0;
}

/* What is no image comes first, then by name: equal checkpoints make equal archives. */
static int by_place(const void *a, const void *b)
{
    const struct manifest_image *x = a, *y = b;
    bool image_x = archive_name_is_image(x->name), image_y = archive_name_is_image(y->name);

    return image_x != image_y ? image_x - image_y : strcmp(x->name, y->name);
}

static int make_manifest(struct exporter *e)
{
    struct manifest *m = &e->manifest;
    int r;

    e->extra_fd = scratch_memory(EXTRA_BYTES);
    if (e->extra_fd < 0)
        return failed(e, "a folder in memory", e->extra_fd);
    if ((r = write_text(e, ARCHIVE_CONFIG, archive_json_config(m))) < 0 ||
        (r = write_text(e, ARCHIVE_SPEC, archive_json_spec(m))) < 0)
        return r;
    r = is_ready(e) ? take_list(e) : seal_make(e->image_fd, NULL, m);
    if (r < 0 || (r = seal_make(e->extra_fd, NULL, m)) < 0)
        return failed(e, "hashing it", r);
    for (size_t i = 0; i < m->image_count; i++) /* which say nothing elsewhere */
        m->images[i].inode = 0, m->images[i].mtime_nsec = 0, m->images[i].ctime_nsec = 0;
    qsort(m->images, m->image_count, sizeof(*m->images), by_place);
    r = manifest_write(e->extra_fd, m, e->at.keys);
    return r < 0 ? failed(e, MANIFEST_FILE, r) : 0;
}

/* ---- the archive ---- */

static void archive_out_freep(struct archive_out **out)
{
    archive_out_free(*out);
}

static bool is_extra(const char *name)
{
    return strcmp(name, ARCHIVE_CONFIG) == 0 || strcmp(name, ARCHIVE_SPEC) == 0;
}

static int add_files(struct exporter *e, struct archive_out *out)
{
    int r = archive_out_add(out, e->extra_fd, MANIFEST_FILE, NULL, NULL);

    if (r < 0)
        return failed(e, MANIFEST_FILE, r);
    for (size_t i = 0; i < e->manifest.image_count; i++) {
        const char *name = e->manifest.images[i].name;

        r = archive_out_add(out, is_extra(name) ? e->extra_fd : e->image_fd, name, on_bytes, e);
        if (r == -EINVAL)
            reason_set(&e->reason, "`perdure unpack` writes it as it is",
                       "exporting %s: no archive takes a file of the name %s", e->id, name);
        if (r < 0)
            return failed(e, name, r);
    }
    return 0;
}

static int write_archive(struct exporter *e, uint64_t *ret_bytes)
{
    _cleanup_(archive_out_freep) struct archive_out *out = NULL;
    int r;

    r = archive_out_new(e->args->file_fd, ZSTD_LEVEL, e->manifest.time_realtime, &out);
    if (r < 0)
        return failed(e, "the archive", r);
    if ((r = add_files(e, out)) < 0)
        return r;
    if ((r = archive_out_finish(out, ret_bytes)) < 0)
        return failed(e, "the archive", r);
    /* A pipe has nothing to sync; whoever reads it looks after that. */
    if (fsync(e->args->file_fd) < 0 && errno != EINVAL && errno != EROFS)
        return failed(e, "the archive", -errno);
    report_progress(e->args, e->total, e->total);
    return 0;
}

static int export_checkpoint(struct exporter *e, uint64_t *ret_bytes)
{
    int r = opened_checkpoint(&e->at, e->args, e->args->name, e->args->number, &e->reason);

    if (r < 0)
        return failed(e, "opening it", r);
    if ((r = check(e)) < 0 || (r = make_plain(e)) < 0 || (r = make_manifest(e)) < 0)
        return r;
    return write_archive(e, ret_bytes);
}

int worker_export(const struct worker_args *args)
{
    _cleanup_(export_done) struct exporter e = {
        .args = args, .at = OPENED_NONE, .image_fd = -1, .extra_fd = -1};
    _cleanup_free_ char *result = NULL;
    uint64_t bytes;

    background_enter(args->nice);
    checkpoint_id_format(args->name, args->number, e.id);
    if (export_checkpoint(&e, &bytes) < 0)
        return report_failure(args, &e.reason);
    result = archive_json_result(e.id, bytes);
    return report_result(args, result ? result : "");
}
