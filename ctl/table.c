/* table.c - see table.h. */
#include "ctl/table.h"

#include "common/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int table_init(struct table *table, const char *const *headers)
{
    *table = (struct table){0};
    while (headers[table->columns])
        table->columns++;
    return table->columns > TABLE_COLUMNS ? -E2BIG : table_add(table, headers);
}

void table_done(struct table *table)
{
    for (size_t i = 0; i < table->rows * table->columns; i++)
        free(table->cells[i]);
    free(table->cells);
    *table = (struct table){0};
}

int table_add(struct table *table, const char *const *cells)
{
    size_t used = table->rows * table->columns;
    char **grown;

    grown = reallocarray(table->cells, used + table->columns, sizeof(char *));
    if (!grown)
        return -ENOMEM;
    table->cells = grown;
    for (size_t i = 0; i < table->columns; i++) {
        grown[used + i] = strdup(cells[i] && cells[i][0] ? cells[i] : "-");
        if (!grown[used + i]) {
            while (i-- > 0)
                free(grown[used + i]);
            return -ENOMEM;
        }
    }
    table->rows++;
    return 0;
}

void table_print(const struct table *table, FILE *out)
{
    size_t width[TABLE_COLUMNS] = {0};

    for (size_t i = 0; i < table->rows * table->columns; i++) {
        size_t n = strlen(table->cells[i]);

        if (n > width[i % table->columns])
            width[i % table->columns] = n;
    }
    for (size_t row = 0; row < table->rows; row++) {
        char *const *cells = &table->cells[row * table->columns];

        for (size_t i = 0; i + 1 < table->columns; i++)
            fprintf(out, "%-*s  ", (int)width[i], cells[i]);
        fprintf(out, "%s\n", cells[table->columns - 1]);
    }
}
