/* test_pagemap.c - pagemaps as every CRIU writes them, and as none does. */
#include "image/pagemap.h"
#include "tests/image/synthetic.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Of a dump by CRIU 4.1.1. */
static const uint8_t real[] = {
    0x19, 0x43, 0x56, 0x54, 0x25, 0x40, 0x08, 0x56, 0x02, 0x00, 0x00, 0x00, 0x08, 0x01,
    0x09, 0x00, 0x00, 0x00, 0x08, 0x80, 0xa0, 0x80, 0x02, 0x10, 0x01, 0x20, 0x04, 0x09,
    0x00, 0x00, 0x00, 0x08, 0x80, 0xc0, 0xa8, 0x02, 0x10, 0x05, 0x20, 0x04, 0x09, 0x00,
    0x00, 0x00, 0x08, 0x80, 0xe0, 0xaa, 0x02, 0x10, 0x01, 0x20, 0x06,
};

static int parse(const struct buffer *b, struct pagemap *ret)
{
    return pagemap_parse(b->bytes, b->size, ret);
}

static void assert_entry(const struct pagemap *map, size_t n, uint64_t address, uint64_t pages,
                         uint64_t offset, uint32_t flags)
{
    assert_true(n < map->count);
    assert_int_equal(map->entries[n].address, address);
    assert_int_equal(map->entries[n].pages, pages);
    assert_int_equal(map->entries[n].offset, offset);
    assert_int_equal(map->entries[n].flags, flags);
}

static void test_real(void **state)
{
    struct pagemap map;

    assert_int_equal(pagemap_parse(real, sizeof(real), &map), 0);
    assert_int_equal(map.pages_id, 1);
    assert_int_equal(map.count, 3);
    assert_int_equal(map.pages, 7);
    assert_int_equal(map.bytes, 7 * 4096);
    assert_entry(&map, 0, 0x401000, 1, 0, PE_PRESENT);
    assert_entry(&map, 1, 0x4a2000, 5, 4096, PE_PRESENT);
    assert_entry(&map, 2, 0x4ab000, 1, 6 * 4096, PE_PRESENT | PE_LAZY);
    pagemap_done(&map);
}

static void test_every_encoding(void **state)
{
    for (unsigned encoding = 0; encoding < ENCODING_COUNT; encoding++) {
        struct buffer b = {0};
        struct pagemap map;

        put_pagemap_head(&b, 77);
        put_pagemap_entry(&b, encoding, 0x10000, 3, PE_PRESENT);
        put_pagemap_entry(&b, encoding, 0x20000, 4, PE_PARENT);
        put_pagemap_entry(&b, encoding, 0x30000, 5, PE_PRESENT);
        assert_int_equal(parse(&b, &map), 0);
        assert_int_equal(map.pages_id, 77);
        assert_int_equal(map.count, 3);
        assert_int_equal(map.pages, 12);
        assert_int_equal(map.bytes, 8 * 4096);
        assert_entry(&map, 0, 0x10000, 3, 0, PE_PRESENT);
        assert_entry(&map, 1, 0x20000, 4, 3 * 4096, PE_PARENT);
        assert_entry(&map, 2, 0x30000, 5, 3 * 4096, PE_PRESENT);
        pagemap_done(&map);
    }
}

/* Both counts are in what we write, so that every CRIU finds the one it knows. */
static void test_format(void **state)
{
    struct buffer wanted = {0}, entry = {0};
    struct pagemap map = {.pages_id = 300}, again;
    char *data;
    size_t size;

    assert_int_equal(pagemap_append(&map, 0x10000, 1000, PE_PRESENT | PE_LAZY), 0);
    assert_int_equal(pagemap_append(&map, 0x7f0000000000, 1, PE_PARENT), 0);
    assert_int_equal(pagemap_format(&map, &data, &size), 0);
    put_pagemap_head(&wanted, 300);
    for (int i = 0; i < 2; i++) {
        put_number(&entry, 1, i ? 0x7f0000000000 : 0x10000);
        put_number(&entry, 2, i ? 1 : 1000);
        put_number(&entry, 4, i ? PE_PARENT : PE_PRESENT | PE_LAZY);
        put_number(&entry, 5, i ? 1 : 1000);
        put_record(&wanted, &entry);
        entry = (struct buffer){0};
    }
    assert_int_equal(size, wanted.size);
    assert_memory_equal(data, wanted.bytes, size);
    assert_int_equal(pagemap_parse(data, size, &again), 0);
    assert_int_equal(again.bytes, map.bytes);
    assert_entry(&again, 1, 0x7f0000000000, 1, 1000 * 4096, PE_PARENT);
    pagemap_done(&again);
    pagemap_done(&map);
    free(data);
}

static void test_largest_entry(void **state)
{
    struct pagemap map = {.pages_id = UINT32_MAX}, again;
    char *data;
    size_t size;

    for (int i = 0; i < 100; i++)
        assert_int_equal(pagemap_append(&map, UINT64_MAX / 2 + 1 + i * 0x80000000000, INT32_MAX,
                                        PE_PRESENT | PE_LAZY),
                         0);
    assert_int_equal(pagemap_format(&map, &data, &size), 0); /* under ASan: fits */
    assert_int_equal(pagemap_parse(data, size, &again), 0);
    assert_int_equal(again.count, 100);
    assert_int_equal(again.pages, 100ull * INT32_MAX);
    pagemap_done(&again);
    pagemap_done(&map);
    free(data);
}

static void test_append_joins(void **state)
{
    struct pagemap map = {0};

    assert_int_equal(pagemap_append(&map, 0x10000, 1, PE_PRESENT), 0);
    assert_int_equal(pagemap_append(&map, 0x11000, 2, PE_PRESENT), 0);
    assert_int_equal(pagemap_append(&map, 0x13000, 1, PE_PARENT), 0);
    assert_int_equal(pagemap_append(&map, 0x15000, 1, PE_PARENT), 0);
    assert_int_equal(pagemap_append(&map, 0x16000, INT32_MAX, PE_PARENT), 0); /* too much for one */
    assert_int_equal(map.count, 4);
    assert_entry(&map, 0, 0x10000, 3, 0, PE_PRESENT);
    assert_entry(&map, 1, 0x13000, 1, 3 * 4096, PE_PARENT);
    assert_int_equal(map.pages, 5ull + INT32_MAX);
    pagemap_done(&map);
}

static void test_empty(void **state)
{
    struct buffer b = {0};
    struct pagemap map;

    put_pagemap_head(&b, 5);
    assert_int_equal(parse(&b, &map), 0);
    assert_int_equal(map.count, 0);
    assert_int_equal(map.bytes, 0);
    pagemap_done(&map);
}

/* ---- what is refused ---- */

static void refuse(const struct buffer *b)
{
    struct pagemap map = {.pages_id = 42};

    assert_int_equal(parse(b, &map), -EBADMSG);
    assert_int_equal(map.pages_id, 42);
}

static void refuse_entries(uint64_t address, uint64_t pages, uint32_t flags, uint64_t address_2,
                           uint64_t pages_2, uint32_t flags_2)
{
    struct buffer b = {0};

    put_pagemap_head(&b, 1);
    put_pagemap_entry(&b, ENCODING_4_2, address, pages, flags);
    if (pages_2)
        put_pagemap_entry(&b, ENCODING_4_2, address_2, pages_2, flags_2);
    refuse(&b);
}

static void test_refused_entries(void **state)
{
    refuse_entries(0x10000, 1, 0, 0, 0, 0);
    refuse_entries(0x10000, 1, 8, 0, 0, 0);
    refuse_entries(0x10000, 1, PE_PRESENT | 8, 0, 0, 0);
    refuse_entries(0x10000, 1, PE_LAZY, 0, 0, 0);
    refuse_entries(0x10000, 1, PE_PRESENT | PE_PARENT, 0, 0, 0);
    refuse_entries(0x10000, 0, PE_PRESENT, 0x20000, 1, PE_PRESENT);
    refuse_entries(0x10001, 1, PE_PRESENT, 0, 0, 0);
    refuse_entries(0x10000, 1ull << 31, PE_PRESENT, 0, 0, 0);
    refuse_entries(0x10000, UINT64_MAX, PE_PRESENT, 0, 0, 0);
    refuse_entries(0x10000, 1ull << 52, PE_PRESENT, 0, 0, 0);
    refuse_entries(UINT64_MAX - 4095, 1, PE_PRESENT, 0, 0, 0); /* its end is 0 */
    refuse_entries(0x20000, 1, PE_PRESENT, 0x10000, 1, PE_PRESENT);
    refuse_entries(0x20000, 1, PE_PRESENT, 0x20000, 1, PE_PRESENT);
    refuse_entries(0x20000, 2, PE_PRESENT, 0x21000, 1, PE_PARENT);
}

static void test_two_counts(void **state)
{
    struct buffer b = {0}, entry = {0};

    put_pagemap_head(&b, 1);
    put_number(&entry, 1, 0x10000);
    put_number(&entry, 2, 1);
    put_number(&entry, 5, 2);
    put_record(&b, &entry);
    refuse(&b);
}

static void test_missing_fields(void **state)
{
    for (int missing = 1; missing <= 2; missing++) {
        struct buffer b = {0}, entry = {0};

        put_pagemap_head(&b, 1);
        put_number(&entry, missing == 1 ? 2 : 1, 0x10000);
        put_record(&b, &entry);
        refuse(&b);
    }
}

static void test_other_head(void **state)
{
    struct buffer b = {0}, entry = {0};

    put(&b, real, 8);
    refuse(&b); /* no head */
    put_record(&b, &entry);
    refuse(&b); /* without an id */
    b = (struct buffer){0};
    put(&b, real, 8);
    put_number(&entry, 1, 1ull << 32);
    put_record(&b, &entry);
    refuse(&b);
    b = (struct buffer){0};
    for (int i = 0; i < 8; i++) {
        put(&b, real, sizeof(real));
        b.bytes[i] ^= 1;
        refuse(&b);
        b = (struct buffer){0};
    }
}

static void test_every_cut(void **state)
{
    for (size_t size = 0; size < sizeof(real); size++) {
        struct pagemap map;
        uint8_t *copy = malloc(size ? size : 1); /* of that size, for ASan */
        int r;

        memcpy(copy, real, size);
        r = pagemap_parse(copy, size, &map);
        if (r == 0)
            pagemap_done(&map); /* cut between two records */
        else
            assert_int_equal(r, -EBADMSG);
        assert_int_equal(r == 0, size == 14 || size == 27 || size == 40);
        free(copy);
    }
}

static void test_every_flip(void **state)
{
    for (size_t i = 0; i < sizeof(real) * 8; i++) {
        uint8_t copy[sizeof(real)];
        struct pagemap map;
        int r;

        memcpy(copy, real, sizeof(real));
        copy[i / 8] ^= (uint8_t)(1u << (i % 8));
        r = pagemap_parse(copy, sizeof(copy), &map);
        if (r == 0)
            pagemap_done(&map);
        else
            assert_int_equal(r, -EBADMSG);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_real),
        cmocka_unit_test(test_every_encoding),
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_largest_entry),
        cmocka_unit_test(test_append_joins),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_refused_entries),
        cmocka_unit_test(test_two_counts),
        cmocka_unit_test(test_missing_fields),
        cmocka_unit_test(test_other_head),
        cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_every_flip),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
