/* test_timespan.c - spans read and written as systemd does. */
#include "common/timespan.h"

#include "common/cleanup.h"
#include "common/proc.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_parse(void **state)
{
    static const struct {
        const char *text;
        uint64_t usec;
    } cases[] = {
        {"0", 0},
        {"5", 5 * USEC_PER_SEC},
        {"5s", 5 * USEC_PER_SEC},
        {" 5 s ", 5 * USEC_PER_SEC},
        {"5min 20s", 320 * USEC_PER_SEC},
        {"5min20s", 320 * USEC_PER_SEC},
        {"2 h", 7200 * USEC_PER_SEC},
        {"1.5h", 5400 * USEC_PER_SEC},
        {"0.25", 250000},
        {"100ms", 100000},
        {"55s500ms", 55500000},
        {"7us", 7},
        {"7µs", 7},
        {"1M", 2629800 * USEC_PER_SEC},
        {"1m", 60 * USEC_PER_SEC},
        {"300ms20s 5day", 5 * 86400 * USEC_PER_SEC + 20300000},
        {"1y 12month", 31557600 * USEC_PER_SEC + 12 * 2629800 * USEC_PER_SEC},
        {"infinity", USEC_INFINITY},
        {" infinity ", USEC_INFINITY},
    };

    for (size_t i = 0; i < ELEMENTS(cases); i++) {
        uint64_t usec = 1;

        assert_int_equal(timespan_parse(cases[i].text, USEC_PER_SEC, &usec), 0);
        assert_true(usec == cases[i].usec);
    }
}

static void test_other_unit(void **state)
{
    uint64_t usec;

    assert_int_equal(timespan_parse("15", 1, &usec), 0);
    assert_int_equal(usec, 15);
    assert_int_equal(timespan_parse("15ms", 1, &usec), 0);
    assert_int_equal(usec, 15000);
}

static void test_refused(void **state)
{
    static const char *const bad[] = {"",   " ",   "s",   "-1",   "5 20s", "1.",    "1.s",
                                      ".5", "5 x", "5ss", "1..2", "0x10",  "5min,", "infinite"};
    uint64_t usec = 42;

    for (size_t i = 0; i < ELEMENTS(bad); i++)
        assert_int_equal(timespan_parse(bad[i], USEC_PER_SEC, &usec), -EINVAL);
    assert_int_equal(timespan_parse("99999999999999999999", USEC_PER_SEC, &usec), -ERANGE);
    assert_int_equal(timespan_parse("999999y 999999y", USEC_PER_SEC, &usec), -ERANGE);
    assert_int_equal(usec, 42);
}

static void test_format(void **state)
{
    static const struct {
        uint64_t usec, accuracy;
        const char *text;
    } cases[] = {
        {0, 1, "0"},
        {90 * USEC_PER_SEC, 1, "1min 30s"},
        {60 * USEC_PER_SEC, 1, "1min"},
        {3200000, 1, "3.2s"},
        {3249999, 100000, "3.2s"},
        {1500, 1, "1.5ms"},
        {999, 1, "999us"},
        {1050000, 1, "1.05s"},
        {90061 * USEC_PER_SEC, 1, "1d 1h 1min 1s"},
        {90061 * USEC_PER_SEC, 60 * USEC_PER_SEC, "1d 1h 1min"},
        {500, USEC_PER_SEC, "0"},
        {USEC_INFINITY, 1, "infinity"},
    };
    char buf[TIMESPAN_SIZE];

    for (size_t i = 0; i < ELEMENTS(cases); i++)
        assert_string_equal(timespan_format(cases[i].usec, cases[i].accuracy, buf), cases[i].text);
    timespan_format(USEC_INFINITY - 1, 1, buf); /* the longest one fits */
}

static void test_round_trip(void **state)
{
    for (uint64_t usec = 1; usec < UINT64_MAX / 7; usec = usec * 7 + 3) {
        char buf[TIMESPAN_SIZE];
        uint64_t again;

        assert_int_equal(timespan_parse(timespan_format(usec, 1, buf), USEC_PER_SEC, &again), 0);
        assert_true(again == usec);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),      cmocka_unit_test(test_other_unit),
        cmocka_unit_test(test_refused),    cmocka_unit_test(test_format),
        cmocka_unit_test(test_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
