/* test_policy_env.c - the environment of a service and the variables of its command line. */
#include "tests/supervisord/policy_fixture.h"

static const char *get(char *const *env, const char *name)
{
    for (; env && *env; env++)
        if (strncmp(*env, name, strlen(name)) == 0 && (*env)[strlen(name)] == '=')
            return *env + strlen(name) + 1;
    return NULL;
}

static void test_order(void **state)
{
    struct fixture *f = *state;
    char *extra[] = {"A=extra", "B=extra", "C=extra", NULL};
    _cleanup_strv_ char **env = NULL;
    char text[512], *message = NULL;

    write_text(f, "env", "C=file\n");
    snprintf(text, sizeof(text),
             COMMAND "Environment=B=policy C=policy \"D=a b\"\nEnvironmentFile=%s/env\n", f->dir);
    good(f, text);
    assert_int_equal(policy_environment(f->policy, extra, &env, &message), 0);
    assert_non_null(strstr(get(env, "PATH"), "/usr/bin"));
    assert_string_equal(get(env, "A"), "extra");
    assert_string_equal(get(env, "B"), "policy");
    assert_string_equal(get(env, "C"), "file");
    assert_string_equal(get(env, "D"), "a b");
    assert_null(get(env, "HOME")); /* the engine's business */
}

static void test_file_syntax(void **state)
{
    struct fixture *f = *state;
    _cleanup_strv_ char **env = NULL;
    char text[512], *message = NULL;

    write_text(f, "env",
               "# comment \\\n goes on=1\n; another\n\n  A = plain text \t\nB='single \\n $x'\n"
               "C=\"double \\\"q\\\" \\$ \\n\\\nnext\"\nD=a\\\nb\\ \nE=\nF='a'\"b\" c\r\n"
               "G=\"two\nlines\"\nH=a'b\"c # no comment");
    snprintf(text, sizeof(text),
             COMMAND "EnvironmentFile=%s/e*v\nEnvironmentFile=-%s/none\n"
                     "EnvironmentFile=-%s/none*\n",
             f->dir, f->dir, f->dir);
    good(f, text);
    assert_int_equal(policy_environment(f->policy, NULL, &env, &message), 0);
    assert_string_equal(get(env, "A"), "plain text");
    assert_string_equal(get(env, "B"), "single \\n $x");
    assert_string_equal(get(env, "C"), "double \"q\" $ \\nnext");
    assert_string_equal(get(env, "D"), "ab ");
    assert_string_equal(get(env, "E"), "");
    assert_string_equal(get(env, "F"), "abc");
    assert_string_equal(get(env, "G"), "two\nlines");
    assert_string_equal(get(env, "H"), "a'b\"c # no comment");
}

static void check_fails(struct fixture *f, const char *file, int expected, const char *part)
{
    _cleanup_strv_ char **env = NULL;
    _cleanup_free_ char *message = NULL;
    char text[256];

    snprintf(text, sizeof(text), COMMAND "EnvironmentFile=%s/%s\n", f->dir, file);
    good(f, text);
    assert_int_equal(policy_environment(f->policy, NULL, &env, &message), expected);
    assert_null(env);
    assert_non_null(strstr(message, part));
}

static void test_bad_files(void **state)
{
    struct fixture *f = *state;

    write_text(f, "export", "A=1\nexport B=2\n");
    write_text(f, "open", "A=1\n\nB=\"2\n");
    write_bytes(f, "binary", "A=1\0B=2", 7);
    make_dir(f, "folder");
    check_fails(f, "none", -ENOENT, "write EnvironmentFile=-");
    check_fails(f, "none*", -ENOENT, "/none* does not exist");
    check_fails(f, "export", -EBADMSG, "export:2: ");
    check_fails(f, "open", -EBADMSG, "open:3: ");
    check_fails(f, "binary", -EBADMSG, "no text file");
    check_fails(f, "folder", -EISDIR, "Is a directory");
}

static void test_expand(void **state)
{
    char *env[] = {"ONE=1", "TWO=a  'b c'", "ODD=it's odd", "EMPTY=", NULL};
    char *argv[] = {"$ONE",   "$ONE",     "x${ONE}y${NONE}", "$TWO", "${TWO}",
                    "$EMPTY", "${EMPTY}", "$NONE",           "$ODD", "$$ONE",
                    "a$ONE",  "a$$b",     "${ONE",           "$",    NULL};
    static const char *const expected[] = {"$ONE", "1",   "x1y",  "a",     "b c", "a  'b c'", "",
                                           "it's", "odd", "$ONE", "a$ONE", "a$b", "${ONE",    "$"};
    _cleanup_strv_ char **ret = NULL;

    assert_int_equal(policy_expand_argv(argv, env, &ret), 0);
    for (size_t i = 0; i < ELEMENTS(expected); i++)
        assert_string_equal(ret[i], expected[i]);
    assert_int_equal(strv_length(ret), ELEMENTS(expected));
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(test_order),
        WITH_FOLDER(test_file_syntax),
        WITH_FOLDER(test_bad_files),
        WITH_FOLDER(test_expand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
