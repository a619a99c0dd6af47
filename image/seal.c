/* seal.c - hashes, syncs and compares the files of an image. */
#include "image/seal.h"

#include "common/cleanup.h"
#include "image/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

static int64_t nsec(const struct timespec *ts)
{
    return (int64_t)ts->tv_sec * 1000000000 + ts->tv_nsec;
}

static DIR *open_folder(int dirfd)
{
    int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

    if (!dir)
        fd_close(fd);
    return dir;
}

static bool is_dot(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* ---- make ---- */

/* Hash first, sync second: the hash reads what is still in memory. */
static int seal_file(int dirfd, const char *name, struct manifest *manifest)
{
    struct manifest_image *more, image = {0};
    _cleanup_close_ int fd = -1;
    struct stat st;
    int r;

    fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    r = hash_file(dirfd, name, image.sha256);
    if (r < 0)
        return r;
    if (fsync(fd) < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EBADMSG;
    image.size = (uint64_t)st.st_size;
    image.inode = st.st_ino;
    image.mtime_nsec = nsec(&st.st_mtim);
    image.ctime_nsec = nsec(&st.st_ctim);
    more = reallocarray(manifest->images, manifest->image_count + 1, sizeof(*more));
    if (!more)
        return -ENOMEM;
    manifest->images = more;
    image.name = strdup(name);
    if (!image.name)
        return -ENOMEM;
    more[manifest->image_count++] = image;
    manifest->bytes += (uint64_t)st.st_blocks * 512;
    return 0;
}

int seal_make(int dirfd, const char *except, struct manifest *manifest)
{
    _cleanup_closedir_ DIR *dir = open_folder(dirfd);
    struct dirent *entry;
    int r = 0;

    if (!dir)
        return -errno;
    while (r == 0 && (entry = readdir(dir)))
        if (!is_dot(entry->d_name) && !(except && strcmp(entry->d_name, except) == 0))
            r = seal_file(dirfd, entry->d_name, manifest);
    return r;
}

/* ---- check ---- */

static int damaged(struct reason *reason, const char *name, const char *what)
{
    reason_set(reason, "an older checkpoint is taken; look at the disk (dmesg, smartctl)",
               "the image is damaged: %s %s", name, what);
    return -EBADMSG;
}

static int check_file(int dirfd, const struct manifest_image *image, struct reason *reason)
{
    char sha256[HASH_HEX + 1];
    struct stat st;
    int r;

    if (fstatat(dirfd, image->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? damaged(reason, image->name, "is missing") : -errno;
    if (!S_ISREG(st.st_mode))
        return damaged(reason, image->name, "is not a file");
    if ((uint64_t)st.st_size != image->size)
        return damaged(reason, image->name, "has another size");
    if (st.st_ino == image->inode && nsec(&st.st_mtim) == image->mtime_nsec &&
        nsec(&st.st_ctim) == image->ctime_nsec)
        return 0;
    r = hash_file(dirfd, image->name, sha256);
    if (r == -EIO)
        return damaged(reason, image->name, "cannot be read");
    if (r < 0)
        return r;
    return strcmp(sha256, image->sha256) == 0 ? 0
                                              : damaged(reason, image->name, "has another content");
}

/* Names CRIU would open of itself; a log or statistics of a restore by hand do no harm. */
static bool criu_reads(const char *name)
{
    size_t len = strlen(name);

    return strcmp(name, "parent") == 0 || (len > 4 && strcmp(name + len - 4, ".img") == 0);
}

static bool is_listed(const struct manifest *manifest, const char *name)
{
    for (size_t i = 0; i < manifest->image_count; i++)
        if (strcmp(manifest->images[i].name, name) == 0)
            return true;
    return false;
}

int seal_check(int dirfd, const struct manifest *manifest, struct reason *reason)
{
    _cleanup_closedir_ DIR *dir = open_folder(dirfd);
    struct dirent *entry;

    if (!dir)
        return -errno;
    for (size_t i = 0; i < manifest->image_count; i++) {
        int r = check_file(dirfd, &manifest->images[i], reason);

        if (r < 0)
            return r;
    }
    while ((entry = readdir(dir)))
        if (criu_reads(entry->d_name) && !is_listed(manifest, entry->d_name))
            return damaged(reason, entry->d_name, "does not belong to it");
    return 0;
}
