/* test_spawn_spec.c - a spec survives the memfd, and nothing misshapen is taken. */
#include "supervisord/spawn_spec.h"

#include "common/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

static char *argv[] = {"prog", "", "an argument", NULL};
static char *env[] = {"A=1", NULL};

static struct spawn_request request(void)
{
    return (struct spawn_request){
        .spec = {.stream = {STREAM_FILE, STREAM_SAME}, .uid = 12, .umask = 022, .nice = -5},
        .cgroup = "/sys/fs/cgroup/x",
        .workdir = "",
        .target = {"/tmp/log", NULL},
        .program = "/bin/prog",
        .argv = argv,
        .env = env,
    };
}

static void test_round_trip(void **state)
{
    _cleanup_(spawn_view_done) struct spawn_view view = {0};
    struct spawn_request r = request();
    _cleanup_close_ int fd = -1;

    assert_int_equal(spawn_request_seal(&r, &fd), 0);
    assert_int_equal(spawn_view_open(fd, &view), 0);
    assert_string_equal(view.cgroup, "/sys/fs/cgroup/x");
    assert_string_equal(view.workdir, "");
    assert_string_equal(view.target[STREAM_STDOUT], "/tmp/log");
    assert_string_equal(view.target[STREAM_STDERR], "");
    assert_string_equal(view.program, "/bin/prog");
    assert_int_equal(view.spec->argc, 3);
    for (int i = 0; i < 4; i++)
        assert_true((argv[i] == NULL) == (view.argv[i] == NULL));
    assert_string_equal(view.argv[1], "");
    assert_string_equal(view.argv[2], "an argument");
    assert_string_equal(view.env[0], "A=1");
    assert_null(view.env[1]);
    assert_int_equal(view.spec->uid, 12);
    assert_int_equal(view.spec->nice, -5);
}

static void test_too_much(void **state)
{
    _cleanup_free_ char *huge = malloc(SPAWN_MAX_BYTES + 1);
    char *long_argv[] = {huge, NULL};
    struct spawn_request r = request();
    int fd;

    memset(huge, 'x', SPAWN_MAX_BYTES);
    huge[SPAWN_MAX_BYTES] = '\0';
    r.argv = long_argv;
    assert_int_equal(spawn_request_seal(&r, &fd), -E2BIG);
}

/* A copy of a good spec with one field changed, sealed unless told not to. */
static int changed(size_t offset, uint32_t value, ssize_t grow, bool seal)
{
    struct spawn_request r = request();
    _cleanup_close_ int good = -1, bad = -1;
    char data[8192] = {0};
    struct spawn_view view;
    ssize_t size;
    int result;

    assert_int_equal(spawn_request_seal(&r, &good), 0);
    size = pread(good, data, sizeof(data), 0);
    assert_true(size > 0);
    memcpy(data + offset, &value, sizeof(value));
    bad = memfd_create("bad", MFD_ALLOW_SEALING | MFD_CLOEXEC);
    assert_int_equal(write(bad, data, (size_t)(size + grow)), size + grow);
    if (seal)
        assert_int_equal(
            fcntl(bad, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE), 0);
    result = spawn_view_open(bad, &view);
    if (result == 0)
        spawn_view_done(&view);
    return result;
}

#define FIELD(f) offsetof(struct spawn_spec, f)

static void test_misshapen(void **state)
{
    assert_int_equal(changed(FIELD(magic), SPAWN_MAGIC, 0, true), 0); /* the method works */
    assert_int_equal(changed(FIELD(magic), SPAWN_MAGIC, 0, false), -EBADMSG);
    assert_int_equal(changed(FIELD(magic), 1, 0, true), -EBADMSG);
    assert_int_equal(changed(FIELD(total_bytes), 10, 0, true), -EBADMSG);
    assert_int_equal(changed(FIELD(argc), 2, 0, true), -EBADMSG);
    assert_int_equal(changed(FIELD(argc), 0, 0, true), -EBADMSG);
    assert_int_equal(changed(FIELD(argc), UINT32_MAX, 0, true), -EBADMSG);
    assert_int_equal(changed(FIELD(envc), UINT32_MAX - 2, 0, true), -EBADMSG);
    assert_int_equal(changed(FIELD(string_count), 8, 0, true), -EBADMSG);
    assert_int_equal(changed(FIELD(group_count), 65, 0, true), -EBADMSG);
    assert_int_equal(changed(FIELD(limit_count), 99, 0, true), -EBADMSG);
    assert_int_equal(changed(FIELD(stream), 9, 0, true), -EBADMSG);
    assert_int_equal(changed(FIELD(stream), STREAM_SAME, 0, true), -EBADMSG);
    assert_int_equal(changed(FIELD(magic), SPAWN_MAGIC, -1, true), -EBADMSG);
    assert_int_equal(changed(FIELD(magic), SPAWN_MAGIC, 1, true), -EBADMSG);
    assert_int_equal(changed(FIELD(magic), SPAWN_MAGIC, -(ssize_t)60, true), -EBADMSG);
    assert_true(spawn_view_open(-1, &(struct spawn_view){0}) < 0);
}

static void test_stage_names(void **state)
{
    assert_string_equal(spawn_stage_name(SPAWN_EXEC), "exec");
    assert_string_equal(spawn_stage_name((enum spawn_stage)99), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_too_much),
        cmocka_unit_test(test_misshapen),
        cmocka_unit_test(test_stage_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
