/* real_file.c - openat2(2) without symbolic links. */
#include "worker/real_file.h"

#include "common/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>

static int open_real(const char *path, int flags)
{
    const struct open_how how = {
        .flags = (uint64_t)(flags | O_CLOEXEC | O_NOCTTY),
        .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    long fd = syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));

    return fd < 0 ? -errno : (int)fd;
}

/* O_NONBLOCK: a FIFO in the file's place must not hold us up. */
int real_file_open(const char *path, int flags, struct stat *ret_st)
{
    _cleanup_close_ int fd = open_real(path, flags | O_NONBLOCK);

    if (fd < 0)
        return fd;
    if (fstat(fd, ret_st) < 0)
        return -errno;
    return S_ISREG(ret_st->st_mode) ? TAKE_FD(fd) : -EINVAL;
}

int real_file_reopen(int fd, int flags)
{
    char path[40];
    int again;

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    again = open(path, flags | O_CLOEXEC);
    return again < 0 ? -errno : again;
}

int real_file_open_folder(const char *path, const char **ret_name)
{
    const char *slash = strrchr(path, '/');
    _cleanup_free_ char *folder = NULL;
    int fd;

    if (!slash || !slash[1])
        return -EINVAL;
    folder = slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
    if (!folder)
        return -ENOMEM;
    fd = open_real(folder, O_RDONLY | O_DIRECTORY);
    if (fd >= 0)
        *ret_name = slash + 1;
    return fd;
}
