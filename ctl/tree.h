/* tree.h - draws who depends on whom in front of the lines of a list; pure but for tree_is_utf8().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct tree_node {
    const char *id, *parent; /* `parent` NULL, or of nobody in the list: a root */
};

struct tree_line {
    size_t node; /* index */
    char *text;  /* "│  └─ redis@4": the branches, then the id */
};

/* Children under their parents, otherwise in the order given; every node once, whatever the parents
 * say. -ENOMEM. */
int tree_draw(const struct tree_node *nodes, size_t count, bool utf8, struct tree_line **ret);
void tree_free(struct tree_line *lines, size_t count);

/* Standard output is a terminal that shows UTF-8. */
bool tree_is_utf8(void);
