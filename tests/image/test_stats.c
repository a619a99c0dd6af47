/* test_stats.c - CRIU's stats-dump, real bytes and damaged ones. */
#include "image/stats.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Of a dump: freezing 133, frozen 6948, memdump 2770, memwrite 1634, 3186 pages scanned, 0 skipped,
 * 698 written, 0 lazy. */
static const uint8_t real[] = {
    0x40, 0x59, 0x10, 0x55, 0x06, 0x33, 0x09, 0x57, 0x18, 0x00, 0x00, 0x00, /* head, size 24 */
    0x0a, 0x16,                                                             /* stats_entry.dump */
    0x08, 0x85, 0x01,                                                       /* 1: 133 */
    0x10, 0xa4, 0x36,                                                       /* 2: 6948 */
    0x18, 0xd2, 0x15,                                                       /* 3: 2770 */
    0x20, 0xe2, 0x0c,                                                       /* 4: 1634 */
    0x28, 0xf2, 0x18,                                                       /* 5: 3186 */
    0x30, 0x00,                                                             /* 6: 0 */
    0x38, 0xba, 0x05,                                                       /* 7: 698 */
    0x48, 0x00,                                                             /* 9: 0 */
};

static void test_real(void **state)
{
    struct dump_stats stats;

    (void)state;
    assert_int_equal(stats_dump_parse(real, sizeof(real), &stats), 0);
    assert_int_equal(stats.freezing_usec, 133);
    assert_int_equal(stats.frozen_usec, 6948);
    assert_int_equal(stats.memdump_usec, 2770);
    assert_int_equal(stats.memwrite_usec, 1634);
    assert_int_equal(stats.pages_written, 698);
}

static void test_every_cut(void **state)
{
    (void)state;
    for (size_t size = 0; size < sizeof(real); size++) {
        struct dump_stats stats = {.frozen_usec = 42};

        assert_int_equal(stats_dump_parse(real, size, &stats), -EBADMSG);
        assert_int_equal(stats.frozen_usec, 42);
    }
}

static void test_of_a_restore(void **state)
{
    static const uint8_t restore[] = {0x40, 0x59, 0x10, 0x55, 0x06, 0x33, 0x09, 0x57,
                                      0x04, 0x00, 0x00, 0x00, 0x12, 0x02, 0x08, 0x00};
    struct dump_stats stats;

    (void)state;
    assert_int_equal(stats_dump_parse(restore, sizeof(restore), &stats), -EBADMSG);
}

static void test_wrong_magic(void **state)
{
    uint8_t bytes[sizeof(real)];
    struct dump_stats stats;

    (void)state;
    memcpy(bytes, real, sizeof(real));
    bytes[0] ^= 1;
    assert_int_equal(stats_dump_parse(bytes, sizeof(bytes), &stats), -EBADMSG);
}

/* Lengths that point outside, numbers that never end: no read beyond the buffer. */
static void test_every_flipped_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(real) * 8; i++) {
        uint8_t bytes[sizeof(real)];
        struct dump_stats stats;
        int r;

        memcpy(bytes, real, sizeof(real));
        bytes[i / 8] ^= (uint8_t)(1u << (i % 8));
        r = stats_dump_parse(bytes, sizeof(bytes), &stats);
        assert_true(r == 0 || r == -EBADMSG);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_real),
        cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_of_a_restore),
        cmocka_unit_test(test_wrong_magic),
        cmocka_unit_test(test_every_flipped_byte),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
