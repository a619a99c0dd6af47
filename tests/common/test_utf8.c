/* test_utf8.c - what JSON and D-Bus would refuse is replaced, the rest stays. */
#include "common/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void mended(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"", ""},
        {"plain", "plain"},
        {"gr\xc3\xbcn \xe2\x82\xac \xf0\x9f\x98\x80", "gr\xc3\xbcn \xe2\x82\xac \xf0\x9f\x98\x80"},
        {"cut \xe2\x82", "cut ??"},
        {"latin \xfc.", "latin ?."},
        {"\xc0\x80 \xe0\x80\x80", "?? ???"},           /* overlong */
        {"\xed\xa0\x80 \xf4\x90\x80\x80", "??? ????"}, /* surrogate, above U+10FFFF */
        {"\x80\xbf", "??"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[64];

        strcpy(text, cases[i].text);
        utf8_mend(text);
        assert_string_equal(text, cases[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(mended)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
