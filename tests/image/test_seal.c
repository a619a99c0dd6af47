/* test_seal.c - what was sealed is whole, and every change of any file is found. */
#include "common/cleanup.h"
#include "common/fs.h"
#include "image/pack.h"
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

static int dir_fd = -1;
static struct manifest *sealed; /* of the folder; as it is read back */

static void seal(uint64_t parent)
{
    struct manifest m = sample_manifest("redis", 5, NULL, 0);

    m.parent = parent;
    m.images = NULL;
    m.image_count = 0;
    assert_int_equal(seal_make(dir_fd, "worker", &m), 0);
    assert_int_equal(manifest_write(dir_fd, &m, sample_keys()), 0);
    for (size_t i = 0; i < m.image_count; i++)
        free(m.images[i].name);
    free(m.images);
    assert_int_equal(manifest_read(dir_fd, sample_keys(), &sealed), 0);
}

/* Two plain files, one packed, and one that is not sealed. */
static int make_image(void **state)
{
    _cleanup_free_ char *data = calloc(1, 100000), *stored = NULL;

    dir_fd = folder_make("5");
    folder_put(dir_fd, "worker", "1 2\n", 4);
    folder_put(dir_fd, "inventory.img", "inventory", 9);
    folder_put(dir_fd, "dump.log", "", 0);
    folder_put(folder_fd, "pages-1.img", data, 100000);
    return pack_write(folder_fd, "pages-1.img", dir_fd,
                      &(struct pack_form){.zstd = 1, .encrypt = true}, sample_keys(), &stored);
}

static int remove_image(void **state)
{
    sealed = manifest_free(sealed);
    dir_fd = fd_close(dir_fd);
    return fs_remove_all(folder_fd, "5");
}

static int check(bool all, const char *expected)
{
    struct reason reason = {};
    int r = all ? seal_check_all(dir_fd, sealed, NULL, NULL, &reason)
                : seal_check(dir_fd, sealed, &reason);

    assert_true((r < 0) == (reason.why != NULL));
    assert_true(!expected || (r < 0 && strstr(reason.why, expected)));
    reason_done(&reason);
    return r;
}

static const struct manifest_image *find(const char *name)
{
    for (size_t i = 0; i < sealed->image_count; i++)
        if (strcmp(sealed->images[i].name, name) == 0)
            return &sealed->images[i];
    return NULL;
}

static void lists_what_belongs(void **state)
{
    seal(0);
    assert_int_equal(sealed->image_count, 3);
    assert_null(find("worker"));
    assert_int_equal(find("inventory.img")->plain_size, 9);
    assert_int_equal(find("pages-1.img.zst.enc")->plain_size, 100000);
    assert_in_range(find("pages-1.img.zst.enc")->size, 1, 1000);
    assert_int_equal(check(false, NULL), 0);
    assert_int_equal(check(true, NULL), 0);
}

static void add_bytes(uint64_t bytes, void *data)
{
    *(uint64_t *)data += bytes;
}

static void tells_every_byte(void **state)
{
    struct reason reason = {};
    uint64_t told = 0;

    seal(0);
    assert_int_equal(seal_check_all(dir_fd, sealed, add_bytes, &told, &reason), 0);
    assert_true(told == seal_bytes(sealed) && told > 9);
}

/* Puts back times as they were, like a disk that rots below the file system. */
static void change_in_silence(const char *name, const void *data, size_t size)
{
    _cleanup_close_ int fd = openat(dir_fd, name, O_WRONLY | O_CLOEXEC);
    struct manifest_image *image = (struct manifest_image *)find(name);
    struct stat st;

    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(pwrite(fd, data, size, 0), size);
    assert_int_equal(futimens(fd, (struct timespec[]){st.st_atim, st.st_mtim}), 0);
    assert_int_equal(fstat(fd, &st), 0);
    image->ctime_nsec = (int64_t)st.st_ctim.tv_sec * 1000000000 + st.st_ctim.tv_nsec;
}

static void every_change_is_found(void **state)
{
    seal(0);
    for (size_t i = 0; i < sealed->image_count; i++) {
        const char *name = sealed->images[i].name;
        _cleanup_free_ char *data = NULL, *changed = NULL;
        size_t size;

        data = folder_get(dir_fd, name, &size);
        changed = malloc(size + 1);
        for (size_t at = 0; at < size; at++) {
            memcpy(changed, data, size);
            changed[at] ^= (char)(1 << at % 8);
            change_in_silence(name, changed, size);
            assert_int_equal(check(true, name), -EBADMSG);
            assert_int_equal(check(false, NULL), 0); /* that is what a scrub is for */
            change_in_silence(name, data, at);
            assert_int_equal(check(false, name), -EBADMSG);
        }
        memcpy(changed, data, size);
        changed[size] = 'x';
        change_in_silence(name, changed, size + 1);
        assert_int_equal(check(false, name), -EBADMSG);
        change_in_silence(name, data, size);
        assert_int_equal(check(true, NULL), 0);
    }
}

static void touched_file_is_hashed(void **state)
{
    seal(0);
    folder_put(dir_fd, "inventory.img", "inventory", 9);
    assert_int_equal(check(false, NULL), 0);
    folder_put(dir_fd, "inventory.img", "Inventory", 9);
    assert_int_equal(check(false, "inventory.img has another content"), -EBADMSG);
}

static void files_come_and_go(void **state)
{
    seal(0);
    folder_put(dir_fd, "restore.log", "", 0);
    assert_int_equal(check(false, NULL), 0);
    folder_put(dir_fd, "core-1.img", "", 0);
    assert_int_equal(check(false, "core-1.img does not belong"), -EBADMSG);
    assert_int_equal(unlinkat(dir_fd, "core-1.img", 0), 0);
    assert_int_equal(unlinkat(dir_fd, "inventory.img", 0), 0);
    assert_int_equal(check(false, "inventory.img is missing"), -EBADMSG);
    assert_int_equal(symlinkat("/etc/passwd", dir_fd, "inventory.img"), 0);
    assert_int_equal(check(true, "inventory.img is not a file"), -EBADMSG);
    assert_int_equal(unlinkat(dir_fd, "inventory.img", 0), 0);
    assert_int_equal(mkfifoat(dir_fd, "inventory.img", 0600), 0);
    assert_int_equal(check(true, "inventory.img is not a file"), -EBADMSG);
}

/* And nobody waits for a writer of the FIFO. */
static void only_files_are_sealed(void **state)
{
    struct manifest m = sample_manifest("redis", 1, NULL, 0);
    _cleanup_close_ int fd = folder_make("odd");

    m.images = NULL;
    m.image_count = 0;
    assert_int_equal(mkfifoat(fd, "core-1.img", 0600), 0);
    assert_int_equal(seal_make(fd, NULL, &m), -EBADMSG);
    assert_int_equal(unlinkat(fd, "core-1.img", 0), 0);
    assert_int_equal(symlinkat("/etc/passwd", fd, "core-1.img"), 0);
    assert_int_equal(seal_make(fd, NULL, &m), -EBADMSG);
    assert_int_equal(m.image_count, 0);
}

static void put_parent(const char *target)
{
    (void)unlinkat(dir_fd, "parent", 0);
    assert_int_equal(symlinkat(target, dir_fd, "parent"), 0);
}

static void parent_leads_where_it_should(void **state)
{
    static const char *const wrong[] = {"../2",  "../33", "/3",           "..",
                                        "../3/", "../03", "../../redis/3"};

    put_parent("../3");
    seal(3);
    assert_int_equal(sealed->image_count, 3);
    assert_int_equal(check(false, NULL), 0);
    for (size_t i = 0; i < ELEMENTS(wrong); i++) {
        put_parent(wrong[i]);
        assert_int_equal(check(false, "parent leads elsewhere"), -EBADMSG);
    }
    assert_int_equal(unlinkat(dir_fd, "parent", 0), 0);
    assert_int_equal(check(false, "parent is missing"), -EBADMSG);
    folder_put(dir_fd, "parent", "../3", 4);
    assert_int_equal(check(false, "parent is not a link"), -EBADMSG);
}

static void full_image_has_no_parent(void **state)
{
    seal(0);
    put_parent("../3");
    assert_int_equal(check(false, "parent does not belong"), -EBADMSG);
}

#define image_test(f) cmocka_unit_test_setup_teardown(f, make_image, remove_image)

int main(void)
{
    const struct CMUnitTest tests[] = {
        image_test(lists_what_belongs),
        image_test(tells_every_byte),
        image_test(every_change_is_found),
        image_test(touched_file_is_hashed),
        image_test(files_come_and_go),
        image_test(only_files_are_sealed),
        image_test(parent_leads_where_it_should),
        image_test(full_image_has_no_parent),
    };

    return cmocka_run_group_tests(tests, folder_setup, folder_teardown);
}
