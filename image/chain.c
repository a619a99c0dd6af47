/* chain.c - opens and locks a checkpoint and its parents. */
#include "image/chain.h"

#include "common/cleanup.h"
#include "common/proc.h"
#include "image/checkpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

/* Who has it locked against us exchanges or removes it, which takes some renames; or has died. */
#define WAIT_USEC (10 * USEC_PER_SEC)
#define POLL_USEC (5 * USEC_PER_MSEC)

static void manifest_freep(struct manifest **manifest)
{
    manifest_free(*manifest);
}

static void chain_close(struct chain **chain)
{
    if (*chain)
        chain_done(*chain);
}

void chain_done(struct chain *chain)
{
    for (size_t i = 0; i < chain->count; i++) {
        manifest_free((struct manifest *)chain->dirs[i].manifest);
        fd_close(chain->dirs[i].fd); /* and the lock with it */
    }
    free(chain->dirs);
    free(chain->numbers);
    *chain = (struct chain){};
}

bool chain_is_plain(const struct chain *chain)
{
    for (size_t i = 0; i < chain->count; i++)
        if (pack_is_packed(chain->dirs[i].manifest))
            return false;
    return true;
}

static void pause_usec(uint64_t usec)
{
    struct timespec ts = {.tv_nsec = (long)usec * 1000};

    (void)nanosleep(&ts, NULL);
}

/* STALE: the folder is not the one of that name any more. */
enum { STALE = 1 };

static int open_and_lock(int service_fd, const char *folder, int *ret_fd)
{
    _cleanup_close_ int fd = -1;
    struct stat held, named;

    fd = openat(service_fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    if (flock(fd, LOCK_SH | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? -EBUSY : -errno;
    if (fstat(fd, &held) < 0)
        return -errno;
    if (fstatat(service_fd, folder, &named, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if (held.st_dev != named.st_dev || held.st_ino != named.st_ino)
        return STALE;
    *ret_fd = TAKE_FD(fd);
    return 0;
}

/* An exchange puts another folder in its place while we wait for the lock: then that one counts. */
static int lock_folder(int service_fd, uint64_t number, int *ret_fd)
{
    uint64_t end = now_boottime_usec() + WAIT_USEC;
    char folder[24];
    int r;

    snprintf(folder, sizeof(folder), "%" PRIu64, number);
    while ((r = open_and_lock(service_fd, folder, ret_fd)) == STALE || r == -EBUSY) {
        if (now_boottime_usec() >= end)
            return -EBUSY;
        pause_usec(POLL_USEC);
    }
    return r;
}

/* ---- what is wrong ---- */

/* The checkpoint itself may simply not be there; a parent that is not there is damage. */
static int failed(const struct chain *chain, const char *name, uint64_t number, int error,
                  struct reason *reason)
{
    char id[CHECKPOINT_ID_SIZE], child[CHECKPOINT_ID_SIZE];
    const char *cure = "an older checkpoint is taken; look at the disk (dmesg, smartctl)";
    const char *what = strerror(-error);

    checkpoint_id_format(name, number, id);
    if (error == -ENOENT && chain->count == 0) {
        reason_set(reason, "perdure list shows what there is", "there is no checkpoint %s", id);
        return error;
    }
    if (error == -ENOENT || error == -ENOTDIR || error == -ELOOP) {
        error = -EBADMSG;
        what = "it is missing";
    } else if (error == -EBADMSG || error == -EFBIG || error == -EIO || error == -EISDIR) {
        error = -EBADMSG;
        what = "its " MANIFEST_FILE " is damaged";
    } else if (error == -EKEYREJECTED) {
        what = "its " MANIFEST_FILE " was not sealed with a key of this store";
        cure = "it was changed or comes from elsewhere: never restore it; perdure import takes "
               "archives";
    } else if (error == -ENOKEY) {
        what = "it was sealed with a key that is not in the key file";
        cure = "put the old key back into the key file";
    } else if (error == -EBUSY) {
        what = "it is being written anew or removed";
        cure = "try again later";
    } else {
        cure = "";
    }
    if (chain->count == 0)
        reason_set(reason, cure, "checkpoint %s: %s", id, what);
    else
        reason_set(reason, cure, "checkpoint %s, a parent of %s: %s", id,
                   checkpoint_id_format(name, chain->numbers[0], child), what);
    return error;
}

/* ---- opening ---- */

static int add(struct chain *chain, const struct image_dir *dir, uint64_t number)
{
    struct image_dir *dirs = reallocarray(chain->dirs, chain->count + 1, sizeof(*dirs));
    uint64_t *numbers;

    if (!dirs)
        return -ENOMEM;
    chain->dirs = dirs;
    numbers = reallocarray(chain->numbers, chain->count + 1, sizeof(*numbers));
    if (!numbers)
        return -ENOMEM;
    chain->numbers = numbers;
    dirs[chain->count] = *dir;
    numbers[chain->count++] = number;
    return 0;
}

static int add_link(struct chain *chain, int service_fd, const char *name, uint64_t number,
                    const struct keys *keys)
{
    _cleanup_(manifest_freep) struct manifest *manifest = NULL;
    _cleanup_close_ int fd = -1;
    int r;

    r = lock_folder(service_fd, number, &fd);
    if (r < 0)
        return r;
    r = manifest_read(fd, keys, &manifest);
    if (r < 0)
        return r == -ENOENT ? -EBADMSG : r;
    if (strcmp(manifest->service, name) != 0 || manifest->number != number)
        return -EBADMSG;
    r = add(chain, &(struct image_dir){.fd = fd, .manifest = manifest, .keys = keys}, number);
    if (r < 0)
        return r;
    TAKE_FD(fd);
    TAKE_PTR(manifest);
    return 0;
}

static bool is_in(const struct chain *chain, uint64_t number)
{
    for (size_t i = 0; i < chain->count; i++)
        if (chain->numbers[i] == number)
            return true;
    return false;
}

int chain_open(int service_fd, const char *name, uint64_t number, const struct keys *keys,
               struct chain *ret, struct reason *reason)
{
    struct chain links = {};
    _cleanup_(chain_close) struct chain *chain = &links;

    for (uint64_t next = number; next != 0;) {
        int r = is_in(chain, next) || chain->count == CHAIN_LINKS_MAX
                    ? -EBADMSG
                    : add_link(chain, service_fd, name, next, keys);

        if (r < 0)
            return failed(chain, name, next, r, reason);
        next = chain->dirs[chain->count - 1].manifest->parent;
    }
    *ret = *TAKE_PTR(chain);
    return 0;
}
