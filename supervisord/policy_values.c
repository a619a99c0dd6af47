/* policy_values.c - reads values that are one word: numbers, spans, sizes, names, paths. */
#include "common/bytesize.h"
#include "common/cleanup.h"
#include "common/nearest.h"
#include "common/signame.h"
#include "common/timespan.h"
#include "supervisord/policy_keys.h"

#include <errno.h>
#include <string.h>

#define ZSTD_LEVEL "3" /* zstd(1): its own default */

/* Replaces a string field; takes the value over. */
static int set_string(char **field, char *value)
{
    free(*field);
    *field = value;
    return 0;
}

int value_bool(const struct assignment *a, const char *text, void *field)
{
    static const char *const yes[] = {"1", "yes", "y", "true", "t", "on", NULL};
    static const char *const no[] = {"0", "no", "n", "false", "f", "off", NULL};

    for (size_t i = 0; yes[i]; i++) {
        if (strcasecmp(text, yes[i]) == 0 || strcasecmp(text, no[i]) == 0) {
            *(bool *)field = strcasecmp(text, yes[i]) == 0;
            return 0;
        }
    }
    return assignment_error(a, "\"%s\" is neither yes nor no; write one of them", text);
}

static int parse_int(const struct assignment *a, const char *text, const struct value_range *range,
                     int *ret)
{
    char *end;
    long long n;

    errno = 0;
    n = strtoll(text, &end, range->base);
    if (errno || end == text || *end || n < range->min || n > range->max)
        return range->base == 8
                   ? assignment_error(a, "\"%s\" is no mode; write an octal number from 0 to %llo",
                                      text, (unsigned long long)range->max)
                   : assignment_error(a, "\"%s\" does not fit; write a number from %lld to %lld",
                                      text, (long long)range->min, (long long)range->max);
    *ret = (int)n;
    return 0;
}

int value_int(const struct assignment *a, const char *text, void *field)
{
    return parse_int(a, text, a->key->detail, field);
}

int value_optional_int(const struct assignment *a, const char *text, void *policy)
{
    const struct value_range *range = a->key->detail;
    bool *set = (bool *)((char *)policy + range->set);
    int r;

    if (!*text) {
        *set = false;
        return 0;
    }
    r = parse_int(a, text, range, (int *)((char *)policy + range->value));
    if (r == 0)
        *set = true;
    return r;
}

int value_enum(const struct assignment *a, const char *text, void *field)
{
    const struct value_names *known = a->key->detail;
    const char *meant = nearest_word(text, known->names);
    char all[160] = "";

    for (size_t i = 0; known->names[i]; i++) {
        if (strcmp(text, known->names[i]) == 0) {
            *(int *)field = (int)i;
            return 0;
        }
        if (strlen(all) + strlen(known->names[i]) + 2 < sizeof(all))
            strcat(strcat(all, *all ? " " : ""), known->names[i]);
    }
    for (const char *const *later = known->later; later && *later; later++)
        if (strcmp(text, *later) == 0)
            return assignment_error(
                a, "\"%s\" is known to systemd but not supported by perdure yet; write one of: %s",
                text, all);
    if (meant)
        return assignment_error(a, "unknown value \"%s\"; did you mean \"%s\"?", text, meant);
    return assignment_error(a, "unknown value \"%s\"; write one of: %s", text, all);
}

int value_span(const struct assignment *a, const char *text, void *field)
{
    int r = timespan_parse(text, USEC_PER_SEC, field);

    if (strcmp(text, "auto") == 0)
        return assignment_error(a, "\"auto\" is not supported yet; write a time span like \"30s\"");
    if (r == -ERANGE)
        return assignment_error(a, "\"%s\" is too long; write \"infinity\" for ever", text);
    return r < 0 ? assignment_error(a,
                                    "\"%s\" is no time span; write it like \"5min 20s\", \"500ms\" "
                                    "or \"infinity\"",
                                    text)
                 : 0;
}

int value_timeout(const struct assignment *a, const char *text, void *field)
{
    uint64_t *usec = field;
    int r = value_span(a, text, field);

    if (r == 0 && *usec == 0) /* systemd.service(5): 0 disables the timeout, as infinity does */
        *usec = USEC_INFINITY;
    return r;
}

int value_timeouts(const struct assignment *a, const char *text, void *policy)
{
    struct policy *p = policy;
    int r = *text ? value_timeout(a, text, &p->timeout_start_usec) : 0;

    if (r == 0 && *text)
        p->timeout_stop_usec = p->timeout_start_usec;
    return r;
}

int value_size(const struct assignment *a, const char *text, void *field)
{
    return bytesize_parse(text, field) < 0
               ? assignment_error(a, "\"%s\" is no size; write it like \"64M\" or \"1.5G\"", text)
               : 0;
}

int value_signal(const struct assignment *a, const char *text, void *field)
{
    int signal = signal_from_name(text);

    if (signal < 0)
        return assignment_error(
            a, "\"%s\" is no signal; write its name like \"SIGTERM\" or a number", text);
    *(int *)field = signal;
    return 0;
}

int value_string(const struct assignment *a, const char *text, void *field)
{
    _cleanup_free_ char *value = NULL;
    int r = *text || a->key->fallback ? specifiers_expand(a, text, &value) : 0;

    return r ? r : set_string(field, TAKE_PTR(value));
}

int value_path(const struct assignment *a, const char *text, void *field)
{
    _cleanup_free_ char *value = NULL;
    int r = *text ? specifiers_expand(a, text, &value) : 0;

    if (r)
        return r;
    if (value && value[0] != '/')
        return assignment_error(a, "\"%s\" is no absolute path; write it from / on", value);
    return set_string(field, TAKE_PTR(value));
}

/* systemd.service(5): a relative PIDFile= is below /run. */
int value_pid_file(const struct assignment *a, const char *text, void *field)
{
    _cleanup_free_ char *below = NULL;

    if (!*text || *text == '/' || *text == '%')
        return value_path(a, text, field);
    if (asprintf(&below, "%%t/%s", text) < 0)
        return -ENOMEM;
    return value_path(a, below, field);
}

int value_account(const struct assignment *a, const char *text, void *field)
{
    _cleanup_free_ char *value = NULL;
    int r = *text ? specifiers_expand(a, text, &value) : 0;

    if (r)
        return r;
    if (value && (!*value || strpbrk(value, " \t:/\\\"'") || *value == '-'))
        return assignment_error(a, "\"%s\" is no name of an account; write a name or a number",
                                value);
    return set_string(field, TAKE_PTR(value));
}

int value_log_level(const struct assignment *a, const char *text, void *field)
{
    static const char *const names[] = {"emerg",  "alert", "crit",  "err", "warning",
                                        "notice", "info",  "debug", NULL}; /* LOG_EMERG.. */

    for (int i = 0; names[i]; i++)
        if (strcmp(text, names[i]) == 0 || (text[0] == '0' + i && !text[1])) {
            *(int *)field = i;
            return 0;
        }
    return assignment_error(a, "\"%s\" is no log level; write err, warning, notice, info or debug",
                            text);
}

/* "zstd", "zstd:LEVEL", "none". */
int value_compress(const struct assignment *a, const char *text, void *field)
{
    static const struct value_range levels = {.min = 1, .max = 19, .base = 10};
    static const char *const forms[] = {"zstd", "none", NULL};
    const char *meant;

    if (strcmp(text, "none") == 0) {
        *(unsigned *)field = 0;
        return 0;
    }
    if (strcmp(text, "zstd") == 0)
        return parse_int(a, ZSTD_LEVEL, &levels, field);
    if (strncmp(text, "zstd:", 5) == 0)
        return parse_int(a, text + 5, &levels, field);
    meant = nearest_word(text, forms);
    if (meant)
        return assignment_error(a, "unknown value \"%s\"; did you mean \"%s\"?", text, meant);
    return assignment_error(a, "unknown value \"%s\"; write zstd, zstd:1 to zstd:19, or none",
                            text);
}

/* "every N", "N", "off". */
int value_drill(const struct assignment *a, const char *text, void *field)
{
    static const struct value_range counts = {.min = 1, .max = 100000, .base = 10};
    const char *number = text;

    if (strcmp(text, "off") == 0) {
        *(unsigned *)field = 0;
        return 0;
    }
    if (strncmp(text, "every", 5) == 0)
        number += 5 + strspn(text + 5, " \t");
    if (*number < '0' || *number > '9')
        return assignment_error(
            a, "\"%s\" says not how often; write \"every N\" checkpoints, or off", text);
    return parse_int(a, number, &counts, field);
}
