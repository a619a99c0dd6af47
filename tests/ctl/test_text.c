/* test_text.c - times for people, JSON members that may be absent, bytes that are no UTF-8. */
#include "ctl/text.h"

#include "common/cleanup.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void test_span(void **state)
{
    char buf[TEXT_SIZE];

    assert_string_equal(format_span(850, buf), "850us");
    assert_string_equal(format_span(31200, buf), "31ms");
    assert_string_equal(format_span(3260000, buf), "3.2s");
    assert_string_equal(format_span(320500000, buf), "5min 20s");
    assert_string_equal(format_span(7500000000, buf), "2h 5min");
    assert_string_equal(format_span(190000000000, buf), "2d 4h");
}

static void test_rfc3339(void **state)
{
    static const char *const bad[] = {"",
                                      "yesterday",
                                      "2026-11-21 01:05:03Z",
                                      "2026-11-21T01:05:03",
                                      "2026-11-21T01:05:03.25",
                                      "2026-11-21T01:05:03+01:00"};
    uint64_t usec = 7;

    for (size_t i = 0; i < ELEMENTS(bad); i++)
        assert_int_equal(parse_rfc3339(bad[i], &usec), -EINVAL);
    assert_int_equal(usec, 7);
    assert_int_equal(parse_rfc3339("1970-01-02T00:00:01Z", &usec), 0);
    assert_int_equal(usec, 86401000000);
    assert_int_equal(parse_rfc3339("2026-11-21T01:05:03.250Z", &usec), 0);
    assert_int_equal(usec, 1795223103250000);
    assert_int_equal(parse_rfc3339("2026-11-21T01:05:03.250123999Z", &usec), 0);
    assert_int_equal(usec, 1795223103250123);
}

static void test_members(void **state)
{
    json_auto_t *object =
        json_loads("{\"s\":\"x\",\"n\":3,\"r\":2.5,\"b\":true,\"z\":null}", 0, NULL);
    int64_t n = 7;
    bool b = false;

    assert_string_equal(member_string(object, "s"), "x");
    assert_null(member_string(object, "n"));
    assert_null(member_string(object, "z"));
    assert_null(member_string(NULL, "s"));
    assert_false(member_number(object, "z", &n));
    assert_false(member_number(object, "missing", &n));
    assert_int_equal(n, 7);
    assert_true(member_number(object, "n", &n));
    assert_int_equal(n, 3);
    assert_true(member_number(object, "r", &n));
    assert_int_equal(n, 2);
    assert_false(member_bool(object, "s", &b));
    assert_true(member_bool(object, "b", &b));
    assert_true(b);
}

static void test_cells(void **state)
{
    json_auto_t *object = json_loads("{\"n\":4711,\"b\":1610612736,\"m\":-1,\"z\":null}", 0, NULL);
    char buf[TEXT_SIZE];

    assert_string_equal(number_text(object, "n", buf), "4711");
    assert_string_equal(number_text(object, "m", buf), "-1");
    assert_string_equal(number_text(object, "z", buf), "");
    assert_string_equal(size_text(object, "b", buf), "1.5G");
    assert_string_equal(size_text(object, "m", buf), "");
    assert_string_equal(size_text(object, "missing", buf), "");
}

static void check_text(const char *bytes, size_t size, const char *expected)
{
    json_auto_t *text = json_text(bytes, size);

    assert_non_null(text);
    assert_string_equal(json_string_value(text), expected);
}

static void test_any_bytes_become_json(void **state)
{
    check_text("", 0, "");
    check_text("plain", 5, "plain");
    check_text("gr\xc3\xbc\xc3\x9f", 6, "gr\xc3\xbc\xc3\x9f");
    check_text("a\xffz", 3, "a\xef\xbf\xbdz");
    check_text("cut \xc3", 5, "cut \xef\xbf\xbd");
    check_text("\xc0\xaf", 2, "\xef\xbf\xbd\xef\xbf\xbd");                 /* overlong */
    check_text("\xed\xa0\x80", 3, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"); /* surrogate */
    check_text("\xf0\x9f\x98\x80", 4, "\xf0\x9f\x98\x80");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_span),
        cmocka_unit_test(test_rfc3339),
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_cells),
        cmocka_unit_test(test_any_bytes_become_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
