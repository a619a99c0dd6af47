/* retention.c - which checkpoint goes next. */
#include "ckptd/retention.h"

#include <stdbool.h>

/* Counts the whole (or the other) ones and tells the first, that is the oldest. */
static size_t count_kind(const struct checkpoint *list, size_t count, bool whole,
                         size_t *ret_oldest)
{
    size_t n = 0;

    *ret_oldest = RETENTION_NONE;
    for (size_t i = 0; i < count; i++) {
        if ((list[i].state == CHECKPOINT_WHOLE) != whole)
            continue;
        if (n++ == 0)
            *ret_oldest = i;
    }
    return n;
}

size_t retention_surplus(const struct checkpoint *list, size_t count, uint32_t keep)
{
    size_t oldest;

    if (keep == 0)
        keep = 1; /* a service that is checkpointed keeps at least its newest */
    if (count_kind(list, count, true, &oldest) > keep)
        return oldest;
    if (count_kind(list, count, false, &oldest) > keep)
        return oldest;
    return RETENTION_NONE;
}

size_t retention_victim(const struct checkpoint *list, size_t count)
{
    size_t oldest;

    if (count_kind(list, count, false, &oldest) > 0)
        return oldest;
    return count_kind(list, count, true, &oldest) > 1 ? oldest : RETENTION_NONE;
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
    uint64_t bytes = retention_bytes(list, count);

    while (count-- > 0)
        if (list[count].state == CHECKPOINT_WHOLE)
            return bytes - list[count].bytes;
    return bytes;
}
