/* table.h - a text table whose columns are as wide as their widest cell. */
#pragma once

#include <stddef.h>
#include <stdio.h>

#define TABLE_COLUMNS 10

struct table {
    size_t columns, rows;
    char **cells; /* rows * columns */
};

/* `headers` is NULL-terminated and becomes the first row. */
int table_init(struct table *table, const char *const *headers);
void table_done(struct table *table);

/* Adds one row of `columns` cells, which are copied; NULL and "" are shown as "-". Cells are UTF-8;
 * control characters, which a terminal would obey, become '?'. */
int table_add(struct table *table, const char *const *cells);

/* Two spaces between columns, nothing after the last one's text. */
void table_print(const struct table *table, FILE *out);
