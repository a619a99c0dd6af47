/* schedule.c - when the next periodic dump of a service is due. */
#include "ckptd/schedule.h"

#include <ctype.h>

/* FNV-1a, 64 bit, without the digits. */
static uint64_t fingerprint(const char *why)
{
    uint64_t hash = 0xcbf29ce484222325ULL;

    for (; *why; why++)
        if (!isdigit((unsigned char)*why))
            hash = (hash ^ (unsigned char)*why) * 0x100000001b3ULL;
    return hash;
}

/* Saturates: an interval of centuries means never. */
static uint64_t later(uint64_t time, uint64_t delay, uint64_t factor)
{
    uint64_t sum;

    if (__builtin_mul_overflow(delay, factor, &delay) || __builtin_add_overflow(time, delay, &sum))
        return SCHEDULE_NEVER;
    return sum;
}

static uint64_t max_of(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

void schedule_start(struct schedule *s, uint64_t interval, uint64_t now, uint64_t last)
{
    *s = (struct schedule){.interval = interval, .due = SCHEDULE_NEVER};
    if (interval > 0)
        s->due = max_of(now, later(last ? last : now, interval, 1));
}

void schedule_change_interval(struct schedule *s, uint64_t interval, uint64_t now)
{
    uint64_t before = s->interval;

    if (interval == before)
        return;
    s->interval = interval;
    if (interval == 0)
        s->due = SCHEDULE_NEVER;
    else if (before == 0 || s->due == SCHEDULE_NEVER || s->due < before)
        s->due = later(now, interval, 1);
    else
        s->due = max_of(now, later(s->due - before, interval, 1));
}

void schedule_succeeded(struct schedule *s, uint64_t began, uint64_t ended)
{
    s->failures = 0;
    if (s->interval > 0)
        s->due = max_of(later(began, s->interval, 1), later(ended, ended - began, 1));
}

void schedule_failed(struct schedule *s, uint64_t ended, const char *why)
{
    uint64_t reason = fingerprint(why), factor = 1;

    s->failures = s->failures > 0 && s->reason == reason ? s->failures + 1 : 1;
    s->reason = reason;
    for (uint32_t i = 1; i < s->failures && factor < SCHEDULE_MAX_FACTOR; i++)
        factor *= 2;
    if (factor > SCHEDULE_MAX_FACTOR)
        factor = SCHEDULE_MAX_FACTOR;
    if (s->interval > 0)
        s->due = later(ended, s->interval, factor);
}
