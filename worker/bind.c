/* bind.c - the new mount calls; the C library has had them only since glibc 2.36. */
#include "worker/bind.h"

#include "common/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sys/syscall.h>

int bind_clone(int dirfd, const char *path, bool recursive)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID};
    unsigned more = recursive ? AT_RECURSIVE : 0;
    _cleanup_close_ int fd = (int)syscall(SYS_open_tree, dirfd, path,
                                          OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC |
                                              AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | more);

    if (fd < 0 || syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | more, &attr, sizeof(attr)) < 0)
        return -errno;
    return TAKE_FD(fd);
}

int bind_attach(int fd, const char *path)
{
    if (syscall(SYS_move_mount, fd, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return -errno;
    return 0;
}
