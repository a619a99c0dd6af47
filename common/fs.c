/* fs.c - file operations that are whole or not there. */
#include "common/fs.h"

#include "common/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

int fs_read(int dirfd, const char *path, size_t max, char **ret_data, size_t *ret_size)
{
    _cleanup_free_ char *data = NULL;
    _cleanup_close_ int fd = -1;
    size_t size = 0, room = 0;

    fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return -errno;
    for (;;) {
        ssize_t n;

        if (size + 1 >= room) {
            char *more = realloc(data, room = room ? room * 2 : 4096);

            if (!more)
                return -ENOMEM;
            data = more;
        }
        n = read(fd, data + size, room - size - 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        size += (size_t)n;
        if (size > max)
            return -EFBIG;
    }
    data[size] = '\0';
    if (ret_size)
        *ret_size = size;
    *ret_data = TAKE_PTR(data);
    return 0;
}

int fs_write_all(int fd, const void *data, size_t size)
{
    const char *p = data;

    while (size > 0) {
        ssize_t n = write(fd, p, size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        p += n;
        size -= (size_t)n;
    }
    return 0;
}

int fs_write_at(int fd, const void *data, size_t size, uint64_t offset)
{
    const char *p = data;

    while (size > 0) {
        ssize_t n = pwrite(fd, p, size, (off_t)offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        p += n;
        offset += (uint64_t)n;
        size -= (size_t)n;
    }
    return 0;
}

int fs_sync_dir(int dirfd, const char *path)
{
    _cleanup_close_ int fd = -1;

    fd = openat(dirfd, path ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        return -errno;
    return 0;
}

/* The folder part of a path as a new string; "." when there is none. */
static char *parent_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (!slash)
        return strdup(".");
    return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

int fs_replace(int dirfd, const char *path, const void *data, size_t size, mode_t mode)
{
    _cleanup_free_ char *temporary = NULL, *parent = NULL;
    _cleanup_close_ int fd = -1;
    int r;

    parent = parent_of(path);
    if (!parent || asprintf(&temporary, "%s.new", path) < 0)
        return -ENOMEM;
    fd = openat(dirfd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0)
        return -errno;
    r = fs_write_all(fd, data, size);
    if (r == 0 && fsync(fd) < 0)
        r = -errno;
    if (r == 0 && renameat(dirfd, temporary, dirfd, path) < 0)
        r = -errno;
    if (r < 0) {
        (void)unlinkat(dirfd, temporary, 0);
        return r;
    }
    return fs_sync_dir(dirfd, parent);
}

int fs_write(int dirfd, const char *path, const char *text)
{
    _cleanup_close_ int fd = -1;

    fd = openat(dirfd, path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        return -errno;
    return 0;
}

int fs_mkdir_all(const char *path, mode_t mode)
{
    _cleanup_free_ char *copy = strdup(path);

    if (!copy)
        return -ENOMEM;
    for (char *p = copy + 1;; p++) {
        char end = *p;

        if (end != '/' && end != '\0')
            continue;
        *p = '\0';
        if (mkdir(copy, mode) < 0 && errno != EEXIST)
            return -errno;
        *p = end;
        if (end == '\0')
            break;
    }
    return 0;
}

int fs_for_each(int dirfd, int (*each)(int dirfd, const char *name, void *data), void *data)
{
    _cleanup_closedir_ DIR *dir = NULL;
    struct dirent *entry;
    int fd, r = 0;

    fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return -ENOMEM;
    }
    /* readdir(3) tells its failure by errno alone: a list cut short must not pass for the whole. */
    while (r == 0 && (errno = 0, entry = readdir(dir)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            r = each(dirfd, entry->d_name, data);
    return r != 0 ? r : -errno;
}

static int remove_entry(int dirfd, const char *name, void *data)
{
    return fs_remove_all(dirfd, name);
}

int fs_remove_all(int dirfd, const char *path)
{
    _cleanup_close_ int fd = -1;
    int r;

    if (unlinkat(dirfd, path, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return -errno;
    fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    r = fs_for_each(fd, remove_entry, NULL);
    if (r < 0)
        return r;
    if (unlinkat(dirfd, path, AT_REMOVEDIR) < 0 && errno != ENOENT)
        return -errno;
    return 0;
}

char *fs_join(const char *dir, const char *name)
{
    char *path;

    return asprintf(&path, "%s/%s", dir, name) < 0 ? NULL : path;
}
