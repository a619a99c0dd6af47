/* test_store.c - numbers, lists, marks, removal, what goes first, and leftovers of dumps. */
#include "ckptd/retention.h"
#include "ckptd/staging.h"
#include "ckptd/store.h"
#include "common/cleanup.h"
#include "common/fs.h"
#include "image/layout.h"
#include "tests/image/sample.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cmocka.h>

static char folder[64];
static struct store *store;

static int setup(void **state)
{
    strcpy(folder, "/tmp/perdure-test-store-XXXXXX");
    return mkdtemp(folder) && store_open(folder, &store) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
    store = store_free(store);
    return fs_remove_all(AT_FDCWD, folder);
}

/* As a new ckptd would find it. */
static void open_again(void)
{
    store = store_free(store);
    assert_int_equal(store_open(folder, &store), 0);
}

static void commit(const char *name)
{
    uint64_t number;

    assert_int_equal(store_begin(store, name, &number), 0);
    sample_checkpoint(store_fd(store), name, number);
    assert_int_equal(store_reload(store, name), 0);
}

static bool exists(const char *path)
{
    struct stat st;

    return fstatat(store_fd(store), path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static void numbers_only_grow(void **state)
{
    uint64_t number;

    assert_int_equal(store_begin(store, "redis", &number), 0);
    assert_int_equal(number, 1);
    commit("redis"); /* 2 */
    assert_int_equal(store_remove(store, "redis", 2), 0);
    open_again();
    assert_int_equal(store_begin(store, "redis", &number), 0);
    assert_int_equal(number, 3);
    assert_int_equal(store_begin(store, "game@x", &number), 0);
    assert_int_equal(number, 1);
}

static void number_survives_a_lost_counter(void **state)
{
    uint64_t number;

    commit("redis");
    commit("redis");
    assert_int_equal(fs_remove_all(store_fd(store), "redis/" LAYOUT_COUNTER), 0);
    open_again();
    assert_int_equal(store_begin(store, "redis", &number), 0);
    assert_int_equal(number, 3);
}

static void lists_what_is_there(void **state)
{
    const struct checkpoint *list;
    size_t count;

    for (int i = 0; i < 11; i++)
        commit("b");
    commit("a");
    open_again();
    assert_string_equal(store_service(store, 0), "a");
    assert_string_equal(store_service(store, 1), "b");
    assert_null(store_service(store, 2));
    list = store_list(store, "b", &count);
    assert_int_equal(count, 11);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(list[i].number, i + 1); /* 9 before 10 */
    assert_int_equal(list[0].bytes, 4096);
    assert_int_equal(list[0].time_boot, 1001);
    assert_int_equal(store_newest(store, "b")->number, 11);
    assert_null(store_newest(store, "c"));
    assert_null(store_find(store, "b", 12));
}

static void ruins_are_corrupt(void **state)
{
    commit("redis");
    commit("redis");
    assert_int_equal(mkdirat(store_fd(store), "redis/3", 0700), 0);
    assert_int_equal(fs_replace(store_fd(store), "redis/2/manifest.json", "{", 1, 0600), 0);
    assert_int_equal(mkdirat(store_fd(store), "redis/04", 0700), 0);
    assert_int_equal(mkdirat(store_fd(store), ".tools", 0700), 0);
    assert_int_equal(symlinkat("1", store_fd(store), "redis/5"), 0);
    open_again();
    assert_int_equal(store_find(store, "redis", 2)->state, CHECKPOINT_CORRUPT);
    assert_int_equal(store_find(store, "redis", 3)->state, CHECKPOINT_CORRUPT);
    assert_null(store_find(store, "redis", 4));
    assert_null(store_find(store, "redis", 5));
    assert_int_equal(store_newest(store, "redis")->number, 1);
}

/* A folder that was copied from another service or number is not what it says. */
static void manifest_must_be_of_this_checkpoint(void **state)
{
    commit("redis");
    assert_int_equal(renameat(store_fd(store), "redis/1", store_fd(store), "redis/2"), 0);
    open_again();
    assert_int_equal(store_find(store, "redis", 2)->state, CHECKPOINT_CORRUPT);
}

static void marks_last(void **state)
{
    _cleanup_free_ char *why = NULL, *damaged = NULL;

    commit("redis");
    commit("redis");
    commit("redis");
    assert_int_equal(store_mark(store, "redis", 3, CHECKPOINT_POISONED, "died again"), 0);
    assert_int_equal(store_mark(store, "redis", 2, CHECKPOINT_CORRUPT, "flipped bit"), 0);
    assert_int_equal(store_mark(store, "redis", 2, CHECKPOINT_POISONED, "too"), 0);
    assert_int_equal(store_mark(store, "redis", 9, CHECKPOINT_POISONED, "x"), -ENOENT);
    assert_int_equal(store_mark(store, "nginx", 1, CHECKPOINT_POISONED, "x"), -ENOENT);
    open_again();
    assert_int_equal(store_find(store, "redis", 3)->state, CHECKPOINT_POISONED);
    assert_int_equal(store_find(store, "redis", 2)->state, CHECKPOINT_CORRUPT);
    assert_int_equal(store_newest(store, "redis")->number, 1);
    assert_int_equal(store_why(store, store_find(store, "redis", 3), "redis", &why), 0);
    assert_string_equal(why, "died again");
    assert_int_equal(store_why(store, store_find(store, "redis", 2), "redis", &damaged), 0);
    assert_string_equal(damaged, "flipped bit");
}

static void removal_takes_the_marks(void **state)
{
    commit("redis");
    assert_int_equal(store_mark(store, "redis", 1, CHECKPOINT_POISONED, "x"), 0);
    assert_int_equal(store_remove(store, "redis", 1), 0);
    assert_false(exists("redis/1"));
    assert_false(exists("redis/1.poisoned"));
    assert_false(exists("redis/" LAYOUT_STAGING "1"));
    assert_int_equal(store_remove(store, "redis", 1), -ENOENT);
}

static void prune_keeps_the_newest_whole_ones(void **state)
{
    size_t count;
    const struct checkpoint *list;

    for (int i = 0; i < 8; i++)
        commit("redis");
    for (uint64_t i = 1; i <= 8; i += 2)
        assert_int_equal(store_mark(store, "redis", i, CHECKPOINT_POISONED, "x"), 0);
    assert_int_equal(store_prune(store, "redis", 2), 0);
    list = store_list(store, "redis", &count);
    assert_int_equal(count, 4);
    assert_int_equal(list[0].number, 5);
    assert_int_equal(list[1].number, 6);
    assert_int_equal(list[2].number, 7);
    assert_int_equal(list[3].number, 8);
    assert_int_equal(store_prune(store, "redis", 0), 0);
    assert_int_equal(store_newest(store, "redis")->number, 8);
}

static void victims_in_order(void **state)
{
    struct checkpoint list[] = {
        {.number = 1, .bytes = 1},
        {.number = 2, .bytes = 2, .state = CHECKPOINT_CORRUPT},
        {.number = 3, .bytes = 4},
        {.number = 4, .bytes = 8, .state = CHECKPOINT_POISONED},
    };

    assert_int_equal(retention_bytes(list, 4), 15);
    assert_int_equal(retention_removable(list, 4), 11);
    assert_int_equal(retention_victim(list, 4), 1);
    list[1].state = CHECKPOINT_WHOLE;
    assert_int_equal(retention_victim(list, 4), 3);
    assert_int_equal(retention_victim(list, 3), 0);
    assert_true(retention_victim(&list[2], 1) == RETENTION_NONE);
    assert_true(retention_victim(list, 0) == RETENTION_NONE);
}

static void ids(void **state)
{
    static const char *const bad[] = {"redis",
                                      "redis@",
                                      "redis@0",
                                      "redis@01",
                                      "redis@1x",
                                      "@1",
                                      "a/b@1",
                                      "../x@1",
                                      "redis@-1",
                                      "redis@ 1",
                                      ".x@1",
                                      "redis@1@",
                                      "r@9999999999999999999"};
    char buf[CHECKPOINT_ID_SIZE];
    uint64_t number;
    char *name;

    assert_int_equal(checkpoint_id_parse("game@x@12", &name, &number), 0);
    assert_string_equal(name, "game@x");
    assert_int_equal(number, 12);
    assert_string_equal(checkpoint_id_format(name, number, buf), "game@x@12");
    free(name);
    for (size_t i = 0; i < ELEMENTS(bad); i++)
        assert_int_equal(checkpoint_id_parse(bad[i], &name, &number), -EINVAL);
}

/* ---- staging folders ---- */

static unsigned held, leftover;

static int count(const char *name, uint64_t number, bool is_held, void *userdata)
{
    assert_string_equal(name, "redis");
    *(is_held ? &held : &leftover) += (unsigned)number;
    return 0;
}

static void tells_workers_from_leftovers(void **state)
{
    _cleanup_close_ int lock = -1;
    struct proc_id worker;

    assert_int_equal(mkdirat(store_fd(store), "redis", 0700), 0);
    assert_int_equal(mkdirat(store_fd(store), "redis/" LAYOUT_STAGING "7", 0700), 0);
    assert_int_equal(mkdirat(store_fd(store), "redis/" LAYOUT_STAGING "20", 0700), 0);
    lock = openat(store_fd(store), "redis/" LAYOUT_STAGING "20", O_RDONLY | O_CLOEXEC);
    assert_int_equal(flock(lock, LOCK_EX), 0);
    held = leftover = 0;
    assert_int_equal(staging_each(store_fd(store), "redis", count, NULL), 0);
    assert_int_equal(held, 20);
    assert_int_equal(leftover, 7);
    assert_int_equal(staging_holder(store_fd(store), "redis", 7, &worker), STAGING_FREE);
    assert_int_equal(staging_holder(store_fd(store), "redis", 20, &worker), -EAGAIN);
    assert_int_equal(staging_holder(store_fd(store), "redis", 8, &worker), -ENOENT);
    assert_int_equal(fs_replace(store_fd(store), "redis/" LAYOUT_STAGING "20/" LAYOUT_WORKER,
                                "17 99\n", 6, 0600),
                     0);
    assert_int_equal(staging_holder(store_fd(store), "redis", 20, &worker), 0);
    assert_int_equal(worker.pid, 17);
    assert_int_equal(worker.start_time, 99);
    open_again();
    assert_null(store_newest(store, "redis"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(numbers_only_grow, setup, teardown),
        cmocka_unit_test_setup_teardown(number_survives_a_lost_counter, setup, teardown),
        cmocka_unit_test_setup_teardown(lists_what_is_there, setup, teardown),
        cmocka_unit_test_setup_teardown(ruins_are_corrupt, setup, teardown),
        cmocka_unit_test_setup_teardown(manifest_must_be_of_this_checkpoint, setup, teardown),
        cmocka_unit_test_setup_teardown(marks_last, setup, teardown),
        cmocka_unit_test_setup_teardown(removal_takes_the_marks, setup, teardown),
        cmocka_unit_test_setup_teardown(prune_keeps_the_newest_whole_ones, setup, teardown),
        cmocka_unit_test(victims_in_order),
        cmocka_unit_test(ids),
        cmocka_unit_test_setup_teardown(tells_workers_from_leftovers, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
