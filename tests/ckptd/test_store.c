/* test_store.c - numbers, lists, marks, chains, removal, and leftovers of work. */
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
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>

static char folder[64];
static struct store *store;

static int setup(void **state)
{
    strcpy(folder, "/tmp/perdure-test-store-XXXXXX");
    return mkdtemp(folder) && store_open(folder, sample_keys(), &store) == 0 ? 0 : -1;
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
    assert_int_equal(store_open(folder, sample_keys(), &store), 0);
}

static void commit(const char *name)
{
    uint64_t number;

    assert_int_equal(store_begin(store, name, &number), 0);
    sample_checkpoint(store_fd(store), name, number);
    assert_int_equal(store_reload(store, name), 0);
}

/* A delta against `parent`, which the store does not know of yet. */
static void write_child(const char *name, uint64_t parent)
{
    _cleanup_close_ int fd = -1;
    struct manifest m;
    uint64_t number;

    assert_int_equal(store_begin(store, name, &number), 0);
    sample_checkpoint(store_fd(store), name, number);
    m = sample_manifest(name, number, NULL, 0);
    m.parent = parent;
    fd = store_open_image(store, name, number);
    assert_int_equal(manifest_write(fd, &m, sample_keys()), 0);
}

static void commit_child(const char *name, uint64_t parent)
{
    write_child(name, parent);
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
    assert_int_equal(store_mark(store, "redis", 3, MARK_POISONED, "died again"), 0);
    assert_int_equal(store_mark(store, "redis", 2, MARK_CORRUPT, "flipped bit"), 0);
    assert_int_equal(store_mark(store, "redis", 2, MARK_POISONED, "too"), 0);
    assert_int_equal(store_mark(store, "redis", 9, MARK_POISONED, "x"), -ENOENT);
    assert_int_equal(store_mark(store, "nginx", 1, MARK_POISONED, "x"), -ENOENT);
    open_again();
    assert_int_equal(store_find(store, "redis", 3)->state, CHECKPOINT_POISONED);
    assert_int_equal(store_find(store, "redis", 2)->state, CHECKPOINT_CORRUPT);
    assert_int_equal(store_newest(store, "redis")->number, 1);
    assert_int_equal(store_why(store, store_find(store, "redis", 3), "redis", &why), 0);
    assert_string_equal(why, "died again");
    assert_int_equal(store_why(store, store_find(store, "redis", 2), "redis", &damaged), 0);
    assert_string_equal(damaged, "flipped bit");
}

static void other_marks(void **state)
{
    _cleanup_free_ char *why = NULL;
    const struct checkpoint *c;

    commit("redis");
    assert_int_equal(store_find(store, "redis", 1)->checked_realtime, 1700000000123457);
    assert_int_equal(store_mark(store, "redis", 1, MARK_PINNED, ""), 0);
    assert_int_equal(store_mark(store, "redis", 1, MARK_UNPROVABLE, "it has a device open"), 0);
    for (int i = 0; i < 2; i++, open_again()) {
        c = store_find(store, "redis", 1);
        assert_int_equal(c->state, CHECKPOINT_WHOLE);
        assert_true(c->pinned && c->unprovable && !c->proven && !c->packed);
    }
    assert_int_equal(store_mark_text(store, "redis", 1, MARK_UNPROVABLE, &why), 0);
    assert_string_equal(why, "it has a device open");
    /* The last drill counts, whichever it was. */
    assert_int_equal(store_mark(store, "redis", 1, MARK_PROVEN, ""), 0);
    for (int i = 0; i < 2; i++, open_again()) {
        c = store_find(store, "redis", 1);
        assert_true(c->proven && !c->unprovable);
    }
    assert_int_equal(store_mark(store, "redis", 1, MARK_UNPROVABLE, "x"), 0);
    open_again();
    assert_false(store_find(store, "redis", 1)->proven);
    assert_int_equal(store_unmark(store, "redis", 1, MARK_PINNED), 0);
    assert_false(store_find(store, "redis", 1)->pinned);
    assert_false(exists("redis/1.pinned"));
    assert_int_equal(store_unmark(store, "redis", 1, MARK_PINNED), 0);
    assert_int_equal(store_unmark(store, "redis", 2, MARK_PINNED), -ENOENT);
    assert_int_equal(store_note_checked(store, "redis", 1), 0);
    open_again();
    assert_true(store_find(store, "redis", 1)->checked_realtime > 1700000000123457);
}

/* Images of another key are not ours. */
static void keys_decide(void **state)
{
    _cleanup_free_ char *path = fs_join(folder, "keys"), *why = NULL;
    struct keys *keys;

    commit("redis");
    assert_int_equal(keys_read_or_make(path, &keys), 0);
    assert_int_equal(store_unlock(store, keys), 0);
    assert_ptr_equal(store_keys(store), keys);
    assert_int_equal(store_find(store, "redis", 1)->state, CHECKPOINT_CORRUPT);
    assert_true(store_find(store, "redis", 1)->foreign);
    assert_int_equal(store_why(store, store_find(store, "redis", 1), "redis", &why), 0);
    assert_string_equal(why, "it is sealed with a key that is not in the key file");
    open_again();
    assert_int_equal(store_find(store, "redis", 1)->state, CHECKPOINT_WHOLE);
    assert_false(store_find(store, "redis", 1)->foreign);
}

/* Our own trouble is no damage, and half a list is worse than the old one. */
static void trouble_in_reading_changes_nothing(void **state)
{
    struct rlimit old, none;
    size_t count;
    int r;

    commit("redis");
    commit_child("redis", 1);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    /* Enough for the service's folder and a checkpoint's, not for the manifest in it. */
    none = (struct rlimit){.rlim_cur = (rlim_t)store_fd(store) + 1, .rlim_max = old.rlim_max};
    for (int more = 0; more < 3; more++, none.rlim_cur++) {
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
        r = store_reload(store, "redis");
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
        assert_int_equal(r, -EMFILE);
        store_list(store, "redis", &count);
        assert_int_equal(count, 2);
        assert_int_equal(store_find(store, "redis", 2)->state, CHECKPOINT_WHOLE);
    }
}

static void children_share_the_fate(void **state)
{
    _cleanup_free_ char *third = NULL, *fifth = NULL;

    commit("redis");          /* 1 */
    commit_child("redis", 1); /* 2 */
    commit_child("redis", 2); /* 3 */
    commit("redis");          /* 4 */
    commit_child("redis", 9); /* 5 */
    commit_child("redis", 6); /* 6: its own parent */
    assert_int_equal(store_find(store, "redis", 3)->parent, 2);
    assert_int_equal(store_find(store, "redis", 3)->state, CHECKPOINT_WHOLE);
    assert_int_equal(store_find(store, "redis", 5)->state, CHECKPOINT_CORRUPT);
    assert_int_equal(store_find(store, "redis", 6)->state, CHECKPOINT_CORRUPT);
    assert_int_equal(store_mark(store, "redis", 1, MARK_CORRUPT, "flipped bit"), 0);
    for (int i = 0; i < 2; i++, open_again()) {
        assert_int_equal(store_find(store, "redis", 2)->state, CHECKPOINT_CORRUPT);
        assert_int_equal(store_find(store, "redis", 3)->state, CHECKPOINT_CORRUPT);
        assert_int_equal(store_newest(store, "redis")->number, 4);
    }
    assert_false(exists("redis/2.corrupt"));
    assert_int_equal(store_why(store, store_find(store, "redis", 3), "redis", &third), 0);
    assert_string_equal(third, "its parent redis@2 is corrupt");
    assert_int_equal(store_why(store, store_find(store, "redis", 5), "redis", &fifth), 0);
    assert_string_equal(fifth, "its parent redis@9 is missing");
    /* Marked by mistake: all are back. */
    assert_int_equal(store_unmark(store, "redis", 1, MARK_CORRUPT), 0);
    assert_int_equal(store_find(store, "redis", 3)->state, CHECKPOINT_WHOLE);
}

static const struct retention_rules two = {.keep = 2}, nothing = {0};

/* Whoever reads one holds a shared lock on it: it stays, and goes the next time. */
static void readers_are_left_alone(void **state)
{
    _cleanup_close_ int reader = -1;
    size_t count;

    for (int i = 0; i < 5; i++)
        commit("redis");
    reader = store_open_image(store, "redis", 2);
    assert_int_equal(flock(reader, LOCK_SH), 0);
    assert_int_equal(store_remove(store, "redis", 2), -EBUSY);
    assert_int_equal(store_prune(store, "redis", &two, 0), 0);
    store_list(store, "redis", &count);
    assert_int_equal(count, 3);
    assert_non_null(store_find(store, "redis", 2));
    assert_true(exists("redis/2/manifest.json"));
    fd_close(TAKE_FD(reader));
    assert_int_equal(store_prune(store, "redis", &two, 0), 0);
    store_list(store, "redis", &count);
    assert_int_equal(count, 2);
}

static void prune_keeps_parents_and_pinned_ones(void **state)
{
    size_t count;

    commit("redis");          /* 1 */
    commit_child("redis", 1); /* 2 */
    commit("redis");          /* 3 */
    commit("redis");          /* 4 */
    commit_child("redis", 2); /* 5 */
    assert_int_equal(store_mark(store, "redis", 3, MARK_PINNED, ""), 0);
    assert_int_equal(store_prune(store, "redis", &nothing, 0), 0);
    store_list(store, "redis", &count);
    assert_int_equal(count, 4);
    assert_null(store_find(store, "redis", 4));
}

static void removal_takes_the_marks(void **state)
{
    commit("redis");
    for (int mark = 0; mark < MARK_COUNT; mark++)
        assert_int_equal(store_mark(store, "redis", 1, (enum checkpoint_mark)mark, "x"), 0);
    assert_int_equal(store_remove(store, "redis", 1), 0);
    assert_false(exists("redis/1"));
    assert_false(exists("redis/1.pinned") || exists("redis/1.proven"));
    assert_false(exists("redis/1.unprovable") || exists("redis/1.checked"));
    assert_false(exists("redis/1.poisoned"));
    assert_false(exists("redis/" LAYOUT_STAGING "1"));
    assert_int_equal(store_remove(store, "redis", 1), -ENOENT);
}

/* A worker has committed and ended, and its end was not noticed yet. */
static void removal_never_takes_a_parent(void **state)
{
    commit("redis");
    write_child("redis", 1);
    assert_int_equal(store_remove(store, "redis", 1), -EBUSY);
    assert_int_equal(store_reload(store, "redis"), 0);
    assert_int_equal(store_remove(store, "redis", 1), -EBUSY);
    assert_int_equal(store_remove(store, "redis", 2), 0);
    assert_int_equal(mknodat(store_fd(store), "redis/7", S_IFREG | 0600, 0), 0); /* no checkpoint */
    assert_int_equal(store_remove(store, "redis", 1), 0);
}

static void prune_keeps_the_newest_whole_ones(void **state)
{
    size_t count;
    const struct checkpoint *list;

    for (int i = 0; i < 8; i++)
        commit("redis");
    for (uint64_t i = 1; i <= 8; i += 2)
        assert_int_equal(store_mark(store, "redis", i, MARK_POISONED, "x"), 0);
    assert_int_equal(store_prune(store, "redis", &two, 0), 0);
    list = store_list(store, "redis", &count);
    assert_int_equal(count, 4);
    assert_int_equal(list[0].number, 5);
    assert_int_equal(list[1].number, 6);
    assert_int_equal(list[2].number, 7);
    assert_int_equal(list[3].number, 8);
    assert_int_equal(store_prune(store, "redis", &nothing, 0), 0);
    assert_int_equal(store_newest(store, "redis")->number, 8);
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

static int count(const char *name, enum folder_kind kind, uint64_t number, bool is_held,
                 void *userdata)
{
    if (kind != FOLDER_STAGING)
        return 0;
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

static int sweep(const char *name, enum folder_kind kind, uint64_t number, bool is_held,
                 void *userdata)
{
    return is_held ? 0 : store_sweep(store, name, kind, number);
}

/* A re-base or an unpacking that died leaves its folder only: its checkpoint lives. */
static void sweeps_what_nobody_holds(void **state)
{
    _cleanup_close_ int lock = -1;

    commit("redis");
    assert_int_equal(store_mark(store, "redis", 1, MARK_PINNED, ""), 0);
    assert_int_equal(mkdirat(store_fd(store), "redis/" LAYOUT_REBASE "1", 0700), 0);
    assert_int_equal(mkdirat(store_fd(store), "redis/" LAYOUT_UNPACK "1", 0700), 0);
    assert_int_equal(mkdirat(store_fd(store), "redis/" LAYOUT_UNPACK "1/x", 0700), 0);
    assert_int_equal(mkdirat(store_fd(store), "redis/" LAYOUT_REBASE "2", 0700), 0);
    assert_int_equal(mkdirat(store_fd(store), "redis/" LAYOUT_REBASE "03", 0700), 0);
    lock = openat(store_fd(store), "redis/" LAYOUT_REBASE "2", O_RDONLY | O_CLOEXEC);
    assert_int_equal(flock(lock, LOCK_EX), 0);
    assert_int_equal(staging_each(store_fd(store), "redis", sweep, NULL), 0);
    assert_false(exists("redis/" LAYOUT_REBASE "1") || exists("redis/" LAYOUT_UNPACK "1"));
    assert_true(exists("redis/" LAYOUT_REBASE "2") && exists("redis/" LAYOUT_REBASE "03"));
    assert_true(exists("redis/1.pinned") && exists("redis/1/manifest.json"));
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
        cmocka_unit_test_setup_teardown(other_marks, setup, teardown),
        cmocka_unit_test_setup_teardown(keys_decide, setup, teardown),
        cmocka_unit_test_setup_teardown(trouble_in_reading_changes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(children_share_the_fate, setup, teardown),
        cmocka_unit_test_setup_teardown(readers_are_left_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(prune_keeps_parents_and_pinned_ones, setup, teardown),
        cmocka_unit_test_setup_teardown(sweeps_what_nobody_holds, setup, teardown),
        cmocka_unit_test_setup_teardown(removal_takes_the_marks, setup, teardown),
        cmocka_unit_test_setup_teardown(removal_never_takes_a_parent, setup, teardown),
        cmocka_unit_test_setup_teardown(prune_keeps_the_newest_whole_ones, setup, teardown),
        cmocka_unit_test(ids),
        cmocka_unit_test_setup_teardown(tells_workers_from_leftovers, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
