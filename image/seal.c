/* seal.c - hashes, syncs and compares the files of an image. */
#include "image/seal.h"

#include "common/cleanup.h"
#include "common/fs.h"
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

/* ---- make ---- */

/* Hash first, sync second: the hash reads what is still in memory. */
static int seal_file(int dirfd, const char *name, struct manifest *manifest)
{
    struct manifest_image *more, image = {0};
    _cleanup_close_ int fd = -1;
    struct stat st;
    int r;

    r = pack_plain_size(dirfd, name, &image.plain_size); /* -EBADMSG: it is no regular file */
    if (r < 0)
        return r;
    fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    r = hash_file(dirfd, name, image.sha256);
    if (r < 0)
        return r;
    if (fsync(fd) < 0 || fstat(fd, &st) < 0)
        return -errno;
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

struct sealing {
    const char *except;
    struct manifest *manifest;
};

static int seal_entry(int dirfd, const char *name, void *data)
{
    const struct sealing *sealing = data;

    if ((sealing->except && strcmp(name, sealing->except) == 0) ||
        (strcmp(name, LAYOUT_PARENT) == 0 && is_link(dirfd, name)))
        return 0;
    return seal_file(dirfd, name, sealing->manifest);
}

int seal_make(int dirfd, const char *except, struct manifest *manifest)
{
    return fs_for_each(dirfd, seal_entry, &(struct sealing){except, manifest});
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
        reason_set(reason, "install libssl3 (OpenSSL)",
                   "libcrypto cannot be loaded, or refuses to hash");
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

enum { ADDED = 1 };

static int find_added(int dirfd, const char *name, void *data)
{
    const struct check *c = data;

    if (!criu_reads(name) || belongs(c->manifest, name))
        return 0;
    (void)damaged(c->reason, name, "does not belong to it");
    return ADDED;
}

static int check(const struct check *c)
{
    int r = check_parent(c);

    for (size_t i = 0; r == 0 && i < c->manifest->image_count; i++)
        r = check_file(c, &c->manifest->images[i]);
    if (r < 0)
        return r;
    r = fs_for_each(c->dirfd, find_added, (void *)c);
    return r == ADDED ? -EBADMSG : r < 0 ? unchecked(c->reason, "the folder", r) : 0;
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
