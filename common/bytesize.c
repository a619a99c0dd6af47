/* bytesize.c - sizes in base 1024. */
#include "common/bytesize.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char suffixes[] = "BKMGTPE"; /* the nth is 1024^n */

int bytesize_parse(const char *text, uint64_t *ret_bytes)
{
    const char *p = text + strspn(text, " \t"), *fraction = NULL, *suffix;
    uint64_t bytes = 0, unit = 1;

    if (!isdigit((unsigned char)*p))
        return -EINVAL;
    for (; isdigit((unsigned char)*p); p++)
        if (__builtin_mul_overflow(bytes, 10, &bytes) ||
            __builtin_add_overflow(bytes, (uint64_t)(*p - '0'), &bytes))
            return -ERANGE;
    if (*p == '.') {
        fraction = ++p;
        p += strspn(p, "0123456789");
        if (p == fraction)
            return -EINVAL;
    }
    p += strspn(p, " \t");
    suffix = *p ? strchr(suffixes, *p++) : suffixes;
    if (!suffix || p[strspn(p, " \t")] != '\0' || (fraction && suffix == suffixes))
        return -EINVAL;
    unit <<= 10 * (suffix - suffixes);
    if (__builtin_mul_overflow(bytes, unit, &bytes))
        return -ERANGE;
    for (double share = (double)unit / 10; fraction && isdigit((unsigned char)*fraction);
         fraction++, share /= 10)
        if (__builtin_add_overflow(bytes, (uint64_t)(share * (*fraction - '0')), &bytes))
            return -ERANGE;
    *ret_bytes = bytes;
    return 0;
}

char *bytesize_format(uint64_t bytes, char buf[BYTESIZE_SIZE])
{
    unsigned n = 0;
    uint64_t unit = 1, tenths;

    while (n + 1 < sizeof(suffixes) - 1 && bytes / unit >= 1024) {
        unit <<= 10;
        n++;
    }
    tenths = n ? (bytes % unit) / (unit / 1024) * 10 / 1024 : 0;
    if (tenths)
        snprintf(buf, BYTESIZE_SIZE, "%" PRIu64 ".%" PRIu64 "%c", bytes / unit, tenths,
                 suffixes[n]);
    else
        snprintf(buf, BYTESIZE_SIZE, "%" PRIu64 "%c", bytes / unit, suffixes[n]);
    return buf;
}
