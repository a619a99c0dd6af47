/* replay.c - runs a fuzz target over its corpus as a unit test, without libFuzzer: every file,
 * every cut of it, and every byte of it changed. */
#include "common/cleanup.h"
#include "common/fs.h"
#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define EVERY_BYTE_MAX 4096 /* of larger files only the beginning is cut and changed */

/* A copy of exactly that size, so that ASan sees a read behind it. */
static void run(const void *data, size_t size)
{
    _cleanup_free_ uint8_t *copy = malloc(size ? size : 1);

    assert_non_null(copy);
    memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
}

static void run_file(int dirfd, const char *name)
{
    _cleanup_free_ char *data = NULL;
    size_t size, part;

    assert_int_equal(fs_read(dirfd, name, 16 << 20, &data, &size), 0);
    run(data, size);
    part = size < EVERY_BYTE_MAX ? size : EVERY_BYTE_MAX;
    for (size_t i = 0; i < part; i++) {
        run(data, i);
        data[i] ^= (char)(1 << (i % 8));
        run(data, size);
        data[i] ^= (char)(1 << (i % 8));
    }
}

static void test_corpus(void **state)
{
    _cleanup_free_ char *path = fs_join(CORPUS, fuzz_name);
    _cleanup_closedir_ DIR *dir = opendir(path);
    struct dirent *entry;
    unsigned files = 0;

    assert_non_null(dir);
    while ((entry = readdir(dir)))
        if (entry->d_name[0] != '.') {
            run_file(dirfd(dir), entry->d_name);
            files++;
        }
    assert_true(files > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_corpus)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
