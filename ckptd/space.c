/* space.c - the free-space reserve, and MaxBytes= of a service and of the store. */
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

struct space_need space_need_of(const struct store *store, const struct ckpt_spec *spec, bool delta)
{
    const struct checkpoint *newest = store_newest(store, spec->name);
    uint64_t whole = space_estimate(store, spec);
    uint64_t stored = newest && newest->parent ? 2 * newest->bytes : whole / 8;

    return (struct space_need){whole, delta && stored < whole ? stored : whole};
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
    ret->store_max_bytes = limits->store_max_bytes;
    return 0;
}

int space_free(const struct store *store, uint64_t reserve, uint64_t *ret_free)
{
    struct space_limits l = {};
    int r = resolve(store, &(struct space_limits){.reserve = reserve}, &l);

    return r < 0 ? r : free_above_reserve(store, l.reserve, ret_free);
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

static int explain_too_big(uint64_t need, uint64_t max_bytes, const char *whose,
                           struct reason *reason)
{
    char need_text[BYTESIZE_SIZE], max_text[BYTESIZE_SIZE], cure[80];

    snprintf(cure, sizeof(cure), "raise MaxBytes= in %s [Checkpoint] section", whose);
    reason_set(reason, cure, "the checkpoint needs about %s, more than the %s of MaxBytes=",
               bytesize_format(need, need_text), bytesize_format(max_bytes, max_text));
    return SPACE_SHORT;
}

static int explain_full_store(uint64_t need, uint64_t max_bytes, struct reason *reason)
{
    char need_text[BYTESIZE_SIZE], max_text[BYTESIZE_SIZE];

    reason_set(reason,
               "raise MaxBytes= in perdure.ini's [Checkpoint] section, or unpin checkpoints",
               "the checkpoint needs about %s, but what must stay of others leaves less of the "
               "store's MaxBytes= of %s",
               bytesize_format(need, need_text), bytesize_format(max_bytes, max_text));
    return SPACE_SHORT;
}

/* One service's checkpoints while some go, with those that cannot because somebody reads them. */
struct shrink {
    struct store *store;
    const char *name;
    bool *busy; /* one for each of the list */
};

static void shrink_done(struct shrink *s)
{
    free(s->busy);
}

static int shrink_init(struct shrink *s, struct store *store, const char *name)
{
    size_t count;

    store_list(store, name, &count);
    *s = (struct shrink){.store = store, .name = name, .busy = calloc(count + 1, sizeof(bool))};
    return s->busy ? 0 : -ENOMEM;
}

/* SHRUNK_NONE: nothing of it can go. */
enum { SHRUNK_NONE = 1 };
static int shrink_step(struct shrink *s)
{
    for (;;) {
        size_t count, victim;
        const struct checkpoint *list = store_list(s->store, s->name, &count);
        int r;

        victim = retention_victim(list, count, s->busy);
        if (victim == RETENTION_NONE)
            return SHRUNK_NONE;
        r = store_remove(s->store, s->name, list[victim].number);
        if (r == -EBUSY) {
            s->busy[victim] = true;
            continue;
        }
        if (r == 0)
            memmove(&s->busy[victim], &s->busy[victim + 1],
                    (count - victim - 1) * sizeof(*s->busy));
        return r;
    }
}

/* ---- the whole store ---- */

/* What the store will hold: the service's own old ones make room for the new one once that is
 * there, so the larger of both counts. */
static uint64_t store_bytes(const struct store *store, const char *name, uint64_t need)
{
    uint64_t own = 0, others = 0;
    const char *service;

    for (size_t i = 0; (service = store_service(store, i)); i++) {
        size_t count;
        const struct checkpoint *list = store_list(store, service, &count);

        *(strcmp(service, name) == 0 ? &own : &others) += retention_bytes(list, count);
    }
    return others + max_of(own, need);
}

/* The service whose next victim is the oldest; NULL: nothing of any can go. */
static struct shrink *oldest_victim(struct shrink *services, size_t n)
{
    struct shrink *found = NULL;
    uint64_t oldest = UINT64_MAX;

    for (size_t i = 0; i < n; i++) {
        size_t count, victim;
        const struct checkpoint *list = store_list(services[i].store, services[i].name, &count);

        victim = retention_victim(list, count, services[i].busy);
        if (victim != RETENTION_NONE && list[victim].time_realtime < oldest) {
            oldest = list[victim].time_realtime;
            found = &services[i];
        }
    }
    return found;
}

static int shrink_store(struct shrink *services, size_t n, const char *name, uint64_t max_bytes,
                        uint64_t need)
{
    struct shrink *next;

    while (n > 0 && store_bytes(services->store, name, need) > max_bytes &&
           (next = oldest_victim(services, n))) {
        int r = shrink_step(next);

        if (r < 0)
            return r;
    }
    return 0;
}

static int make_room_in_store(struct store *store, const char *name, uint64_t max_bytes,
                              uint64_t need, struct reason *reason)
{
    struct shrink *services;
    size_t n = 0, ready = 0;
    int r = 0;

    while (store_service(store, n))
        n++;
    services = calloc(n + 1, sizeof(*services));
    if (!services)
        return -ENOMEM;
    while (ready < n && r == 0) {
        r = shrink_init(&services[ready], store, store_service(store, ready));
        ready++;
    }
    if (r == 0)
        r = shrink_store(services, n, name, max_bytes, need);
    for (size_t i = 0; i < ready; i++)
        shrink_done(&services[i]);
    free(services);
    if (r < 0)
        return r;
    /* What is too much then is the last ones of all services: a new one waits, none goes. */
    return need && store_bytes(store, name, need) > max_bytes
               ? explain_full_store(need, max_bytes, reason)
               : 0;
}

/* ---- one service ---- */

/* The newest one may stand beside the new one over MaxBytes= until that is committed: without it
 * there would be a time with no checkpoint at all. */
static bool fits(const struct checkpoint *list, size_t count, struct space_need need,
                 uint64_t available, const struct space_limits *limits)
{
    return available >= need.free &&
           retention_bytes(list, count) + need.stored <= limits->max_bytes;
}

static int make_room_of_service(struct store *store, const char *name,
                                const struct space_limits *limits, struct space_need need,
                                struct reason *reason)
{
    _cleanup_(shrink_done) struct shrink shrink = {};
    int r = shrink_init(&shrink, store, name);

    if (r < 0)
        return r;
    for (;;) {
        size_t count;
        const struct checkpoint *list = store_list(store, name, &count);
        uint64_t available = 0;

        r = free_above_reserve(store, limits->reserve, &available);
        if (r < 0)
            return r;
        if (fits(list, count, need, available, limits))
            return 0;
        /* Nothing is removed in vain. */
        if (available + retention_removable(list, count) < need.free)
            return explain_short(need.free, available, limits->reserve, reason);
        r = shrink_step(&shrink);
        if (r == SHRUNK_NONE)
            return available >= need.free
                       ? 0
                       : explain_short(need.free, available, limits->reserve, reason);
        if (r < 0)
            return r;
    }
}

int space_make_room(struct store *store, const char *name, const struct space_limits *limits,
                    struct space_need need, struct reason *reason)
{
    struct space_limits l = {};
    int r;

    r = resolve(store, limits, &l);
    if (r < 0)
        return r;
    if (need.free > l.max_bytes)
        return explain_too_big(need.free, l.max_bytes, "the policy's", reason);
    if (l.store_max_bytes && need.free > l.store_max_bytes)
        return explain_too_big(need.free, l.store_max_bytes, "perdure.ini's", reason);
    r = make_room_of_service(store, name, &l, need, reason);
    if (r != 0 || !l.store_max_bytes)
        return r;
    return make_room_in_store(store, name, l.store_max_bytes, need.stored, reason);
}
