/* test_progress.c - the bar's text; nothing is ever wider than the terminal. */
#include "ctl/progress.h"

#include "common/proc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static char buf[PROGRESS_SIZE];

static void test_bytes(void **state)
{
    struct progress p = {
        .doing = "verifying redis@4", .unit = 1, .done = 1288490188, .total = 3006477107};

    assert_string_equal(progress_format(&p, 0, 80, buf),
                        "verifying redis@4 [########------------]  42% 1.1G/2.7G");
    p.done = p.total;
    assert_string_equal(progress_format(&p, 0, 80, buf),
                        "verifying redis@4 [####################] 100% 2.7G/2.7G");
}

static void test_pages(void **state)
{
    struct progress p = {.doing = "comparing", .unit = 4096, .done = 0, .total = 256};

    assert_string_equal(progress_format(&p, 0, 80, buf),
                        "comparing [--------------------]   0% 0B/1M");
}

static void test_no_size(void **state)
{
    struct progress p = {.doing = "x", .done = 1, .total = 3};

    assert_string_equal(progress_format(&p, 0, 80, buf), "x [######--------------]  33%");
}

/* More than there is: a worker's estimate was too low. */
static void test_beyond_the_end(void **state)
{
    struct progress p = {.doing = "x", .done = 9, .total = 3};

    assert_string_equal(progress_format(&p, 0, 80, buf), "x [####################] 100%");
}

static void test_nothing_known(void **state)
{
    struct progress p = {.doing = "checkpointing redis", .since = 5 * USEC_PER_SEC};

    assert_string_equal(progress_format(&p, 8 * USEC_PER_SEC, 80, buf),
                        "checkpointing redis ... 3 s");
    assert_string_equal(progress_format(&p, 0, 80, buf), "checkpointing redis ... 0 s");
}

static void test_narrow(void **state)
{
    struct progress p = {.doing = "verifying redis@4", .unit = 1, .done = 1, .total = 2};

    assert_string_equal(progress_format(&p, 0, 30, buf), "verifying redis@4  50%");
    for (size_t columns = 0; columns < 80; columns++)
        assert_true(strlen(progress_format(&p, 0, columns, buf)) <= columns);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),         cmocka_unit_test(test_pages),
        cmocka_unit_test(test_no_size),       cmocka_unit_test(test_beyond_the_end),
        cmocka_unit_test(test_nothing_known), cmocka_unit_test(test_narrow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
