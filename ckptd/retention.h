/* retention.h - which checkpoints of a service stay, go, or are written anew. Pure: no file system,
 * no clock.
 *
 * Images form chains: a delta needs its parent, which is always older. So only leaves are removed,
 * and whatever a wanted image needs stays, wanted or not, until the wanted one is re-based. All
 * lists are of one service, oldest first. Answers are indexes, or RETENTION_NONE. */
#pragma once

#include "common/ckpt_spec.h"
#include "image/checkpoint.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RETENTION_NONE SIZE_MAX

/* Which are kept for their own sake: the pinned, those whose key may come back, the newest `keep`
 * whole ones (at least one), the newest whole one of each of the last so many hours, days and
 * weeks, and the newest `keep` of the others, for post-mortem. Periods are floor(time / length)
 * since the epoch in UTC, whatever the calendar of the host: days begin at 00:00 UTC, weeks on
 * Thursdays; the one of `now` counts. */
void retention_wanted(const struct checkpoint *list, size_t count,
                      const struct retention_rules *rules, uint64_t now, bool *ret_wanted);

/* The oldest that can go now: not wanted, and nobody's parent. */
size_t retention_surplus(const struct checkpoint *list, size_t count, const bool *wanted);

/* The one to remove when space is needed, wanted or not: the oldest leaf that is not whole, then
 * the oldest whole leaf; never a pinned or foreign one, one of `spared` (may be NULL), the newest
 * whole one, nor anything these need. */
size_t retention_victim(const struct checkpoint *list, size_t count, const bool *spared);

uint64_t retention_bytes(const struct checkpoint *list, size_t count);

/* Bytes that retention_victim() can give back, one after the other. */
uint64_t retention_removable(const struct checkpoint *list, size_t count);

struct retention_rebase {
    uint64_t number, parent; /* parent 0: it becomes a full image */
};

/* The image to write anew next with another parent: afterwards the unwanted ones between it and
 * that can go.
 *
 * In the chain of the newest whole image: the oldest wanted image whose parent is neither wanted
 * nor the chain's full one, when the newest has max_chain parents, or when the unwanted ones
 * between it and the full one hold more bytes than that. It goes onto the full one when that makes
 * it a small delta (a quarter of the full one at most), else it becomes full.
 *
 * Elsewhere: a wanted image that stays for long (newer ones are unwanted) goes over those unwanted
 * parents that nobody else needs. */
size_t retention_rebase(const struct checkpoint *list, size_t count, const bool *wanted,
                        uint32_t max_chain, struct retention_rebase *ret);

/* The number of the parent of the next image: the newest whole one, unless that has max_chain
 * parents already; 0: the next one is full. */
uint64_t retention_parent(const struct checkpoint *list, size_t count, uint32_t max_chain);

/* The oldest whole image that packing makes smaller and that the newest whole one does not need. */
size_t retention_pack(const struct checkpoint *list, size_t count);
