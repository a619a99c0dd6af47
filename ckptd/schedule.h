/* schedule.h - when the next periodic dump of a service is due. Pure: times come in as arguments.
 */
#pragma once

#include <stdint.h>

#define SCHEDULE_NEVER      UINT64_MAX
#define SCHEDULE_MAX_FACTOR 10 /* intervals between two tries while every try fails alike */

/* All times are usec on CLOCK_BOOTTIME. */
struct schedule {
    uint64_t interval; /* 0: only on demand */
    uint64_t due;      /* SCHEDULE_NEVER: no periodic dump */
    uint32_t failures; /* in a row, all with the same reason */
    uint64_t reason;   /* fingerprint of that reason */
};

/* `last` is the freeze time of the newest checkpoint of this very process, 0 when there is none:
 * the death of a daemon does not postpone its next checkpoint. */
void schedule_start(struct schedule *s, uint64_t interval, uint64_t now, uint64_t last);

/* The policy changed: the next dump keeps its distance from the one before. */
void schedule_change_interval(struct schedule *s, uint64_t interval, uint64_t now);

/* After a dump that began and ended then. Dumps that take longer than half the interval leave the
 * service at least as long alone as they took. */
void schedule_succeeded(struct schedule *s, uint64_t began, uint64_t ended);

/* One interval later; 2, 4, ... SCHEDULE_MAX_FACTOR intervals while the reason stays the same.
 * Digits in `why` do not count: pids and sizes change from try to try. */
void schedule_failed(struct schedule *s, uint64_t ended, const char *why);
