/* test_keeper_cgroup.c - the keeper with real cgroups, as root; says why where it cannot. */
#include "tests/supervisord/keeper_harness.h"

#include "common/cleanup.h"
#include "common/fs.h"
#include "common/proc.h"
#include "common/worker_abi.h"
#include "supervisord/keeper_cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

static struct harness h;
static char cgroup_root[200];

/* Where cgroup2 is mounted, hybrid layouts included; false with the reason printed. */
static bool find_cgroup2(void)
{
    FILE *mounts = setmntent("/proc/self/mounts", "r");
    struct mntent *entry;
    bool found = false;

    while (mounts && !found && (entry = getmntent(mounts)))
        if (strcmp(entry->mnt_type, "cgroup2") == 0) {
            (void)snprintf(cgroup_root, sizeof(cgroup_root), "%s/perdure-test-%d", entry->mnt_dir,
                           (int)getpid());
            found = true;
        }
    if (mounts)
        endmntent(mounts);
    if (!found)
        print_message("skipped: no cgroup2 is mounted here\n");
    else if (mkdir(cgroup_root, 0755) < 0 && errno != EEXIST) {
        print_message("skipped: cannot make %s: %s\n", cgroup_root, strerror(errno));
        found = false;
    }
    return found;
}

static int setup(void **state)
{
    harness_start(&h);
    strcpy(h.cgroup, cgroup_root);
    return 0;
}

static int teardown(void **state)
{
    harness_stop(&h);
    return 0;
}

static bool populated(const char *name)
{
    char path[300];
    struct family family = {.cgroup = path};

    (void)snprintf(path, sizeof(path), "%s/%s", h.cgroup, name);
    return family_populated(&family);
}

static void test_in_its_cgroup(void **state)
{
    struct keeper_record record;
    char path[300];
    struct family family = {.cgroup = path};

    harness_spawn(&h, "one", "setsid sleep 100 & echo up; exec sleep 100");
    record = harness_expect(&h, KEEPER_SPAWNED);
    (void)snprintf(path, sizeof(path), "%s/one", h.cgroup);
    assert_string_equal(record.cgroup, path);
    assert_true(family_has(&family, record.pid));
    harness_wait_log(&h, "one", "up\n");
    harness_send(&h, KEEPER_SIGNAL, "one", SIGTERM, 0);
    record = harness_expect(&h, KEEPER_EXITED);
    assert_false(record.flags & KEEPER_EMPTY); /* the one with a session of its own is left */
    assert_true(populated("one"));
    harness_send(&h, KEEPER_ACK, "one", 0, 0);
    harness_spawn(&h, "one", "exit 0");
    do {
        record = harness_receive(&h, NULL);
    } while (record.type != KEEPER_REFUSED);
    assert_int_equal(record.value, EBUSY);
    harness_send(&h, KEEPER_SIGNAL, "one", SIGTERM, KEEPER_TO_GROUP);
    harness_expect(&h, KEEPER_EMPTIED);
    assert_false(populated("one"));
    harness_send(&h, KEEPER_FORGET, "one", 0, 0);
    harness_kill_engine(&h);
    assert_int_equal(harness_receive(&h, NULL).type, KEEPER_TABLE_END);
    assert_int_not_equal(access(path, F_OK), 0);
}

static void test_main_pid(void **state)
{
    struct keeper_record record;
    char path[300], *end;
    pid_t daemon;

    harness_spawn(&h, "one",
                  "setsid sh -c 'trap \"exit 9\" TERM; echo $$; while :; do sleep 0.01; "
                  "done' & exit 0");
    record = harness_expect(&h, KEEPER_EXITED);
    assert_int_equal(record.value, 0);
    harness_send(&h, KEEPER_ACK, "one", 0, 0);
    (void)snprintf(path, sizeof(path), "%s/one.log", h.root);
    harness_wait_log(&h, "one", "\n");
    {
        char text[32] = {0};
        FILE *f = fopen(path, "r");

        assert_non_null(f);
        assert_non_null(fgets(text, sizeof(text), f));
        fclose(f);
        daemon = (pid_t)strtol(text, &end, 10);
    }
    harness_send(&h, KEEPER_MAIN, "one", getpid(), 0); /* a stranger */
    do {
        record = harness_receive(&h, NULL);
    } while (record.type != KEEPER_REFUSED);
    assert_int_equal(record.value, EPERM);
    harness_send(&h, KEEPER_MAIN, "one", daemon, 0);
    harness_send(&h, KEEPER_SIGNAL, "one", SIGTERM, 0);
    record = harness_expect(&h, KEEPER_EXITED);
    assert_int_equal(record.pid, daemon);
    assert_int_equal(record.value, 9);
}

static void test_half_restored_is_cleared(void **state)
{
    struct keeper_record record;

    harness_restore(&h, "one", "mute");
    record = harness_expect(&h, KEEPER_RESTORE_FAILED);
    assert_non_null(strstr(record.text, "signal 9"));
    assert_false(populated("one"));
    harness_restore(&h, "one", "ok");
    harness_expect(&h, KEEPER_RESTORED);
    assert_true(populated("one"));
    harness_send(&h, KEEPER_KILL, "one", 0, 0);
    record = harness_expect(&h, KEEPER_EXITED);
    assert_int_equal(record.code, CLD_KILLED);
    assert_int_equal(record.value, SIGKILL);
}

static void test_keeper_killed_in_restore(void **state)
{
    struct keeper_record record;

    harness_restore(&h, "one", "hang");
    harness_wait_log(&h, "one", "restored\n");
    harness_kill_keeper(&h);
    assert_true(populated("one"));
    harness_start_keeper(&h);
    harness_accept_engine(&h);
    record = harness_expect(&h, KEEPER_RESTORE_FAILED);
    assert_int_equal(record.value, WORKER_INTERRUPTED);
    assert_false(populated("one"));
    assert_int_equal(record.request, 1);
}

static void test_pid_namespace(void **state)
{
    char log[128], cgroup[300], *env[] = {"PATH=/usr/bin:/bin", NULL};
    char *argv[] = {"sh", "-c", "trap 'exit 4' TERM; echo $$; while :; do sleep 0.01; done", NULL};
    struct keeper_record record;
    struct spawn_request spec;

    if (access(harness_init_path(), X_OK) < 0) {
        print_message("skipped: %s is not built\n", harness_init_path());
        skip();
    }
    harness_fill(&h, &spec, "one", log);
    (void)snprintf(cgroup, sizeof(cgroup), "%s/one", h.cgroup);
    spec.spec.pid_namespace = 1;
    spec.cgroup = cgroup;
    spec.argv = argv;
    spec.env = env;
    harness_send_spec(&h, KEEPER_SPAWN, "one", &spec, 1);
    record = harness_expect(&h, KEEPER_SPAWNED);
    assert_true(record.flags & KEEPER_PID_NAMESPACE);
    harness_wait_log(&h, "one", "2\n");
    harness_send(&h, KEEPER_SIGNAL, "one", SIGTERM, 0);
    record = harness_expect(&h, KEEPER_EXITED);
    assert_int_equal(record.code, CLD_EXITED);
    assert_int_equal(record.value, 4);
    harness_send(&h, KEEPER_ACK, "one", 0, 0);
    spec.program = "/nonexistent";
    harness_send_spec(&h, KEEPER_SPAWN, "one", &spec, h.request += 10);
    record = harness_expect(&h, KEEPER_SPAWN_FAILED);
    assert_int_equal(record.stage, SPAWN_EXEC);
    assert_int_equal(record.value, ENOENT);
}

/* Where our own cgroup was killed once, a process born into another one would be killed with it. */
static void test_keeper_in_a_killed_cgroup(void **state)
{
    char home[300], pid[16];
    struct family family = {.cgroup = home};

    (void)snprintf(home, sizeof(home), "%s/keeper", h.cgroup);
    (void)snprintf(pid, sizeof(pid), "%d", (int)h.keeper);
    assert_int_equal(family_make(&family), 0);
    assert_int_equal(family_kill(&family), 0);
    {
        _cleanup_close_ int folder = open(home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        assert_int_equal(fs_write(folder, "cgroup.procs", pid), 0);
    }
    harness_spawn(&h, "one", "exit 6");
    assert_int_equal(harness_expect(&h, KEEPER_EXITED).value, 6);
}

static void test_kill_at_random(void **state)
{
    unsigned seed = 1;

    harness_spawn(&h, "one", "exec sleep 100");
    pid_t pid = harness_expect(&h, KEEPER_SPAWNED).pid;

    for (int i = 0; i < 10; i++) {
        struct keeper_record record;

        usleep((useconds_t)(rand_r(&seed) % 3000));
        harness_kill_keeper(&h);
        harness_start_keeper(&h);
        harness_accept_engine(&h);
        record = harness_expect(&h, KEEPER_SLOT);
        assert_int_equal(record.pid, pid);
        assert_int_equal(record.state, SLOT_RUNNING);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_in_its_cgroup, setup, teardown),
        cmocka_unit_test_setup_teardown(test_main_pid, setup, teardown),
        cmocka_unit_test_setup_teardown(test_half_restored_is_cleared, setup, teardown),
        cmocka_unit_test_setup_teardown(test_keeper_killed_in_restore, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pid_namespace, setup, teardown),
        cmocka_unit_test_setup_teardown(test_keeper_in_a_killed_cgroup, setup, teardown),
        cmocka_unit_test_setup_teardown(test_kill_at_random, setup, teardown),
    };

    harness_main(argc, argv);
    if (geteuid() != 0) {
        print_message("skipped: cgroups are root's\n");
        return 0;
    }
    if (!find_cgroup2())
        return 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
