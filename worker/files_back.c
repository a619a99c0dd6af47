/* files_back.c - cuts and rewrites files before a restore, and nothing else: what it touches is the
 * inode that the service had open, or a new file of the service's owner. */
#include "worker/files_back.h"

#include "common/cleanup.h"
#include "image/content.h"
#include "image/restorable.h"
#include "worker/real_file.h"
#include "worker/tree.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#define NEW_SUFFIX ".perdure-new"

struct back {
    const struct image_dir *image;
    struct reason *reason;
    bool same_boot;
    bool act; /* false: all is looked at, so that nothing is changed for a restore that cannot be */
};

static enum worker_result failed(struct back *b, const char *path, int error)
{
    if (error == -ELOOP) {
        reason_set(b->reason, "put the file itself there, or let the service start cold",
                   "%s is reached through a symbolic link now: it is not touched", path);
        return WORKER_UNRESTORABLE;
    }
    if (error == -ENOENT || error == -EINVAL) {
        reason_set(b->reason, "put the file and its folder back, or let the service start cold",
                   "%s is %s", path, error == -ENOENT ? "gone" : "no regular file any more");
        return WORKER_UNRESTORABLE;
    }
    if (error == -EACCES) {
        reason_set(b->reason, "put the file back by hand, or give the folder to the service's user",
                   "%s is gone, and its folder is not one of its owner's", path);
        return WORKER_UNRESTORABLE;
    }
    reason_set(b->reason,
               error == -ENOSPC ? "the disk is full; free space" : "look at the file by hand",
               "putting %s back as it was: %s", path, strerror(-error));
    return WORKER_FAILED;
}

/* ---- who else writes ---- */

static bool process_has(const char *pid, const struct stat *wanted)
{
    _cleanup_closedir_ DIR *dir = NULL;
    struct dirent *entry;
    struct stat st;
    char path[288];

    snprintf(path, sizeof(path), "/proc/%s/fd", pid);
    dir = opendir(path);
    while (dir && (entry = readdir(dir)))
        if (fstatat(dirfd(dir), entry->d_name, &st, 0) == 0 && st.st_ino == wanted->st_ino &&
            st.st_dev == wanted->st_dev)
            return true;
    return false;
}

/* 0: nobody that can be seen; it may only have it mapped. */
static pid_t holder(const struct stat *st)
{
    _cleanup_closedir_ DIR *proc = opendir("/proc");
    struct dirent *entry;

    while (proc && (entry = readdir(proc)))
        if (isdigit((unsigned char)entry->d_name[0]) && atoi(entry->d_name) != getpid() &&
            process_has(entry->d_name, st))
            return atoi(entry->d_name);
    return 0;
}

/* The kernel gives a read lease only when nobody has the file open for writing (fcntl(2)); where a
 * file system has no leases, nothing can be told. */
static bool somebody_writes(int fd)
{
    void (*old)(int) = signal(SIGIO, SIG_IGN); /* an open that the lease holds up for a moment */
    bool busy = fcntl(fd, F_SETLEASE, F_RDLCK) < 0 && errno == EAGAIN;

    (void)fcntl(fd, F_SETLEASE, F_UNLCK);
    signal(SIGIO, old);
    return busy;
}

static enum worker_result check_may_change(struct back *b, const struct manifest_file *file, int fd,
                                           const struct stat *st)
{
    const char *path = file->path;
    char comm[TREE_COMM_SIZE];
    pid_t pid;

    if (st->st_uid != file->uid) {
        reason_set(b->reason, "give it back its owner, or let the service start cold",
                   "%s belongs to user %u now, not to %u: it is not changed", path, st->st_uid,
                   file->uid);
        return WORKER_UNRESTORABLE;
    }
    if (!somebody_writes(fd))
        return WORKER_OK;
    pid = holder(st);
    if (pid)
        tree_comm(pid, comm);
    reason_set(b->reason, "stop that program, or set [Checkpoint] Files=ignore",
               "%s is open for writing in another program (%s %d): it is not changed", path,
               pid ? comm : "unknown", (int)pid);
    return WORKER_UNRESTORABLE;
}

/* ---- truncate ---- */

static enum worker_result cut(struct back *b, const struct manifest_file *file)
{
    _cleanup_close_ int fd = -1, to = -1;
    enum file_change change;
    enum worker_result result;
    struct stat st;

    fd = real_file_open(file->path, O_RDONLY, &st);
    if (fd < 0)
        return failed(b, file->path, fd);
    change = file_compare(file, &st, b->same_boot);
    if (change == FILE_SAME || change == FILE_TOUCHED)
        return WORKER_OK;
    if (change != FILE_GROWN) { /* just now: restorable_files() saw another */
        reason_set(b->reason, "let the service start cold", "%s was replaced or cut meanwhile",
                   file->path);
        return WORKER_UNRESTORABLE;
    }
    result = check_may_change(b, file, fd, &st);
    if (result != WORKER_OK || !b->act)
        return result;
    to = real_file_reopen(fd, O_WRONLY);
    if (to < 0)
        return failed(b, file->path, to);
    if (ftruncate(to, (off_t)file->size) < 0 || fsync(to) < 0)
        return failed(b, file->path, -errno);
    return WORKER_OK;
}

/* ---- snapshot ---- */

static int fill(int from, int to, const struct manifest_file *file)
{
    const struct timespec times[2] = {
        {.tv_nsec = UTIME_OMIT},
        {.tv_sec = file->mtime_nsec / 1000000000, .tv_nsec = file->mtime_nsec % 1000000000},
    };
    int r;

    if (ioctl(to, FICLONE, from) < 0) {
        r = ftruncate(to, 0) < 0 ? -errno : content_copy(from, to);
        if (r < 0)
            return r;
    }
    if (ftruncate(to, (off_t)file->size) < 0 || futimens(to, times) < 0 || fsync(to) < 0)
        return -errno;
    return 0;
}

/* Only what the file's owner may do himself is done for him: an image from elsewhere must not plant
 * a file among others'. */
static int open_folder(const struct manifest_file *file, const char **ret_name)
{
    _cleanup_close_ int fd = real_file_open_folder(file->path, ret_name);
    struct stat st;

    if (fd < 0)
        return fd;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (file->uid != 0 && !(st.st_uid == file->uid && st.st_mode & S_IWUSR) &&
        !(st.st_gid == file->gid && st.st_mode & S_IWGRP) && !(st.st_mode & S_IWOTH))
        return -EACCES;
    return TAKE_FD(fd);
}

/* Whoever owns the folder may play with the name meanwhile, but what gets the content has the
 * owner and the permissions of the file of the freeze. */
static int make_anew(int from, const struct manifest_file *file)
{
    _cleanup_close_ int folder_fd = -1, to = -1;
    _cleanup_free_ char *new = NULL;
    const char *name;
    int r;

    folder_fd = open_folder(file, &name);
    if (folder_fd < 0)
        return folder_fd;
    if (asprintf(&new, ".%s" NEW_SUFFIX, name) < 0) {
        new = NULL;
        return -ENOMEM;
    }
    (void)unlinkat(folder_fd, new, 0); /* of a run that was killed */
    to = openat(folder_fd, new, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (to < 0)
        return -errno;
    if (fchown(to, file->uid, file->gid) < 0 || fchmod(to, file->mode) < 0)
        r = -errno;
    else
        r = fill(from, to, file);
    if (r == 0 && renameat(folder_fd, new, folder_fd, name) < 0)
        r = -errno;
    if (r < 0) {
        (void)unlinkat(folder_fd, new, 0);
        return r;
    }
    return fsync(folder_fd) < 0 ? -errno : 0;
}

static int rewrite(int from, int fd, const struct manifest_file *file)
{
    _cleanup_close_ int to = real_file_reopen(fd, O_RDWR);

    return to < 0 ? to : fill(from, to, file);
}

static enum worker_result open_snapshot(struct back *b, const struct manifest_file *file,
                                        int *ret_fd)
{
    _cleanup_close_ int fd = -1;
    struct stat st;
    int r;

    r = pack_open(b->image, file->snapshot, &fd);
    if (r < 0 && r != -EBADMSG && r != -ENOENT && r != -EKEYREJECTED)
        return failed(b, file->path, r);
    if (r < 0 || fstat(fd, &st) < 0 || (uint64_t)st.st_size != file->size) {
        reason_set(b->reason, "an older checkpoint is taken",
                   "the image is damaged: its copy of %s (%s)", file->path, file->snapshot);
        return WORKER_CORRUPT;
    }
    *ret_fd = TAKE_FD(fd);
    return WORKER_OK;
}

static enum worker_result check_can_put_back(struct back *b, const struct manifest_file *file,
                                             int fd, const struct stat *st)
{
    _cleanup_close_ int folder_fd = -1;
    const char *name;

    if (fd >= 0)
        return check_may_change(b, file, fd, st);
    folder_fd = open_folder(file, &name);
    return folder_fd < 0 ? failed(b, file->path, folder_fd) : WORKER_OK;
}

static enum worker_result put_back(struct back *b, const struct manifest_file *file)
{
    _cleanup_close_ int from = -1, fd = -1;
    enum worker_result result;
    struct stat st;
    int r;

    fd = real_file_open(file->path, O_RDONLY, &st);
    if (fd < 0 && fd != -ENOENT)
        return failed(b, file->path, fd);
    if (fd >= 0 && file_compare(file, &st, b->same_boot) == FILE_REPLACED)
        fd = fd_close(fd);
    result = check_can_put_back(b, file, fd, &st);
    if (result != WORKER_OK || !b->act)
        return result;
    result = open_snapshot(b, file, &from);
    if (result != WORKER_OK)
        return result;
    r = fd >= 0 ? rewrite(from, fd, file) : make_anew(from, file);
    return r < 0 ? failed(b, file->path, r) : WORKER_OK;
}

/* ---- all files ---- */

static enum worker_result put_file_back(struct back *b, const struct manifest_file *file,
                                        enum files_mode mode)
{
    if (file->deleted)
        return WORKER_OK;
    if (mode == FILES_SNAPSHOT && file->snapshot[0])
        return put_back(b, file);
    return file_is_written(file) ? cut(b, file) : WORKER_OK;
}

static enum worker_result put_all_back(struct back *b, enum files_mode mode)
{
    const struct manifest *m = b->image->manifest;
    enum worker_result result = WORKER_OK;

    for (size_t i = 0; i < m->file_count && result == WORKER_OK; i++)
        result = put_file_back(b, &m->files[i], mode);
    return result;
}

enum worker_result files_check_and_put_back(const struct image_dir *image, enum files_mode mode,
                                            struct reason *reason)
{
    struct back b = {.image = image, .reason = reason};
    _cleanup_free_ char *why = NULL;
    enum worker_result result;
    int r;

    if (mode == FILES_IGNORE)
        return WORKER_OK;
    b.same_boot = manifest_is_of_this_boot(image->manifest);
    r = restorable_files(image->manifest, mode, &why);
    if (r < 0)
        return failed(&b, "the service's files", r);
    if (r == NOT_RESTORABLE) {
        reason_set(reason, "put that file back as it was, set another Files=, or start cold", "%s",
                   why);
        return WORKER_UNRESTORABLE;
    }
    if (mode < FILES_TRUNCATE)
        return WORKER_OK;
    result = put_all_back(&b, mode);
    b.act = true;
    return result == WORKER_OK ? put_all_back(&b, mode) : result;
}
