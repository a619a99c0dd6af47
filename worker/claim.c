/* claim.c - makes, locks and removes a folder to work in. */
#include "worker/claim.h"

#include "common/cleanup.h"
#include "common/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/file.h>
#include <sys/stat.h>

static int open_locked(int service_fd, const char *folder)
{
    _cleanup_close_ int fd =
        openat(service_fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0)
        return -errno;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? -EBUSY : -errno;
    return TAKE_FD(fd);
}

static bool is_named(int service_fd, const char *folder, int fd)
{
    struct stat held, named;

    return fstat(fd, &held) == 0 && fstatat(service_fd, folder, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           held.st_dev == named.st_dev && held.st_ino == named.st_ino;
}

/* The lock is kept until it is gone: who comes at the same time sees that it is taken. */
static int remove_left(int service_fd, const char *folder)
{
    _cleanup_close_ int fd = open_locked(service_fd, folder);

    if (fd == -ENOENT)
        return 0;
    if (fd == -ENOTDIR || fd == -ELOOP) /* nobody works in that */
        return fs_remove_all(service_fd, folder);
    if (fd < 0)
        return fd;
    return is_named(service_fd, folder, fd) ? fs_remove_all(service_fd, folder) : -EBUSY;
}

int claim_folder(int service_fd, const char *folder)
{
    _cleanup_close_ int fd = -1;
    int r = remove_left(service_fd, folder);

    if (r < 0)
        return r;
    if (mkdirat(service_fd, folder, 0700) < 0)
        return errno == EEXIST ? -EBUSY : -errno;
    fd = open_locked(service_fd, folder);
    if (fd < 0)
        return fd == -ENOENT ? -EBUSY : fd;
    /* For a moment it was nobody's, and may have been swept. */
    return is_named(service_fd, folder, fd) ? TAKE_FD(fd) : -EBUSY;
}

void claim_remove(int service_fd, const char *folder, int fd)
{
    if (fd >= 0 && is_named(service_fd, folder, fd))
        (void)fs_remove_all(service_fd, folder);
}
