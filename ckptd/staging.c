/* staging.c - folders in which somebody works, told apart by flock(2). */
#include "ckptd/staging.h"

#include "common/cleanup.h"
#include "common/fs.h"
#include "image/checkpoint.h"
#include "image/layout.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

static int open_folder(int dirfd, const char *path)
{
    int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

    return fd < 0 ? -errno : fd;
}

static int open_staging(int store_fd, const char *name, uint64_t number)
{
    _cleanup_free_ char *path = NULL;

    if (asprintf(&path, "%s/" LAYOUT_STAGING "%" PRIu64, name, number) < 0) {
        path = NULL;
        return -ENOMEM;
    }
    return open_folder(store_fd, path);
}

/* "staging-N" -> FOLDER_STAGING, N, and so on. -EINVAL: a folder of another kind. */
static int parse_folder(const char *entry, enum folder_kind *ret_kind, uint64_t *ret_number)
{
    for (int i = 0; i < FOLDER_KINDS; i++) {
        const char *prefix = store_folder_prefix((enum folder_kind)i);

        if (strncmp(entry, prefix, strlen(prefix)) == 0) {
            *ret_kind = (enum folder_kind)i;
            return checkpoint_number_parse(entry + strlen(prefix), ret_number);
        }
    }
    return -EINVAL;
}

int staging_holder(int store_fd, const char *name, uint64_t number, struct proc_id *ret_worker)
{
    _cleanup_free_ char *text = NULL;
    _cleanup_close_ int fd = -1;
    struct proc_id worker;
    int pid;

    fd = open_staging(store_fd, name, number);
    if (fd < 0)
        return fd;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return STAGING_FREE;
    if (errno != EWOULDBLOCK)
        return -errno;
    if (fs_read(fd, LAYOUT_WORKER, 64, &text, NULL) < 0 ||
        sscanf(text, "%d %" SCNu64, &pid, &worker.start_time) != 2)
        return -EAGAIN;
    worker.pid = pid;
    *ret_worker = worker;
    return 0;
}

/* Does the lock on this folder belong to somebody? The lock taken to find out goes with `fd`. */
static bool is_held(int fd)
{
    return flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

int staging_each(int store_fd, const char *name, staging_found_t found, void *userdata)
{
    _cleanup_closedir_ DIR *dir = NULL;
    struct dirent *entry;
    int fd;

    fd = open_folder(store_fd, name);
    if (fd < 0)
        return fd == -ENOENT ? 0 : fd;
    dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return -ENOMEM;
    }
    while ((entry = readdir(dir))) {
        _cleanup_close_ int folder = -1;
        enum folder_kind kind;
        uint64_t number;
        int r;

        if (parse_folder(entry->d_name, &kind, &number) < 0)
            continue;
        folder = open_folder(fd, entry->d_name);
        r = found(name, kind, number, folder >= 0 && is_held(folder), userdata);
        if (r < 0)
            return r;
    }
    return 0;
}

char *staging_path(const char *store_path, const char *name, uint64_t number)
{
    char *path;

    return asprintf(&path, "%s/%s/" LAYOUT_STAGING "%" PRIu64, store_path, name, number) < 0 ? NULL
                                                                                             : path;
}

uint64_t staging_bytes(int store_fd, const char *name, uint64_t number)
{
    _cleanup_closedir_ DIR *dir = NULL;
    struct dirent *entry;
    uint64_t bytes = 0;
    struct stat st;
    int fd;

    fd = open_staging(store_fd, name, number);
    if (fd < 0)
        return 0;
    dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return 0;
    }
    while ((entry = readdir(dir)))
        if (fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
            bytes += (uint64_t)st.st_blocks * 512 + (uint64_t)st.st_size;
    return bytes;
}
