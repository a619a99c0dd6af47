/* test_log_file.c - the last lines of a log, and following it when it grows, is cut or replaced. */
#include "ctl/log_file.h"

#include "common/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    char folder[64], path[96], other[96];
    char got[16384];
    size_t size;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    strcpy(f->folder, "/tmp/perdure-test-XXXXXX");
    if (!mkdtemp(f->folder))
        return -1;
    snprintf(f->path, sizeof(f->path), "%s/x.log", f->folder);
    snprintf(f->other, sizeof(f->other), "%s/y.log", f->folder);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    unlink(f->path);
    unlink(f->other);
    rmdir(f->folder);
    free(f);
    return 0;
}

static void append(const char *path, int flags, const char *text)
{
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | flags, 0600);

    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static int take(void *userdata, const char *bytes, size_t size)
{
    struct fixture *f = userdata;

    assert_true(f->size + size < sizeof(f->got));
    memcpy(f->got + f->size, bytes, size);
    f->size += size;
    f->got[f->size] = '\0';
    return 0;
}

static void check_last(struct fixture *f, unsigned lines, const char *expected)
{
    _cleanup_(log_file_done) struct log_file log = {.fd = -1, .watch_fd = -1};

    f->size = 0;
    f->got[0] = '\0';
    assert_int_equal(log_file_open(&log, f->path, false), 0);
    assert_int_equal(log_file_seek_last(&log, lines), 0);
    assert_int_equal(log_file_drain(&log, take, f), 0);
    assert_string_equal(f->got, expected);
}

static void test_last_lines(void **state)
{
    struct fixture *f = *state;

    append(f->path, 0, "");
    check_last(f, 5, "");
    append(f->path, 0, "one\ntwo\nthree\n");
    check_last(f, 0, "");
    check_last(f, 1, "three\n");
    check_last(f, 2, "two\nthree\n");
    check_last(f, 3, "one\ntwo\nthree\n");
    check_last(f, 100, "one\ntwo\nthree\n");
    append(f->path, 0, "unfinished");
    check_last(f, 2, "three\nunfinished");
}

/* The block that is searched backwards is shorter than this file. */
static void test_last_lines_of_a_long_file(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *line = NULL;

    for (int i = 0; i < 1000; i++) {
        free(line);
        assert_true(asprintf(&line, "line %d of a thousand\n", i) > 0);
        append(f->path, 0, line);
    }
    check_last(f, 1, "line 999 of a thousand\n");
    check_last(f, 3, "line 997 of a thousand\nline 998 of a thousand\nline 999 of a thousand\n");
}

static void test_follow(void **state)
{
    _cleanup_(log_file_done) struct log_file log = {.fd = -1, .watch_fd = -1};
    struct fixture *f = *state;

    assert_int_equal(log_file_open(&log, f->path, true), 0); /* not there yet */
    assert_int_equal(log_file_watch(&log), 0);
    append(f->path, 0, "first\n");
    while (f->size < 6)
        assert_int_equal(log_file_wait(&log, take, f), 0);
    append(f->path, 0, "more\n");
    while (f->size < 11)
        assert_int_equal(log_file_wait(&log, take, f), 0);
    append(f->path, O_TRUNC, "cut\n");
    while (f->size < 15)
        assert_int_equal(log_file_wait(&log, take, f), 0);
    append(f->other, 0, "replaced\n");
    assert_int_equal(rename(f->other, f->path), 0);
    while (f->size < 24)
        assert_int_equal(log_file_wait(&log, take, f), 0);
    assert_string_equal(f->got, "first\nmore\ncut\nreplaced\n");
}

static void test_refused(void **state)
{
    struct fixture *f = *state;
    struct log_file log;

    assert_int_equal(log_file_open(&log, f->path, false), -ENOENT);
    assert_int_equal(log_file_open(&log, f->folder, false), -ENOTSUP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_last_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(test_last_lines_of_a_long_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_follow, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
