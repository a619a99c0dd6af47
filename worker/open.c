/* open.c - opens store, keys and checkpoint for a mode of the worker. */
#include "worker/open.h"

#include "common/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

static int open_folder(int dirfd, const char *path, int *ret_fd, struct reason *reason)
{
    *ret_fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (*ret_fd >= 0)
        return 0;
    reason_set(reason, "", "%s: %s", path, strerror(errno));
    return -errno;
}

static int read_keys(struct opened *o, const char *path, struct reason *reason)
{
    int r = keys_read(path, &o->keys);

    if (r < 0)
        reason_set(reason,
                   r == -EPERM ? "chmod 600 it and make root its owner"
                               : "put the key file back, or name it by [Checkpoint] KeyFile=",
                   "the store's key file %s: %s", path, strerror(-r));
    return r;
}

int opened_folders(struct opened *o, const struct worker_args *args, const char *name,
                   struct reason *reason)
{
    int r;

    if ((r = open_folder(AT_FDCWD, args->store, &o->store_fd, reason)) < 0 ||
        (r = open_folder(o->store_fd, name, &o->service_fd, reason)) < 0)
        return r;
    return read_keys(o, args->keys, reason);
}

int opened_checkpoint(struct opened *o, const struct worker_args *args, const char *name,
                      uint64_t number, struct reason *reason)
{
    int r = opened_folders(o, args, name, reason);

    return r < 0 ? r : chain_open(o->service_fd, name, number, o->keys, &o->chain, reason);
}

void opened_done(struct opened *o)
{
    chain_done(&o->chain);
    o->keys = keys_free(o->keys);
    o->service_fd = fd_close(o->service_fd);
    o->store_fd = fd_close(o->store_fd);
}
