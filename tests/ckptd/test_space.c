/* test_space.c - room for a dump: what is removed for it, what never is, and what is said. */
#include "ckptd/space.h"
#include "common/cleanup.h"
#include "common/fs.h"
#include "tests/image/sample.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/file.h>
#include <sys/statvfs.h>

#include <cmocka.h>

#define IMAGE 4096 /* bytes of a sample checkpoint */

static char folder[64];
static struct store *store;

static int setup(void **state)
{
    strcpy(folder, "/tmp/perdure-test-space-XXXXXX");
    if (!mkdtemp(folder) || store_open(folder, sample_keys(), &store) < 0)
        return -1;
    for (int i = 0; i < 4; i++) {
        uint64_t number;

        if (store_begin(store, "redis", &number) < 0)
            return -1;
        sample_checkpoint(store_fd(store), "redis", number);
    }
    return store_reload(store, "redis");
}

static int teardown(void **state)
{
    store = store_free(store);
    return fs_remove_all(AT_FDCWD, folder);
}

static size_t count(void)
{
    size_t n;

    store_list(store, "redis", &n);
    return n;
}

/* "" when there is room; static. */
static const char *make_room(uint64_t reserve, uint64_t max_bytes, uint64_t need)
{
    const struct space_limits limits = {.reserve = reserve, .max_bytes = max_bytes};
    _cleanup_(reason_done) struct reason reason = {};
    static char text[512];
    int r = space_make_room(store, "redis", &limits, (struct space_need){need, need}, &reason);

    assert_true(r == 0 || r == SPACE_SHORT);
    snprintf(text, sizeof(text), "%s", r ? reason_why(&reason) : "");
    assert_true(r == 0 || reason_cure(&reason)[0]);
    return text;
}

static void enough_room_removes_nothing(void **state)
{
    assert_string_equal(make_room(1, 100 * IMAGE, IMAGE), "");
    assert_int_equal(count(), 4);
}

static void max_bytes_takes_the_oldest(void **state)
{
    assert_string_equal(make_room(1, 4 * IMAGE, IMAGE), "");
    assert_int_equal(count(), 3);
    assert_null(store_find(store, "redis", 1));
}

static void bad_ones_go_first(void **state)
{
    assert_int_equal(store_mark(store, "redis", 3, MARK_POISONED, "x"), 0);
    assert_string_equal(make_room(1, 4 * IMAGE, IMAGE), "");
    assert_null(store_find(store, "redis", 3));
    assert_non_null(store_find(store, "redis", 1));
}

static void newest_stays_until_the_next_is_there(void **state)
{
    assert_string_equal(make_room(1, IMAGE + 1, IMAGE), "");
    assert_int_equal(count(), 1);
    assert_int_equal(store_newest(store, "redis")->number, 4);
}

static void after_a_commit(void **state)
{
    assert_string_equal(make_room(1, 2 * IMAGE, 0), "");
    assert_int_equal(count(), 2);
}

static void too_big_for_max_bytes(void **state)
{
    assert_string_equal(make_room(1, 2048, 3 * 1024),
                        "the checkpoint needs about 3K, more than the 2K of MaxBytes=");
    assert_int_equal(count(), 4);
}

static void reserve_is_kept(void **state)
{
    struct statvfs st;

    assert_int_equal(statvfs(folder, &st), 0);
    assert_non_null(strstr(make_room((uint64_t)st.f_blocks * st.f_frsize, UINT64_MAX / 4, 1 << 20),
                           "needs about 1M, but only 0B is free above the reserve of"));
    assert_int_equal(count(), 4); /* removing them would not have helped */
}

static void estimate_is_at_least_the_newest(void **state)
{
    struct ckpt_spec spec = {
        .name = (char *)"redis", .cgroup = (char *)"", .pid = getpid(), .retention = {.keep = 1}};
    struct ckpt_spec gone = {.name = (char *)"redis", .cgroup = (char *)"", .pid = INT32_MAX};
    struct ckpt_spec fresh = {.name = (char *)"new", .cgroup = (char *)"", .pid = INT32_MAX};

    assert_true(space_estimate(store, &spec) > 100 * 1024); /* our own memory */
    assert_true(space_estimate(store, &gone) >= IMAGE);
    assert_int_equal(space_estimate(store, &fresh), 0);
}

/* ---- MaxBytes= of the store ---- */

static void commit(const char *name)
{
    uint64_t number;

    assert_int_equal(store_begin(store, name, &number), 0);
    sample_checkpoint(store_fd(store), name, number);
    assert_int_equal(store_reload(store, name), 0);
}

static size_t count_of(const char *name)
{
    size_t n;

    store_list(store, name, &n);
    return n;
}

static const char *make_room_in_store(const char *name, uint64_t store_max_bytes, uint64_t need)
{
    const struct space_limits limits = {
        .reserve = 1, .max_bytes = 100 * IMAGE, .store_max_bytes = store_max_bytes};
    _cleanup_(reason_done) struct reason reason = {};
    static char text[512];
    int r = space_make_room(store, name, &limits, (struct space_need){need, need}, &reason);

    assert_true(r == 0 || r == SPACE_SHORT);
    snprintf(text, sizeof(text), "%s", r ? reason_why(&reason) : "");
    return text;
}

/* The samples' times grow with their numbers: redis 1 is as old as nginx 1, redis 3 is younger. */
static void the_oldest_of_all_goes(void **state)
{
    commit("nginx");
    commit("nginx");
    assert_string_equal(make_room_in_store("nginx", 6 * IMAGE, 0), "");
    assert_int_equal(count_of("nginx") + count(), 6);
    assert_string_equal(make_room_in_store("nginx", 3 * IMAGE, 0), "");
    assert_int_equal(count_of("nginx"), 1);
    assert_int_equal(count(), 2);
    assert_null(store_find(store, "redis", 2));
    /* Then only the newest of each are left, and these stay. */
    assert_string_equal(make_room_in_store("nginx", IMAGE, 0), "");
    assert_int_equal(count_of("nginx") + count(), 2);
}

/* A first one needs room beside the others; a further one takes that of those before it. */
static void others_make_room_for_a_new_one(void **state)
{
    assert_string_equal(make_room_in_store("nginx", 4 * IMAGE, 2 * IMAGE), "");
    assert_int_equal(count(), 2);
    commit("nginx");
    assert_string_equal(make_room_in_store("nginx", 3 * IMAGE, IMAGE), "");
    assert_int_equal(count(), 2);
    assert_non_null(strstr(make_room_in_store("nginx", 2 * IMAGE, 2 * IMAGE),
                           "what must stay of others leaves less of the store's MaxBytes= of 8K"));
    assert_int_equal(count() + count_of("nginx"), 2);
    assert_string_equal(make_room_in_store("nginx", IMAGE, 2 * IMAGE),
                        "the checkpoint needs about 8K, more than the 4K of MaxBytes=");
}

static void pinned_ones_and_readers_stay(void **state)
{
    _cleanup_close_ int reader = store_open_image(store, "redis", 2);

    assert_int_equal(store_mark(store, "redis", 1, MARK_PINNED, ""), 0);
    assert_int_equal(flock(reader, LOCK_SH), 0);
    assert_string_equal(make_room_in_store("redis", 1, 0), "");
    assert_int_equal(count(), 3);
    assert_null(store_find(store, "redis", 3));
    assert_string_equal(make_room(1, IMAGE, 0), "");
    assert_int_equal(count(), 3);
    fd_close(TAKE_FD(reader));
    assert_string_equal(make_room(1, IMAGE, 0), "");
    assert_int_equal(count(), 2);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(enough_room_removes_nothing),
        TEST(max_bytes_takes_the_oldest),
        TEST(bad_ones_go_first),
        TEST(newest_stays_until_the_next_is_there),
        TEST(after_a_commit),
        TEST(too_big_for_max_bytes),
        TEST(the_oldest_of_all_goes),
        TEST(others_make_room_for_a_new_one),
        TEST(pinned_ones_and_readers_stay),
        TEST(reserve_is_kept),
        TEST(estimate_is_at_least_the_newest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
