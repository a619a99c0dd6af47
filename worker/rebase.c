/* rebase.c - writes a checkpoint anew, with another parent or packed, and puts it in the place of
 * the old form.
 *
 * Both forms hold the same memory, so whoever depends on the checkpoint sees no difference, and the
 * exchange of the folders may happen or not when we are killed. */
#include "common/cleanup.h"
#include "common/fs.h"
#include "image/checkpoint.h"
#include "image/delta.h"
#include "image/layout.h"
#include "image/seal.h"
#include "worker/background.h"
#include "worker/claim.h"
#include "worker/open.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#define EXCHANGE_WAIT_USEC (10 * USEC_PER_SEC)
#define EXCHANGE_TRY_MSEC  10

struct rebase {
    const struct worker_args *args;
    char id[CHECKPOINT_ID_SIZE];
    char folder[40], final[24]; /* in the service's folder: "rebase-N", "N" */
    struct opened at;           /* the checkpoint as it is */
    struct chain parent;        /* the new one; none when it becomes full */
    int out_fd;
    struct manifest manifest; /* of the new form; borrows from the old one but its images */
    struct reason reason;
};

static void rebase_done(struct rebase *b)
{
    for (size_t i = 0; i < b->manifest.image_count; i++)
        free(b->manifest.images[i].name);
    free(b->manifest.images);
    chain_done(&b->parent);
    opened_done(&b->at);
    fd_close(b->out_fd);
    reason_done(&b->reason);
}

static int failed(struct rebase *b, const char *what, int error)
{
    reason_set(&b->reason, "", "re-basing %s: %s: %s", b->id, what, strerror(-error));
    return error;
}

/* ---- what it is made of ---- */

static bool is_of(const struct chain *chain, uint64_t number)
{
    for (size_t i = 0; i < chain->count; i++)
        if (chain->numbers[i] == number)
            return true;
    return false;
}

/* What is written gets new hashes: damage must not be taken over as truth. What both chains share
 * is only pointed to, like before, so a look whether it has changed is enough. */
static int check(struct rebase *b, const struct chain *chain, const struct chain *other)
{
    for (size_t i = 0; i < chain->count; i++) {
        const struct image_dir *dir = &chain->dirs[i];
        int r = is_of(other, chain->numbers[i])
                    ? seal_check(dir->fd, dir->manifest, &b->reason)
                    : seal_check_all(dir->fd, dir->manifest, NULL, NULL, &b->reason);

        if (r < 0)
            return r == -EBADMSG ? r : failed(b, "checking it", r);
    }
    return 0;
}

static int open_parent(struct rebase *b)
{
    int r;

    if (!b->args->parent)
        return 0;
    r = chain_open(b->at.service_fd, b->args->name, b->args->parent, b->at.keys, &b->parent,
                   &b->reason);
    if (r < 0)
        return r;
    return is_of(&b->parent, b->args->number) ? failed(b, "its new parent depends on it", -ELOOP)
                                              : 0;
}

static int open_all(struct rebase *b)
{
    int r;

    r = opened_checkpoint(&b->at, b->args, b->args->name, b->args->number, &b->reason);
    if (r < 0 || (r = open_parent(b)) < 0 || (r = check(b, &b->at.chain, &b->parent)) < 0)
        return r;
    return check(b, &b->parent, &b->at.chain);
}

/* ---- the new form ---- */

static int make_folder(struct rebase *b)
{
    b->out_fd = claim_folder(b->at.service_fd, b->folder);
    return b->out_fd < 0 ? failed(b, b->folder, b->out_fd) : 0;
}

static void on_progress(uint64_t done, uint64_t total, void *data)
{
    const struct rebase *b = data;

    report_progress(b->args, done, total);
}

static int write_image(struct rebase *b)
{
    struct delta_options options = {
        .form = {.zstd = b->args->zstd, .encrypt = b->args->encrypt},
        .keys = b->at.keys,
        .progress = on_progress,
        .data = b,
    };
    struct delta_stats stats;
    char link[32];
    int r;

    if (b->parent.count > 0) {
        snprintf(link, sizeof(link), "../%" PRIu64, b->args->parent);
        options.parent_link = link;
    }
    r = delta_make(b->at.chain.dirs, b->at.chain.count, b->parent.dirs, b->parent.count, b->out_fd,
                   &options, &stats);
    if (r < 0)
        return failed(b, "writing it", r);
    b->manifest = *b->at.chain.dirs[0].manifest;
    b->manifest.images = NULL;
    b->manifest.image_count = 0;
    b->manifest.bytes = 0;
    b->manifest.parent = b->args->parent;
    b->manifest.pages = stats.pages;
    b->manifest.pages_stored = stats.stored - stats.zero;
    return 0;
}

static int seal(struct rebase *b)
{
    int r = seal_make(b->out_fd, NULL, &b->manifest);

    if (r < 0)
        return failed(b, "hashing it", r);
    r = manifest_write(b->out_fd, &b->manifest, b->at.keys);
    if (r < 0 || (r = fs_sync_dir(b->out_fd, NULL)) < 0)
        return failed(b, MANIFEST_FILE, r);
    return 0;
}

/* ---- the exchange ---- */

/* Whoever reads the old form is waited for; flock(2) turns our own shared lock into this one. */
static int lock_out_readers(struct rebase *b)
{
    uint64_t end = now_boottime_usec() + EXCHANGE_WAIT_USEC;

    while (flock(b->at.chain.dirs[0].fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK)
            return failed(b, b->final, -errno);
        if (now_boottime_usec() > end)
            return failed(b, "somebody reads it all the time", -EBUSY);
        (void)poll(NULL, 0, EXCHANGE_TRY_MSEC);
    }
    return 0;
}

static int exchange(struct rebase *b)
{
    struct stat now, then;
    int r = lock_out_readers(b);

    if (r < 0)
        return r;
    /* For a moment nobody held the lock: it may have been removed. */
    if (fstatat(b->at.service_fd, b->final, &now, AT_SYMLINK_NOFOLLOW) < 0 ||
        fstat(b->at.chain.dirs[0].fd, &then) < 0)
        return failed(b, b->final, -errno);
    if (now.st_ino != then.st_ino || now.st_dev != then.st_dev)
        return failed(b, b->final, -ESTALE);
    if (renameat2(b->at.service_fd, b->folder, b->at.service_fd, b->final, RENAME_EXCHANGE) < 0)
        return failed(b, "exchanging the folders", -errno);
    r = fs_sync_dir(b->at.service_fd, NULL);
    (void)flock(b->out_fd, LOCK_UN);
    /* The old form stays as long as it may be what a power loss leaves us with. */
    if (r < 0)
        return failed(b, "syncing the store", r);
    claim_remove(b->at.service_fd, b->folder, b->at.chain.dirs[0].fd);
    return 0;
}

static int rebase(struct rebase *b)
{
    int r;

    if ((r = open_all(b)) < 0 || (r = make_folder(b)) < 0 || (r = write_image(b)) < 0 ||
        (r = seal(b)) < 0)
        return r;
    return exchange(b);
}

int worker_rebase(const struct worker_args *args)
{
    _cleanup_(rebase_done) struct rebase b = {.args = args, .at = OPENED_NONE, .out_fd = -1};
    int r;

    background_enter(args->nice);
    checkpoint_id_format(args->name, args->number, b.id);
    snprintf(b.folder, sizeof(b.folder), LAYOUT_REBASE "%" PRIu64, args->number);
    snprintf(b.final, sizeof(b.final), "%" PRIu64, args->number);
    r = rebase(&b);
    if (r < 0)
        claim_remove(b.at.service_fd, b.folder, b.out_fd);
    return r < 0 ? report_failure(args, &b.reason) : report_result(args, "");
}
