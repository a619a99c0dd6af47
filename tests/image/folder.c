/* folder.c - a folder for one test program. */
#include "tests/image/folder.h"

#include "common/cleanup.h"
#include "common/fs.h"

#include <assert.h>
#include <fcntl.h>
#include <sys/stat.h>

int folder_fd = -1;

static char path[] = "/tmp/perdure-test-image-XXXXXX";

int folder_setup(void **state)
{
    if (!mkdtemp(path))
        return -1;
    folder_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return folder_fd < 0 ? -1 : 0;
}

int folder_teardown(void **state)
{
    folder_fd = fd_close(folder_fd);
    return fs_remove_all(AT_FDCWD, path);
}

const char *folder_path(void)
{
    return path;
}

void folder_put(int dirfd, const char *name, const void *data, size_t size)
{
    _cleanup_close_ int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert(fd >= 0 && fs_write_all(fd, data, size) == 0);
}

void *folder_get(int dirfd, const char *name, size_t *ret_size)
{
    char *data;
    int r = fs_read(dirfd, name, 64 << 20, &data, ret_size);

    assert(r == 0);
    return r == 0 ? data : NULL;
}

int folder_make(const char *name)
{
    int fd;

    assert(mkdirat(folder_fd, name, 0700) == 0);
    fd = openat(folder_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert(fd >= 0);
    return fd;
}
