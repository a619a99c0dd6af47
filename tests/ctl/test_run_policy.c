/* test_run_policy.c - a command line becomes a policy that gives exactly this command line back. */
#include "ctl/run_policy.h"

#include "common/cleanup.h"
#include "common/fs.h"
#include "common/strv.h"
#include "supervisord/policy.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

struct fixture {
    char folder[64], path[128], env[128];
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    strcpy(f->folder, "/tmp/perdure-test-XXXXXX");
    if (!mkdtemp(f->folder))
        return -1;
    snprintf(f->path, sizeof(f->path), "%s/x.ini", f->folder);
    snprintf(f->env, sizeof(f->env), "%s/environment", f->folder);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    (void)fs_remove_all(AT_FDCWD, f->folder);
    free(f);
    return 0;
}

static void write_both(const struct fixture *f, const struct run_policy *run, char *const *env)
{
    _cleanup_fclose_ FILE *policy = fopen(f->path, "we"), *environment = fopen(f->env, "we");

    assert_int_equal(run_policy_write(policy, run), 0);
    assert_int_equal(run_environment_write(environment, env, run->argv), 0);
}

static struct policy *load(const struct fixture *f)
{
    struct policy_errors errors = {0};
    struct policy *policy = NULL;
    int r = policy_load(f->path, NULL, &errors, &policy);

    if (r != 0 && errors.count > 0)
        print_error("%s:%u: %s\n", errors.items[0].file, errors.items[0].line,
                    errors.items[0].message);
    policy_errors_done(&errors);
    assert_int_equal(r, 0);
    return policy;
}

static const char *get(char *const *env, const char *name)
{
    size_t n = strlen(name);

    for (; *env; env++)
        if (strncmp(*env, name, n) == 0 && (*env)[n] == '=')
            return *env + n + 1;
    return NULL;
}

static void check_round_trip(const struct fixture *f, char *const *argv)
{
    static char *const env[] = {"NAME=a \"b\" $c `d` \\e\nsecond line",
                                "PLAIN=x",
                                "EMPTY=",
                                "NOTIFY_SOCKET=/run/x",
                                "BASH_FUNC_f%%=() {  :; }",
                                NULL};
    struct run_policy run = {.argv = argv, .folder = f->folder, .umask = 027, .env_file = f->env};
    _cleanup_strv_ char **got_env = NULL, **got = NULL;
    _cleanup_free_ char *message = NULL;
    struct policy *policy;
    size_t i;

    write_both(f, &run, env);
    policy = load(f);
    assert_string_equal(policy->working_directory, f->folder);
    assert_int_equal(policy->umask, 027);
    assert_int_equal(policy->restart, RESTART_ON_ABNORMAL);
    assert_int_equal(policy->ladder_len, 2);
    assert_int_equal(policy->stream[STREAM_STDOUT].kind, STREAM_INHERIT);
    assert_int_equal(policy_environment(policy, NULL, &got_env, &message), 0);
    assert_string_equal(get(got_env, "NAME"), "a \"b\" $c `d` \\e\nsecond line");
    assert_string_equal(get(got_env, "PLAIN"), "x");
    assert_string_equal(get(got_env, "EMPTY"), "");
    assert_null(get(got_env, "NOTIFY_SOCKET"));
    assert_int_equal(policy_expand_argv(policy->exec_start, got_env, &got), 0);
    for (i = 0; argv[i]; i++)
        assert_string_equal(got[i], argv[i]);
    assert_null(got[i]);
    policy_free(policy);
}

static void test_plain(void **state)
{
    check_round_trip(*state, (char *[]){"/bin/sleep", "10", NULL});
}

static void test_awkward(void **state)
{
    check_round_trip(*state, (char *[]){"/bin/sh",
                                        "-c",
                                        "echo \"$HOME\" '%i' ; # no comment\n\texit",
                                        "",
                                        ";",
                                        "#x",
                                        "[y]",
                                        "$$",
                                        "$HOME",
                                        "${HOME}",
                                        "100%",
                                        "a\\b",
                                        "back\\",
                                        "'",
                                        "\"",
                                        "gr\xc3\xbc\xc3\x9f",
                                        " lead",
                                        "trail ",
                                        "--key=v;w",
                                        NULL});
}

static void test_long(void **state)
{
    char *argv[64] = {"/bin/echo"};
    char *word = malloc(5000);

    memset(word, 'x', 4999);
    word[4999] = '\0';
    memcpy(word + 100, " ; $HOME \"q\" ", 13);
    for (size_t i = 1; i < 62; i++)
        argv[i] = i == 30 ? word : "an argument of some length, forty letters";
    check_round_trip(*state, argv);
    free(word);
}

static void test_interval(void **state)
{
    uint64_t interval = 1500000;
    struct fixture *f = *state;
    struct run_policy run = {.argv = (char *[]){"/bin/true", NULL},
                             .folder = "/",
                             .env_file = f->env,
                             .interval_usec = &interval};
    struct policy *policy;

    write_both(f, &run, NULL);
    policy = load(f);
    assert_int_equal(policy->interval_usec, interval);
    policy_free(policy);
}

/* As a drop-in it replaces the command of the user's own policy and leaves the rest. */
static void test_drop_in(void **state)
{
    struct fixture *f = *state, drop_in = *f;
    struct run_policy run = {.argv = (char *[]){"/bin/echo", "mine", NULL}, .env_file = f->env};
    static const char text[] = "[Service]\nExecStart=/bin/false\nUMask=0077\nStandardOutput=null\n";
    struct policy *policy;

    assert_int_equal(fs_replace(AT_FDCWD, f->path, text, strlen(text), 0600), 0);
    snprintf(drop_in.path, sizeof(drop_in.path), "%s/x.ini.d", f->folder);
    assert_int_equal(mkdir(drop_in.path, 0700), 0);
    snprintf(drop_in.path, sizeof(drop_in.path), "%s/x.ini.d/run.ini", f->folder);
    write_both(&drop_in, &run, NULL);
    policy = load(f);
    assert_string_equal(policy->exec_start[0], "/bin/echo");
    assert_string_equal(policy->exec_start[1], "mine");
    assert_int_equal(policy->umask, 077);
    assert_int_equal(policy->stream[STREAM_STDOUT].kind, STREAM_INHERIT);
    policy_free(policy);
}

static void test_refused(void **state)
{
    _cleanup_fclose_ FILE *out = fopen("/dev/null", "we");
    char folder[300] = "/";
    struct run_policy run = {
        .argv = (char *[]){"/bin/true", NULL}, .folder = folder, .env_file = "/e"};

    memset(folder + 1, 'x', sizeof(folder) - 2);
    assert_int_equal(run_policy_write(out, &run), RUN_POLICY_FOLDER);
    run.folder = "/with ;semicolon";
    assert_int_equal(run_policy_write(out, &run), RUN_POLICY_FOLDER);
    run.folder = "/with\nnewline";
    assert_int_equal(run_policy_write(out, &run), RUN_POLICY_FOLDER);
    run.folder = "/";
    run.argv = (char *[]){folder, NULL};
    assert_int_equal(run_policy_write(out, &run), RUN_POLICY_PROGRAM);
}

static void check_name(const char *command, const char *expected)
{
    _cleanup_free_ char *name = run_name(command);

    assert_string_equal(name, expected);
}

static void test_name(void **state)
{
    check_name("/usr/bin/redis-server", "redis-server");
    check_name("sleep", "sleep");
    check_name("/opt/my tool@2", "my_tool_2");
    check_name("/opt/.hidden", "_hidden");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_plain, setup, teardown),
        cmocka_unit_test_setup_teardown(test_awkward, setup, teardown),
        cmocka_unit_test_setup_teardown(test_long, setup, teardown),
        cmocka_unit_test_setup_teardown(test_interval, setup, teardown),
        cmocka_unit_test_setup_teardown(test_drop_in, setup, teardown),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
