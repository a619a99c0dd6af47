/* strv.h - NULL-terminated vectors of strings, each string and the vector on the heap. NULL is the
 * empty vector everywhere. */
#pragma once

#include "common/cleanup.h"

#include <stddef.h>

char **strv_free(char **strv); /* returns NULL */
size_t strv_length(char *const *strv);

/* Appends; the string belongs to the vector on success only. -ENOMEM. */
int strv_push(char ***strv, char *string);
/* Appends a copy. */
int strv_extend(char ***strv, const char *string);
int strv_extendf(char ***strv, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* New vector with copies; *ret is NULL for an empty one. */
int strv_copy(char *const *strv, char ***ret);

/* "a\nb", "" for an empty one; new. */
int strv_join_lines(char *const *strv, char **ret);

static inline void strv_freep(char ***strv)
{
    strv_free(*strv);
}
#define _cleanup_strv_ _cleanup_(strv_freep)
