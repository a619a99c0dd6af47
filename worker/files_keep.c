/* files_keep.c - facts and copies of files in the frozen window: as little as will do.
 *
 * The copies are made with root's rights out of folders that others may write to, and are put back
 * so. What is copied is therefore what the service has open for writing by the kernel's own word
 * (held.h), or what belongs to the service's user: no rights are gained by swapping paths. */
#include "worker/files_keep.h"

#include "common/cleanup.h"
#include "common/fs.h"
#include "common/proc.h"
#include "image/content.h"
#include "image/image_scan.h"
#include "image/restorable.h"
#include "worker/facts.h"
#include "worker/held.h"
#include "worker/real_file.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <glob.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>

#define FOLDER "snapshots" /* in the staging folder */

struct keep {
    const struct ckpt_spec *spec;
    struct manifest *manifest;
    struct reason *reason;
    struct held held;
    int folder_fd;
    uid_t uid;          /* of the service's first process */
    dev_t no_reflink;   /* device that cannot share blocks with the store; 0: none seen */
    unsigned snapshots; /* made so far */
};

static void keep_done(struct keep *k)
{
    held_done(&k->held);
    fd_close(k->folder_fd);
}

static const struct {
    int error;
    const char *what, *cure;
} known[] = {
    {-ELOOP, "there is a symbolic link on the way", "name it in SnapshotPaths= without links"},
    {-ENOSPC, "the disk is full", "free space, or name less in SnapshotPaths="},
    {-EACCES, "it belongs to another user",
     "only files of the service's own user can be kept; change SnapshotPaths= or the owner"},
    {-EBUSY, "another program writes to it",
     "a file that others write has no one moment: take it out of SnapshotPaths="},
    {-ESTALE, "the service has another file open than its path leads to",
     "take it out of SnapshotPaths=, or restart the service"},
};

static int failed(struct keep *k, const char *path, int error)
{
    for (size_t i = 0; i < ELEMENTS(known); i++)
        if (known[i].error == error) {
            reason_set(k->reason, known[i].cure, "keeping %s (Files=): %s", path, known[i].what);
            return error;
        }
    reason_set(k->reason, "look at the file, or set another Files=", "keeping %s (Files=): %s",
               path, strerror(-error));
    return error;
}

/* ---- facts ---- */

static int service_uid(pid_t pid, uid_t *ret)
{
    _cleanup_free_ char *status = NULL;
    char path[32];
    const char *line;
    unsigned real, effective;
    int r;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    r = fs_read(AT_FDCWD, path, 1 << 16, &status, NULL);
    if (r < 0)
        return r;
    line = strstr(status, "\nUid:");
    if (!line || sscanf(line, "\nUid: %u %u", &real, &effective) != 2)
        return -ESRCH;
    *ret = effective;
    return 0;
}

/* A path that leads to another file than the service has open tells nothing about that one. */
static void forget_strangers(struct keep *k)
{
    for (size_t i = 0; i < k->manifest->file_count; i++) {
        struct manifest_file *file = &k->manifest->files[i];

        if (file_is_written(file) && !held_has(&k->held, file->device, file->inode))
            file->device = file->inode = 0;
    }
}

static int read_facts(struct keep *k, int images_fd)
{
    _cleanup_(image_done) struct image image = {0};
    bool maps = false;
    int r;

    r = image_scan(images_fd, &image);
    if (r == 0)
        r = facts_files(&image, k->manifest);
    if (r < 0)
        return failed(k, "the list of open files", r);
    for (size_t i = 0; i < k->manifest->file_count; i++)
        maps |= file_is_written(&k->manifest->files[i]) && !k->manifest->files[i].open;
    r = held_read(k->spec->pid, maps, &k->held);
    if (r < 0)
        return failed(k, "the list of open files", r);
    forget_strangers(k);
    return 0;
}

/* ---- snapshots ---- */

enum { NOT_KEPT = 1 };

/* NOT_KEPT: it would have to be copied, and nobody asked for that. */
static int copy_content(struct keep *k, int fd, const struct stat *st, int to, bool listed)
{
    if (ioctl(to, FICLONE, fd) == 0)
        return 0;
    k->no_reflink = st->st_dev;
    return listed ? content_copy(fd, to) : NOT_KEPT;
}

static int copy_file(struct keep *k, const struct manifest_file *file, int fd,
                     const struct stat *st, const char *name, bool listed)
{
    _cleanup_close_ int to = -1;
    struct stat copy;
    int r;

    if (!listed && st->st_dev == k->no_reflink)
        return NOT_KEPT;
    to = openat(k->folder_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (to < 0)
        return -errno;
    r = copy_content(k, fd, st, to, listed);
    if (r == 0 && fstat(to, &copy) < 0)
        r = -errno;
    if (r == 0 && (uint64_t)copy.st_size != file->size)
        r = listed ? -EBUSY : NOT_KEPT;
    if (r != 0)
        (void)unlinkat(k->folder_fd, name, 0);
    return r;
}

static int take_snapshot(struct keep *k, struct manifest_file *file, int fd, const struct stat *st,
                         bool listed)
{
    char name[32];
    char *copy;
    int r;

    if (st->st_uid != k->uid && k->uid != 0 &&
        !(file_is_written(file) && held_has(&k->held, st->st_dev, st->st_ino)))
        return listed ? failed(k, file->path, -EACCES) : 0;
    snprintf(name, sizeof(name), "file-%u.snap", k->snapshots + 1);
    r = copy_file(k, file, fd, st, name, listed);
    if (r != 0)
        return r < 0 ? failed(k, file->path, r) : 0;
    copy = strdup(name);
    if (!copy)
        return failed(k, file->path, -ENOMEM);
    free(file->snapshot);
    file->snapshot = copy;
    k->snapshots++;
    return 0;
}

/* Calls `each` for every pattern of SnapshotPaths= until one answers other than 0. */
static int for_each_pattern(struct keep *k,
                            int (*each)(struct keep *k, const char *pattern, const char *path),
                            const char *path)
{
    _cleanup_free_ char *patterns = strdup(k->spec->snapshot_paths);
    char *rest = NULL;
    int r = 0;

    if (!patterns)
        return -ENOMEM;
    for (char *p = strtok_r(patterns, "\n", &rest); p && r == 0; p = strtok_r(NULL, "\n", &rest))
        r = each(k, p, path);
    return r;
}

static int matches(struct keep *k, const char *pattern, const char *path)
{
    return fnmatch(pattern, path, FNM_PATHNAME | FNM_PERIOD) == 0;
}

static int keep_open_file(struct keep *k, struct manifest_file *file)
{
    _cleanup_close_ int fd = -1;
    struct stat st;
    int listed;

    listed = for_each_pattern(k, matches, file->path);
    if (listed < 0)
        return failed(k, file->path, listed);
    if (file->deleted || (!listed && !file_is_written(file)))
        return 0;
    fd = real_file_open(file->path, O_RDONLY, &st);
    if (fd < 0)
        return listed ? failed(k, file->path, fd) : 0;
    if (st.st_ino != file->inode || st.st_dev != file->device)
        return listed ? failed(k, file->path, -ESTALE) : 0;
    return take_snapshot(k, file, fd, &st, listed);
}

/* A file that is not open now, but belongs to the state all the same. */
static int keep_closed_file(struct keep *k, const char *path)
{
    _cleanup_close_ int fd = -1;
    struct manifest_file *file;
    struct stat st;

    if (facts_find(k->manifest, path) || lstat(path, &st) < 0 || S_ISDIR(st.st_mode))
        return 0;
    fd = real_file_open(path, O_RDONLY, &st);
    if (fd < 0)
        return failed(k, path, fd);
    file = facts_add(k->manifest, path);
    if (!file)
        return failed(k, path, -ENOMEM);
    facts_set_identity(file, &st);
    file->size = (uint64_t)st.st_size;
    return take_snapshot(k, file, fd, &st, true);
}

static int keep_pattern(struct keep *k, const char *pattern, const char *path)
{
    glob_t found;
    int r = glob(pattern, GLOB_NOSORT, NULL, &found);

    if (r == GLOB_NOMATCH)
        return 0;
    if (r != 0)
        return failed(k, pattern, r == GLOB_NOSPACE ? -ENOMEM : -EIO);
    for (size_t i = 0; i < found.gl_pathc && r == 0; i++)
        r = keep_closed_file(k, found.gl_pathv[i]);
    globfree(&found);
    return r;
}

static int make_snapshots(struct keep *k, int staging_fd)
{
    int r;

    r = service_uid(k->spec->pid, &k->uid);
    if (r == 0 && mkdirat(staging_fd, FOLDER, 0700) < 0)
        r = -errno;
    if (r < 0)
        return failed(k, FOLDER, r);
    k->folder_fd = openat(staging_fd, FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (k->folder_fd < 0)
        return failed(k, FOLDER, -errno);
    for (size_t i = 0; i < k->manifest->file_count && r == 0; i++)
        r = keep_open_file(k, &k->manifest->files[i]);
    return r < 0 ? r : for_each_pattern(k, keep_pattern, NULL);
}

static void forget_files(struct manifest *m)
{
    for (size_t i = 0; i < m->file_count; i++) {
        free(m->files[i].path);
        free(m->files[i].snapshot);
    }
    free(m->files);
    m->files = NULL;
    m->file_count = 0;
}

int files_keep(const struct ckpt_spec *spec, int images_fd, int staging_fd,
               struct manifest *manifest, struct reason *reason)
{
    _cleanup_(keep_done) struct keep k = {
        .spec = spec, .manifest = manifest, .reason = reason, .folder_fd = -1};
    uint64_t begin = now_boottime_usec();
    int r;

    forget_files(manifest);
    r = fs_remove_all(staging_fd, FOLDER);
    if (r < 0)
        return failed(&k, FOLDER, r);
    r = read_facts(&k, images_fd);
    if (r == 0 && spec->files == FILES_SNAPSHOT)
        r = make_snapshots(&k, staging_fd);
    manifest->files_usec = now_boottime_usec() - begin;
    return r;
}

int files_keep_store(int staging_fd, const struct manifest *manifest, const struct pack_form *form,
                     const struct keys *keys)
{
    _cleanup_close_ int folder_fd = -1;

    folder_fd = openat(staging_fd, FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (folder_fd < 0)
        return errno == ENOENT ? 0 : -errno;
    for (size_t i = 0; i < manifest->file_count; i++) {
        const char *name = manifest->files[i].snapshot;
        _cleanup_free_ char *stored = NULL;
        int r = 0;

        if (!name || !name[0])
            continue;
        if (form->zstd || form->encrypt)
            r = pack_write(folder_fd, name, staging_fd, form, keys, &stored);
        else if (renameat(folder_fd, name, staging_fd, name) < 0)
            r = -errno;
        if (r < 0)
            return r;
    }
    return fs_remove_all(staging_fd, FOLDER);
}
