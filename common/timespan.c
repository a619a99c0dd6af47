/* timespan.c - time spans in systemd's notation. */
#include "common/timespan.h"

#include "common/cleanup.h"
#include "common/proc.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MINUTE (60 * USEC_PER_SEC)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)
#define WEEK   (7 * DAY)
#define MONTH  (2629800 * USEC_PER_SEC)  /* 30.44 days, systemd.time(7) */
#define YEAR   (31557600 * USEC_PER_SEC) /* 365.25 days */

static const struct unit {
    const char *name;
    uint64_t usec;
} units[] = {
    {"usec", 1},
    {"us", 1},
    {"µs", 1},
    {"msec", USEC_PER_MSEC},
    {"ms", USEC_PER_MSEC},
    {"seconds", USEC_PER_SEC},
    {"second", USEC_PER_SEC},
    {"sec", USEC_PER_SEC},
    {"s", USEC_PER_SEC},
    {"minutes", MINUTE},
    {"minute", MINUTE},
    {"min", MINUTE},
    {"m", MINUTE},
    {"hours", HOUR},
    {"hour", HOUR},
    {"hr", HOUR},
    {"h", HOUR},
    {"days", DAY},
    {"day", DAY},
    {"d", DAY},
    {"weeks", WEEK},
    {"week", WEEK},
    {"w", WEEK},
    {"months", MONTH},
    {"month", MONTH},
    {"M", MONTH},
    {"years", YEAR},
    {"year", YEAR},
    {"y", YEAR},
};

/* Digits with an optional fraction, as whole and the fraction's share of a unit. */
static int parse_number(const char **cursor, uint64_t *ret_whole, const char **ret_fraction)
{
    const char *p = *cursor;
    uint64_t whole = 0;

    if (!isdigit((unsigned char)*p))
        return -EINVAL;
    for (; isdigit((unsigned char)*p); p++)
        if (__builtin_mul_overflow(whole, 10, &whole) ||
            __builtin_add_overflow(whole, (uint64_t)(*p - '0'), &whole))
            return -ERANGE;
    *ret_fraction = NULL;
    if (*p == '.') {
        *ret_fraction = ++p;
        if (!isdigit((unsigned char)*p))
            return -EINVAL;
        while (isdigit((unsigned char)*p))
            p++;
    }
    *ret_whole = whole;
    *cursor = p;
    return 0;
}

static int parse_unit(const char **cursor, uint64_t unit_usec, uint64_t *ret)
{
    size_t len = strcspn(*cursor, " \t0123456789.");

    if (len == 0) { /* as in "5 20s": only a number alone may go without its unit */
        if (**cursor != '\0')
            return -EINVAL;
        *ret = unit_usec;
        return 0;
    }
    for (size_t i = 0; i < ELEMENTS(units); i++)
        if (strlen(units[i].name) == len && strncmp(units[i].name, *cursor, len) == 0) {
            *ret = units[i].usec;
            *cursor += len;
            return 0;
        }
    return -EINVAL;
}

int timespan_parse(const char *text, uint64_t unit_usec, uint64_t *ret_usec)
{
    uint64_t sum = 0;
    const char *p = text + strspn(text, " \t");

    if (strncmp(p, "infinity", 8) == 0 && p[8 + strspn(p + 8, " \t")] == '\0') {
        *ret_usec = USEC_INFINITY;
        return 0;
    }
    if (*p == '\0')
        return -EINVAL;
    while (*p) {
        const char *fraction;
        uint64_t whole, unit, part;
        int r = parse_number(&p, &whole, &fraction);

        if (r < 0)
            return r;
        p += strspn(p, " \t");
        r = parse_unit(&p, unit_usec, &unit);
        if (r < 0)
            return r;
        p += strspn(p, " \t");
        if (__builtin_mul_overflow(whole, unit, &part) || __builtin_add_overflow(sum, part, &sum))
            return -ERANGE;
        for (; fraction && isdigit((unsigned char)*fraction); fraction++) {
            unit /= 10;
            if (__builtin_add_overflow(sum, (uint64_t)(*fraction - '0') * unit, &sum))
                return -ERANGE;
        }
    }
    if (sum == USEC_INFINITY)
        return -ERANGE;
    *ret_usec = sum;
    return 0;
}

static const struct unit shown[] = {
    {"y", YEAR},     {"month", MONTH},    {"w", WEEK},           {"d", DAY}, {"h", HOUR},
    {"min", MINUTE}, {"s", USEC_PER_SEC}, {"ms", USEC_PER_MSEC}, {"us", 1},
};

/* "1.5" of `usec` in `unit`; the fraction without trailing zeros. */
static void format_fraction(uint64_t usec, const struct unit *unit, char *buf, size_t size)
{
    unsigned long rest = (unsigned long)(usec % unit->usec);
    int digits = unit->usec == USEC_PER_SEC ? 6 : unit->usec == USEC_PER_MSEC ? 3 : 0;

    while (digits > 0 && rest % 10 == 0) {
        rest /= 10;
        digits--;
    }
    if (digits == 0)
        snprintf(buf, size, "%lu%s", (unsigned long)(usec / unit->usec), unit->name);
    else
        snprintf(buf, size, "%lu.%0*lu%s", (unsigned long)(usec / unit->usec), digits, rest,
                 unit->name);
}

char *timespan_format(uint64_t usec, uint64_t accuracy_usec, char buf[TIMESPAN_SIZE])
{
    size_t used = 0;

    if (usec == USEC_INFINITY)
        return strcpy(buf, "infinity");
    if (accuracy_usec > 1)
        usec -= usec % accuracy_usec;
    strcpy(buf, "0");
    for (size_t i = 0; i < ELEMENTS(shown) && usec > 0; i++) {
        char part[64];

        if (usec < shown[i].usec)
            continue;
        if (shown[i].usec <= USEC_PER_SEC) {
            format_fraction(usec, &shown[i], part, sizeof(part));
            usec = 0;
        } else {
            snprintf(part, sizeof(part), "%lu%s", (unsigned long)(usec / shown[i].usec),
                     shown[i].name);
            usec %= shown[i].usec;
        }
        used += (size_t)snprintf(buf + used, TIMESPAN_SIZE - used, "%s%s", used ? " " : "", part);
        if (used >= TIMESPAN_SIZE)
            break;
    }
    return buf;
}
