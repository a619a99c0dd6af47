/* utf8.c - valid UTF-8 sequences, RFC 3629 section 4. */
#include "common/utf8.h"

#include <stddef.h>
#include <stdint.h>

/* Length of the sequence that begins here; 0: none that is valid. The NUL at the end stops it. */
static size_t sequence(const unsigned char *p)
{
    size_t length = p[0] < 0x80                    ? 1
                    : p[0] >= 0xc2 && p[0] <= 0xdf ? 2
                    : (p[0] & 0xf0) == 0xe0        ? 3
                    : p[0] >= 0xf0 && p[0] <= 0xf4 ? 4
                                                   : 0;

    for (size_t i = 1; i < length; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    /* overlong forms, surrogates, and what is above U+10FFFF */
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
        (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return length;
}

void utf8_mend(char *text)
{
    for (unsigned char *p = (unsigned char *)text; *p;) {
        size_t length = sequence(p);

        if (length == 0)
            *p = '?';
        p += length ? length : 1;
    }
}
