/* text.c - see text.h. */
#include "ctl/text.h"

#include "common/bytesize.h"
#include "common/cleanup.h"
#include "common/proc.h"
#include "common/timespan.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

char *format_span(uint64_t usec, char buf[TEXT_SIZE])
{
    uint64_t accuracy = usec >= 86400 * USEC_PER_SEC  ? 3600 * USEC_PER_SEC
                        : usec >= 3600 * USEC_PER_SEC ? 60 * USEC_PER_SEC
                        : usec >= 60 * USEC_PER_SEC   ? USEC_PER_SEC
                        : usec >= USEC_PER_SEC        ? USEC_PER_SEC / 10
                        : usec >= USEC_PER_MSEC       ? USEC_PER_MSEC
                                                      : 1;

    return timespan_format(usec, accuracy, buf);
}

int parse_rfc3339(const char *text, uint64_t *ret_usec)
{
    struct tm tm = {0};
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    uint64_t fraction = 0, scale = USEC_PER_SEC / 10;
    time_t seconds;

    if (!rest)
        return -EINVAL;
    if (*rest == '.') {
        for (rest++; isdigit((unsigned char)*rest); rest++, scale /= 10)
            fraction += (uint64_t)(*rest - '0') * scale;
    }
    if (strcmp(rest, "Z") != 0 || (seconds = timegm(&tm)) < 0)
        return -EINVAL;
    *ret_usec = (uint64_t)seconds * USEC_PER_SEC + fraction;
    return 0;
}

const char *member_string(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

bool member_number(const json_t *object, const char *key, int64_t *ret)
{
    const json_t *value = json_object_get(object, key);

    if (!json_is_number(value))
        return false;
    *ret = json_is_integer(value) ? json_integer_value(value) : (int64_t)json_real_value(value);
    return true;
}

bool member_bool(const json_t *object, const char *key, bool *ret)
{
    const json_t *value = json_object_get(object, key);

    if (!json_is_boolean(value))
        return false;
    *ret = json_is_true(value);
    return true;
}

const char *number_text(const json_t *object, const char *key, char buf[TEXT_SIZE])
{
    int64_t n;

    buf[0] = '\0';
    if (member_number(object, key, &n))
        snprintf(buf, TEXT_SIZE, "%" PRId64, n);
    return buf;
}

const char *size_text(const json_t *object, const char *key, char buf[TEXT_SIZE])
{
    int64_t n;

    buf[0] = '\0';
    return member_number(object, key, &n) && n >= 0 ? bytesize_format((uint64_t)n, buf) : buf;
}

/* Length of the well-formed UTF-8 sequence at `s` (RFC 3629, section 4), 0 when there is none. */
static size_t utf8_length(const unsigned char *s, size_t size)
{
    size_t n = s[0] < 0x80                    ? 1
               : s[0] >= 0xc2 && s[0] <= 0xdf ? 2
               : s[0] >= 0xe0 && s[0] <= 0xef ? 3
               : s[0] >= 0xf0 && s[0] <= 0xf4 ? 4
                                              : 0;

    if (n == 0 || n > size)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0; /* overlong, surrogate, beyond U+10FFFF */
    return n;
}

json_t *json_text(const char *bytes, size_t size)
{
    static const char replacement[] = "\xef\xbf\xbd";
    _cleanup_free_ char *text = malloc(size * 3 + 1);
    size_t used = 0;

    if (!text)
        return NULL;
    for (size_t i = 0; i < size;) {
        size_t n = utf8_length((const unsigned char *)bytes + i, size - i);

        memcpy(text + used, n > 0 ? bytes + i : replacement, n > 0 ? n : 3);
        used += n > 0 ? n : 3;
        i += n > 0 ? n : 1;
    }
    return json_stringn(text, used);
}
