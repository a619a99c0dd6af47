/* test_criu_log.c - the first error that matters in logs as CRIU writes them. */
#include "worker/criu_log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define HARMLESS                                                                         \
    "(00.001234) Error (criu/util.c:1533): rlimit: Can't setup RLIMIT_NOFILE for self: " \
    "Operation not permitted\n"

static void test_first_error(void **state)
{
    char line[256];

    (void)state;
    assert_true(criu_log_first_error(HARMLESS "(00.002) Warn  (criu/x.c:1): Error is near\n"
                                              "(00.003000)   1234: Error (criu/a.c:1): first\n"
                                              "(00.004000) Error (criu/b.c:2): second\n",
                                     line, sizeof(line)));
    assert_string_equal(line, "Error (criu/a.c:1): first");
}

static void test_no_error(void **state)
{
    char line[256] = "untouched";

    (void)state;
    assert_false(criu_log_first_error("", line, sizeof(line)));
    assert_false(criu_log_first_error(HARMLESS, line, sizeof(line)));
    assert_false(criu_log_first_error("(00.1) an Error without its place\n", line, sizeof(line)));
    assert_string_equal(line, "untouched");
}

static void test_last_line_without_newline(void **state)
{
    char line[256];

    (void)state;
    assert_true(criu_log_first_error(HARMLESS "Error (criu/a.c:1): cut", line, sizeof(line)));
    assert_string_equal(line, "Error (criu/a.c:1): cut");
}

static void test_long_line_is_cut(void **state)
{
    char line[16];

    (void)state;
    assert_true(
        criu_log_first_error("Error (criu/aaaaaaaaaaaaaaaaaaaaaaaa.c:1): x\n", line, sizeof(line)));
    assert_string_equal(line, "Error (criu/aaa");
}

static void test_run_id(void **state)
{
    char id[64];

    (void)state;
    assert_true(criu_log_run_id("(00.0) Dump CRIU run id = other\n"
                                "(00.000000) CRIU run id = first\n"
                                "(00.000000) CRIU run id = 0e3a6c0e-8f0d-4a7b-9c60-1d5f\n"
                                "(00.1) more\n",
                                id, sizeof(id)));
    assert_string_equal(id, "0e3a6c0e-8f0d-4a7b-9c60-1d5f");
    assert_false(criu_log_run_id("(00.0) Dump CRIU run id = other\n", id, sizeof(id)));
    assert_false(criu_log_run_id("", id, sizeof(id)));
}

static void test_taken_pid(void **state)
{
    (void)state;
    assert_int_equal(
        criu_log_taken_pid("Error (criu/cr-restore.c:1237): Can't fork for 2509: File exists"),
        2509);
    assert_int_equal(criu_log_taken_pid("Can't fork for 2509: Resource temporarily unavailable"),
                     0);
    assert_int_equal(criu_log_taken_pid("something else"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_error),
        cmocka_unit_test(test_no_error),
        cmocka_unit_test(test_last_line_without_newline),
        cmocka_unit_test(test_long_line_is_cut),
        cmocka_unit_test(test_run_id),
        cmocka_unit_test(test_taken_pid),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
