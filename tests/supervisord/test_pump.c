/* test_pump.c - the pump moves every byte once, waits for a blocked target, and marks whole lines.
 */
#include "supervisord/pump.h"

#include "common/cleanup.h"
#include "common/fs.h"
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

static char folder[32], path[64];
static sd_event *event;
static struct pump *pump;
static int writer;

static int setup(void **state)
{
    strcpy(folder, "/tmp/perdure-test-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    (void)snprintf(path, sizeof(path), "%s/logs/x.log", folder);
    pump = NULL;
    writer = -1;
    return sd_event_new(&event) < 0;
}

static int teardown(void **state)
{
    pump = pump_free(pump);
    fd_close(writer);
    event = sd_event_unref(event);
    return fs_remove_all(AT_FDCWD, folder);
}

static void start(int log_fd)
{
    int pipe_fd;

    assert_int_equal(pump_open_pipe(&pipe_fd), 0);
    writer = pump_reopen_pipe(pipe_fd, O_RDWR);
    assert_true(writer >= 0);
    assert_int_equal(pump_new(event, pipe_fd, log_fd, path, NULL, NULL, &pump), 0);
}

static void start_file(enum stream_kind kind, bool from_start)
{
    int log_fd;

    assert_int_equal(pump_open_log(kind, 0, path, from_start, &log_fd), 0);
    start(log_fd);
}

static void say(const char *text)
{
    assert_int_equal(write(writer, text, strlen(text)), strlen(text));
}

static void run(unsigned msec)
{
    assert_true(sd_event_run(event, msec * 1000ULL) >= 0);
}

static void log_is(const char *expected)
{
    _cleanup_free_ char *data = NULL;

    assert_int_equal(fs_read(AT_FDCWD, path, 1 << 20, &data, NULL), 0);
    assert_string_equal(data, expected);
}

static void test_append(void **state)
{
    struct stat st;

    start_file(STREAM_APPEND, false);
    say("one\n");
    run(100);
    log_is("one\n");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    say("two\n");
    assert_int_equal(pump_drain(pump, 0), 0);
    pump = pump_free(pump);
    writer = fd_close(writer);
    start_file(STREAM_APPEND, false);
    say("three\n");
    run(100);
    log_is("one\ntwo\nthree\n");
}

static void test_file_is_not_truncated(void **state)
{
    start_file(STREAM_FILE, true);
    say("0123456789");
    run(100);
    pump = pump_free(pump);
    writer = fd_close(writer);
    start_file(STREAM_FILE, true);
    say("abc");
    run(100);
    log_is("abc3456789");
}

static void test_marks_stand_alone(void **state)
{
    start_file(STREAM_APPEND, false);
    assert_int_equal(pump_mark(pump, "-- first --"), 0);
    say("half a line");
    assert_int_equal(pump_mark(pump, "-- mark --"), 0); /* what is in the pipe goes first */
    say("whole\n");
    assert_int_equal(pump_mark(pump, "-- last --"), 0);
    log_is("-- first --\nhalf a line\n-- mark --\nwhole\n-- last --\n");
}

static void test_disk_full(void **state)
{
    struct rlimit full = {.rlim_cur = 5, .rlim_max = RLIM_INFINITY}, old;

    getrlimit(RLIMIT_FSIZE, &old);
    start_file(STREAM_APPEND, false);
    (void)signal(SIGXFSZ, SIG_IGN);
    log_init("test", LOG_EMERG);
    full.rlim_max = old.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0); /* EFBIG stands for ENOSPC */
    say("0123456789\n");
    run(100);
    run(100);
    assert_int_equal(pump_drain(pump, 0), -EAGAIN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    run(1200); /* the retry timer */
    run(100);
    log_is("0123456789\n");
}

static void test_slow_reader(void **state)
{
    char big[65536], got[4096];
    size_t total = 0;
    int sockets[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
    start(sockets[0]);
    for (size_t i = 0; i < sizeof(big); i++)
        big[i] = (char)(i % 251);
    for (int round = 0; round < 8; round++) {
        assert_int_equal(write(writer, big, sizeof(big)), sizeof(big));
        for (int i = 0; i < 40; i++)
            run(0); /* the socket is full in the later rounds: it must not block us */
        while (total < (size_t)(round + 1) * sizeof(big)) {
            ssize_t n = recv(sockets[1], got, sizeof(got), MSG_DONTWAIT);

            for (ssize_t i = 0; i < n; i++)
                assert_int_equal(got[i], big[(total + (size_t)i) % sizeof(big)]);
            total += n > 0 ? (size_t)n : 0;
            run(0);
        }
    }
    close(sockets[1]);
    (void)signal(SIGPIPE, SIG_IGN);
    log_init("test", LOG_EMERG); /* it says that output is dropped */
    say("nobody reads this\n");
    run(100);
    say("nor this\n");
    assert_int_equal(pump_drain(pump, 0), 0);
}

static void on_end(struct pump *p, void *userdata)
{
    *(bool *)userdata = true;
}

static void test_end_of_pipe(void **state)
{
    bool ended = false;
    int ends[2], log_fd;

    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    assert_int_equal(pump_open_log(STREAM_APPEND, 0, path, false, &log_fd), 0);
    assert_int_equal(pump_new(event, ends[0], log_fd, path, on_end, &ended, &pump), 0);
    assert_int_equal(write(ends[1], "x\n", 2), 2);
    close(ends[1]);
    run(100);
    run(100);
    assert_true(ended);
    log_is("x\n");
}

/* What the design rests on: however often the pump is killed, no line is lost or doubled. */
static void test_killed_pumps(void **state)
{
    enum { LINES = 1000 };
    _cleanup_free_ char *data = NULL;
    unsigned seed = 7;
    int pipe_fd, status;
    pid_t source;
    char *at;

    assert_int_equal(pump_open_pipe(&pipe_fd), 0);
    writer = pump_reopen_pipe(pipe_fd, O_RDWR);
    source = fork();
    if (source == 0) {
        for (int i = 0; i < LINES; i++) {
            dprintf(writer, "line %d\n", i);
            if (i % 10 == 0)
                usleep(100);
        }
        _exit(0);
    }
    do {
        pid_t child = fork();

        if (child == 0) {
            int log_fd, copy = pump_reopen_pipe(pipe_fd, O_RDWR | O_NONBLOCK);

            if (pump_open_log(STREAM_APPEND, 0, path, false, &log_fd) < 0 ||
                sd_event_new(&event) < 0 ||
                pump_new(event, copy, log_fd, path, NULL, NULL, &pump) < 0)
                _exit(1);
            (void)sd_event_loop(event);
            _exit(1);
        }
        usleep((useconds_t)(rand_r(&seed) % 4000));
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, NULL, 0), child);
    } while (waitpid(source, &status, WNOHANG) == 0);
    {
        int log_fd;

        assert_int_equal(pump_open_log(STREAM_APPEND, 0, path, false, &log_fd), 0);
        assert_int_equal(pump_new(event, pipe_fd, log_fd, path, NULL, NULL, &pump), 0);
        assert_int_equal(pump_drain(pump, 0), 0);
    }
    assert_int_equal(fs_read(AT_FDCWD, path, 1 << 20, &data, NULL), 0);
    at = data;
    for (int i = 0; i < LINES; i++) {
        char line[32];
        int n = snprintf(line, sizeof(line), "line %d\n", i);

        assert_memory_equal(at, line, n);
        at += n;
    }
    assert_int_equal(*at, '\0');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_append, setup, teardown),
        cmocka_unit_test_setup_teardown(test_file_is_not_truncated, setup, teardown),
        cmocka_unit_test_setup_teardown(test_marks_stand_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_slow_reader, setup, teardown),
        cmocka_unit_test_setup_teardown(test_end_of_pipe, setup, teardown),
        cmocka_unit_test_setup_teardown(test_killed_pumps, setup, teardown),
        cmocka_unit_test_setup_teardown(test_disk_full, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
