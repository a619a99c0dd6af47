/* scratch.c - tmpfs without a mount point. */
#include "worker/scratch.h"

#include "common/cleanup.h"
#include "common/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The C library has had wrappers only since glibc 2.36. */
static int configure(int fd, unsigned command, const char *key, const char *value)
{
    return syscall(SYS_fsconfig, fd, command, key, value, 0) < 0 ? -errno : 0;
}

int scratch_mount(uint64_t max_bytes)
{
    _cleanup_close_ int fs = (int)syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);
    char size[24];
    int fd, r;

    if (fs < 0)
        return -errno;
    snprintf(size, sizeof(size), "%" PRIu64, max_bytes);
    if ((r = configure(fs, FSCONFIG_SET_STRING, "size", size)) < 0 ||
        (r = configure(fs, FSCONFIG_SET_STRING, "mode", "0700")) < 0 ||
        (r = configure(fs, FSCONFIG_CMD_CREATE, NULL, NULL)) < 0)
        return r;
    fd = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC,
                      MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NOSUID);
    return fd < 0 ? -errno : fd;
}

int scratch_memory(uint64_t max_bytes)
{
    _cleanup_close_ int mount = scratch_mount(max_bytes);
    int fd;

    if (mount < 0)
        return mount;
    /* fsmount(2) gives an O_PATH descriptor, which CRIU could not chdir to by way of /proc. */
    fd = openat(mount, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

uint64_t scratch_memory_available(void)
{
    uint64_t total, available;

    return proc_memory(&total, &available) < 0 ? 0 : available / 2;
}
