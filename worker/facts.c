/* facts.c - reads the host side of a checkpoint: files and machine. */
#include "worker/facts.h"

#include "common/cleanup.h"
#include "common/utf8.h"
#include "image/host.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

struct manifest_file *facts_find(const struct manifest *manifest, const char *path)
{
    for (size_t i = 0; i < manifest->file_count; i++)
        if (!manifest->files[i].deleted && strcmp(manifest->files[i].path, path) == 0)
            return &manifest->files[i];
    return NULL;
}

struct manifest_file *facts_add(struct manifest *manifest, const char *path)
{
    _cleanup_free_ char *copy = strdup(path), *snapshot = strdup("");
    struct manifest_file *more;

    if (!copy || !snapshot)
        return NULL;
    more = reallocarray(manifest->files, manifest->file_count + 1, sizeof(*more));
    if (!more)
        return NULL;
    manifest->files = more;
    more += manifest->file_count++;
    *more = (struct manifest_file){.path = TAKE_PTR(copy), .snapshot = TAKE_PTR(snapshot)};
    return more;
}

void facts_set_identity(struct manifest_file *file, const struct stat *st)
{
    file->device = st->st_dev;
    file->inode = st->st_ino;
    file->mtime_nsec = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
    file->mode = st->st_mode & ACCESSPERMS;
    file->uid = st->st_uid;
    file->gid = st->st_gid;
}

static struct manifest_file *new_file(struct manifest *manifest, const struct image_file *image)
{
    struct manifest_file *file = facts_add(manifest, image->path);
    struct stat st;

    if (!file)
        return NULL;
    file->size = image->size;
    file->deleted = image->deleted;
    if (file->deleted)
        utf8_mend(file->path); /* only to be shown; any other must be found again */
    file->append = true;       /* until a descriptor or a mapping says otherwise */
    /* Gone already: device and inode 0 make it unrestorable until the path is back. */
    if (!file->deleted && stat(file->path, &st) == 0) {
        facts_set_identity(file, &st);
        if (!image->sized)
            file->size = (uint64_t)st.st_size;
    }
    return file;
}

/* The files come sorted: another descriptor of one follows at once. */
static int add_file(struct manifest *manifest, const struct image_file *image)
{
    struct manifest_file *file =
        manifest->file_count > 0 ? &manifest->files[manifest->file_count - 1] : NULL;

    if (!file || file->deleted || image->deleted || strcmp(file->path, image->path) != 0)
        file = new_file(manifest, image);
    if (!file)
        return -ENOMEM;
    file->append &=
        image->open && image->flags & O_APPEND && (image->flags & O_ACCMODE) == O_WRONLY;
    if (image->sized)
        file->size = image->size;
    file->mapped |= image->mapped;
    file->open |= image->open;
    file->flags |= image->flags;
    if (image->open && image->offset > file->offset)
        file->offset = image->offset;
    return 0;
}

static bool is_made_up(const char *path)
{
    return strncmp(path, "/proc/", 6) == 0 || strncmp(path, "/sys/", 5) == 0;
}

static int by_path(const void *a, const void *b)
{
    const struct image_file *x = *(const struct image_file *const *)a;
    const struct image_file *y = *(const struct image_file *const *)b;

    return x->deleted != y->deleted ? x->deleted - y->deleted : strcmp(x->path, y->path);
}

int facts_files(const struct image *image, struct manifest *manifest)
{
    _cleanup_free_ const struct image_file **sorted = NULL;
    size_t count = 0;
    int r = 0;

    sorted = calloc(image->file_count + 1, sizeof(const struct image_file *));
    if (!sorted)
        return -ENOMEM;
    for (size_t i = 0; i < image->file_count; i++) {
        const struct image_file *file = &image->files[i];

        if ((file->mapped || file->open) && !is_made_up(file->path))
            sorted[count++] = file;
    }
    qsort(sorted, count, sizeof(*sorted), by_path);
    for (size_t i = 0; i < count && r == 0; i++)
        r = add_file(manifest, sorted[i]);
    return r;
}

int facts_host(struct manifest *manifest)
{
    struct host host;
    int r;

    r = proc_boot_id(manifest->boot_id);
    if (r < 0)
        return r;
    r = host_read(&host);
    if (r < 0)
        return r;
    manifest->kernel = TAKE_PTR(host.kernel);
    manifest->machine = TAKE_PTR(host.machine);
    manifest->cpu = TAKE_PTR(host.cpu);
    manifest->host = TAKE_PTR(host.name);
    return 0;
}

uint64_t facts_freeze_time(int dirfd, uint64_t fallback)
{
    struct statx stx;

    if (statx(dirfd, "files.img", AT_SYMLINK_NOFOLLOW, STATX_BTIME, &stx) < 0 ||
        !(stx.stx_mask & STATX_BTIME))
        return fallback;
    return (uint64_t)stx.stx_btime.tv_sec * USEC_PER_SEC + stx.stx_btime.tv_nsec / 1000;
}
