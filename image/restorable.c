/* restorable.c - compares a manifest with this host, by stat(2) alone. */
#include "image/restorable.h"

#include "common/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

__attribute__((format(printf, 2, 3))) static int no(char **ret_why, const char *format, ...)
{
    va_list args;
    char *why;
    int n;

    va_start(args, format);
    n = vasprintf(&why, format, args);
    va_end(args);
    if (n < 0)
        return -ENOMEM;
    *ret_why = why;
    return NOT_RESTORABLE;
}

/* elf(5). Data files that are mapped (caches, databases) may be written to; code may not. */
static bool is_elf(const char *path)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    char magic[4];

    return fd >= 0 && read(fd, magic, sizeof(magic)) == (ssize_t)sizeof(magic) &&
           memcmp(magic, "\177ELF", sizeof(magic)) == 0;
}

static int64_t nsec(const struct timespec *ts)
{
    return (int64_t)ts->tv_sec * 1000000000 + ts->tv_nsec;
}

enum file_change file_compare(const struct manifest_file *file, const struct stat *now,
                              bool same_boot)
{
    if (!S_ISREG(now->st_mode) || now->st_ino != file->inode ||
        (same_boot && now->st_dev != file->device))
        return FILE_REPLACED;
    if ((uint64_t)now->st_size != file->size)
        return (uint64_t)now->st_size > file->size ? FILE_GROWN : FILE_SHRUNK;
    return nsec(&now->st_mtim) == file->mtime_nsec ? FILE_SAME : FILE_TOUCHED;
}

bool file_is_written(const struct manifest_file *file)
{
    return (file->open || file->mapped) && (file->flags & O_ACCMODE) != O_RDONLY;
}

bool manifest_is_of_this_boot(const struct manifest *manifest)
{
    char boot_id[BOOT_ID_LEN + 1];

    return proc_boot_id(boot_id) == 0 && strcmp(boot_id, manifest->boot_id) == 0;
}

static int no_size(const struct manifest_file *file, const struct stat *now, const char *hint,
                   char **ret_why)
{
    return no(ret_why, "%s has %llu bytes now, the image needs %llu%s", file->path,
              (unsigned long long)now->st_size, (unsigned long long)file->size, hint);
}

/* Files=ignore, and all files that no mode touches. The inode does not decide: an overlay gives new
 * ones after a reboot, and a reinstalled package of the same version has the old size and time. It
 * only helps to say what happened. */
static int check_as_criu(const struct manifest_file *file, const struct stat *now,
                         enum files_mode mode, char **ret_why)
{
    if (file->append)
        return 0;
    if ((uint64_t)now->st_size != file->size)
        return no_size(file, now,
                       mode >= FILES_TRUNCATE ? " (the service only reads it: Files= leaves it)"
                                              : "",
                       ret_why);
    if (file->mapped && nsec(&now->st_mtim) != file->mtime_nsec && is_elf(file->path))
        return no(ret_why, "%s was %s since", file->path,
                  now->st_ino != file->inode ? "replaced" : "changed");
    return 0;
}

static int check_unchanged(const struct manifest_file *file, const struct stat *now, bool same_boot,
                           char **ret_why)
{
    switch (file_compare(file, now, same_boot)) {
    case FILE_SAME:
        return 0;
    case FILE_REPLACED:
        return no(ret_why, "%s was replaced since the checkpoint (Files=refuse)", file->path);
    case FILE_TOUCHED:
        return no(ret_why, "%s was written to since the checkpoint (Files=refuse)", file->path);
    case FILE_GROWN:
    case FILE_SHRUNK:
        break;
    }
    return no_size(file, now, " (Files=refuse)", ret_why);
}

/* Of the same size is good enough here: what was overwritten in place cannot be seen for sure. */
static int check_can_be_cut(const struct manifest_file *file, const struct stat *now,
                            bool same_boot, char **ret_why)
{
    switch (file_compare(file, now, same_boot)) {
    case FILE_SAME:
    case FILE_TOUCHED:
    case FILE_GROWN:
        return 0;
    case FILE_REPLACED:
        return no(ret_why, "%s was replaced since the checkpoint: it cannot be cut back",
                  file->path);
    case FILE_SHRUNK:
        break;
    }
    return no_size(file, now, ": what is missing cannot be cut back", ret_why);
}

static int check_file(const struct manifest_file *file, enum files_mode mode, bool same_boot,
                      char **ret_why)
{
    bool needed = file->open || file->mapped;
    struct stat st;

    if (!needed || file->deleted || (mode == FILES_SNAPSHOT && file->snapshot && file->snapshot[0]))
        return 0;
    if (stat(file->path, &st) < 0)
        return no(ret_why, "%s is gone: %s", file->path, strerror(errno));
    if (mode == FILES_REFUSE && (file->open || file_is_written(file)))
        return check_unchanged(file, &st, same_boot, ret_why);
    if (mode >= FILES_TRUNCATE && file_is_written(file))
        return check_can_be_cut(file, &st, same_boot, ret_why);
    return check_as_criu(file, &st, mode, ret_why);
}

int restorable_files(const struct manifest *manifest, enum files_mode mode, char **ret_why)
{
    bool same_boot = mode != FILES_IGNORE && manifest_is_of_this_boot(manifest);

    for (size_t i = 0; i < manifest->file_count; i++) {
        int r = check_file(&manifest->files[i], mode, same_boot, ret_why);

        if (r != 0)
            return r;
    }
    return 0;
}

int restorable_host(const struct manifest *manifest, const struct host *host, unsigned criu_version,
                    char **ret_why)
{
    unsigned image = manifest->criu_version, ours = criu_version;
    _cleanup_free_ char *feature = NULL;
    int r;

    if (strcmp(manifest->machine, host->machine) != 0)
        return no(ret_why, "it was made on %s, this machine is %s", manifest->machine,
                  host->machine);
    if (ours && image > ours)
        return no(ret_why, "it was made by CRIU %u.%u.%u, this host has %u.%u.%u", image / 10000,
                  image / 100 % 100, image % 100, ours / 10000, ours / 100 % 100, ours % 100);
    r = host_compare_cpu(manifest->cpu, host->cpu, &feature);
    if (r == HOST_LACKS)
        return no(ret_why, "this machine's processor lacks %s, which the program may use", feature);
    return r;
}

int restorable_images(int image_fd, const struct manifest *manifest, char **ret_why)
{
    for (size_t i = 0; i < manifest->image_count; i++) {
        const struct manifest_image *image = &manifest->images[i];
        struct stat st;

        if (fstatat(image_fd, image->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            return errno != ENOENT ? -errno : no(ret_why, "its file %s is gone", image->name);
        if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != image->size)
            return no(ret_why, "its file %s has %llu bytes instead of %llu", image->name,
                      (unsigned long long)st.st_size, (unsigned long long)image->size);
    }
    return 0;
}
