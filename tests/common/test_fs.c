/* test_fs.c - files are whole or not there, and trees are removed without leaving them. */
#include "common/fs.h"

#include "common/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static char folder[] = "/tmp/test-fs-XXXXXX";
static int dirfd_;

static int set_up(void **state)
{
    if (!mkdtemp(folder))
        return -1;
    dirfd_ = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return dirfd_ < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
    close(dirfd_);
    return fs_remove_all(AT_FDCWD, folder);
}

static void replace_and_read(void **state)
{
    _cleanup_free_ char *data = NULL;
    struct stat st;
    size_t size;

    assert_int_equal(fs_replace(dirfd_, "a", "old", 3, 0600), 0);
    assert_int_equal(fs_replace(dirfd_, "a", "newer", 5, 0600), 0);
    assert_int_equal(fs_read(dirfd_, "a", 100, &data, &size), 0);
    assert_int_equal(size, 5);
    assert_string_equal(data, "newer");
    assert_int_equal(fstatat(dirfd_, "a", &st, 0), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(fstatat(dirfd_, "a.new", &st, 0), -1);
}

static void read_refuses(void **state)
{
    char *data = NULL;

    assert_int_equal(fs_replace(dirfd_, "big", "0123456789", 10, 0600), 0);
    assert_int_equal(fs_read(dirfd_, "big", 9, &data, NULL), -EFBIG);
    assert_int_equal(fs_read(dirfd_, "missing", 9, &data, NULL), -ENOENT);
    assert_null(data);
}

static void reads_proc_files(void **state)
{
    _cleanup_free_ char *data = NULL;
    size_t size;

    assert_int_equal(fs_read(AT_FDCWD, "/proc/self/status", 1 << 20, &data, &size), 0);
    assert_true(size > 100);
}

static void remove_all_stays_inside(void **state)
{
    _cleanup_free_ char *outside = fs_join(folder, "outside"), *link = fs_join(folder, "t/l"),
                        *deep = fs_join(folder, "t/a/b");
    struct stat st;

    assert_int_equal(fs_mkdir_all(deep, 0700), 0);
    assert_int_equal(fs_mkdir_all(outside, 0700), 0);
    assert_int_equal(fs_replace(dirfd_, "outside/keep", "x", 1, 0600), 0);
    assert_int_equal(symlink(outside, link), 0);
    assert_int_equal(fs_remove_all(dirfd_, "t"), 0);
    assert_int_equal(fstatat(dirfd_, "t", &st, 0), -1);
    assert_int_equal(fstatat(dirfd_, "outside/keep", &st, 0), 0);
    assert_int_equal(fs_remove_all(dirfd_, "t"), 0);
}

/* Counts up to the number it was given. */
static int count_name(int dirfd, const char *name, void *data)
{
    int *left = data;

    assert_true(name[0] != '.' && faccessat(dirfd, name, F_OK, 0) == 0);
    return --*left == 0 ? 1 : 0;
}

static void for_each_goes_on_until_told(void **state)
{
    _cleanup_close_ int fd = -1;
    int left = 9;

    assert_int_equal(mkdirat(dirfd_, "names", 0700), 0);
    fd = openat(dirfd_, "names", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(fs_for_each(fd, count_name, &left), 0);
    assert_int_equal(left, 9);
    for (char name[] = "a"; name[0] < 'e'; name[0]++)
        assert_int_equal(mkdirat(fd, name, 0700), 0);
    assert_int_equal(fs_for_each(fd, count_name, &left), 0);
    assert_int_equal(left, 5);
    left = 2;
    assert_int_equal(fs_for_each(fd, count_name, &left), 1);
    assert_int_equal(fs_for_each(-1, count_name, &left), -EBADF);
}

static void writes_where_told(void **state)
{
    _cleanup_close_ int fd = openat(dirfd_, "at", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    char data[8];

    assert_int_equal(fs_write_at(fd, "cd", 2, 2), 0);
    assert_int_equal(fs_write_at(fd, "ab", 2, 0), 0);
    assert_int_equal(pread(fd, data, sizeof(data), 0), 4);
    assert_memory_equal(data, "abcd", 4);
    assert_int_equal(fs_write_at(-1, "x", 1, 0), -EBADF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replace_and_read),
        cmocka_unit_test(read_refuses),
        cmocka_unit_test(reads_proc_files),
        cmocka_unit_test(remove_all_stays_inside),
        cmocka_unit_test(for_each_goes_on_until_told),
        cmocka_unit_test(writes_where_told),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
