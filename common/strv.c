/* strv.c - NULL-terminated vectors of strings. */
#include "common/strv.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

char **strv_free(char **strv)
{
    for (char **s = strv; s && *s; s++)
        free(*s);
    free(strv);
    return NULL;
}

size_t strv_length(char *const *strv)
{
    size_t n = 0;

    while (strv && strv[n])
        n++;
    return n;
}

int strv_push(char ***strv, char *string)
{
    size_t n = strv_length(*strv);
    char **grown = reallocarray(*strv, n + 2, sizeof(char *));

    if (!grown)
        return -ENOMEM;
    grown[n] = string;
    grown[n + 1] = NULL;
    *strv = grown;
    return 0;
}

int strv_extend(char ***strv, const char *string)
{
    _cleanup_free_ char *copy = strdup(string);
    int r;

    if (!copy)
        return -ENOMEM;
    r = strv_push(strv, copy);
    if (r < 0)
        return r;
    copy = NULL;
    return 0;
}

int strv_extendf(char ***strv, const char *format, ...)
{
    char *string;
    va_list ap;
    int n, r;

    va_start(ap, format);
    n = vasprintf(&string, format, ap);
    va_end(ap);
    if (n < 0)
        return -ENOMEM;
    r = strv_push(strv, string);
    if (r < 0)
        free(string);
    return r;
}

int strv_copy(char *const *strv, char ***ret)
{
    _cleanup_strv_ char **copy = NULL;

    for (; strv && *strv; strv++) {
        int r = strv_extend(&copy, *strv);
        if (r < 0)
            return r;
    }
    *ret = TAKE_PTR(copy);
    return 0;
}

int strv_join_lines(char *const *strv, char **ret)
{
    size_t size = 1;
    char *joined, *end;

    for (char *const *s = strv; s && *s; s++)
        size += strlen(*s) + 1;
    joined = end = malloc(size);
    if (!joined)
        return -ENOMEM;
    *end = '\0';
    for (char *const *s = strv; s && *s; s++)
        end = stpcpy(s == strv ? end : stpcpy(end, "\n"), *s);
    *ret = joined;
    return 0;
}
