/* test_hash.c - SHA-256 of files against the known answers of FIPS 180-4. */
#include "image/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/perdure-test-hash-XXXXXX";
static int dir_fd = -1;

static int setup(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    dir_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return dir_fd < 0 ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    unlinkat(dir_fd, "f", 0);
    unlinkat(dir_fd, "link", 0);
    close(dir_fd);
    return rmdir(folder);
}

static void write_file(const char *data, size_t size, unsigned times)
{
    int fd = openat(dir_fd, "f", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    for (unsigned i = 0; i < times; i++)
        assert_int_equal(write(fd, data, size), size);
    close(fd);
}

static void test_known_answers(void **state)
{
    char hex[HASH_HEX + 1], block[1000];

    (void)state;
    write_file("", 0, 0);
    assert_int_equal(hash_file(dir_fd, "f", hex), 0);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    write_file("abc", 3, 1);
    assert_int_equal(hash_file(dir_fd, "f", hex), 0);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    memset(block, 'a', sizeof(block)); /* a million times 'a': more than one block of reading */
    write_file(block, sizeof(block), 1000);
    assert_int_equal(hash_file(dir_fd, "f", hex), 0);
    assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static void test_missing(void **state)
{
    char hex[HASH_HEX + 1] = "untouched";

    (void)state;
    assert_int_equal(hash_file(dir_fd, "none", hex), -ENOENT);
    assert_string_equal(hex, "untouched");
}

static void test_link_is_not_followed(void **state)
{
    char hex[HASH_HEX + 1];

    (void)state;
    assert_int_equal(symlinkat("f", dir_fd, "link"), 0);
    assert_int_equal(hash_file(dir_fd, "link", hex), -ELOOP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answers),
        cmocka_unit_test(test_missing),
        cmocka_unit_test(test_link_is_not_followed),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
