/* test_nearest.c - what somebody probably meant. */
#include "common/nearest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const char *const keys[] = {"ExecStart", "ExecStop", "Restart", "RestartSec",
                                   "User",      "Keep",     NULL};

static void test_found(void **state)
{
    assert_string_equal(nearest_word("ExecStrat", keys), "ExecStart"); /* swapped */
    assert_string_equal(nearest_word("execstart", keys), "ExecStart"); /* case */
    assert_string_equal(nearest_word("ExecStrt", keys), "ExecStart");  /* dropped */
    assert_string_equal(nearest_word("RestartsSec", keys), "RestartSec");
    assert_string_equal(nearest_word("Usr", keys), "User");
    assert_string_equal(nearest_word("Kepe", keys), "Keep");
}

static void test_too_far(void **state)
{
    static const char long_word[] =
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    static const char *const none[] = {NULL};

    assert_null(nearest_word("Colour", keys));
    assert_null(nearest_word("Us", (const char *const[]){"Keep", NULL}));
    assert_null(nearest_word("", keys));
    assert_null(nearest_word(long_word, keys));
    assert_null(nearest_word("User", none));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found),
        cmocka_unit_test(test_too_far),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
