/* test_preflight.c - each thing CRIU does not dump is found in a /proc made of plain files. */
#include "ckptd/preflight.h"
#include "common/cleanup.h"
#include "common/fs.h"
#include "common/members.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static char root[64];
static int root_fd = -1;

static void put(const char *path, const char *text)
{
    assert_int_equal(fs_replace(root_fd, path, text, strlen(text), 0600), 0);
}

static void put_link(const char *path, const char *target)
{
    assert_int_equal(symlinkat(target, root_fd, path), 0);
}

/* Pid 7, leader of its session, in our mount namespace. */
static int setup(void **state)
{
    strcpy(root, "/tmp/perdure-test-preflight-XXXXXX");
    if (!mkdtemp(root))
        return -1;
    root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    mkdirat(root_fd, "7", 0700);
    mkdirat(root_fd, "7/fd", 0700);
    mkdirat(root_fd, "7/fdinfo", 0700);
    mkdirat(root_fd, "7/ns", 0700);
    mkdirat(root_fd, "self", 0700);
    mkdirat(root_fd, "self/ns", 0700);
    put("7/comm", "redis) x\n");
    put("7/stat", "7 (redis) x) S 1 7 7 0 -1");
    put("7/maps", "55e0-55f0 r-xp 00000000 08:01 17 /usr/bin/redis-server\n");
    put_link("7/fd/0", "/dev/null");
    put_link("7/fd/1", "pipe:[11]");
    put_link("7/ns/mnt", "mnt:[1]");
    put_link("self/ns/mnt", "mnt:[1]");
    return 0;
}

static int teardown(void **state)
{
    close(root_fd);
    return fs_remove_all(AT_FDCWD, root);
}

static const struct reason *other_users, *sockets;

static struct problems look(void)
{
    static const pid_t pids[] = {7, 8}; /* 8 has ended */
    static const struct unix_peer peers[] = {{50, 51}, {51, 50}, {60, 61}};
    struct preflight preflight = {.proc = root,
                                  .pids = pids,
                                  .count = 2,
                                  .ghost_limit = 4,
                                  .peers = peers,
                                  .peer_count = 3,
                                  .sockets = sockets,
                                  .other_users = other_users};
    struct problems problems = {};

    assert_int_equal(preflight_run(&preflight, &problems), 0);
    return problems;
}

static void expect(const char *what)
{
    struct problems problems = look();

    if (problems.count != 1)
        fail_msg("%zu problems instead of: %s", problems.count, what);
    assert_non_null(strstr(problems.list[0].why, what));
    assert_non_null(strstr(problems.list[0].why, "process 7 (redis) x)"));
    assert_true(problems.list[0].cure[0]);
    problems_done(&problems);
}

static void nothing_wrong(void **state)
{
    struct problems problems;

    put_link("7/fd/3", "socket:[5]");
    put_link("7/fd/4", "anon_inode:[eventpoll]");
    put_link("7/fd/5", "/memfd:big (deleted)");
    put_link("7/fd/6", "/dev/ptmx.log");
    problems = look();
    assert_int_equal(problems.count, 0);
}

static void io_uring(void **state)
{
    put_link("7/fd/3", "anon_inode:[io_uring]");
    expect("uses io_uring (descriptor 3)");
}

static void userfaultfd(void **state)
{
    put_link("7/fd/3", "anon_inode:[userfaultfd]");
    expect("holds a userfaultfd");
}

static void terminal(void **state)
{
    put_link("7/fd/2", "/dev/pts/4");
    expect("holds the terminal /dev/pts/4");
}

static void inotify_on_overlay(void **state)
{
    put_link("7/fd/3", "anon_inode:inotify");
    put("7/fdinfo/3", "pos:\t0\ninotify wd:1 ino:2 sdev:1f mask:fff ignored_mask:0\n");
    put("7/mountinfo",
        "20 1 0:31 / / rw - overlay overlay rw\n21 1 8:1 / /d rw - ext4 /dev/sda1 rw\n");
    expect("watches files on overlayfs");
    put("7/fdinfo/3", "pos:\t0\ninotify wd:1 ino:2 sdev:800001 mask:fff ignored_mask:0\n");
    struct problems problems = look();
    assert_int_equal(problems.count, 0);
}

static void big_deleted_file(void **state)
{
    char target[128];

    put("x (deleted)", "12345");
    snprintf(target, sizeof(target), "%s/x (deleted)", root);
    put_link("7/fd/3", target);
    expect("holds a deleted file of 5B, above GhostLimit=");
    put("x (deleted)", "1234");
    struct problems problems = look();
    assert_int_equal(problems.count, 0);
}

static void sysv_memory(void **state)
{
    put("7/maps", "7f00-7f10 rw-s 00000000 00:01 3 /SYSV00000000 (deleted)\n");
    expect("uses SysV shared memory");
}

static void session_leader_outside(void **state)
{
    put("7/stat", "7 (redis) x) S 1 7 3 0 -1");
    expect("is in session 3");
}

static void own_mount_namespace(void **state)
{
    assert_int_equal(unlinkat(root_fd, "7/ns/mnt", 0), 0);
    put_link("7/ns/mnt", "mnt:[2]");
    expect("mount namespace of its own");
}

static void connection_to_outside(void **state)
{
    struct problems problems;

    put_link("7/fd/3", "socket:[50]");
    put_link("7/fd/4", "socket:[51]");
    put_link("7/fd/5", "socket:[70]"); /* no unix stream */
    problems = look();
    assert_int_equal(problems.count, 0);
    put_link("7/fd/6", "socket:[60]");
    expect("has a unix stream connection to a process outside (descriptor 6)");
}

static void sockets_do_not_work(void **state)
{
    struct reason why = {.why = (char *)"old CRIU", .cure = (char *)"x"};

    put_link("7/fd/3", "socket:[50]");
    put_link("7/fd/4", "socket:[51]");
    sockets = &why;
    expect("has sockets, which do not work here: old CRIU");
    sockets = NULL;
}

static void other_user(void **state)
{
    struct reason why = {.why = (char *)"no CAP_SYS_RESOURCE", .cure = (char *)"x"};
    struct problems problems;

    other_users = &why;
    problems = look();
    other_users = NULL;
    assert_int_equal(problems.count, geteuid() == 0 ? 0 : 1);
    problems_done(&problems);
    if (geteuid() != 0)
        return;
    assert_int_equal(fchownat(root_fd, "7", 65534, 65534, 0), 0);
    other_users = &why;
    expect("runs as another user, which does not work here: no CAP_SYS_RESOURCE");
    other_users = NULL;
}

static void pids_of_a_cgroup(void **state)
{
    _cleanup_free_ pid_t *pids = NULL, *one = NULL;
    size_t count;

    put("cgroup.procs", "7\n8\n123456\n");
    assert_int_equal(members_read(root, 7, &pids, &count), 0);
    assert_int_equal(count, 3);
    assert_int_equal(pids[2], 123456);
    assert_int_equal(members_read("", 7, &one, &count), 0);
    assert_int_equal(count, 1);
    assert_int_equal(one[0], 7);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_wrong),       TEST(io_uring),
        TEST(userfaultfd),         TEST(terminal),
        TEST(inotify_on_overlay),  TEST(big_deleted_file),
        TEST(sysv_memory),         TEST(session_leader_outside),
        TEST(own_mount_namespace), TEST(connection_to_outside),
        TEST(sockets_do_not_work), TEST(other_user),
        TEST(pids_of_a_cgroup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
