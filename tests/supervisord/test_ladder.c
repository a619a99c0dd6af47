/* test_ladder.c - every shape of Ladder= climbs down and ends. */
#include "supervisord/ladder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void newest_then_older_then_cold(void **state)
{
    const struct policy policy = {.ladder = {RUNG_NEWEST, RUNG_OLDER, RUNG_COLD}, .ladder_len = 3};
    struct ladder ladder;
    enum ladder_rung rung;

    ladder_reset(&ladder, &policy);
    assert_int_equal(ladder_current(&ladder, &policy, &rung), 0);
    assert_int_equal(rung, RUNG_NEWEST);
    ladder_image_failed(&ladder, &policy, 20);
    assert_int_equal(ladder_current(&ladder, &policy, &rung), 0);
    assert_int_equal(rung, RUNG_OLDER);
    assert_int_equal(ladder.below, 20);
    assert_false(ladder.skip);
    ladder_image_failed(&ladder, &policy, 18);
    assert_int_equal(ladder_current(&ladder, &policy, &rung), 0);
    assert_int_equal(rung, RUNG_OLDER);
    assert_int_equal(ladder.below, 18);
    ladder_next(&ladder, &policy);
    assert_int_equal(ladder_current(&ladder, &policy, &rung), 0);
    assert_int_equal(rung, RUNG_COLD);
    ladder_next(&ladder, &policy);
    assert_int_equal(ladder_current(&ladder, &policy, &rung), LADDER_USED_UP);
    ladder_next(&ladder, &policy);
    assert_int_equal(ladder_current(&ladder, &policy, &rung), LADDER_USED_UP);
}

static void older_first_passes_over_the_newest(void **state)
{
    const struct policy policy = {.ladder = {RUNG_OLDER, RUNG_COLD}, .ladder_len = 2};
    struct ladder ladder;

    ladder_reset(&ladder, &policy);
    assert_true(ladder.skip);
    ladder_skip(&ladder, 5);
    assert_false(ladder.skip);
    assert_int_equal(ladder.below, 5);
    assert_int_equal(ladder.position, 0);
}

static void cold_first_never_looks_at_images(void **state)
{
    const struct policy policy = {.ladder = {RUNG_COLD}, .ladder_len = 1};
    struct ladder ladder;
    enum ladder_rung rung;

    ladder_reset(&ladder, &policy);
    assert_int_equal(ladder_current(&ladder, &policy, &rung), 0);
    assert_int_equal(rung, RUNG_COLD);
    assert_false(ladder.skip);
}

/* After an early death only what was taken since counts as newest; without such, the older ones. */
static void newest_must_be_newer_than_the_one_that_failed(void **state)
{
    const struct policy policy = {.ladder = {RUNG_NEWEST, RUNG_OLDER}, .ladder_len = 2};
    struct ladder ladder;
    enum ladder_rung rung;

    ladder_reset_above(&ladder, &policy, 9);
    assert_int_equal(ladder.above, 9);
    ladder_next(&ladder, &policy);
    assert_int_equal(ladder_current(&ladder, &policy, &rung), 0);
    assert_int_equal(rung, RUNG_OLDER);
    assert_int_equal(ladder.below, 9);
    assert_int_equal(ladder.above, 0);
    assert_false(ladder.skip);
}

/* One proven image; the next rungs see newer ones too, and that one no more. */
static void proven_then_the_others(void **state)
{
    const struct policy policy = {.ladder = {RUNG_PROVEN, RUNG_NEWEST, RUNG_OLDER, RUNG_COLD},
                                  .ladder_len = 4};
    struct ladder ladder;
    enum ladder_rung rung;

    ladder_reset(&ladder, &policy);
    assert_true(ladder_wants_proven(&ladder, &policy));
    ladder_image_failed(&ladder, &policy, 10);
    assert_false(ladder_wants_proven(&ladder, &policy));
    assert_int_equal(ladder_current(&ladder, &policy, &rung), 0);
    assert_int_equal(rung, RUNG_NEWEST);
    assert_int_equal(ladder.below, LADDER_ANY);
    assert_int_equal(ladder.tried, 10);
    ladder_image_failed(&ladder, &policy, 12);
    assert_int_equal(ladder.below, 12);
    ladder_skip(&ladder, 10);
    assert_int_equal(ladder.below, 10);
    ladder_reset(&ladder, &policy);
    assert_int_equal(ladder.tried, 0);
}

static void nothing_proven(void **state)
{
    const struct policy policy = {.ladder = {RUNG_PROVEN, RUNG_COLD}, .ladder_len = 2};
    struct ladder ladder;
    enum ladder_rung rung;

    ladder_reset(&ladder, &policy);
    ladder_next(&ladder, &policy);
    assert_int_equal(ladder_current(&ladder, &policy, &rung), 0);
    assert_int_equal(rung, RUNG_COLD);
    assert_false(ladder_wants_proven(&ladder, &policy));
    ladder_next(&ladder, &policy);
    assert_false(ladder_wants_proven(&ladder, &policy));
}

/* The proven rung is not the end of "only what was taken since". */
static void above_outlives_the_proven_rung(void **state)
{
    const struct policy policy = {.ladder = {RUNG_PROVEN, RUNG_NEWEST, RUNG_OLDER},
                                  .ladder_len = 3};
    struct ladder ladder;

    ladder_reset_above(&ladder, &policy, 9);
    ladder_next(&ladder, &policy);
    assert_int_equal(ladder.above, 9);
    assert_int_equal(ladder.below, LADDER_ANY);
    ladder_next(&ladder, &policy);
    assert_int_equal(ladder.above, 0);
    assert_int_equal(ladder.below, 9);
}

/* What died early twice takes all that came after it along, on every rung. */
static void distrust(void **state)
{
    const struct policy policy = {.ladder = {RUNG_PROVEN, RUNG_NEWEST, RUNG_OLDER},
                                  .ladder_len = 3};
    struct ladder ladder;
    enum ladder_rung rung;

    ladder_reset_above(&ladder, &policy, 9);
    ladder_distrust(&ladder, &policy, 9);
    assert_true(ladder_wants_proven(&ladder, &policy));
    assert_int_equal(ladder.below, 9);
    assert_int_equal(ladder.above, 0);
    ladder_next(&ladder, &policy);
    ladder_distrust(&ladder, &policy, 7);
    assert_int_equal(ladder_current(&ladder, &policy, &rung), 0);
    assert_int_equal(rung, RUNG_OLDER);
    assert_int_equal(ladder.below, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(proven_then_the_others),
        cmocka_unit_test(nothing_proven),
        cmocka_unit_test(above_outlives_the_proven_rung),
        cmocka_unit_test(distrust),
        cmocka_unit_test(newest_must_be_newer_than_the_one_that_failed),
        cmocka_unit_test(newest_then_older_then_cold),
        cmocka_unit_test(older_first_passes_over_the_newest),
        cmocka_unit_test(cold_first_never_looks_at_images),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
