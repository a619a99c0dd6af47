/* nearest.c - nearest known word by edit distance. */
#include "common/nearest.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>

#define LONGEST 64 /* longer ones are no typing errors */

static unsigned min2(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Optimal string alignment distance; both at most LONGEST letters. */
static unsigned distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    unsigned rows[3][LONGEST + 1];
    unsigned *before = rows[0], *above = rows[1], *row = rows[2];

    for (size_t j = 0; j <= b_len; j++)
        above[j] = (unsigned)j;
    for (size_t i = 1; i <= a_len; i++) {
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_len; j++) {
            int x = tolower((unsigned char)a[i - 1]), y = tolower((unsigned char)b[j - 1]);

            row[j] = min2(above[j - 1] + (x != y), min2(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && x == tolower((unsigned char)b[j - 2]) &&
                y == tolower((unsigned char)a[i - 2]))
                row[j] = min2(row[j], before[j - 2] + 1);
        }
        unsigned *spare = before;
        before = above;
        above = row;
        row = spare;
    }
    return above[b_len];
}

const char *nearest_word(const char *word, const char *const *words)
{
    size_t len = strlen(word);
    const char *best = NULL;
    unsigned best_distance = len < 6 ? 2 : (unsigned)len / 3 + 1; /* to be beaten */

    if (len == 0 || len > LONGEST)
        return NULL;
    for (; *words; words++) {
        size_t other = strlen(*words);
        unsigned d;

        if (other > LONGEST)
            continue;
        d = distance(word, len, *words, other);
        if (d < best_distance) {
            best = *words;
            best_distance = d;
        }
    }
    return best;
}
