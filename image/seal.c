/* seal.c - hashes, syncs and compares the files of an image. */
#include "image/seal.h"

#include "common/cleanup.h"
#include "image/hash.h"
#include "image/layout.h"
#include "image/pack.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
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
    r = pack_plain_size(dirfd, name, &image.plain_size);
    if (r < 0)
        return r;
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

static bool is_link(int dirfd, const char *name)
{
    struct stat st;

    return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode);
}

static bool is_sealed(int dirfd, const char *name, const char *except)
{
    return !is_dot(name) && !(except && strcmp(name, except) == 0) &&
           !(strcmp(name, LAYOUT_PARENT) == 0 && is_link(dirfd, name));
}

int seal_make(int dirfd, const char *except, struct manifest *manifest)
{
    _cleanup_closedir_ DIR *dir = open_folder(dirfd);
    struct dirent *entry;
    int r = 0;

    if (!dir)
        return -errno;
    while (r == 0 && (entry = readdir(dir)))
        if (is_sealed(dirfd, entry->d_name, except))
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

/* Not the image's fault, as far as we know. */
static int unchecked(struct reason *reason, const char *name, int error)
{
    if (error == -ENOSYS)
        reason_set(reason, "install libssl3 (OpenSSL)", "libcrypto cannot be loaded");
    else
        reason_set(reason, "", "checking %s: %s", name, strerror(-error));
    return error;
}

struct check {
    int dirfd;
    const struct manifest *manifest;
    bool all;
    void (*tell)(uint64_t bytes, void *data);
    void *data;
    struct reason *reason;
};

static int check_hash(const struct check *c, const struct manifest_image *image)
{
    char sha256[HASH_HEX + 1];
    int r = hash_file_telling(c->dirfd, image->name, c->tell, c->data, sha256);

    if (r == -EIO)
        return damaged(c->reason, image->name, "cannot be read");
    if (r < 0)
        return unchecked(c->reason, image->name, r);
    return strcmp(sha256, image->sha256) == 0
               ? 0
               : damaged(c->reason, image->name, "has another content");
}

static int check_file(const struct check *c, const struct manifest_image *image)
{
    struct stat st;

    if (fstatat(c->dirfd, image->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? damaged(c->reason, image->name, "is missing")
               : errno == EIO  ? damaged(c->reason, image->name, "cannot be read")
                               : unchecked(c->reason, image->name, -errno);
    if (!S_ISREG(st.st_mode))
        return damaged(c->reason, image->name, "is not a file");
    if ((uint64_t)st.st_size != image->size)
        return damaged(c->reason, image->name, "has another size");
    if (!c->all && st.st_ino == image->inode && nsec(&st.st_mtim) == image->mtime_nsec &&
        nsec(&st.st_ctim) == image->ctime_nsec)
        return 0;
    return check_hash(c, image);
}

/* CRIU follows the link wherever it leads; where there should be none it is an added file. */
static int check_parent(const struct check *c)
{
    char expected[32], target[32];
    ssize_t n;

    if (c->manifest->parent == 0)
        return 0;
    snprintf(expected, sizeof(expected), "../%" PRIu64, c->manifest->parent);
    n = readlinkat(c->dirfd, LAYOUT_PARENT, target, sizeof(target));
    if (n < 0)
        return damaged(c->reason, LAYOUT_PARENT, errno == ENOENT ? "is missing" : "is not a link");
    return (size_t)n == strlen(expected) && memcmp(target, expected, (size_t)n) == 0
               ? 0
               : damaged(c->reason, LAYOUT_PARENT, "leads elsewhere");
}

/* Names CRIU would open of itself; a log or statistics of a restore by hand do no harm. */
static bool criu_reads(const char *name)
{
    size_t len = strlen(name);

    return strcmp(name, LAYOUT_PARENT) == 0 || (len > 4 && strcmp(name + len - 4, ".img") == 0);
}

static bool belongs(const struct manifest *manifest, const char *name)
{
    if (strcmp(name, LAYOUT_PARENT) == 0)
        return manifest->parent != 0;
    for (size_t i = 0; i < manifest->image_count; i++)
        if (strcmp(manifest->images[i].name, name) == 0)
            return true;
    return false;
}

static int check(const struct check *c)
{
    _cleanup_closedir_ DIR *dir = open_folder(c->dirfd);
    struct dirent *entry;
    int r;

    if (!dir)
        return unchecked(c->reason, "the folder", -errno);
    r = check_parent(c);
    for (size_t i = 0; r == 0 && i < c->manifest->image_count; i++)
        r = check_file(c, &c->manifest->images[i]);
    if (r < 0)
        return r;
    while ((entry = readdir(dir)))
        if (criu_reads(entry->d_name) && !belongs(c->manifest, entry->d_name))
            return damaged(c->reason, entry->d_name, "does not belong to it");
    return 0;
}

int seal_check(int dirfd, const struct manifest *manifest, struct reason *reason)
{
    return check(&(struct check){.dirfd = dirfd, .manifest = manifest, .reason = reason});
}

int seal_check_all(int dirfd, const struct manifest *manifest,
                   void (*tell)(uint64_t bytes, void *data), void *data, struct reason *reason)
{
    return check(&(struct check){dirfd, manifest, true, tell, data, reason});
}

uint64_t seal_bytes(const struct manifest *manifest)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < manifest->image_count; i++)
        bytes += manifest->images[i].size;
    return bytes;
}
