/* policy_limits.c - reads Limit*=: "soft:hard" in the unit of each limit, systemd.exec(5). */
#include "common/bytesize.h"
#include "common/cleanup.h"
#include "common/timespan.h"
#include "supervisord/policy_keys.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#define LIMIT_INFINITY UINT64_MAX /* RLIM_INFINITY of a 64-bit rlim_t */

static int parse_number(const char *text, uint64_t *ret)
{
    char *end;

    errno = 0;
    *ret = strtoull(text, &end, 10);
    return errno || !isdigit((unsigned char)*text) || *end ? -EINVAL : 0;
}

/* "+5" and "-5" are nice values, which getrlimit(2) counts as 20 - nice; a bare number is the
 * limit. */
static int parse_nice(const char *text, uint64_t *ret)
{
    char *end;
    long n;

    if (*text != '+' && *text != '-')
        return parse_number(text, ret) < 0 || *ret > 40 ? -EINVAL : 0;
    n = strtol(text, &end, 10);
    if (!isdigit((unsigned char)text[1]) || *end || n < -20 || n > 19)
        return -EINVAL;
    *ret = (uint64_t)(20 - n);
    return 0;
}

static int parse_one(const char *text, const struct limit_kind *kind, uint64_t *ret)
{
    uint64_t value = 0;
    int r = -EINVAL;

    if (strcmp(text, "infinity") == 0) {
        *ret = LIMIT_INFINITY;
        return 0;
    }
    switch (kind->unit) {
    case LIMIT_COUNT:
        r = parse_number(text, &value);
        break;
    case LIMIT_SIZE:
        r = bytesize_parse(text, &value);
        break;
    case LIMIT_SECONDS: /* rounded up: a limit must not get tighter than written */
        r = timespan_parse(text, USEC_PER_SEC, &value);
        value = value / USEC_PER_SEC + (value % USEC_PER_SEC != 0);
        break;
    case LIMIT_USEC:
        r = timespan_parse(text, 1, &value);
        break;
    case LIMIT_NICE:
        r = parse_nice(text, &value);
        break;
    }
    if (r == 0)
        *ret = value;
    return r;
}

static struct spawn_limit *find(struct policy *p, int resource)
{
    for (unsigned i = 0; i < p->limit_count; i++)
        if (p->limits[i].resource == resource)
            return &p->limits[i];
    return NULL;
}

int value_limit(const struct assignment *a, const char *text, void *policy)
{
    static const char *const examples[] = {"4096", "64M", "10min", "500ms", "+5"};
    const struct limit_kind *kind = a->key->detail;
    struct policy *p = policy;
    struct spawn_limit *old = find(p, kind->resource);
    struct spawn_limit limit = {.resource = kind->resource};
    _cleanup_free_ char *copy = strdup(text);
    char *colon;

    if (!copy)
        return -ENOMEM;
    if (!*text) {
        if (old)
            *old = p->limits[--p->limit_count];
        return 0;
    }
    colon = strchr(copy, ':');
    if (colon)
        *colon++ = '\0';
    if (parse_one(copy, kind, &limit.soft) < 0 ||
        parse_one(colon ? colon : copy, kind, &limit.hard) < 0)
        return assignment_error(a,
                                "\"%s\" is no limit; write it like \"%s\", \"%s:infinity\" or "
                                "\"infinity\"",
                                text, examples[kind->unit], examples[kind->unit]);
    if (limit.soft > limit.hard)
        return assignment_error(
            a, "the soft limit is above the hard one in \"%s\"; write soft:hard", text);
    if (!old)
        old = &p->limits[p->limit_count++];
    *old = limit;
    return 0;
}
