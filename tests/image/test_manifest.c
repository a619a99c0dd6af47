/* test_manifest.c - a manifest comes back as it was written, and a bad one does not. */
#include "common/cleanup.h"
#include "common/fs.h"
#include "image/manifest.h"
#include "tests/image/sample.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static char folder[] = "/tmp/perdure-test-manifest-XXXXXX";
static int dir_fd = -1;

static int setup(void **state)
{
    if (!mkdtemp(folder))
        return -1;
    dir_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return dir_fd < 0 ? -1 : 0;
}

static int teardown(void **state)
{
    close(dir_fd);
    return fs_remove_all(AT_FDCWD, folder);
}

static struct manifest_file file = {
    .path = (char *)"/var/log/\"x\"..y.log",
    .device = 2049,
    .inode = UINT32_MAX,
    .size = 1ULL << 40,
    .mtime_nsec = 1700000000987654321,
    .open = true,
    .append = true,
};

static void comes_back_as_it_was(void **state)
{
    struct manifest m = sample_manifest("game@x", 17, &file, 1), *read = NULL;

    assert_int_equal(manifest_write(dir_fd, &m), 0);
    assert_int_equal(manifest_read(dir_fd, &read), 0);
    assert_string_equal(read->service, "game@x");
    assert_int_equal(read->number, 17);
    assert_int_equal(read->time_realtime, m.time_realtime);
    assert_int_equal(read->time_boot, m.time_boot);
    assert_string_equal(read->boot_id, m.boot_id);
    assert_string_equal(read->cpu, m.cpu);
    assert_int_equal(read->criu_version, 40101);
    assert_int_equal(read->pid, 42);
    assert_int_equal(read->pipe_inode[STREAM_STDERR], 12);
    assert_true(read->file_locks);
    assert_false(read->tcp_established);
    assert_int_equal(read->image_count, 1);
    assert_string_equal(read->images[0].name, "pages-1.img");
    assert_string_equal(read->images[0].sha256, m.images[0].sha256);
    assert_int_equal(read->images[0].ctime_nsec, 2);
    assert_int_equal(read->file_count, 1);
    assert_string_equal(read->files[0].path, file.path);
    assert_true(read->files[0].size == file.size);
    assert_true(read->files[0].mtime_nsec == file.mtime_nsec);
    assert_true(read->files[0].append && read->files[0].open && !read->files[0].mapped);
    manifest_free(read);
}

/* Writes the sample with one piece of text replaced by another, and reads it. */
static int read_with(const char *old, const char *new)
{
    struct manifest m = sample_manifest("redis", 1, &file, 1), *read = NULL;
    _cleanup_free_ char *data = NULL, *changed = NULL;
    char *at;
    int r;

    assert_int_equal(manifest_write(dir_fd, &m), 0);
    assert_int_equal(fs_read(dir_fd, MANIFEST_FILE, 1 << 20, &data, NULL), 0);
    at = strstr(data, old);
    assert_non_null(at);
    *at = '\0';
    assert_true(asprintf(&changed, "%s%s%s", data, new, at + strlen(old)) > 0);
    assert_int_equal(fs_replace(dir_fd, MANIFEST_FILE, changed, strlen(changed), 0600), 0);
    r = manifest_read(dir_fd, &read);
    assert_true(r < 0 || read);
    manifest_free(read);
    return r;
}

static void refuses_what_is_wrong(void **state)
{
    assert_int_equal(read_with("\"kind\"", "\"kind\""), 0);
    assert_int_equal(read_with("\"version\": 1", "\"version\": 2"), -EBADMSG);
    assert_int_equal(read_with("pages-1.img", "../pages-1.img"), -EBADMSG);
    assert_int_equal(read_with("pages-1.img", ".."), -EBADMSG);
    assert_int_equal(read_with("pages-1.img", "manifest.json"), -EBADMSG);
    assert_int_equal(read_with("pages-1.img", "a\\u0000b"), -EBADMSG);
    assert_int_equal(read_with("/var/log", "/var/../log"), -EBADMSG);
    assert_int_equal(read_with("/var/log", "var/log"), -EBADMSG);
    assert_int_equal(read_with("\"redis\",\n \"number\"", "\"a/b\",\n \"number\""), -EBADMSG);
    assert_int_equal(read_with("\"number\": 1", "\"number\": -1"), -EBADMSG);
    assert_int_equal(read_with("\"number\": 1", "\"number\": \"1\""), -EBADMSG);
    assert_int_equal(read_with("aaaaaaaa", "AAAAAAAA"), -EBADMSG);
    assert_int_equal(read_with("\"size\": 4", "\"size\": -4"), -EBADMSG);
    assert_int_equal(read_with("\"images\"", "\"pictures\""), -EBADMSG);
    assert_int_equal(read_with("\"machine\"", "\"maschine\""), -EBADMSG);
    assert_int_equal(read_with("\"boot_id\": \"", "\"boot_id\": \"0"), -EBADMSG);
}

static void refuses_ruins(void **state)
{
    static const char *const ruins[] = {"", "{", "[]", "null", "{\"version\":1}", "\xff\xfe"};
    struct manifest *read = NULL;

    for (size_t i = 0; i < ELEMENTS(ruins); i++) {
        assert_int_equal(fs_replace(dir_fd, MANIFEST_FILE, ruins[i], strlen(ruins[i]), 0600), 0);
        assert_int_equal(manifest_read(dir_fd, &read), -EBADMSG);
    }
    assert_int_equal(fs_remove_all(dir_fd, MANIFEST_FILE), 0);
    assert_int_equal(manifest_read(dir_fd, &read), -ENOENT);
}

/* JSON is UTF-8: such a path cannot be written down, and a manifest that hides it would be a lie.
 */
static void path_that_is_not_text(void **state)
{
    struct manifest_file odd = {.path = (char *)"/tmp/\xff"};
    struct manifest m = sample_manifest("redis", 1, &odd, 1);

    assert_true(manifest_write(dir_fd, &m) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comes_back_as_it_was),
        cmocka_unit_test(refuses_what_is_wrong),
        cmocka_unit_test(refuses_ruins),
        cmocka_unit_test(path_that_is_not_text),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
