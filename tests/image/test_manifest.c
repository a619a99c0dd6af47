/* test_manifest.c - a manifest comes back as it was written, and a bad one does not. */
#include "common/cleanup.h"
#include "common/fs.h"
#include "image/manifest.h"
#include "tests/image/folder.h"
#include "tests/image/sample.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct manifest_file file = {
    .path = (char *)"/var/log/\"x\"..y.log",
    .device = 2049,
    .inode = UINT32_MAX,
    .size = 1ULL << 40,
    .mtime_nsec = 1700000000987654321,
    .offset = 77,
    .flags = O_WRONLY | O_APPEND,
    .snapshot = (char *)"snapshot-1",
    .deleted = true,
    .open = true,
    .append = true,
};

static void comes_back_as_it_was(void **state)
{
    struct manifest m = sample_manifest("game@x", 17, &file, 1), *read = NULL;

    m.pages = 1000;
    m.pages_stored = 10;
    m.parent = 18; /* newer: this one was written anew against it */
    assert_int_equal(manifest_write(folder_fd, &m, sample_keys()), 0);
    assert_int_equal(manifest_read(folder_fd, sample_keys(), &read), 0);
    assert_string_equal(read->service, "game@x");
    assert_string_equal(read->key, keys_current(sample_keys()));
    assert_int_equal(read->parent, 18);
    assert_int_equal(read->pages, 1000);
    assert_int_equal(read->pages_stored, 10);
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
    assert_int_equal(read->files[0].offset, 77);
    assert_int_equal(read->files[0].flags, O_WRONLY | O_APPEND);
    assert_string_equal(read->files[0].snapshot, "snapshot-1");
    assert_true(read->files[0].deleted);
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

    assert_int_equal(manifest_write(folder_fd, &m, sample_keys()), 0);
    assert_int_equal(fs_read(folder_fd, MANIFEST_FILE, 1 << 20, &data, NULL), 0);
    at = strstr(data, old);
    assert_non_null(at);
    *at = '\0';
    assert_true(asprintf(&changed, "%s%s%s", data, new, at + strlen(old)) > 0);
    assert_int_equal(fs_replace(folder_fd, MANIFEST_FILE, changed, strlen(changed), 0600), 0);
    r = manifest_read(folder_fd, NULL, &read);
    assert_true(r < 0 || read);
    manifest_free(read);
    return r;
}

static void refuses_what_is_wrong(void **state)
{
    assert_int_equal(read_with("\"kind\"", "\"kind\""), 0);
    assert_int_equal(read_with("\"version\": 2", "\"version\": 1"), -EBADMSG);
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
    assert_int_equal(read_with("\"size\": 4", "\"size\": 5"), -EBADMSG); /* of a plain file */
    assert_int_equal(read_with("\"plain_size\": 4", "\"plain_size\": -1"), -EBADMSG);
    assert_int_equal(read_with("pages-1.img", "parent"), -EBADMSG);
    assert_int_equal(read_with("snapshot-1", "../snapshot-1"), -EBADMSG);
    assert_int_equal(read_with("\"parent\": null", "\"parent\": 2"), 0);
    assert_int_equal(read_with("\"parent\": null", "\"parent\": 1"), -EBADMSG); /* itself */
    assert_int_equal(read_with("\"parent\": null", "\"parent\": 0"), -EBADMSG);
    assert_int_equal(read_with("\"parent\": null", "\"parent\": -2"), -EBADMSG);
    assert_int_equal(read_with("\"parent\": null", "\"parent\": \"2\""), -EBADMSG);
    assert_int_equal(read_with("\"parent\": null,", ""), -EBADMSG);
    assert_int_equal(read_with("\"flags\"", "\"key\": \"01234567\", \"flags\""), 0);
    assert_int_equal(read_with("\"kind\"", "\"key\": \"01234567\", \"kind\""), -EBADMSG);
    assert_int_equal(read_with(",\n \"key\": ", ", \"key\": "), -EBADMSG);
    assert_int_equal(read_with("\"images\"", "\"pictures\""), -EBADMSG);
    assert_int_equal(read_with("\"machine\"", "\"maschine\""), -EBADMSG);
    assert_int_equal(read_with("\"boot_id\": \"", "\"boot_id\": \"0"), -EBADMSG);
}

static void refuses_ruins(void **state)
{
    static const char *const ruins[] = {"", "{", "[]", "null", "{\"version\":1}", "\xff\xfe"};
    struct manifest *read = NULL;

    for (size_t i = 0; i < ELEMENTS(ruins); i++) {
        assert_int_equal(fs_replace(folder_fd, MANIFEST_FILE, ruins[i], strlen(ruins[i]), 0600), 0);
        assert_int_equal(manifest_read(folder_fd, NULL, &read), -EBADMSG);
    }
    assert_int_equal(fs_remove_all(folder_fd, MANIFEST_FILE), 0);
    assert_int_equal(manifest_read(folder_fd, NULL, &read), -ENOENT);
}

/* JSON is UTF-8: such a path cannot be written down, and a manifest that hides it would be a lie.
 */
static void path_that_is_not_text(void **state)
{
    struct manifest_file odd = {.path = (char *)"/tmp/\xff"};
    struct manifest m = sample_manifest("redis", 1, &odd, 1);

    assert_true(manifest_write(folder_fd, &m, sample_keys()) < 0);
}

/* Without keys nothing is sealed. */
static void needs_keys(void **state)
{
    struct manifest m = sample_manifest("redis", 1, &file, 1);

    assert_int_equal(manifest_write(folder_fd, &m, NULL), -EINVAL);
}

/* Names are what CRIU knows: of two forms of one file either could be read. */
static void one_file_of_a_name(void **state)
{
    static const char *const names[][3] = {
        {"a.img", "pages-1.img.zst", "pages-1.img"},
        {"pages-1.img.enc", "pages-1.img.zst.enc", "z.img"},
        {"pages-1.img", "b", "pages-1.img"},
        {"a.img", "b.img", "pages-1.img.zst.zst"}, /* unpacked, it looks packed */
        {"a.img", "b.img", "pages-1.img.enc.zst"},
    };
    static const char *const good[] = {"pages-1.img.zst", "pages-1.imh", "pages-1.im"};
    struct manifest m = sample_manifest("redis", 1, NULL, 0), *read = NULL;
    struct manifest_image images[3] = {m.images[0], m.images[0], m.images[0]};

    m.images = images;
    m.image_count = 3;
    for (size_t i = 0; i < ELEMENTS(names); i++) {
        for (size_t j = 0; j < 3; j++)
            images[j].name = (char *)names[i][j];
        assert_int_equal(manifest_write(folder_fd, &m, sample_keys()), 0);
        assert_int_equal(manifest_read(folder_fd, sample_keys(), &read), -EBADMSG);
    }
    for (size_t j = 0; j < 3; j++)
        images[j].name = (char *)good[j];
    assert_int_equal(manifest_write(folder_fd, &m, sample_keys()), 0);
    assert_int_equal(manifest_read(folder_fd, sample_keys(), &read), 0);
    manifest_free(read);
}

static int read_bytes(const char *data, size_t size, const struct keys *keys)
{
    struct manifest *read = NULL;
    int r;

    folder_put(folder_fd, MANIFEST_FILE, data, size);
    r = manifest_read(folder_fd, keys, &read);
    manifest_free(read);
    return r;
}

static void every_change_is_seen(void **state)
{
    struct manifest m = sample_manifest("redis", 1, &file, 1);
    _cleanup_free_ char *data = NULL;
    size_t size;

    assert_int_equal(manifest_write(folder_fd, &m, sample_keys()), 0);
    data = folder_get(folder_fd, MANIFEST_FILE, &size);
    for (size_t at = 0; at < size; at++) {
        int r;

        data[at] ^= (char)(1 << at % 8);
        r = read_bytes(data, size, sample_keys());
        assert_true(r == -EKEYREJECTED || r == -ENOKEY || r == -EBADMSG);
        data[at] ^= (char)(1 << at % 8);
        assert_true(read_bytes(data, at, sample_keys()) < 0);
    }
    assert_int_equal(read_bytes(data, size + 1, sample_keys()), -EBADMSG); /* the NUL */
    assert_int_equal(read_bytes(data, size, sample_keys()), 0);
}

/* Sealed by another store: by a key that we do not have, or by one that only has the name of ours.
 */
static void foreign_is_refused(void **state)
{
    struct manifest m = sample_manifest("redis", 1, &file, 1), *read = NULL;
    char path[128], line[128];
    struct keys *foreign = NULL;

    snprintf(path, sizeof(path), "%s/keys", folder_path());
    assert_int_equal(keys_read_or_make(path, &foreign), 0);
    assert_int_equal(manifest_write(folder_fd, &m, foreign), 0);
    foreign = keys_free(foreign);
    assert_int_equal(manifest_read(folder_fd, sample_keys(), &read), -ENOKEY);

    snprintf(line, sizeof(line), "%s %064d\n", keys_current(sample_keys()), 0);
    folder_put(folder_fd, "keys", line, strlen(line));
    assert_int_equal(keys_read(path, &foreign), 0);
    assert_int_equal(manifest_write(folder_fd, &m, foreign), 0);
    keys_free(foreign);
    assert_int_equal(manifest_read(folder_fd, sample_keys(), &read), -EKEYREJECTED);
    assert_int_equal(manifest_read(folder_fd, NULL, &read), 0); /* the administrator trusts it */
    manifest_free(read);
}

static void rotation_keeps_old_ones_readable(void **state)
{
    struct manifest m = sample_manifest("redis", 1, &file, 1), *read = NULL;
    struct keys *old = NULL, *new = NULL;
    char path[128], id[KEYS_ID_SIZE];

    snprintf(path, sizeof(path), "%s/ring", folder_path());
    assert_int_equal(keys_read_or_make(path, &old), 0);
    assert_int_equal(manifest_write(folder_fd, &m, old), 0);
    assert_int_equal(keys_rotate(path, id), 0);
    assert_int_equal(keys_read(path, &new), 0);
    assert_int_equal(manifest_read(folder_fd, new, &read), 0);
    assert_string_equal(read->key, keys_current(old));
    read = manifest_free(read);
    assert_int_equal(manifest_write(folder_fd, &m, new), 0);
    assert_int_equal(manifest_read(folder_fd, new, &read), 0);
    assert_string_equal(read->key, id);
    read = manifest_free(read);
    assert_int_equal(manifest_read(folder_fd, old, &read), -ENOKEY);
    keys_free(old);
    keys_free(new);
}

/* A corpus that is not taken any more would make the fuzzer stop at the door. */
static void fuzzers_begin_with_good_ones(void **state)
{
    static const char *const names[] = {"full-sealed", "delta-sealed"};

    for (size_t i = 0; i < ELEMENTS(names); i++) {
        _cleanup_free_ char *path = fs_join("tests/fuzz/corpus/manifest", names[i]), *data = NULL;
        struct manifest *read = NULL;
        size_t size;

        assert_int_equal(fs_read(AT_FDCWD, path, 1 << 20, &data, &size), 0);
        assert_int_equal(manifest_parse(data, size, &read), 0);
        manifest_free(read);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comes_back_as_it_was),
        cmocka_unit_test(refuses_what_is_wrong),
        cmocka_unit_test(refuses_ruins),
        cmocka_unit_test(path_that_is_not_text),
        cmocka_unit_test(needs_keys),
        cmocka_unit_test(one_file_of_a_name),
        cmocka_unit_test(every_change_is_seen),
        cmocka_unit_test(foreign_is_refused),
        cmocka_unit_test(rotation_keeps_old_ones_readable),
        cmocka_unit_test(fuzzers_begin_with_good_ones),
    };

    return cmocka_run_group_tests(tests, folder_setup, folder_teardown);
}
