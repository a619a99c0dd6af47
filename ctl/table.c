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

static char *copy(const char *cell)
{
    char *text = strdup(cell && cell[0] ? cell : "-");

    for (char *p = text; p && *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = '?';
    return text;
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
        grown[used + i] = copy(cells[i]);
        if (!grown[used + i]) {
            while (i-- > 0)
                free(grown[used + i]);
            return -ENOMEM;
        }
    }
    table->rows++;
    return 0;
}

/* Characters, of one column each. */
static size_t width_of(const char *cell)
{
    size_t n = 0;

    for (; *cell; cell++)
        n += (*cell & 0xc0) != 0x80;
    return n;
}

void table_print(const struct table *table, FILE *out)
{
    size_t width[TABLE_COLUMNS] = {0};

    for (size_t i = 0; i < table->rows * table->columns; i++) {
        size_t n = width_of(table->cells[i]);

        if (n > width[i % table->columns])
            width[i % table->columns] = n;
    }
    for (size_t row = 0; row < table->rows; row++) {
        char *const *cells = &table->cells[row * table->columns];

        for (size_t i = 0; i + 1 < table->columns; i++)
            fprintf(out, "%s%*s", cells[i], (int)(width[i] - width_of(cells[i])) + 2, "");
        fprintf(out, "%s\n", cells[table->columns - 1]);
    }
}
