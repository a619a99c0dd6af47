/* tree.c - see tree.h. */
#include "ctl/tree.h"

#include "common/cleanup.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <stdint.h>
#include <string.h>

#define NOBODY SIZE_MAX

struct strokes {
    const char *branch, *last, *pass, *blank;
};

static const struct strokes box = {"├─ ", "└─ ", "│  ", "   "};
static const struct strokes ascii = {"|- ", "`- ", "|  ", "   "};

struct drawing {
    const struct tree_node *nodes;
    size_t count;
    const struct strokes *strokes;
    size_t *parents; /* index, NOBODY for roots */
    bool *drawn;
    struct tree_line *lines;
    size_t line_count;
};

static size_t find(const struct tree_node *nodes, size_t count, const char *id)
{
    for (size_t i = 0; id && i < count; i++)
        if (strcmp(nodes[i].id, id) == 0)
            return i;
    return NOBODY;
}

/* The next child of `parent` from `from` on. */
static size_t next_child(const struct drawing *d, size_t parent, size_t from)
{
    for (size_t i = from; i < d->count; i++)
        if (!d->drawn[i] && d->parents[i] == parent)
            return i;
    return NOBODY;
}

/* The node and all below it; `branch` is in front of it, `below` in front of its children. */
static int draw(struct drawing *d, size_t node, const char *branch, const char *below)
{
    char *text;

    d->drawn[node] = true;
    if (asprintf(&text, "%s%s", branch, d->nodes[node].id) < 0)
        return -ENOMEM;
    d->lines[d->line_count++] = (struct tree_line){node, text};
    for (size_t next, child = next_child(d, node, 0); child != NOBODY; child = next) {
        _cleanup_free_ char *first = NULL, *rest = NULL;
        int r;

        next = next_child(d, node, child + 1);
        if (asprintf(&first, "%s%s", below,
                     next == NOBODY ? d->strokes->last : d->strokes->branch) < 0)
            first = NULL;
        if (asprintf(&rest, "%s%s", below, next == NOBODY ? d->strokes->blank : d->strokes->pass) <
            0)
            rest = NULL;
        if (!first || !rest)
            return -ENOMEM;
        r = draw(d, child, first, rest);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Roots first; what is left depends on itself in a circle, and begins anywhere. */
static int draw_all(struct drawing *d)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < d->count; i++)
        if (d->parents[i] == NOBODY)
            r = draw(d, i, "", "");
    for (size_t i = 0; r == 0 && i < d->count; i++)
        if (!d->drawn[i])
            r = draw(d, i, "", "");
    return r;
}

int tree_draw(const struct tree_node *nodes, size_t count, bool utf8, struct tree_line **ret)
{
    _cleanup_free_ size_t *parents = calloc(count + 1, sizeof(*parents));
    _cleanup_free_ bool *drawn = calloc(count + 1, sizeof(*drawn));
    struct drawing d = {nodes, count, utf8 ? &box : &ascii, parents, drawn, NULL, 0};
    int r;

    d.lines = calloc(count + 1, sizeof(*d.lines));
    if (!parents || !drawn || !d.lines) {
        free(d.lines);
        return -ENOMEM;
    }
    for (size_t i = 0; i < count; i++)
        parents[i] = find(nodes, count, nodes[i].parent);
    r = draw_all(&d);
    if (r < 0) {
        tree_free(d.lines, d.line_count);
        return r;
    }
    *ret = d.lines;
    return 0;
}

void tree_free(struct tree_line *lines, size_t count)
{
    for (size_t i = 0; lines && i < count; i++)
        free(lines[i].text);
    free(lines);
}

bool tree_is_utf8(void)
{
    locale_t locale = newlocale(LC_CTYPE_MASK, "", (locale_t)0);
    bool utf8;

    if (!locale)
        return false;
    utf8 = strcmp(nl_langinfo_l(CODESET, locale), "UTF-8") == 0;
    freelocale(locale);
    return utf8 && isatty(STDOUT_FILENO);
}
