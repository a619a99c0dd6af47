/* test_archive.c - a checkpoint comes out of an archive as it went in; whatever else somebody puts
 * into one is refused, and nothing is written outside of the folder. */
#include "common/cleanup.h"
#include "common/fs.h"
#include "image/receive.h"
#include "image/seal.h"
#include "tests/image/folder.h"
#include "tests/image/sample.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define HOLE (64 << 20)

static const char *const files[] = {"config.dump", "spec.dump", "stats-dump", "core-1.img",
                                    "pages-1.img"};
static const char core[] = "registers";
static int source_fd = -1;

static int setup(void **state)
{
    struct manifest m;

    if (folder_setup(state) < 0)
        return -1;
    source_fd = folder_make("source");
    for (size_t i = 0; i < ELEMENTS(files); i++)
        folder_put(source_fd, files[i], core, sizeof(core));
    m = sample_manifest("redis", 7, NULL, 0);
    m.images = NULL;
    m.image_count = 0;
    if (seal_make(source_fd, NULL, &m) < 0 || manifest_write(source_fd, &m, sample_keys()) < 0)
        return -1;
    for (size_t i = 0; i < m.image_count; i++)
        free(m.images[i].name);
    free(m.images);
    return 0;
}

static int teardown(void **state)
{
    source_fd = fd_close(source_fd);
    return folder_teardown(state);
}

/* ---- an archive of ours ---- */

static int new_file(void)
{
    int fd = openat(folder_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    return fd;
}

static void write_archive(int fd, int from_fd)
{
    struct archive_out *out;
    uint64_t bytes;

    assert_int_equal(archive_out_new(fd, 3, 1700000000000000, &out), 0);
    assert_int_equal(archive_out_add(out, from_fd, MANIFEST_FILE, NULL, NULL), 0);
    for (size_t i = 0; i < ELEMENTS(files); i++)
        assert_int_equal(archive_out_add(out, from_fd, files[i], NULL, NULL), 0);
    assert_int_equal(archive_out_finish(out, &bytes), 0);
    assert_true(bytes > 0);
    archive_out_free(out);
}

/* Takes all out of an archive into a new folder, which is gone again. */
static int receive(int fd, const struct keys *keys, struct reason *reason)
{
    struct receive in = {};
    _cleanup_close_ int to = -1;
    int r;

    assert_int_equal(fs_remove_all(folder_fd, "to"), 0);
    to = folder_make("to");
    r = receive_begin(fd, keys, &in, reason);
    if (r == 0)
        r = receive_files(&in, to, NULL, NULL, reason);
    receive_done(&in);
    return r;
}

static void comes_back_as_it_was(void **state)
{
    _cleanup_(reason_done) struct reason reason = {};
    _cleanup_close_ int fd = new_file(), to = -1;
    _cleanup_free_ char *got = NULL;
    size_t size;

    write_archive(fd, source_fd);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(receive(fd, sample_keys(), &reason), 0);
    to = openat(folder_fd, "to", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    got = folder_get(to, "core-1.img", &size);
    assert_int_equal(size, sizeof(core));
    assert_memory_equal(got, core, size);
    assert_int_equal(faccessat(to, "stats-dump", F_OK, 0), 0);
    assert_int_equal(faccessat(to, "config.dump", F_OK, 0), -1);
    assert_int_equal(faccessat(to, MANIFEST_FILE, F_OK, 0), -1);
}

static void equal_checkpoints_make_equal_archives(void **state)
{
    char one[8192], two[8192];

    for (int i = 0; i < 2; i++) {
        _cleanup_close_ int fd = new_file();
        ssize_t n;

        write_archive(fd, source_fd);
        memset(i ? two : one, 0, sizeof(one));
        n = pread(fd, i ? two : one, sizeof(one), 0);
        assert_true(n > 0 && n < (ssize_t)sizeof(one));
    }
    assert_memory_equal(one, two, sizeof(one));
}

static void goes_through_a_pipe(void **state)
{
    _cleanup_(reason_done) struct reason reason = {};
    int ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    write_archive(ends[1], source_fd); /* it is smaller than the pipe */
    close(ends[1]);
    assert_int_equal(receive(ends[0], sample_keys(), &reason), 0);
    close(ends[0]);
}

/* A file of zeros takes no room in the archive, and none where it comes out. */
static void zeros_cost_nothing(void **state)
{
    struct file_sink sink;
    struct archive_out *out;
    struct archive_in *in;
    _cleanup_(reason_done) struct reason reason = {};
    _cleanup_close_ int fd = new_file(), zeros = folder_make("zeros"), to = new_file();
    const char *name;
    uint64_t bytes, size;
    struct stat st;

    folder_put(zeros, MANIFEST_FILE, "{}", 2);
    folder_put(zeros, "pages-1.img", "", 0);
    {
        _cleanup_close_ int pages = openat(zeros, "pages-1.img", O_WRONLY | O_CLOEXEC);

        assert_int_equal(ftruncate(pages, HOLE), 0);
    }
    assert_int_equal(archive_out_new(fd, 3, 0, &out), 0);
    assert_int_equal(archive_out_add(out, zeros, MANIFEST_FILE, NULL, NULL), 0);
    assert_int_equal(archive_out_add(out, zeros, "pages-1.img", NULL, NULL), 0);
    assert_int_equal(archive_out_finish(out, &bytes), 0);
    archive_out_free(out);
    assert_true(bytes < HOLE / 1000);

    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(archive_in_new(fd, &in), 0);
    assert_int_equal(archive_in_next(in, &name, &size, &reason), ARCHIVE_IN_FILE);
    assert_int_equal(archive_in_next(in, &name, &size, &reason), ARCHIVE_IN_FILE);
    assert_string_equal(name, "pages-1.img");
    assert_int_equal(size, HOLE);
    file_sink_init(&sink, to, size);
    assert_int_equal(archive_in_copy(in, &sink.sink, NULL, NULL, &reason), 0);
    assert_int_equal(fstat(to, &st), 0);
    assert_int_equal(st.st_size, HOLE);
    assert_true(st.st_blocks * 512 < HOLE / 1000);
    archive_in_free(in);
}

/* ---- archives of others: an uncompressed tar, made by hand ---- */

struct tar {
    char data[65536];
    size_t size;
};

static void add_block(struct tar *tar, const void *data, size_t size)
{
    size_t padded = (size + 511) / 512 * 512;

    assert_true(tar->size + padded <= sizeof(tar->data));
    memcpy(tar->data + tar->size, data, size);
    tar->size += padded;
}

/* POSIX ustar; `size` is what the header claims. */
static void add_header(struct tar *tar, const char *path, char type, const char *link,
                       unsigned long long size)
{
    char head[512] = {};
    unsigned sum = 0;

    strncpy(head, path, 100);
    snprintf(head + 100, 8, "%07o", 0600);
    snprintf(head + 108, 8, "%07o", 0);
    snprintf(head + 116, 8, "%07o", 0);
    snprintf(head + 124, 12, "%011llo", size);
    snprintf(head + 136, 12, "%011o", 0);
    head[156] = type;
    strncpy(head + 157, link, 99);
    memcpy(head + 257, "ustar\00000", 8);
    memset(head + 148, ' ', 8);
    for (size_t i = 0; i < sizeof(head); i++)
        sum += (unsigned char)head[i];
    snprintf(head + 148, 8, "%06o", sum);
    add_block(tar, head, sizeof(head));
}

static void add_file(struct tar *tar, const char *path, const void *data, size_t size)
{
    add_header(tar, path, '0', "", size);
    add_block(tar, data, size);
}

static void add_manifest(struct tar *tar)
{
    _cleanup_free_ char *text = NULL;
    size_t size;

    text = folder_get(source_fd, MANIFEST_FILE, &size);
    add_file(tar, MANIFEST_FILE, text, size);
}

/* All files of the sample from `first` on. */
static void add_rest(struct tar *tar, size_t first)
{
    for (size_t i = first; i < ELEMENTS(files); i++) {
        char path[64];

        snprintf(path, sizeof(path), "%s%s", archive_name_is_image(files[i]) ? "checkpoint/" : "",
                 files[i]);
        add_file(tar, path, core, sizeof(core));
    }
}

static void add_end(struct tar *tar)
{
    static const char zeros[1024];

    add_block(tar, zeros, sizeof(zeros));
}

static int receive_bytes(const void *data, size_t size, const struct keys *keys)
{
    _cleanup_(reason_done) struct reason reason = {};
    _cleanup_close_ int fd = new_file();
    int r;

    assert_int_equal(fs_write_all(fd, data, size), 0);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    r = receive(fd, keys, &reason);
    /* Whatever is wrong with it is told, with a cure. */
    assert_true(r == 0 || (reason.why && reason.cure[0] && !strchr(reason.why, '\n')));
    return r;
}

static int receive_tar(struct tar *tar)
{
    add_end(tar);
    return receive_bytes(tar->data, tar->size, sample_keys());
}

static void plain_tar_will_do(void **state)
{
    struct tar tar = {};

    add_manifest(&tar);
    add_rest(&tar, 0);
    assert_int_equal(receive_tar(&tar), 0);
}

/* One more entry between good ones. */
static int with_entry(const char *path, char type, const char *link)
{
    struct tar tar = {};

    add_manifest(&tar);
    add_rest(&tar, 0);
    if (type == '0')
        add_file(&tar, path, core, sizeof(core));
    else
        add_header(&tar, path, type, link, 0);
    return receive_tar(&tar);
}

static void refuses_other_names(void **state)
{
    static const char *const names[] = {
        "../core-2.img",
        "/core-2.img",
        "/etc/cron.d/x",
        "checkpoint/../core-2.img",
        "checkpoint/core-2.img/x",
        "checkpoint//core-2.img",
        "./checkpoint/core-2.img",
        "checkpoint/parent",
        "parent",
        "checkpoint/evil.img",
        "checkpoint/core-2.img", /* not in the manifest */
        "core-2.img",
        "pages-1.img.zst",
        "checkpoint/stats-dump",
        "config.dump", /* again */
        "checkpoint/core-1.img",
        "manifest.json",
        ".hidden",
        "..",
        ".",
        "a b",
        "a\nb",
        "\xff\xfe",
        "dump.log",
    };

    for (size_t i = 0; i < ELEMENTS(names); i++) {
        int r = with_entry(names[i], '0', "");

        if (r != -EBADMSG)
            fail_msg("%s: %d", names[i], r);
    }
    assert_int_equal(faccessat(folder_fd, "core-2.img", F_OK, 0), -1);
}

/* receive_bytes() looks at what is said of them. */
static void tells_of_any_name_in_one_line(void **state)
{
    struct manifest m = sample_manifest("redis", 1, NULL, 0);
    struct manifest_image image = m.images[0];
    _cleanup_free_ char *text = NULL;
    struct tar tar = {};
    size_t size;

    image.name = "core\n\033[2J";
    m.images = &image;
    m.image_count = 1;
    assert_int_equal(manifest_write(folder_fd, &m, sample_keys()), 0);
    text = folder_get(folder_fd, MANIFEST_FILE, &size);
    add_file(&tar, MANIFEST_FILE, text, size);
    assert_int_equal(receive_tar(&tar), -EBADMSG);
}

static void refuses_what_is_no_file(void **state)
{
    static const struct {
        const char *path;
        char type;
        const char *link;
    } entries[] = {
        {"checkpoint/core-2.img", '2', "/etc/shadow"},
        {"checkpoint/core-2.img", '1', "stats-dump"},
        {"checkpoint/core-1.img", '1', "/etc/shadow"},
        {"checkpoint/core-2.img", '3', ""},
        {"checkpoint/core-2.img", '4', ""},
        {"checkpoint/core-2.img", '6', ""},
        {"checkpoint/core-2.img", '5', ""},
        {"checkpoint/x", '5', ""},
        {"other", '5', ""},
        {"checkpoint", '2', "/tmp"},
    };

    for (size_t i = 0; i < ELEMENTS(entries); i++) {
        int r = with_entry(entries[i].path, entries[i].type, entries[i].link);

        if (r != -EBADMSG)
            fail_msg("%s, type %c: %d", entries[i].path, entries[i].type, r);
    }
    assert_int_equal(with_entry("checkpoint/", '5', ""), 0);
}

static void refuses_sizes_that_are_not_those(void **state)
{
    static const unsigned long long sizes[] = {0, 1, 077777777777};

    for (size_t i = 0; i < ELEMENTS(sizes); i++) {
        struct tar tar = {};

        add_manifest(&tar);
        add_rest(&tar, 1);
        add_header(&tar, "config.dump", '0', "", sizes[i]);
        add_block(&tar, core, sizeof(core));
        assert_int_equal(receive_tar(&tar), -EBADMSG);
    }
    {
        struct tar tar = {};

        add_header(&tar, MANIFEST_FILE, '0', "", 077777777777);
        assert_int_equal(receive_tar(&tar), -EBADMSG);
    }
}

static void refuses_the_wrong_order(void **state)
{
    struct tar last = {}, none = {}, missing = {};

    add_rest(&last, 0);
    add_manifest(&last);
    assert_int_equal(receive_tar(&last), -EBADMSG);
    add_rest(&none, 0);
    assert_int_equal(receive_tar(&none), -EBADMSG);
    add_manifest(&missing);
    add_rest(&missing, 1);
    assert_int_equal(receive_tar(&missing), -EBADMSG);
}

static void refuses_ruins(void **state)
{
    static const char text[] = "this is no archive at all, but it has more than a few bytes";
    struct tar empty = {};

    assert_int_equal(receive_bytes("", 0, sample_keys()), -EBADMSG);
    assert_int_equal(receive_bytes(text, sizeof(text), sample_keys()), -EBADMSG);
    assert_int_equal(receive_tar(&empty), -EBADMSG);
}

/* Cut off anywhere, compressed or not: an error, whatever was there already. */
static void refuses_what_is_cut_off(void **state)
{
    _cleanup_close_ int fd = new_file();
    char data[8192];
    struct tar tar = {};
    ssize_t n;

    write_archive(fd, source_fd);
    n = pread(fd, data, sizeof(data), 0);
    assert_true(n > 0 && n < (ssize_t)sizeof(data));
    for (ssize_t i = 0; i < n - 4; i += 7) /* the last four bytes are a checksum of the frame */
        assert_true(receive_bytes(data, (size_t)i, sample_keys()) < 0);
    add_manifest(&tar);
    add_rest(&tar, 0);
    for (size_t i = 0; i < tar.size - 512; i += 97)
        assert_true(receive_bytes(tar.data, i, sample_keys()) < 0);
}

/* Any byte of what counts: manifest and content of the files. */
static void refuses_what_was_changed(void **state)
{
    struct tar tar = {};
    size_t manifest;

    add_manifest(&tar);
    manifest = tar.size;
    add_rest(&tar, 0);
    add_end(&tar);
    for (size_t i = 512; i < manifest - 512; i += 13) {
        tar.data[i] ^= 1;
        assert_true(receive_bytes(tar.data, tar.size, sample_keys()) < 0);
        tar.data[i] ^= 1;
    }
    for (size_t i = 0; i < ELEMENTS(files); i++) {
        tar.data[manifest + i * 1024 + 512] ^= 1;
        assert_int_equal(receive_bytes(tar.data, tar.size, sample_keys()), -EBADMSG);
        assert_int_equal(receive_bytes(tar.data, tar.size, NULL), -EBADMSG);
        tar.data[manifest + i * 1024 + 512] ^= 1;
    }
    assert_int_equal(receive_bytes(tar.data, tar.size, sample_keys()), 0);
}

static void another_store_must_be_trusted(void **state)
{
    _cleanup_free_ char *path = fs_join(folder_path(), "key");
    struct keys *other;
    struct tar tar = {};

    assert_int_equal(keys_read_or_make(path, &other), 0);
    add_manifest(&tar);
    add_rest(&tar, 0);
    add_end(&tar);
    assert_int_equal(receive_bytes(tar.data, tar.size, other), -ENOKEY);
    assert_int_equal(receive_bytes(tar.data, tar.size, NULL), 0);
    keys_free(other);
}

static void knows_the_names_of_images(void **state)
{
    static const char *const good[] = {
        "core-1.img",          "files.img",      "pages-12.img",      "pstree.img",
        "pagemap-shmem-7.img", "netns-ct-9.img", "ghost-file-1f.img", "ipcns-shm-10.img",
        "tcp-stream-a0.img",   "fs-1.img",       "userns-3.img",      "inventory.img",
        "seccomp.img"};
    static const char *const bad[] = {"",
                                      ".img",
                                      "core.img",
                                      "core-.img",
                                      "core-x.img",
                                      "core-1.img.zst",
                                      "core-1",
                                      "files-1.img",
                                      "../core-1.img",
                                      "core-1/2.img",
                                      "core--1.img",
                                      "Core-1.img",
                                      "core-1.img ",
                                      "evil.img",
                                      "parent",
                                      "stats-dump"};

    for (size_t i = 0; i < ELEMENTS(good); i++)
        assert_true(archive_name_is_image(good[i]));
    for (size_t i = 0; i < ELEMENTS(bad); i++)
        assert_false(archive_name_is_image(bad[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comes_back_as_it_was),
        cmocka_unit_test(equal_checkpoints_make_equal_archives),
        cmocka_unit_test(goes_through_a_pipe),
        cmocka_unit_test(zeros_cost_nothing),
        cmocka_unit_test(plain_tar_will_do),
        cmocka_unit_test(refuses_other_names),
        cmocka_unit_test(tells_of_any_name_in_one_line),
        cmocka_unit_test(refuses_what_is_no_file),
        cmocka_unit_test(refuses_sizes_that_are_not_those),
        cmocka_unit_test(refuses_the_wrong_order),
        cmocka_unit_test(refuses_ruins),
        cmocka_unit_test(refuses_what_is_cut_off),
        cmocka_unit_test(refuses_what_was_changed),
        cmocka_unit_test(another_store_must_be_trusted),
        cmocka_unit_test(knows_the_names_of_images),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
