/* test_record.c - what is written is what comes back; anything else counts as nothing. */
#include "supervisord/record.h"

#include "common/cleanup.h"
#include "common/fs.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static char folder[] = "/tmp/test-record-XXXXXX";
static int dirfd_;

static int set_up(void **state)
{
    if (!mkdtemp(folder))
        return -1;
    dirfd_ = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return dirfd_ < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
    close(dirfd_);
    return fs_remove_all(AT_FDCWD, folder);
}

static void round_trip(void **state)
{
    const struct policy policy = {.ladder = {RUNG_NEWEST}, .ladder_len = 1};
    struct record record = {.work_lost_usec = 77}, back;
    struct service svc, again;

    service_init(&svc, &policy);
    svc.desired_up = true;
    svc.restarts = 3;
    svc.restored_number = 42;
    svc.up_since = 1234;
    svc.exit = (struct service_exit){true, CLD_KILLED, SIGKILL};
    svc.ever_exited = true;
    record_from_service(&record, &svc);
    for (int durable = 0; durable < 2; durable++) {
        assert_int_equal(record_write(dirfd_, "redis", &record, durable), 0);
        assert_int_equal(record_read(dirfd_, "redis", &back), 0);
        assert_memory_equal(&record, &back, sizeof(record));
    }
    service_init(&again, &policy);
    record_to_service(&back, true, &again);
    assert_true(again.desired_up);
    assert_int_equal(again.restarts, 3);
    assert_int_equal(again.up_since, 1234);
    assert_int_equal(again.exit.status, SIGKILL);
    /* after a reboot the clock's values mean nothing */
    service_init(&again, &policy);
    record_to_service(&back, false, &again);
    assert_true(again.desired_up);
    assert_int_equal(again.up_since, 0);
}

static void nothing_there(void **state)
{
    struct record back;

    assert_int_equal(record_read(dirfd_, "nobody", &back), RECORD_NONE);
    assert_int_equal(record_remove(dirfd_, "nobody"), 0);
}

static void garbage_is_nothing(void **state)
{
    struct record back, wrong = {.magic = RECORD_MAGIC, .size = sizeof(wrong)};

    assert_int_equal(fs_replace(dirfd_, "cut.state", "abc", 3, 0600), 0);
    assert_int_equal(record_read(dirfd_, "cut", &back), RECORD_NONE);
    wrong.state = SERVICE_STATE_COUNT;
    assert_int_equal(record_write(dirfd_, "odd", &wrong, false), 0);
    assert_int_equal(record_read(dirfd_, "odd", &back), RECORD_NONE);
}

/* A deliberate cold start forbids the memory of before it, in this boot and in the next ones. */
static void floor_(void **state)
{
    struct record record = {0};

    assert_false(record_forbids_image(&record, 5000, 50));
    record.floor_boot = 100;
    record.floor_realtime = 9000;
    assert_true(record_forbids_image(&record, 8999, 99));
    assert_true(record_forbids_image(&record, 8000, 0)); /* of an earlier boot */
    assert_false(record_forbids_image(&record, 1, 101)); /* the wall clock was set back */
    record.floor_boot = 0;                               /* the next boot */
    assert_true(record_forbids_image(&record, 8999, 0));
    assert_false(record_forbids_image(&record, 9001, 0));
}

/* An unsynced write goes into the file that is there: no rename that a power loss could leave as an
 * empty file, and no space needed. */
static void fast_write_is_in_place(void **state)
{
    struct record record = {.magic = RECORD_MAGIC, .size = sizeof(record)};
    struct stat before, after;

    assert_int_equal(record_write(dirfd_, "fast", &record, true), 0);
    assert_int_equal(fstatat(dirfd_, "fast.state", &before, 0), 0);
    record.restarts = 9;
    assert_int_equal(record_write(dirfd_, "fast", &record, false), 0);
    assert_int_equal(fstatat(dirfd_, "fast.state", &after, 0), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    record.restarts = 0;
    assert_int_equal(record_read(dirfd_, "fast", &record), 0);
    assert_int_equal(record.restarts, 9);
}

/* Back to image 4 at boot time 600: what was taken between it and then is of a past that was given
 * up. */
static void branch(void **state)
{
    struct record record = {.floor_boot = 500,
                            .floor_realtime = 1000,
                            .attempt_number = 4,
                            .attempt_time_realtime = 900};

    assert_false(record_gave_up_image(&record, 5, 1050, 550));
    record_note_branch(&record, 600, 1100);
    assert_false(record_gave_up_image(&record, 4, 900, 400));
    assert_true(record_gave_up_image(&record, 5, 1050, 550));
    assert_true(record_gave_up_image(&record, 9, 1100, 600));
    assert_false(record_gave_up_image(&record, 10, 1101, 601));
    assert_false(record_forbids_image(&record, 900, 400)); /* behind the cold start, by wish */
    record.branch_boot = 0; /* another boot: only the wall clock is left */
    assert_true(record_gave_up_image(&record, 5, 1050, 0));
    assert_false(record_gave_up_image(&record, 10, 1101, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(nothing_there),
        cmocka_unit_test(garbage_is_nothing),
        cmocka_unit_test(branch),
        cmocka_unit_test(floor_),
        cmocka_unit_test(fast_write_is_in_place),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
