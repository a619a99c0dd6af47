/* test_keeper_slot.c - the table comes back as it was written, and never as somebody else's. */
#include "supervisord/keeper_slot.h"

#include "common/cleanup.h"
#include "common/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static char folder[32];
static int dirfd_;
static struct table table;

static int setup(void **state)
{
    struct table_header previous;

    strcpy(folder, "/tmp/perdure-test-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    dirfd_ = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (table_open(&table, dirfd_, &previous) != 0 || previous.magic != 0)
        return -1;
    table.header.engine = (struct proc_id){.pid = 77, .start_time = 5};
    return table_save_header(&table);
}

static int teardown(void **state)
{
    table_done(&table);
    close(dirfd_);
    return fs_remove_all(AT_FDCWD, folder);
}

static void fill(void)
{
    struct slot *slot;

    assert_int_equal(table_add(&table, "one", &slot), 0);
    slot->saved.record.state = SLOT_RUNNING;
    slot->saved.record.pid = 11;
    assert_int_equal(slot_save(&table, slot), 0);
    assert_int_equal(table_add(&table, "two", &slot), 0);
    slot->saved.record.state = SLOT_EXITED;
    strcpy(slot->saved.target[1], "/var/log/two");
    assert_int_equal(slot_save(&table, slot), 0);
    assert_int_equal(table_add(&table, "three", &slot), 0);
    assert_int_equal(slot_save(&table, slot), 0);
}

static int reopen(struct table_header *previous)
{
    int r;

    table_done(&table);
    r = table_open(&table, dirfd_, previous);
    return r != 0 ? r : table_load(&table);
}

static void test_comes_back(void **state)
{
    struct table_header previous;
    struct slot *slot;

    fill();
    assert_null(table_drop(&table, table_find(&table, "three")));
    assert_int_equal(reopen(&previous), 0);
    assert_int_equal(previous.engine.pid, 77);
    assert_int_equal(previous.engine.start_time, 5);
    slot = table_find(&table, "one");
    assert_non_null(slot);
    assert_int_equal(slot->saved.record.pid, 11);
    assert_int_equal(slot->pidfd, -1);
    slot = table_find(&table, "two");
    assert_int_equal(slot->saved.record.state, SLOT_EXITED);
    assert_string_equal(slot->saved.target[1], "/var/log/two");
    assert_null(table_find(&table, "three"));
    assert_int_equal(table_add(&table, "four", &slot), 0);
    assert_int_equal(slot->index, 2); /* the dropped one's page is used again */
}

static void test_other_boot_or_layout(void **state)
{
    struct table_header previous;

    fill();
    table.header.boot_id[3] ^= 1;
    assert_int_equal(table_save_header(&table), 0);
    assert_int_equal(reopen(&previous), TABLE_OLD);
    assert_int_equal(previous.engine.pid, 0); /* a pid of another boot is nobody's */
    assert_int_equal(table_load(&table), 0);
    assert_int_equal(table.count, 0);
    table.header.slot_size++;
    assert_int_equal(table_save_header(&table), 0);
    assert_int_equal(reopen(&previous), TABLE_OLD);
}

static void damage(off_t at, const void *data, size_t size)
{
    int fd = openat(dirfd_, DIRS_TABLE, O_WRONLY | O_CLOEXEC);

    assert_int_equal(pwrite(fd, data, size, at), size);
    close(fd);
}

static void test_damaged_slots_are_skipped(void **state)
{
    struct table_header previous;
    char x[sizeof(struct slot_saved)];

    fill();
    memset(x, 'x', sizeof(x));
    damage(SLOT_PAGE + offsetof(struct slot_saved, record.name), x, sizeof(previous.boot_id) * 4);
    damage(2 * SLOT_PAGE + offsetof(struct slot_saved, target), x, 2 * SLOT_TARGET_MAX);
    damage(3 * SLOT_PAGE + offsetof(struct slot_saved, record.name), "../x", 5);
    assert_int_equal(reopen(&previous), 0);
    assert_null(table_find(&table, "one"));
    assert_null(table_find(&table, "two"));
    assert_int_equal(table.count, 0);
}

static void test_full(void **state)
{
    struct slot *slot;
    char name[16];

    for (int i = 0; i < SLOTS_MAX; i++) {
        (void)snprintf(name, sizeof(name), "s%d", i);
        assert_int_equal(table_add(&table, name, &slot), 0);
    }
    assert_int_equal(table_add(&table, "more", &slot), -ENOSPC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_other_boot_or_layout, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged_slots_are_skipped, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
