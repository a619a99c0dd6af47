/* unpack.c - mode "unpack": writes a checkpoint into a folder of the user as CRIU alone would have
 * dumped it: full, not compressed, not encrypted. */
#include "common/cleanup.h"
#include "common/fs.h"
#include "image/checkpoint.h"
#include "image/delta.h"
#include "image/seal.h"
#include "worker/archive_json.h"
#include "worker/background.h"
#include "worker/explain.h"
#include "worker/open.h"
#include "worker/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

struct unpack {
    const struct worker_args *args;
    char id[CHECKPOINT_ID_SIZE];
    struct opened at;
    uint64_t done, total, pages_done; /* bytes: checked, then written */
    uint64_t bytes;                   /* of the result */
    bool began;
    struct reason reason;
};

static void unpack_done(struct unpack *u)
{
    opened_done(&u->at);
    reason_done(&u->reason);
}

static int failed(struct unpack *u, const char *what, int error)
{
    if (!u->reason.why)
        reason_set(&u->reason, error == -ENOSPC ? explain("No space left on device") : "",
                   "unpacking %s: %s: %s", u->id, what, strerror(-error));
    return error;
}

static void on_bytes(uint64_t bytes, void *data)
{
    struct unpack *u = data;

    u->done += bytes;
    report_progress(u->args, u->done < u->total ? u->done : u->total, u->total);
}

static void on_pages(uint64_t done, uint64_t total, void *data)
{
    struct unpack *u = data;

    on_bytes((done - u->pages_done) * (uint64_t)sysconf(_SC_PAGESIZE), u);
    u->pages_done = done;
}

/* Calls `each` for every entry but "." and "..". */
static int for_each_entry(struct unpack *u, int (*each)(struct unpack *, const char *name))
{
    _cleanup_closedir_ DIR *dir = NULL;
    struct dirent *entry;
    int fd, r = 0;

    fd = openat(u->args->file_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        r = -errno;
        fd_close(fd);
        return r;
    }
    while (r == 0 && (entry = readdir(dir)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            r = each(u, entry->d_name);
    return r;
}

static int not_empty(struct unpack *u, const char *name)
{
    reason_set(&u->reason, "name a new folder, or an empty one",
               "the folder is not empty: it has %.60s", name);
    return -ENOTEMPTY;
}

static int remove_entry(struct unpack *u, const char *name)
{
    return fs_remove_all(u->args->file_fd, name);
}

static int check(struct unpack *u)
{
    const struct chain *chain = &u->at.chain;
    int r;

    u->total = chain->dirs[0].manifest->pages * (uint64_t)sysconf(_SC_PAGESIZE);
    for (size_t i = 0; i < chain->count; i++)
        u->total += seal_bytes(chain->dirs[i].manifest);
    for (size_t i = 0; i < chain->count; i++) {
        r = seal_check_all(chain->dirs[i].fd, chain->dirs[i].manifest, on_bytes, u, &u->reason);
        if (r < 0)
            return failed(u, "checking it", r);
    }
    return 0;
}

static int write_image(struct unpack *u)
{
    const struct delta_options options = {.keys = u->at.keys, .progress = on_pages, .data = u};
    struct delta_stats stats;
    int r;

    u->began = true;
    r = delta_make(u->at.chain.dirs, u->at.chain.count, NULL, 0, u->args->file_fd, &options,
                   &stats);
    if (r < 0)
        return failed(u, "writing it", r);
    u->bytes = stats.pages * (uint64_t)sysconf(_SC_PAGESIZE);
    report_progress(u->args, u->total, u->total);
    return 0;
}

static int unpack(struct unpack *u)
{
    int r = for_each_entry(u, not_empty);

    if (r < 0)
        return failed(u, "the folder", r);
    r = opened_checkpoint(&u->at, u->args, u->args->name, u->args->number, &u->reason);
    if (r < 0)
        return failed(u, "opening it", r);
    r = check(u);
    return r < 0 ? r : write_image(u);
}

int worker_unpack(const struct worker_args *args)
{
    _cleanup_(unpack_done) struct unpack u = {.args = args, .at = OPENED_NONE};
    _cleanup_free_ char *result = NULL;

    background_enter(args->nice);
    checkpoint_id_format(args->name, args->number, u.id);
    if (unpack(&u) < 0) {
        if (u.began)
            (void)for_each_entry(&u, remove_entry);
        return report_failure(args, &u.reason);
    }
    result = archive_json_result(u.id, u.bytes);
    return report_result(args, result ? result : "");
}
