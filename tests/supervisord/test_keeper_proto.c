/* test_keeper_proto.c - records and descriptors cross the sockets whole, or not at all. */
#include "supervisord/keeper_proto.h"

#include "common/cleanup.h"
#include "common/handoff.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cmocka.h>

static int sockets[2];

static int setup(void **state)
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets);
}

static int teardown(void **state)
{
    sockets[0] = fd_close(sockets[0]);
    sockets[1] = fd_close(sockets[1]);
    return 0;
}

static void test_record_and_fd(void **state)
{
    struct keeper_record sent = keeper_record(KEEPER_SPAWN, 7, "redis"), got;
    struct stat a, b;
    int fd = -1;

    strcpy(sent.text, "text");
    assert_int_equal(keeper_send(sockets[0], &sent, STDERR_FILENO), 0);
    assert_int_equal(keeper_send(sockets[0], &sent, -1), 0);
    assert_int_equal(keeper_receive(sockets[1], &got, &fd), 0);
    assert_memory_equal(&sent, &got, sizeof(got));
    assert_int_equal(fstat(STDERR_FILENO, &a), 0);
    assert_int_equal(fstat(fd, &b), 0);
    assert_int_equal(a.st_ino, b.st_ino);
    close(fd);
    assert_int_equal(keeper_receive(sockets[1], &got, &fd), 0);
    assert_int_equal(fd, -1);
    assert_int_equal(keeper_receive(sockets[1], &got, &fd), -EAGAIN);
}

static void test_long_name_is_cut_and_terminated(void **state)
{
    char name[500];
    struct keeper_record record;

    memset(name, 'n', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    record = keeper_record(KEEPER_ACK, 1, name);
    assert_int_equal(strlen(record.name), sizeof(record.name) - 1);
}

static void test_wrong_shape(void **state)
{
    struct keeper_record record = keeper_record(KEEPER_ACK, 1, "a"), got;
    int fd;

    assert_int_equal(send(sockets[0], &record, 100, 0), 100);
    assert_int_equal(keeper_receive(sockets[1], &got, &fd), -EBADMSG);
    memset(record.name, 'x', sizeof(record.name));
    assert_int_equal(keeper_send(sockets[0], &record, STDERR_FILENO), 0);
    assert_int_equal(keeper_receive(sockets[1], &got, &fd), -EBADMSG);
    record = keeper_record(KEEPER_ACK, 1, "a");
    record.magic = 1;
    assert_int_equal(keeper_send(sockets[0], &record, -1), 0);
    assert_int_equal(keeper_receive(sockets[1], &got, &fd), -EBADMSG);
}

static void test_gone_and_full(void **state)
{
    struct keeper_record record = keeper_record(KEEPER_ACK, 1, "a"), got;
    int fd, r, sent = 0;

    while ((r = keeper_send(sockets[0], &record, -1)) == 0)
        assert_true(sent++ < 10000);
    assert_int_equal(r, -EAGAIN);
    assert_true(sent > 10);
    sockets[0] = fd_close(sockets[0]);
    while (sent-- > 0)
        assert_int_equal(keeper_receive(sockets[1], &got, &fd), 0);
    assert_int_equal(keeper_receive(sockets[1], &got, &fd), KEEPER_GONE);
    assert_int_equal(keeper_send(sockets[1], &record, -1), -EPIPE); /* and no SIGPIPE */
}

static void test_handoff(void **state)
{
    enum handoff_type type;
    int fd = -1;

    assert_int_equal(handoff_send(sockets[0], HANDOFF_PEER, STDERR_FILENO), 0);
    assert_int_equal(handoff_receive(sockets[1], &type, &fd), 0);
    assert_int_equal(type, HANDOFF_PEER);
    assert_true(fd > 2);
    close(fd);
    assert_int_equal(handoff_receive(sockets[1], &type, &fd), -EAGAIN);
    assert_int_equal(send(sockets[0], "12345678", 8, 0), 8);
    assert_int_equal(handoff_receive(sockets[1], &type, &fd), -EBADMSG);
    sockets[0] = fd_close(sockets[0]);
    assert_int_equal(handoff_receive(sockets[1], &type, &fd), HANDOFF_GONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_record_and_fd, setup, teardown),
        cmocka_unit_test(test_long_name_is_cut_and_terminated),
        cmocka_unit_test_setup_teardown(test_wrong_shape, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gone_and_full, setup, teardown),
        cmocka_unit_test_setup_teardown(test_handoff, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
