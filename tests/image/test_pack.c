/* test_pack.c - files come back from every form as they were; what is changed, cut off or longer in
 * any byte does not. */
#include "common/cleanup.h"
#include "common/fs.h"
#include "image/pack.h"
#include "tests/image/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static struct keys *keys, *other_keys;

static const struct pack_form forms[] = {
    {}, {.zstd = 3}, {.encrypt = true}, {.zstd = 1, .encrypt = true}};

static int setup(void **state)
{
    char path[128];

    if (folder_setup(state) < 0)
        return -1;
    snprintf(path, sizeof(path), "%s/keys", folder_path());
    if (keys_read_or_make(path, &keys) < 0)
        return -1;
    snprintf(path, sizeof(path), "%s/other", folder_path());
    return keys_read_or_make(path, &other_keys);
}

static int teardown(void **state)
{
    keys_free(keys);
    keys_free(other_keys);
    return folder_teardown(state);
}

/* The file `from` of the folder in a form, and a manifest that names it. */
struct packed {
    int fd;
    struct manifest_image image;
    struct manifest manifest;
};

static void pack_init(struct packed *p, const struct pack_form *form)
{
    struct stat st;

    *p = (struct packed){.fd = folder_make("packed")};
    assert_int_equal(pack_write(folder_fd, "pages-1.img", p->fd, form, keys, &p->image.name), 0);
    assert_int_equal(fstatat(p->fd, p->image.name, &st, AT_SYMLINK_NOFOLLOW), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    p->image.size = (uint64_t)st.st_size;
    assert_int_equal(pack_plain_size(p->fd, p->image.name, &p->image.plain_size), 0);
    p->manifest = (struct manifest){.images = &p->image, .image_count = 1};
}

static void pack_done(struct packed *p)
{
    free(p->image.name);
    close(p->fd);
    assert_int_equal(fs_remove_all(folder_fd, "packed"), 0);
}

static int open_with(const struct packed *p, const struct keys *with, int *ret_fd)
{
    struct image_dir dir = {.fd = p->fd, .manifest = &p->manifest, .keys = with};

    return pack_open(&dir, "pages-1.img", ret_fd);
}

/* The form in which it is stored now, with as many bytes as there are. */
static int open_changed(struct packed *p, const void *data, size_t size, int *ret_fd)
{
    folder_put(p->fd, p->image.name, data, size);
    p->image.size = size;
    return open_with(p, keys, ret_fd);
}

static bool is_content(int fd, const char *expected, size_t size)
{
    _cleanup_free_ char *got = malloc(size + 1);
    struct stat st;

    return lseek(fd, 0, SEEK_CUR) == 0 && fstat(fd, &st) == 0 && (size_t)st.st_size == size &&
           pread(fd, got, size + 1, 0) == (ssize_t)size && memcmp(got, expected, size) == 0;
}

static void fill(char *data, size_t size)
{
    uint32_t seed = 1;

    for (size_t i = 0; i < size; i++) {
        seed = seed * 1664525 + 1013904223;
        data[i] = (char)(seed >> 24);
    }
}

static void comes_back(const char *data, size_t size)
{
    for (size_t i = 0; i < ELEMENTS(forms); i++) {
        _cleanup_close_ int fd = -1;
        struct packed p;

        pack_init(&p, &forms[i]);
        assert_int_equal(p.image.plain_size, size);
        assert_int_equal(open_with(&p, keys, &fd), 0);
        assert_true(is_content(fd, data, size));
        pack_done(&p);
    }
}

static void comes_back_as_it_was(void **state)
{
    static const size_t sizes[] = {0,     1,     4095,       4096,       4097,   65535,
                                   65536, 65537, 128 * 1024, 300 * 1000, 9 << 20};

    for (size_t i = 0; i < ELEMENTS(sizes); i++) {
        _cleanup_free_ char *data = malloc(sizes[i] + 1);

        fill(data, sizes[i]);
        for (size_t at = 100 * 1024; at + 8192 < sizes[i]; at += 200 * 1024)
            memset(data + at + 5, 0, 8192); /* zeros that end inside of blocks */
        folder_put(folder_fd, "pages-1.img", data, sizes[i]);
        comes_back(data, sizes[i]);
    }
}

static void stored_name_tells(void **state)
{
    static const char *const names[] = {"pages-1.img", "pages-1.img.zst", "pages-1.img.enc",
                                        "pages-1.img.zst.enc"};
    _cleanup_free_ char *data = calloc(1, 65536), *stored = NULL;
    struct packed p;

    folder_put(folder_fd, "pages-1.img", data, 65536);
    for (size_t i = 0; i < ELEMENTS(forms); i++) {
        pack_init(&p, &forms[i]);
        assert_string_equal(p.image.name, names[i]);
        assert_int_equal(pack_plain_name_length(names[i]), strlen("pages-1.img"));
        assert_int_equal(pack_is_packed(&p.manifest), i != 0);
        pack_done(&p);
    }
    folder_put(folder_fd, "pages-1.img", data, 65535); /* too small to be worth it */
    pack_init(&p, &forms[3]);
    assert_string_equal(p.image.name, "pages-1.img.enc");
    pack_done(&p);
    assert_int_equal(pack_plain_name_length(".zst"), 4);
    assert_int_equal(pack_plain_name_length("a.enc.zst"), strlen("a.enc"));
    folder_put(folder_fd, "x.enc", "", 0);
    assert_int_equal(pack_write(folder_fd, "x.enc", folder_fd, &forms[1], keys, &stored), -EINVAL);
    assert_int_equal(pack_write(folder_fd, "keys", folder_fd, &forms[2], NULL, &stored), -ENOKEY);
    assert_int_equal(pack_write(folder_fd, "none", folder_fd, &forms[2], keys, &stored), -ENOENT);
}

/* 64 MB of which two pages hold something. */
static void zeros_cost_nothing(void **state)
{
    _cleanup_close_ int source = -1;
    struct stat st;

    source = openat(folder_fd, "pages-1.img", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_int_equal(ftruncate(source, 64 << 20), 0);
    assert_int_equal(pwrite(source, "page", 4, 8192), 4);
    assert_int_equal(pwrite(source, "page", 4, 32 << 20), 4);
    for (size_t i = 0; i < ELEMENTS(forms); i++) {
        _cleanup_close_ int fd = -1;
        struct packed p;

        pack_init(&p, &forms[i]);
        assert_int_equal(fstatat(p.fd, p.image.name, &st, 0), 0);
        assert_in_range(st.st_blocks * 512, 1, 64 * 1024);
        assert_int_equal(open_with(&p, keys, &fd), 0);
        assert_int_equal(fstat(fd, &st), 0);
        assert_int_equal(st.st_size, 64 << 20);
        assert_in_range(st.st_blocks * 512, 1, 64 * 1024);
        pack_done(&p);
    }
}

/* With zstd alone some bits of the frame's head mean nothing: what comes out is the same then, and
 * the file's hash tells. */
static void check_changed(struct packed *p, const char *changed, size_t size, const char *plain,
                          size_t plain_size, bool strict)
{
    _cleanup_close_ int fd = -1;
    int r = open_changed(p, changed, size, &fd);

    if (strict || r < 0)
        assert_true(r == -EBADMSG || r == -EKEYREJECTED || r == -ENOKEY);
    else
        assert_true(is_content(fd, plain, plain_size));
}

static void every_change_is_seen(void **state)
{
    size_t plain_size = 70000, size;
    _cleanup_free_ char *plain = calloc(1, plain_size + 1);

    for (size_t i = 0; i < 200; i++)
        plain[i * 350] = (char)i;
    folder_put(folder_fd, "pages-1.img", plain, plain_size);
    for (size_t i = 1; i < ELEMENTS(forms); i++) {
        _cleanup_free_ char *data = NULL, *changed = NULL;
        struct packed p;
        size_t step;

        pack_init(&p, &forms[i]);
        data = folder_get(p.fd, p.image.name, &size);
        changed = malloc(size + 1);
        step = size > 4096 ? 997 : 1; /* a file that is not small */
        for (size_t at = 0; at < size; at += at < 100 || at + 100 > size ? 1 : step) {
            memcpy(changed, data, size);
            changed[at] ^= (char)(1 << at % 8);
            check_changed(&p, changed, size, plain, plain_size, forms[i].encrypt);
            check_changed(&p, data, at, plain, plain_size, true);
        }
        memcpy(changed, data, size);
        changed[size] = 0;
        check_changed(&p, changed, size + 1, plain, plain_size, true);
        changed[size] = data[0];
        check_changed(&p, changed, size + 1, plain, plain_size, true);
        pack_done(&p);
    }
}

/* No decoder writes more than the manifest says, and less is not all. */
static void plain_size_counts(void **state)
{
    _cleanup_free_ char *data = malloc(200000);
    int fd;

    fill(data, 200000);
    memset(data + 100000, 0, 50000);
    folder_put(folder_fd, "pages-1.img", data, 200000);
    for (size_t i = 1; i < ELEMENTS(forms); i++) {
        struct packed p;

        pack_init(&p, &forms[i]);
        for (int by = -1; by <= 1; by += 2) {
            p.image.plain_size = (uint64_t)(200000 + by);
            assert_int_equal(open_with(&p, keys, &fd), -EBADMSG);
        }
        p.image.plain_size = 0;
        assert_int_equal(open_with(&p, keys, &fd), -EBADMSG);
        pack_done(&p);
    }
}

static void needs_its_key(void **state)
{
    _cleanup_close_ int fd = -1;
    char id[KEYS_ID_SIZE], path[128];
    struct keys *rotated = NULL;
    struct packed p;

    folder_put(folder_fd, "pages-1.img", "secret", 6);
    pack_init(&p, &forms[2]);
    assert_int_equal(open_with(&p, NULL, &fd), -ENOKEY);
    assert_int_equal(open_with(&p, other_keys, &fd), -ENOKEY);
    snprintf(path, sizeof(path), "%s/keys", folder_path());
    assert_int_equal(keys_rotate(path, id), 0);
    assert_int_equal(keys_read(path, &rotated), 0);
    assert_int_equal(open_with(&p, rotated, &fd), 0);
    assert_true(is_content(fd, "secret", 6));
    keys_free(rotated);
    pack_done(&p);
}

static void opens_only_what_belongs(void **state)
{
    struct image_dir fresh = {.fd = folder_fd};
    _cleanup_close_ int fd = -1;
    struct packed p;

    folder_put(folder_fd, "pages-1.img", "plain", 5);
    assert_int_equal(pack_open(&fresh, "pages-1.img", &fd), 0);
    assert_int_equal(pack_open(&fresh, "none", &fd), -ENOENT);
    assert_int_equal(symlinkat("pages-1.img", folder_fd, "link"), 0);
    assert_int_equal(pack_open(&fresh, "link", &fd), -EBADMSG);
    assert_int_equal(mkfifoat(folder_fd, "fifo", 0600), 0);
    assert_int_equal(pack_open(&fresh, "fifo", &fd), -EBADMSG);
    pack_init(&p, &forms[0]);
    folder_put(p.fd, "more.img", "plain", 5);
    assert_int_equal(
        pack_open(&(struct image_dir){.fd = p.fd, .manifest = &p.manifest}, "more.img", &fd),
        -ENOENT);
    p.image.size++;
    assert_int_equal(open_with(&p, keys, &fd), -EBADMSG);
    pack_done(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comes_back_as_it_was),    cmocka_unit_test(stored_name_tells),
        cmocka_unit_test(zeros_cost_nothing),      cmocka_unit_test(every_change_is_seen),
        cmocka_unit_test(plain_size_counts),       cmocka_unit_test(needs_its_key),
        cmocka_unit_test(opens_only_what_belongs),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
