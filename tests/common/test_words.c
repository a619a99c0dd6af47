/* test_words.c - systemd's quoting of command lines, and names of signals. */
#include "common/words.h"

#include "common/signame.h"
#include "common/strv.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void check_split(const char *text, const char *const *expected)
{
    _cleanup_strv_ char **words = NULL;
    size_t n = 0;

    assert_int_equal(words_split(text, &words), 0);
    for (; expected[n]; n++)
        assert_string_equal(words[n], expected[n]);
    assert_int_equal(strv_length(words), n);
}

#define SPLIT(text, ...) check_split(text, (const char *const[]){__VA_ARGS__, NULL})

static void test_split(void **state)
{
    SPLIT("/bin/x a  b\tc", "/bin/x", "a", "b", "c");
    SPLIT("  \"a b\" 'c d' ", "a b", "c d");
    SPLIT("--save \"\"", "--save", "");
    SPLIT("a\"b c\"d", "ab cd");
    SPLIT("'it\\'s' \"say \\\"hi\\\"\"", "it's", "say \"hi\"");
    SPLIT("\\x41\\101\\u00e4\\U0001f600 \\s \\t\\\\", "AA\xc3\xa4\xf0\x9f\x98\x80", " ", "\t\\");
    SPLIT("\"%i $X ${X}\"", "%i $X ${X}");
}

static void test_refused(void **state)
{
    static const char *const bad[] = {"\"a",   "a 'b",  "\\",    "\\q",   "\\x4",
                                      "\\x00", "\\000", "\\400", "\\u00", "a\\"};

    for (size_t i = 0; i < ELEMENTS(bad); i++) {
        char **words = NULL;

        assert_int_equal(words_split(bad[i], &words), -EINVAL);
        assert_null(words);
    }
}

static void test_join(void **state)
{
    char *words[] = {"/bin/x",        "",      "a b", "it's", "\"", "back\\slash",
                     "tab\tnl\n\x01", "plain", ";",   NULL};
    _cleanup_free_ char *line = words_join(words);

    assert_non_null(line);
    check_split(line, (const char *const *)words);
}

static void test_signals(void **state)
{
    char buf[SIGNAL_NAME_SIZE];

    assert_int_equal(signal_from_name("SIGTERM"), SIGTERM);
    assert_int_equal(signal_from_name("USR2"), SIGUSR2);
    assert_int_equal(signal_from_name("9"), SIGKILL);
    assert_int_equal(signal_from_name("RTMIN+3"), SIGRTMIN + 3);
    assert_int_equal(signal_from_name("SIGRTMAX-1"), SIGRTMAX - 1);
    assert_int_equal(signal_from_name("SIGFOO"), -EINVAL);
    assert_int_equal(signal_from_name("0"), -EINVAL);
    assert_int_equal(signal_from_name("65"), -EINVAL);
    assert_int_equal(signal_from_name("RTMIN+99"), -EINVAL);
    assert_int_equal(signal_from_name("RTMINx"), -EINVAL);
    assert_int_equal(signal_from_name(""), -EINVAL);
    assert_string_equal(signal_name(SIGTERM, buf), "TERM");
    assert_string_equal(signal_name(SIGRTMIN + 2, buf), "RTMIN+2");
    assert_string_equal(signal_name(99, buf), "99");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_join),
        cmocka_unit_test(test_signals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
