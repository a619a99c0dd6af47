/* retention.c - which checkpoint goes, is re-based or is packed next. */
#include "ckptd/retention.h"

#include "common/proc.h" /* USEC_PER_SEC */

#define HOUR (3600 * USEC_PER_SEC)
#define DAY  (24 * HOUR)
#define WEEK (7 * DAY)

/* ---- chains ---- */

/* A parent is older than its child; a number that is not says nothing, so no chain is endless. */
static size_t parent_of(const struct checkpoint *list, size_t index)
{
    uint64_t parent = list[index].parent;

    for (size_t i = index; parent && i-- > 0 && list[i].number >= parent;)
        if (list[i].number == parent)
            return i;
    return RETENTION_NONE;
}

/* A full image is its own base. */
static size_t base_of(const struct checkpoint *list, size_t index)
{
    size_t parent;

    while ((parent = parent_of(list, index)) != RETENTION_NONE)
        index = parent;
    return index;
}

static size_t children_of(const struct checkpoint *list, size_t count, size_t index)
{
    size_t n = 0;

    for (size_t i = index + 1; i < count; i++)
        n += list[i].parent == list[index].number;
    return n;
}

static bool is_leaf(const struct checkpoint *list, size_t count, size_t index)
{
    for (size_t i = index + 1; i < count; i++)
        if (list[i].parent == list[index].number)
            return false;
    return true;
}

/* Does `index` need `ancestor`, or is it that one? */
static bool needs(const struct checkpoint *list, size_t index, size_t ancestor)
{
    while (index != RETENTION_NONE && index > ancestor)
        index = parent_of(list, index);
    return index == ancestor;
}

/* One that was imported is no part of the service's own past: it stays while it is pinned. */
static bool is_own(const struct checkpoint *c)
{
    return c->state == CHECKPOINT_WHOLE && !c->imported;
}

static size_t newest_whole(const struct checkpoint *list, size_t count)
{
    while (count-- > 0)
        if (is_own(&list[count]))
            return count;
    return RETENTION_NONE;
}

static uint32_t depth_of(const struct checkpoint *list, size_t index)
{
    uint32_t depth = 0;

    while ((index = parent_of(list, index)) != RETENTION_NONE)
        depth++;
    return depth;
}

/* ---- what stays ---- */

static void want_newest(const struct checkpoint *list, size_t count, uint32_t keep, bool whole,
                        bool *wanted)
{
    while (count-- > 0 && keep > 0)
        if (whole ? is_own(&list[count]) : list[count].state != CHECKPOINT_WHOLE) {
            wanted[count] = true;
            keep--;
        }
}

/* The newest whole one of each of the last `periods`. One of a clock that was ahead counts as of
 * now; where the clock was set back, the newer of two decides which periods are taken already. */
static void want_periods(const struct checkpoint *list, size_t count, uint64_t length,
                         uint32_t periods, uint64_t now, bool *wanted)
{
    uint64_t current = now / length, last = current + 1;

    while (count-- > 0) {
        uint64_t period = list[count].time_realtime / length;

        if (!is_own(&list[count]))
            continue;
        if (period > current)
            period = current;
        if (period >= last)
            continue;
        if (current - period >= periods)
            return;
        wanted[count] = true;
        last = period;
    }
}

void retention_wanted(const struct checkpoint *list, size_t count,
                      const struct retention_rules *rules, uint64_t now, bool *ret_wanted)
{
    uint32_t keep = rules->keep ? rules->keep : 1;

    for (size_t i = 0; i < count; i++)
        ret_wanted[i] = list[i].pinned || list[i].foreign;
    want_newest(list, count, keep, true, ret_wanted);
    want_newest(list, count, keep, false, ret_wanted);
    want_periods(list, count, HOUR, rules->hourly, now, ret_wanted);
    want_periods(list, count, DAY, rules->daily, now, ret_wanted);
    want_periods(list, count, WEEK, rules->weekly, now, ret_wanted);
}

/* ---- what goes ---- */

size_t retention_surplus(const struct checkpoint *list, size_t count, const bool *wanted)
{
    for (size_t i = 0; i < count; i++)
        if (!wanted[i] && is_leaf(list, count, i))
            return i;
    return RETENTION_NONE;
}

size_t retention_victim(const struct checkpoint *list, size_t count, const bool *spared)
{
    size_t newest = newest_whole(list, count), whole = RETENTION_NONE;

    for (size_t i = 0; i < count; i++) {
        if (i == newest || list[i].pinned || list[i].foreign || (spared && spared[i]) ||
            !is_leaf(list, count, i))
            continue;
        if (list[i].state != CHECKPOINT_WHOLE)
            return i;
        if (whole == RETENTION_NONE)
            whole = i;
    }
    return whole;
}

uint64_t retention_bytes(const struct checkpoint *list, size_t count)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < count; i++)
        bytes += list[i].bytes;
    return bytes;
}

uint64_t retention_removable(const struct checkpoint *list, size_t count)
{
    size_t newest = newest_whole(list, count);
    uint64_t bytes = 0;

    for (size_t i = 0; i < count; i++) {
        bool stays = newest != RETENTION_NONE && needs(list, newest, i);

        for (size_t j = i; j < count && !stays; j++)
            stays = (list[j].pinned || list[j].foreign) && needs(list, j, i);
        bytes += stays ? 0 : list[i].bytes;
    }
    return bytes;
}

/* ---- what is written anew ---- */

/* The oldest wanted image that `newest` needs, itself included, whose parent is neither wanted nor
 * the full one. */
static size_t oldest_on_unwanted(const struct checkpoint *list, const bool *wanted, size_t newest)
{
    size_t found = RETENTION_NONE, base = base_of(list, newest), parent;

    for (size_t i = newest; i != base; i = parent) {
        parent = parent_of(list, i);
        if (wanted[i] && list[i].state == CHECKPOINT_WHOLE && !wanted[parent] && parent != base)
            found = i;
    }
    return found;
}

static size_t rebase_newest(const struct checkpoint *list, size_t count, const bool *wanted,
                            uint32_t max_chain, struct retention_rebase *ret)
{
    size_t newest = newest_whole(list, count), base, x;
    uint64_t unwanted = 0, between;

    x = newest == RETENTION_NONE ? RETENTION_NONE : oldest_on_unwanted(list, wanted, newest);
    if (x == RETENTION_NONE)
        return RETENTION_NONE;
    base = base_of(list, x);
    between = list[x].bytes;
    for (size_t i = parent_of(list, x); i != base; i = parent_of(list, i)) {
        between += list[i].bytes;
        unwanted += wanted[i] ? 0 : list[i].bytes;
    }
    if (depth_of(list, newest) < max_chain && unwanted <= list[base].bytes)
        return RETENTION_NONE;
    ret->number = list[x].number;
    ret->parent = between < list[base].bytes / 4 ? list[base].number : 0;
    return x;
}

/* What is kept by Keep= alone goes soon by itself, and takes its parents along. */
static bool stays_for_long(const struct checkpoint *list, size_t count, const bool *wanted,
                           size_t index)
{
    for (size_t i = index + 1; i < count; i++)
        if (!wanted[i] && list[i].state == CHECKPOINT_WHOLE)
            return true;
    return list[index].pinned;
}

static size_t rebase_other(const struct checkpoint *list, size_t count, const bool *wanted,
                           struct retention_rebase *ret)
{
    size_t newest = newest_whole(list, count);

    for (size_t i = 0; i < count; i++) {
        size_t old = parent_of(list, i), parent = old;

        if (!wanted[i] || list[i].state != CHECKPOINT_WHOLE || old == RETENTION_NONE ||
            needs(list, newest, i) || !stays_for_long(list, count, wanted, i))
            continue;
        while (parent != RETENTION_NONE && !wanted[parent] && children_of(list, count, parent) == 1)
            parent = parent_of(list, parent);
        if (parent == old)
            continue;
        ret->number = list[i].number;
        ret->parent = parent == RETENTION_NONE ? 0 : list[parent].number;
        return i;
    }
    return RETENTION_NONE;
}

size_t retention_rebase(const struct checkpoint *list, size_t count, const bool *wanted,
                        uint32_t max_chain, struct retention_rebase *ret)
{
    size_t index = rebase_newest(list, count, wanted, max_chain, ret);

    return index != RETENTION_NONE ? index : rebase_other(list, count, wanted, ret);
}

size_t retention_pack(const struct checkpoint *list, size_t count)
{
    size_t newest = newest_whole(list, count);

    for (size_t i = 0; i < count; i++)
        if (list[i].state == CHECKPOINT_WHOLE && list[i].compressible && !needs(list, newest, i))
            return i;
    return RETENTION_NONE;
}

/* ---- the next image ---- */

uint64_t retention_parent(const struct checkpoint *list, size_t count, uint32_t max_chain)
{
    size_t newest = newest_whole(list, count);

    return newest == RETENTION_NONE || depth_of(list, newest) >= max_chain ? 0
                                                                           : list[newest].number;
}
