/* test_proc.c - identities, exit statuses and times of real processes. */
#include "common/proc.h"

#include "common/cleanup.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <cmocka.h>

static void own_stat(void **state)
{
    uint64_t start = 0;
    pid_t parent = 0;
    char letter = 0;

    /* a name that tries to look like the fields after it */
    assert_int_equal(prctl(PR_SET_NAME, "x) S 1 (", 0, 0, 0), 0);
    assert_int_equal(proc_stat(getpid(), &start, &parent, &letter), 0);
    assert_int_equal(parent, getppid());
    assert_int_equal(letter, 'R');
    assert_true(start > 0);
    assert_int_equal(proc_stat(0x3fffffff, NULL, NULL, NULL), -ESRCH);
}

static void open_checks_identity(void **state)
{
    struct proc_id id = {getpid(), 0};
    _cleanup_close_ int fd = -1;

    assert_int_equal(proc_stat(id.pid, &id.start_time, NULL, NULL), 0);
    fd = proc_open(&id);
    assert_true(fd >= 0);
    id.start_time++;
    assert_int_equal(proc_open(&id), -ESRCH);
}

static void exit_status_after_reaping(void **state)
{
    _cleanup_close_ int fd = -1;
    struct pollfd poll_fd;
    int status, told;
    pid_t pid;

    pid = fork();
    if (pid == 0)
        _exit(7);
    fd = proc_open(&(struct proc_id){pid, 0});
    assert_true(fd >= 0);
    poll_fd = (struct pollfd){fd, POLLIN, 0};
    assert_int_equal(poll(&poll_fd, 1, 5000), 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (proc_exit_status(fd, &told) == PROC_EXIT_UNKNOWN) {
        print_message("this kernel (< 6.15) cannot tell exit statuses: %s\n", "not tested");
        skip();
    }
    assert_int_equal(told, status);
}

static void times_are_rfc3339(void **state)
{
    char buf[RFC3339_SIZE];

    assert_string_equal(format_rfc3339(0, buf), "1970-01-01T00:00:00.000Z");
    assert_string_equal(format_rfc3339(1700000000123456, buf), "2023-11-14T22:13:20.123Z");
}

static void boot_id_is_hex(void **state)
{
    char id[BOOT_ID_LEN + 1];

    assert_int_equal(proc_boot_id(id), 0);
    assert_int_equal(strspn(id, "0123456789abcdef"), BOOT_ID_LEN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_stat),
        cmocka_unit_test(open_checks_identity),
        cmocka_unit_test(exit_status_after_reaping),
        cmocka_unit_test(times_are_rfc3339),
        cmocka_unit_test(boot_id_is_hex),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
