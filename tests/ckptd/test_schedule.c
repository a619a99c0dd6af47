/* test_schedule.c - when the next dump is due, with times as plain numbers. */
#include "ckptd/schedule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void first_is_one_interval_later(void **state)
{
    struct schedule s;

    schedule_start(&s, 100, 5000, 0);
    assert_int_equal(s.due, 5100);
    schedule_start(&s, 0, 5000, 0);
    assert_true(s.due == SCHEDULE_NEVER);
}

static void daemon_death_does_not_postpone(void **state)
{
    struct schedule s;

    schedule_start(&s, 100, 5000, 4950);
    assert_int_equal(s.due, 5050);
    schedule_start(&s, 100, 5000, 3000); /* long overdue: now, not in the past */
    assert_int_equal(s.due, 5000);
}

static void success_counts_from_the_beginning(void **state)
{
    struct schedule s;

    schedule_start(&s, 100, 0, 0);
    schedule_succeeded(&s, 100, 110);
    assert_int_equal(s.due, 200);
}

static void long_dumps_leave_the_service_alone(void **state)
{
    struct schedule s;

    schedule_start(&s, 100, 0, 0);
    schedule_succeeded(&s, 100, 400);
    assert_int_equal(s.due, 700);
}

static void same_failure_backs_off(void **state)
{
    static const uint64_t factors[] = {1, 2, 4, 8, 10, 10};
    struct schedule s;

    schedule_start(&s, 100, 0, 0);
    for (size_t i = 0; i < sizeof(factors) / sizeof(*factors); i++) {
        schedule_failed(&s, 1000, i % 2 ? "pid 17 is a fish" : "pid 4 is a fish");
        assert_int_equal(s.due, 1000 + 100 * factors[i]);
    }
    schedule_failed(&s, 1000, "another reason");
    assert_int_equal(s.due, 1100);
    schedule_failed(&s, 1000, "another reason");
    schedule_succeeded(&s, 1000, 1010);
    schedule_failed(&s, 2000, "another reason");
    assert_int_equal(s.due, 2100);
}

static void on_demand_only_stays_so(void **state)
{
    struct schedule s;

    schedule_start(&s, 0, 0, 0);
    schedule_succeeded(&s, 10, 20);
    assert_true(s.due == SCHEDULE_NEVER);
    schedule_failed(&s, 20, "x");
    assert_true(s.due == SCHEDULE_NEVER);
}

static void interval_changes_keep_the_distance(void **state)
{
    struct schedule s;

    schedule_start(&s, 100, 1000, 0);
    schedule_change_interval(&s, 300, 1050);
    assert_int_equal(s.due, 1300);
    schedule_change_interval(&s, 300, 1200);
    assert_int_equal(s.due, 1300);
    schedule_change_interval(&s, 10, 1200);
    assert_int_equal(s.due, 1200);
    schedule_change_interval(&s, 0, 1200);
    assert_true(s.due == SCHEDULE_NEVER);
    schedule_change_interval(&s, 50, 1200);
    assert_int_equal(s.due, 1250);
}

static void centuries_mean_never(void **state)
{
    struct schedule s;

    schedule_start(&s, UINT64_MAX - 10, 1000, 0);
    assert_true(s.due == SCHEDULE_NEVER);
    schedule_failed(&s, 1000, "x");
    assert_true(s.due == SCHEDULE_NEVER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_is_one_interval_later),
        cmocka_unit_test(daemon_death_does_not_postpone),
        cmocka_unit_test(success_counts_from_the_beginning),
        cmocka_unit_test(long_dumps_leave_the_service_alone),
        cmocka_unit_test(same_failure_backs_off),
        cmocka_unit_test(on_demand_only_stays_so),
        cmocka_unit_test(interval_changes_keep_the_distance),
        cmocka_unit_test(centuries_mean_never),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
