/* test_dirs.c - names that could leave their folder are refused; folders come out absolute. */
#include "common/dirs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void names(void **state)
{
    static const char *const good[] = {"redis", "game@west", "a.b_c-d:e", "x\\x2dy", "9"};
    static const char *const bad[] = {"",     ".",     "..",   ".hidden", "a/b",
                                      "../x", "a b",   "a\nb", "\xff",    "caf\xc3\xa9",
                                      "a;rm", "$HOME", "a*"};
    char long_name[SERVICE_NAME_MAX + 2];

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(service_name_is_valid(good[i]));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(service_name_is_valid(bad[i]));
    memset(long_name, 'a', sizeof(long_name));
    long_name[SERVICE_NAME_MAX + 1] = '\0';
    assert_false(service_name_is_valid(long_name));
    long_name[SERVICE_NAME_MAX] = '\0';
    assert_true(service_name_is_valid(long_name));
}

static void given_folders(void **state)
{
    struct dirs d;

    assert_int_equal(dirs_init(&d, "conf", "/s", "/r"), 0);
    assert_int_equal(d.config[0], '/');
    assert_string_equal(d.config + strlen(d.config) - 5, "/conf");
    assert_string_equal(d.state, "/s");
    assert_string_equal(d.runtime, "/r");
    dirs_done(&d);
}

static void runtime_from_environment(void **state)
{
    struct dirs d;

    setenv("PERDURE_RUNTIME_DIR", "/run/other", 1);
    assert_int_equal(dirs_init(&d, NULL, NULL, NULL), 0);
    assert_string_equal(d.runtime, "/run/other");
    dirs_done(&d);
    unsetenv("PERDURE_RUNTIME_DIR");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(given_folders),
        cmocka_unit_test(runtime_from_environment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
