/* reason.c - why and cure. */
#include "common/reason.h"

#include "common/cleanup.h"

#include <stdarg.h>
#include <string.h>

void reason_done(struct reason *reason)
{
    free(reason->why);
    free(reason->cure);
    *reason = (struct reason){};
}

void reason_set(struct reason *reason, const char *cure, const char *format, ...)
{
    struct reason fresh = {};
    va_list args;
    int n;

    va_start(args, format);
    n = vasprintf(&fresh.why, format, args);
    va_end(args);
    if (n < 0)
        fresh.why = NULL;
    fresh.cure = strdup(cure);
    reason_done(reason);
    if (fresh.why && fresh.cure)
        *reason = fresh;
    else
        reason_done(&fresh);
}

void reason_parse(struct reason *reason, const char *text)
{
    size_t len = strcspn(text, "\n");
    const char *cure = text[len] ? text + len + 1 : "";
    _cleanup_free_ char *line = strndup(cure, strcspn(cure, "\n"));

    reason_set(reason, line ? line : "", "%.*s", (int)len, text);
}

const char *reason_why(const struct reason *reason)
{
    return reason->why ? reason->why : "out of memory";
}

const char *reason_cure(const struct reason *reason)
{
    return reason->cure ? reason->cure : "";
}
