/* facts.c - reads the host side of a checkpoint: files and machine. */
#include "worker/facts.h"

#include "common/cleanup.h"
#include "image/host.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static struct manifest_file *file_by_path(struct manifest *manifest, const char *path)
{
    for (size_t i = 0; i < manifest->file_count; i++)
        if (strcmp(manifest->files[i].path, path) == 0)
            return &manifest->files[i];
    return NULL;
}

static int64_t nsec(const struct timespec *ts)
{
    return (int64_t)ts->tv_sec * 1000000000 + ts->tv_nsec;
}

static int add_file(struct manifest *manifest, const struct image_file *image)
{
    bool append = image->flags & O_APPEND && (image->flags & O_ACCMODE) == O_WRONLY;
    struct manifest_file *file = file_by_path(manifest, image->path);
    struct stat st = {0};

    if (file) {
        file->append &= append || !image->open;
        file->mapped |= image->mapped;
        file->open |= image->open;
        return 0;
    }
    file = &manifest->files[manifest->file_count];
    /* Gone already: device and inode 0 make it unrestorable until the path is back. */
    (void)stat(image->path, &st);
    *file = (struct manifest_file){
        .path = strdup(image->path),
        .device = st.st_dev,
        .inode = st.st_ino,
        .size = image->size,
        .mtime_nsec = nsec(&st.st_mtim),
        .mapped = image->mapped,
        .open = image->open,
        .append = append && image->open,
    };
    if (!file->path)
        return -ENOMEM;
    manifest->file_count++;
    return 0;
}

int facts_files(const struct image *image, struct manifest *manifest)
{
    manifest->files = calloc(image->file_count + 1, sizeof(*manifest->files));
    if (!manifest->files)
        return -ENOMEM;
    for (size_t i = 0; i < image->file_count; i++) {
        int r;

        if (!image->files[i].mapped && !image->files[i].open)
            continue;
        r = add_file(manifest, &image->files[i]);
        if (r < 0)
            return r;
    }
    return 0;
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
