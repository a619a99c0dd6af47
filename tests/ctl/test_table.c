/* test_table.c - columns as wide as their widest cell, "-" for what is unknown. */
#include "ctl/table.h"

#include "common/cleanup.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void test_columns(void **state)
{
    _cleanup_(table_done) struct table table = {0};
    _cleanup_free_ char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    assert_int_equal(table_init(&table, (const char *[]){"NAME", "PID", "EVENT", NULL}), 0);
    assert_int_equal(table_add(&table, (const char *[]){"a-long-name", "1", "died"}), 0);
    assert_int_equal(table_add(&table, (const char *[]){"b", NULL, ""}), 0);
    table_print(&table, out);
    fclose(out);
    assert_string_equal(text, "NAME         PID  EVENT\n"
                              "a-long-name  1    died\n"
                              "b            -    -\n");
}

/* Branches of a tree are one column wide and three bytes long; nobody's name rings the bell. */
static void test_characters(void **state)
{
    _cleanup_(table_done) struct table table = {0};
    _cleanup_free_ char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    assert_int_equal(table_init(&table, (const char *[]){"ID", "PATH", NULL}), 0);
    assert_int_equal(table_add(&table, (const char *[]){"└─ a", "\a\033[2Jx\n"}), 0);
    table_print(&table, out);
    fclose(out);
    assert_string_equal(text, "ID    PATH\n"
                              "└─ a  ??[2Jx?\n");
}

static void test_too_many_columns(void **state)
{
    const char *headers[TABLE_COLUMNS + 2];
    struct table table;

    for (size_t i = 0; i <= TABLE_COLUMNS; i++)
        headers[i] = "X";
    headers[TABLE_COLUMNS + 1] = NULL;
    assert_int_equal(table_init(&table, headers), -E2BIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns),
        cmocka_unit_test(test_characters),
        cmocka_unit_test(test_too_many_columns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
