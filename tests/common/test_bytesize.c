/* test_bytesize.c - sizes read and written in base 1024. */
#include "common/bytesize.h"

#include "common/cleanup.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_parse(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } cases[] = {
        {"0", 0},           {"512", 512},         {"512B", 512},         {"1K", 1024},
        {"64M", 64 << 20},  {"1.5G", 3ull << 29}, {" 2 G ", 2ull << 30}, {"0.5K", 512},
        {"3T", 3ull << 40}, {"1P", 1ull << 50},   {"15E", 15ull << 60},
    };

    for (size_t i = 0; i < ELEMENTS(cases); i++) {
        uint64_t bytes = 1;

        assert_int_equal(bytesize_parse(cases[i].text, &bytes), 0);
        assert_true(bytes == cases[i].bytes);
    }
}

static void test_refused(void **state)
{
    static const char *const bad[] = {"", "M", "-1", "64m", "64MB", "1.5", "1.M", "64 M x", "0x10"};
    uint64_t bytes = 42;

    for (size_t i = 0; i < ELEMENTS(bad); i++)
        assert_int_equal(bytesize_parse(bad[i], &bytes), -EINVAL);
    assert_int_equal(bytesize_parse("16E", &bytes), -ERANGE);
    assert_int_equal(bytesize_parse("99999999999999999999", &bytes), -ERANGE);
    assert_int_equal(bytes, 42);
}

static void test_format(void **state)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } cases[] = {
        {0, "0B"},          {812, "812B"},         {1023, "1023B"},      {1024, "1K"},
        {1536, "1.5K"},     {64 << 20, "64M"},     {3ull << 29, "1.5G"}, {(1 << 20) - 1, "1023.9K"},
        {1ull << 40, "1T"}, {UINT64_MAX, "15.9E"},
    };
    char buf[BYTESIZE_SIZE];

    for (size_t i = 0; i < ELEMENTS(cases); i++)
        assert_string_equal(bytesize_format(cases[i].bytes, buf), cases[i].text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_format),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
