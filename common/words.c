/* words.c - systemd's quoting of command lines, both ways. */
#include "common/words.h"

#include "common/strv.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define SPACE " \t\r\n"

static size_t put_utf8(uint32_t c, char *out)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

/* `count` digits of `base` at p; -EINVAL when one is none. */
static int64_t digits(const char *p, int count, int base)
{
    int64_t value = 0;

    for (int i = 0; i < count; i++) {
        int c = tolower((unsigned char)p[i]);
        int digit = isdigit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : base;

        if (digit >= base)
            return -EINVAL;
        value = value * base + digit;
    }
    return value;
}

/* The escape after a backslash at p: writes its bytes, tells how long it was. */
static int unescape(const char *p, char *out, size_t *ret_written, size_t *ret_read)
{
    static const char plain[][2] = {{'a', '\a'}, {'b', '\b'},  {'f', '\f'}, {'n', '\n'},
                                    {'r', '\r'}, {'t', '\t'},  {'v', '\v'}, {'s', ' '},
                                    {'"', '"'},  {'\'', '\''}, {'\\', '\\'}};
    int64_t value;

    for (size_t i = 0; i < ELEMENTS(plain); i++)
        if (*p == plain[i][0]) {
            *out = plain[i][1];
            *ret_written = *ret_read = 1;
            return 0;
        }
    *ret_read = *p == 'x' ? 3 : *p == 'u' ? 5 : *p == 'U' ? 9 : 3;
    if (*p == 'x' || *p == 'u' || *p == 'U')
        value = digits(p + 1, (int)*ret_read - 1, 16);
    else
        value = digits(p, 3, 8);
    if (value <= 0 || value > 0x10ffff || (*ret_read == 3 && value > 0xff))
        return -EINVAL;
    if (*ret_read == 3) { /* a byte, not a character */
        *out = (char)value;
        *ret_written = 1;
    } else {
        *ret_written = put_utf8((uint32_t)value, out);
    }
    return 0;
}

int words_next(const char **cursor, char **ret_word)
{
    const char *p = *cursor + strspn(*cursor, SPACE);
    _cleanup_free_ char *word = NULL;
    size_t len = 0;
    char quote = 0;

    if (*p == '\0') {
        *cursor = p;
        return WORDS_END;
    }
    word = malloc(strlen(p) + 1); /* no escape is shorter than what it means */
    if (!word)
        return -ENOMEM;
    for (; *p && (quote || !strchr(SPACE, *p)); p++) {
        if (*p == '\\') {
            size_t written, taken;
            int r = unescape(p + 1, word + len, &written, &taken);

            if (r < 0)
                return r;
            len += written;
            p += taken;
        } else if (quote ? *p == quote : *p == '"' || *p == '\'') {
            quote = quote ? 0 : *p;
        } else {
            word[len++] = *p;
        }
    }
    if (quote)
        return -EINVAL;
    word[len] = '\0';
    *cursor = p;
    *ret_word = TAKE_PTR(word);
    return 0;
}

int words_split(const char *text, char ***ret_words)
{
    _cleanup_strv_ char **words = NULL;

    for (;;) {
        _cleanup_free_ char *word = NULL;
        int r = words_next(&text, &word);

        if (r == WORDS_END)
            break;
        if (r == 0)
            r = strv_push(&words, word);
        if (r < 0)
            return r;
        word = NULL;
    }
    *ret_words = TAKE_PTR(words);
    return 0;
}

/* One word, quoted when it must be; `out` holds 4 bytes per letter and 3 more. */
static char *put_quoted(const char *word, char *out)
{
    bool quote = *word == '\0' || strpbrk(word, SPACE "'\"\\;");

    if (quote)
        *out++ = '"';
    for (; *word; word++) {
        if (*word == '"' || *word == '\\') {
            *out++ = '\\';
            *out++ = *word;
        } else if ((unsigned char)*word < 0x20) {
            *out++ = '\\';
            *out++ = 'x';
            *out++ = "0123456789abcdef"[*word >> 4];
            *out++ = "0123456789abcdef"[*word & 15];
        } else {
            *out++ = *word;
        }
    }
    if (quote)
        *out++ = '"';
    return out;
}

char *words_join(char *const *words)
{
    size_t size = 1;
    char *line, *out;

    for (char *const *w = words; w && *w; w++)
        size += 4 * strlen(*w) + 3;
    line = malloc(size);
    if (!line)
        return NULL;
    out = line;
    for (char *const *w = words; w && *w; w++) {
        if (w != words)
            *out++ = ' ';
        out = put_quoted(*w, out);
    }
    *out = '\0';
    return line;
}
