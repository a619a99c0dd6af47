/* test_image_users.c - whoever a thread of an image is, and what it may do, is found. */
#include "common/cleanup.h"
#include "image/image_users.h"
#include "tests/image/folder.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* A core-*.img with one thread: its credentials as fields of creds_entry, below 128 each. */
static void put_core(int fd, const char *name, const uint8_t *creds, uint8_t size)
{
    uint8_t file[256] = {0x19, 0x43, 0x56, 0x54, 0, 0, 0, 0}; /* IMG_COMMON_MAGIC, CORE_MAGIC */
    uint8_t *p = file + 8;

    *p = (uint8_t)(size + 4); /* u32, little endian */
    p += 4;
    *p++ = 5 << 3 | 2; /* core_entry.thread_core */
    *p++ = (uint8_t)(size + 2);
    *p++ = 10 << 3 | 2; /* thread_core_entry.creds */
    *p++ = size;
    memcpy(p, creds, size);
    folder_put(fd, name, file, (size_t)(p - file) + size);
}

#define IDS(a, b, c, d) 1 << 3, a, 2 << 3, 77, 3 << 3, b, 5 << 3, c, 7 << 3, d

static int users_of(const uint8_t *creds, size_t size, uint32_t **ret, size_t *ret_count)
{
    static unsigned number;
    char name[16];
    _cleanup_close_ int fd = -1;

    snprintf(name, sizeof(name), "u%u", number++);
    fd = folder_make(name);
    put_core(fd, "core-1.img", creds, (uint8_t)size);
    return image_users(fd, ret, ret_count);
}

static void finds_every_kind_of_id(void **state)
{
    const uint8_t creds[] = {IDS(9, 3, 7, 3)};
    _cleanup_free_ uint32_t *uids = NULL;
    size_t count;

    assert_int_equal(users_of(creds, sizeof(creds), &uids, &count), 0);
    assert_int_equal(count, 3);
    assert_int_equal(uids[0], 3);
    assert_int_equal(uids[1], 7);
    assert_int_equal(uids[2], 9);
}

static void capabilities_are_roots(void **state)
{
    const uint8_t one[] = {IDS(9, 9, 9, 9), 11 << 3, 1}, none[] = {IDS(9, 9, 9, 9), 11 << 3, 0},
                  packed[] = {IDS(9, 9, 9, 9), 10 << 3 | 2, 2, 0, 4},
                  ambient[] = {IDS(9, 9, 9, 9), 0x98, 1, 4}, /* field 19 */
        bounding[] = {IDS(9, 9, 9, 9), 12 << 3, 1};
    const struct {
        const uint8_t *creds;
        size_t size, count;
    } all[] = {{one, sizeof(one), 2},
               {none, sizeof(none), 1},
               {packed, sizeof(packed), 2},
               {ambient, sizeof(ambient), 2},
               {bounding, sizeof(bounding), 1}};

    for (size_t i = 0; i < ELEMENTS(all); i++) {
        _cleanup_free_ uint32_t *uids = NULL;
        size_t count;

        assert_int_equal(users_of(all[i].creds, all[i].size, &uids, &count), 0);
        assert_int_equal(count, all[i].count);
        assert_int_equal(uids[0], all[i].count == 2 ? 0 : 9);
    }
}

static void looks_at_every_thread(void **state)
{
    const uint8_t user[] = {IDS(9, 9, 9, 9)}, root[] = {IDS(0, 9, 9, 9)};
    _cleanup_close_ int fd = folder_make("threads");
    _cleanup_free_ uint32_t *uids = NULL;
    size_t count;

    put_core(fd, "core-1.img", user, sizeof(user));
    put_core(fd, "core-23.img", root, sizeof(root));
    assert_int_equal(image_users(fd, &uids, &count), 0);
    assert_int_equal(count, 2);
    assert_int_equal(uids[0], 0);
}

/* CRIU would look for them elsewhere. */
static void refuses_a_thread_of_nobody(void **state)
{
    const uint8_t user[] = {IDS(9, 9, 9, 9)};
    const uint8_t core[] = {0x19, 0x43, 0x56, 0x54, 0, 0, 0, 0, 2, 0, 0, 0, 5 << 3 | 2, 0};
    _cleanup_close_ int fd = folder_make("nobody");
    uint32_t *uids;
    size_t count;

    put_core(fd, "core-1.img", user, sizeof(user));
    folder_put(fd, "core-2.img", core, sizeof(core));
    assert_int_equal(image_users(fd, &uids, &count), -EBADMSG);
}

static void refuses_ruins(void **state)
{
    const uint8_t cut[] = {1 << 3};
    _cleanup_close_ int empty = folder_make("empty"), short_fd = folder_make("short");
    uint32_t *uids;
    size_t count;

    assert_int_equal(image_users(empty, &uids, &count), -EBADMSG);
    assert_int_equal(users_of(cut, sizeof(cut), &uids, &count), -EBADMSG);
    folder_put(short_fd, "core-1.img", "x", 1);
    assert_int_equal(image_users(short_fd, &uids, &count), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_every_kind_of_id), cmocka_unit_test(capabilities_are_roots),
        cmocka_unit_test(looks_at_every_thread),  cmocka_unit_test(refuses_a_thread_of_nobody),
        cmocka_unit_test(refuses_ruins),
    };

    return cmocka_run_group_tests(tests, folder_setup, folder_teardown);
}
