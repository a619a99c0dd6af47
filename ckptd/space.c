/* space.c - the free-space reserve and MaxBytes=. */
#include "ckptd/space.h"

#include "ckptd/retention.h"
#include "common/bytesize.h"
#include "common/cleanup.h"
#include "common/fs.h"
#include "common/members.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <sys/statvfs.h>

static uint64_t max_of(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* proc_pid_statm(5): anonymous pages of a task are its own in an image even where tasks share them
 * copy-on-write; of the shared ones (files, shared memory) the image holds at most one copy. */
static void add_task(pid_t pid, uint64_t *own, uint64_t *shared)
{
    _cleanup_free_ char *text = NULL;
    uint64_t resident, common, page = (uint64_t)sysconf(_SC_PAGESIZE);
    char path[32];

    snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
    if (fs_read(AT_FDCWD, path, 256, &text, NULL) < 0 ||
        sscanf(text, "%*u %" SCNu64 " %" SCNu64, &resident, &common) != 2)
        return;
    *own += (resident > common ? resident - common : 0) * page;
    *shared = max_of(*shared, common * page);
}

static uint64_t tree_bytes(const struct ckpt_spec *spec)
{
    _cleanup_free_ pid_t *pids = NULL;
    uint64_t own = 0, shared = 0;
    size_t count;

    if (members_read(spec->cgroup, spec->pid, &pids, &count) < 0)
        return 0;
    for (size_t i = 0; i < count; i++)
        add_task(pids[i], &own, &shared);
    return own + shared;
}

uint64_t space_estimate(const struct store *store, const struct ckpt_spec *spec)
{
    const struct checkpoint *newest = store_newest(store, spec->name);
    uint64_t bytes = tree_bytes(spec);

    if (newest)
        bytes = max_of(bytes, newest->bytes + newest->bytes / 20);
    return bytes + bytes / 20;
}

/* How much may still be written without touching the reserve. */
static int free_above_reserve(const struct store *store, uint64_t reserve, uint64_t *ret_free)
{
    struct statvfs st;
    uint64_t available;

    if (fstatvfs(store_fd(store), &st) < 0)
        return -errno;
    available = (uint64_t)st.f_bavail * st.f_frsize;
    *ret_free = available > reserve ? available - reserve : 0;
    return 0;
}

/* The limits with their defaults filled in. */
static int resolve(const struct store *store, const struct space_limits *limits,
                   struct space_limits *ret)
{
    struct statvfs st;
    uint64_t total;

    if (fstatvfs(store_fd(store), &st) < 0)
        return -errno;
    total = (uint64_t)st.f_blocks * st.f_frsize;
    ret->reserve = limits->reserve ? limits->reserve : total / 20;
    ret->max_bytes = limits->max_bytes ? limits->max_bytes : total / 3;
    return 0;
}

static int explain_short(uint64_t need, uint64_t available, uint64_t reserve, struct reason *reason)
{
    char need_text[BYTESIZE_SIZE], free_text[BYTESIZE_SIZE], reserve_text[BYTESIZE_SIZE];

    reason_set(reason,
               "free space on the state folder's file system, or lower Keep=, MaxBytes= or the "
               "reserve",
               "the checkpoint needs about %s, but only %s is free above the reserve of %s",
               bytesize_format(need, need_text), bytesize_format(available, free_text),
               bytesize_format(reserve, reserve_text));
    return SPACE_SHORT;
}

static int explain_too_big(uint64_t need, uint64_t max_bytes, struct reason *reason)
{
    char need_text[BYTESIZE_SIZE], max_text[BYTESIZE_SIZE];

    reason_set(reason, "raise MaxBytes= in the policy's [Checkpoint] section",
               "the checkpoint needs about %s, more than the %s of MaxBytes=",
               bytesize_format(need, need_text), bytesize_format(max_bytes, max_text));
    return SPACE_SHORT;
}

/* The newest one may stand beside the new one over MaxBytes= until that is committed: without it
 * there would be a time with no checkpoint at all. */
static bool fits(const struct checkpoint *list, size_t count, uint64_t need, uint64_t available,
                 uint64_t max_bytes)
{
    return available >= need && (retention_bytes(list, count) + need <= max_bytes ||
                                 retention_victim(list, count) == RETENTION_NONE);
}

int space_make_room(struct store *store, const char *name, const struct space_limits *limits,
                    uint64_t need, struct reason *reason)
{
    struct space_limits l = {};
    int r;

    r = resolve(store, limits, &l);
    if (r < 0)
        return r;
    if (need > l.max_bytes)
        return explain_too_big(need, l.max_bytes, reason);
    for (;;) {
        size_t count;
        const struct checkpoint *list = store_list(store, name, &count);
        uint64_t available = 0;

        r = free_above_reserve(store, l.reserve, &available);
        if (r < 0)
            return r;
        if (fits(list, count, need, available, l.max_bytes))
            return 0;
        /* Nothing is removed in vain. */
        if (available + retention_removable(list, count) < need)
            return explain_short(need, available, l.reserve, reason);
        r = store_remove(store, name, list[retention_victim(list, count)].number);
        if (r < 0)
            return r;
    }
}
