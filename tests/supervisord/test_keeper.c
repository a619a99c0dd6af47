/* test_keeper.c - the keeper without root: process groups instead of cgroups, a fake restore
 * worker. */
#include "tests/supervisord/keeper_harness.h"

#include "common/cleanup.h"
#include "common/fs.h"
#include "common/proc.h"
#include "common/worker_abi.h"
#include "supervisord/orphan.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

static struct harness h;

static int setup(void **state)
{
    harness_start(&h);
    return 0;
}

static int teardown(void **state)
{
    harness_stop(&h);
    return 0;
}

static void test_first_start(void **state)
{
    struct keeper_record record = harness_receive(&h, NULL);

    assert_int_equal(record.type, KEEPER_TABLE_END);
    assert_int_equal(record.value, 1);
    assert_int_equal(record.request, 0);
    assert_int_equal(harness_quit(&h), 3);
}

static void test_spawn_exit_ack(void **state)
{
    struct keeper_record record;

    harness_spawn(&h, "one", "echo out; echo err >&2; exit 7");
    record = harness_expect(&h, KEEPER_SPAWNED);
    assert_string_equal(record.name, "one");
    assert_true(record.pid > 0 && record.start_time > 0 && record.pipe_inode[0] > 0);
    assert_int_equal(record.pipe_inode[0], record.pipe_inode[1]);
    assert_int_equal(record.request, 1);
    record = harness_expect(&h, KEEPER_EXITED);
    assert_int_equal(record.code, CLD_EXITED);
    assert_int_equal(record.value, 7);
    assert_true(record.flags & KEEPER_EMPTY);
    assert_int_equal(kill(record.pid, 0), -1); /* reaped before it was told */
    assert_true(harness_log_is(&h, "one", "out\nerr\n"));
    harness_send(&h, KEEPER_ACK, "one", 0, 0);
    harness_kill_engine(&h);
    record = harness_expect(&h, KEEPER_SLOT);
    assert_int_equal(record.state, SLOT_DOWN);
    assert_int_equal(harness_expect(&h, KEEPER_TABLE_END).request, 2);
}

static void test_exec_failure(void **state)
{
    char log[128], *argv[] = {"none", NULL}, *env[] = {NULL};
    struct keeper_record record;
    struct spawn_request spec;

    harness_fill(&h, &spec, "none", log);
    spec.program = "/nonexistent/program";
    spec.argv = argv;
    spec.env = env;
    harness_send_spec(&h, KEEPER_SPAWN, "none", &spec, 1);
    record = harness_expect(&h, KEEPER_SPAWN_FAILED);
    assert_int_equal(record.stage, SPAWN_EXEC);
    assert_int_equal(record.value, ENOENT);
    spec.program = "/bin/sh";
    spec.workdir = "/nonexistent";
    harness_send_spec(&h, KEEPER_SPAWN, "none", &spec, 2);
    record = harness_expect(&h, KEEPER_SPAWN_FAILED);
    assert_int_equal(record.stage, SPAWN_CHDIR);
    spec.target[0] = "/proc/nonexistent/log";
    harness_send_spec(&h, KEEPER_SPAWN, "none", &spec, 3);
    record = harness_expect(&h, KEEPER_SPAWN_FAILED);
    assert_int_equal(record.stage, SPAWN_LOG);
    harness_kill_engine(&h); /* nobody has acknowledged it: told again, after the table */
    assert_int_equal(harness_expect(&h, KEEPER_SLOT).state, SLOT_SPAWNING);
    assert_int_equal(harness_expect(&h, KEEPER_SPAWN_FAILED).stage, SPAWN_LOG);
}

static void test_never_two(void **state)
{
    struct keeper_record first, record;
    uint64_t request = harness_spawn(&h, "one", "exec sleep 100");

    first = harness_expect(&h, KEEPER_SPAWNED);
    harness_spawn(&h, "one", "exec sleep 100");
    do {
        record = harness_receive(&h, NULL);
    } while (record.type != KEEPER_REFUSED);
    assert_int_equal(record.value, EBUSY);
    assert_int_equal(record.request, request + 1);
    h.request = request - 1; /* the same number again */
    harness_spawn(&h, "one", "exec sleep 100");
    record = harness_expect(&h, KEEPER_SPAWNED);
    assert_int_equal(record.pid, first.pid);
    harness_send(&h, KEEPER_SIGNAL, "one", SIGTERM, 0);
    record = harness_expect(&h, KEEPER_EXITED);
    assert_int_equal(record.code, CLD_KILLED);
    assert_int_equal(record.value, SIGTERM);
}

static void test_engine_death(void **state)
{
    struct keeper_record record;
    uint64_t before;
    pid_t pid;

    harness_spawn(&h, "one", "read x < /nonexistent; exec sleep 100");
    pid = harness_expect(&h, KEEPER_SPAWNED).pid;
    before = now_boottime_usec();
    harness_kill_engine(&h);
    record = harness_expect(&h, KEEPER_SLOT);
    assert_true(now_boottime_usec() - before < 500 * USEC_PER_MSEC); /* 100 ms without sanitizers */
    assert_int_equal(record.state, SLOT_RUNNING);
    assert_int_equal(record.pid, pid);
    /* An exit that nobody could hear. */
    kill(h.engine, SIGSTOP);
    kill(pid, SIGKILL);
    harness_kill_engine(&h);
    record = harness_expect(&h, KEEPER_SLOT);
    if (record.state == SLOT_RUNNING) /* the engine was quicker than the exit */
        assert_int_equal(record.pid, pid);
    record = harness_expect(&h, KEEPER_EXITED);
    assert_int_equal(record.code, CLD_KILLED);
    assert_int_equal(record.value, SIGKILL);
    assert_int_equal(kill(pid, 0), -1);
}

static void test_keeper_death(void **state)
{
    struct keeper_record record;
    pid_t pid;

    harness_spawn(&h, "one",
                  "echo a; read x < /proc/$$/fd/0; trap 'echo b; exit 5' TERM; "
                  "while :; do sleep 0.01; done");
    pid = harness_expect(&h, KEEPER_SPAWNED).pid;
    harness_wait_log(&h, "one", "a\n");
    harness_kill_keeper(&h);
    assert_int_equal(kill(pid, 0), 0);
    harness_start_keeper(&h);
    harness_accept_engine(&h);
    record = harness_expect(&h, KEEPER_SLOT);
    assert_int_equal(record.state, SLOT_RUNNING);
    assert_int_equal(record.pid, pid);
    assert_true(record.flags & KEEPER_ADOPTED);
    assert_true(record.pipe_inode[0] > 0);
    assert_int_equal(harness_expect(&h, KEEPER_TABLE_END).request, 1);
    h.request = 1;
    harness_send_text(&h, KEEPER_MARK, "one", "-- mark --");
    harness_send(&h, KEEPER_SIGNAL, "one", SIGTERM, 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid); /* we are its reaper now */
    record = harness_expect(&h, KEEPER_EXITED);
    if (!(record.flags & KEEPER_STATUS_UNKNOWN))
        assert_int_equal(record.value, 5);
    assert_true(harness_log_is(&h, "one", "a\n-- mark --\nb\n"));
}

static void test_service_and_keeper_death(void **state)
{
    struct keeper_record record;
    pid_t pid;

    harness_spawn(&h, "one", "exec sleep 100");
    pid = harness_expect(&h, KEEPER_SPAWNED).pid;
    harness_kill_keeper(&h);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    harness_start_keeper(&h);
    harness_accept_engine(&h);
    assert_int_equal(harness_expect(&h, KEEPER_SLOT).state, SLOT_EXITED);
    record = harness_expect(&h, KEEPER_EXITED);
    assert_true(record.flags & KEEPER_STATUS_UNKNOWN);
    assert_true(record.flags & KEEPER_EMPTY);
}

static void test_restore(void **state)
{
    struct keeper_record record;

    harness_restore(&h, "one", "ok");
    record = harness_expect(&h, KEEPER_RESTORED);
    assert_int_equal(record.restore_usec, 1234);
    assert_true(record.pid > 0 && record.start_time > 0);
    harness_send(&h, KEEPER_SIGNAL, "one", SIGTERM, 0);
    record = harness_expect(&h, KEEPER_EXITED);
    assert_int_equal(record.code, CLD_EXITED);
    assert_int_equal(record.value, 42);
    assert_true(harness_log_is(&h, "one", "restored\n"));
}

static void test_restored_and_dead_before_the_report(void **state)
{
    struct keeper_record record;

    harness_restore(&h, "one", "dead");
    assert_true(harness_expect(&h, KEEPER_RESTORED).pid > 0);
    record = harness_expect(&h, KEEPER_EXITED);
    assert_int_equal(record.code, CLD_EXITED);
    assert_int_equal(record.value, 43);
}

static void test_restore_failures(void **state)
{
    struct keeper_record record;

    harness_restore(&h, "one", "corrupt");
    record = harness_expect(&h, KEEPER_RESTORE_FAILED);
    assert_int_equal(record.value, WORKER_CORRUPT);
    assert_string_equal(record.text, "pages-1.img: wrong hash\nuse an older one");
    harness_restore(&h, "one", "mute");
    record = harness_expect(&h, KEEPER_RESTORE_FAILED);
    assert_int_equal(record.value, WORKER_INTERRUPTED);
    assert_non_null(strstr(record.text, "signal 9"));
    harness_send(&h, KEEPER_ACK, "one", 0, 0);
    harness_spawn(&h, "one", "exit 0"); /* nothing was left: a start is possible */
    assert_int_equal(harness_expect(&h, KEEPER_EXITED).value, 0);
}

static void test_children_stay(void **state)
{
    struct keeper_record record;

    harness_spawn(&h, "one", "sleep 100 & exit 1");
    record = harness_expect(&h, KEEPER_EXITED);
    assert_false(record.flags & KEEPER_EMPTY);
    harness_send(&h, KEEPER_ACK, "one", 0, 0);
    harness_send(&h, KEEPER_KILL, "one", 0, 0);
    harness_expect(&h, KEEPER_EMPTIED);
    harness_send(&h, KEEPER_KILL, "one", 0, 0); /* nothing there: still an answer */
    harness_expect(&h, KEEPER_EMPTIED);
    harness_send(&h, KEEPER_FORGET, "one", 0, 0);
    harness_kill_engine(&h);
    assert_int_equal(harness_receive(&h, NULL).type, KEEPER_TABLE_END); /* no slot before it */
}

static void test_full_channel(void **state)
{
    struct keeper_record record;
    int exits = 0;

    for (int i = 0; i < 40; i++) {
        char name[16];

        (void)snprintf(name, sizeof(name), "s%d", i);
        harness_spawn(&h, name, "exit 1");
    }
    usleep(300000); /* we read nothing: the socket is full, nothing is lost */
    while (exits < 40) {
        record = harness_receive(&h, NULL);
        exits += record.type == KEEPER_EXITED;
    }
}

static void test_signals(void **state)
{
    struct keeper_record record;

    harness_expect(&h, KEEPER_TABLE_END);
    harness_send(&h, KEEPER_READY, "", 0, 0);
    kill(h.keeper, SIGHUP);
    harness_expect(&h, KEEPER_RELOAD);
    kill(h.keeper, SIGTERM);
    record = harness_expect(&h, KEEPER_TERMINATE);
    assert_false(record.flags & KEEPER_LEAVE_RUNNING);
    harness_kill_engine(&h); /* the next one is told too, and that this is no first start */
    assert_int_equal(harness_expect(&h, KEEPER_TABLE_END).value, 0);
    harness_expect(&h, KEEPER_TERMINATE);
    kill(h.keeper, SIGQUIT);
    record = harness_expect(&h, KEEPER_TERMINATE);
    assert_true(record.flags & KEEPER_LEAVE_RUNNING);
}

static void test_leave_running(void **state)
{
    struct keeper_record record;
    int status;
    pid_t pid;

    harness_spawn(&h, "one", "exec sleep 100");
    pid = harness_expect(&h, KEEPER_SPAWNED).pid;
    harness_send(&h, KEEPER_QUIT, "", 0, KEEPER_LEAVE_RUNNING);
    assert_int_equal(waitpid(h.keeper, &status, 0), h.keeper);
    assert_int_equal(status, 0);
    assert_int_equal(kill(pid, 0), 0);
    assert_int_equal(kill(h.engine, 0), 0); /* it pumps until the next keeper ends it */
    harness_start_keeper(&h);
    harness_accept_engine(&h);
    record = harness_expect(&h, KEEPER_SLOT);
    assert_int_equal(record.state, SLOT_RUNNING);
    assert_int_equal(record.pid, pid);
}

static void test_bad_requests(void **state)
{
    static const char *const names[] = {"../x", "", "unknown"};
    struct keeper_record record;

    for (size_t i = 0; i < ELEMENTS(names); i++) {
        harness_send(&h, KEEPER_SIGNAL, names[i], SIGTERM, 0);
        do {
            record = harness_receive(&h, NULL);
        } while (record.type != KEEPER_REFUSED);
        assert_int_equal(record.request, h.request);
        assert_int_equal(record.value, i < 2 ? EINVAL : ENOENT);
    }
    harness_send(&h, KEEPER_SPAWN, "one", 0, 0); /* no descriptor */
    do {
        record = harness_receive(&h, NULL);
    } while (record.type != KEEPER_REFUSED);
    assert_int_equal(record.value, EBADMSG);
    assert_int_equal(send(h.channel, "short", 5, 0), 5); /* logged, and life goes on */
    harness_spawn(&h, "one", "exit 0");
    assert_int_equal(harness_expect(&h, KEEPER_EXITED).value, 0);
}

static void test_second_instance(void **state)
{
    pid_t first = h.keeper;
    int status;

    harness_receive(&h, NULL);
    harness_start_keeper(&h);
    assert_int_equal(waitpid(h.keeper, &status, 0), h.keeper);
    assert_int_equal(WEXITSTATUS(status), 1);
    h.keeper = first;
    assert_int_equal(harness_quit(&h), 3);
}

static void test_orphan_pumps(void **state)
{
    struct orphan *orphan;
    char path[200];
    struct stat st = {0};
    int streams = 0, status;
    pid_t pid, pump;

    assert_int_equal(orphan_new(&orphan), 0);
    /* More than a pipe holds: it blocks unless somebody pumps. */
    harness_spawn(&h, "one", "read x; yes 0123456789abcde | head -n 20000; exit 0");
    while (streams < 2) {
        int fd;
        struct keeper_record record = harness_receive(&h, &fd);

        if (record.type == KEEPER_STREAM) {
            assert_int_equal(orphan_note(orphan, &record, fd), 0);
            streams++;
        }
    }
    pid = harness_expect(&h, KEEPER_SPAWNED).pid;
    harness_kill_keeper(&h);
    pump = fork();
    if (pump == 0) {
        sigset_t term;

        sigemptyset(&term);
        sigaddset(&term, SIGTERM);
        sigprocmask(SIG_BLOCK, &term, NULL);
        _exit(orphan_run(orphan) == 0 ? 0 : 1);
    }
    orphan_free(orphan);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(waitpid(pump, &status, 0), pump); /* the last writer is gone: so is it */
    assert_int_equal(status, 0);
    (void)snprintf(path, sizeof(path), "%s/one.log", h.root);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 20000 * 16);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_first_start, setup, teardown),
        cmocka_unit_test_setup_teardown(test_spawn_exit_ack, setup, teardown),
        cmocka_unit_test_setup_teardown(test_exec_failure, setup, teardown),
        cmocka_unit_test_setup_teardown(test_never_two, setup, teardown),
        cmocka_unit_test_setup_teardown(test_engine_death, setup, teardown),
        cmocka_unit_test_setup_teardown(test_keeper_death, setup, teardown),
        cmocka_unit_test_setup_teardown(test_service_and_keeper_death, setup, teardown),
        cmocka_unit_test_setup_teardown(test_restore, setup, teardown),
        cmocka_unit_test_setup_teardown(test_restored_and_dead_before_the_report, setup, teardown),
        cmocka_unit_test_setup_teardown(test_restore_failures, setup, teardown),
        cmocka_unit_test_setup_teardown(test_children_stay, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full_channel, setup, teardown),
        cmocka_unit_test_setup_teardown(test_signals, setup, teardown),
        cmocka_unit_test_setup_teardown(test_leave_running, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_requests, setup, teardown),
        cmocka_unit_test_setup_teardown(test_second_instance, setup, teardown),
        cmocka_unit_test_setup_teardown(test_orphan_pumps, setup, teardown),
    };

    harness_main(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
