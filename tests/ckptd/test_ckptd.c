/* test_ckptd.c - the real ckptd, driven over its bus like an engine, with a worker that does as
 * told. */
#include "ckptd/store.h"
#include "common/ckpt_spec_bus.h"
#include "common/cleanup.h"
#include "common/fs.h"
#include "common/handoff.h"
#include "common/peer.h"
#include "common/proc.h"
#include "common/strv.h"
#include "common/wire.h"
#include "image/layout.h"
#include "tests/image/sample.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/capability.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#define PATIENCE_USEC (5 * USEC_PER_SEC)

#define STORE_KEYS "store.keys" /* where ckptd looks for the key file */
#define TEMPLATES  30           /* more dumps than any test makes */

static char root[64], state_dir[80], program[128];
static int store_dir = -1;
static pid_t ckptd, service;
static int keeper = -1;
static sd_bus *bus;

/* The last signal of each kind. */
static unsigned committed_count, failed_count;
static char last_id[CHECKPOINT_ID_SIZE], last_failure[1024];

static int on_signal(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    const char *name, *text, *cure;

    if (sd_bus_message_is_signal(m, CKPT_IFACE, CKPT_COMMITTED)) {
        committed_count++;
        assert_true(sd_bus_message_read(m, "ss", &name, &text) > 0);
        snprintf(last_id, sizeof(last_id), "%s", text);
    } else if (sd_bus_message_is_signal(m, CKPT_IFACE, CKPT_FAILED)) {
        failed_count++;
        assert_true(sd_bus_message_read(m, "sss", &name, &text, &cure) > 0);
        snprintf(last_failure, sizeof(last_failure), "%s|%s", text, cure);
    }
    return 0;
}

/* ---- the daemon ---- */

static void connect_engine(void)
{
    int ends[2];

    bus = peer_close(bus);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    assert_int_equal(handoff_send(keeper, HANDOFF_PEER, ends[0]), 0);
    close(ends[0]);
    assert_true(peer_new_client(ends[1], &bus) >= 0);
    assert_true(sd_bus_add_match(bus, NULL, "type='signal'", on_signal, NULL) >= 0);
    assert_true(sd_bus_start(bus) >= 0);
}

static void start_ckptd(void)
{
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    ckptd = fork();
    assert_true(ckptd >= 0);
    if (ckptd == 0) {
        if (dup2(ends[1], HANDOFF_FD) == HANDOFF_FD)
            fcntl(HANDOFF_FD, F_SETFD, 0);
        execl(program, program, "--state-dir", state_dir, "--config-dir", root, "--runtime-dir",
              root, "--criu", "/bin/true", "--log-level", "3", NULL);
        _exit(127);
    }
    close(ends[1]);
    keeper = ends[0];
    connect_engine();
}

static void end_ckptd(int signal_number)
{
    if (signal_number)
        kill(ckptd, signal_number);
    bus = peer_close(bus);
    keeper = fd_close(keeper);
    waitpid(ckptd, NULL, 0);
}

/* What the worker that does as told gives for a manifest: it cannot seal one. */
static void make_templates(void)
{
    char path[128];
    _cleanup_close_ int fd = -1;

    snprintf(path, sizeof(path), "%s/" STORE_KEYS, state_dir);
    assert_int_equal(fs_mkdir_all(state_dir, 0700), 0);
    sample_use_keys(path);
    snprintf(path, sizeof(path), "%s/templates", root);
    assert_int_equal(fs_mkdir_all(path, 0700), 0);
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (uint64_t number = 1; number <= TEMPLATES; number++)
        sample_checkpoint(fd, "game@x", number);
}

/* A folder with ckptd and, beside it, the worker that does as told. */
static int setup(void **state)
{
    _cleanup_free_ char *data = NULL;
    char self[PATH_MAX] = "", source[PATH_MAX], worker[128];
    size_t size;

    strcpy(root, "/tmp/perdure-test-ckptd-XXXXXX");
    assert_non_null(mkdtemp(root));
    snprintf(state_dir, sizeof(state_dir), "%s/state", root);
    assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
    snprintf(source, sizeof(source), "%.4000s/../ckptd", dirname(self));
    assert_int_equal(fs_read(AT_FDCWD, source, 1 << 26, &data, &size), 0);
    snprintf(program, sizeof(program), "%s/ckptd", root);
    assert_int_equal(fs_replace(AT_FDCWD, program, data, size, 0700), 0);
    free(TAKE_PTR(data));
    assert_int_equal(fs_read(AT_FDCWD, "tests/ckptd/fake_worker.sh", 65536, &data, &size), 0);
    snprintf(worker, sizeof(worker), "%s/ckpt-worker", root);
    assert_int_equal(fs_replace(AT_FDCWD, worker, data, size, 0700), 0);
    committed_count = failed_count = 0;
    last_id[0] = last_failure[0] = '\0';
    setenv("FAKE_NAME", "game@x", 1);
    setenv("PERDURE_DUMP_STALL_SEC", "1", 1);
    unsetenv("FAKE_USABLE");
    service = fork();
    if (service == 0)
        for (;;)
            pause();
    make_templates();
    start_ckptd();
    return 0;
}

static int teardown(void **state)
{
    end_ckptd(0);
    store_dir = fd_close(store_dir);
    if (service > 0) {
        kill(service, SIGKILL);
        waitpid(service, NULL, 0);
    }
    return fs_remove_all(AT_FDCWD, root);
}

/* ---- calls ---- */

static sd_bus_message *try_call(const char *method, sd_bus_error *error, const char *types, ...)
{
    sd_bus_message *m = NULL, *reply = NULL;
    va_list args;

    assert_true(sd_bus_message_new_method_call(bus, &m, NULL, CKPT_PATH, CKPT_IFACE, method) >= 0);
    va_start(args, types);
    assert_true(sd_bus_message_appendv(m, types, args) >= 0);
    va_end(args);
    (void)sd_bus_call(bus, m, PATIENCE_USEC, error, &reply);
    sd_bus_message_unref(m);
    return reply;
}

/* The one string of the answer; static. An error comes as "ERROR-NAME|message". */
static const char *ask(const char *method, const char *argument)
{
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply =
        argument ? try_call(method, &error, "s", argument) : try_call(method, &error, "");
    static char text[65536];
    const char *s = "";

    if (!reply) {
        snprintf(text, sizeof(text), "%s|%s", error.name, error.message);
        return text;
    }
    if (!sd_bus_message_is_empty(reply))
        assert_true(sd_bus_message_read(reply, "s", &s) >= 0);
    snprintf(text, sizeof(text), "%s", s);
    return text;
}

static void expect_text(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in \"%s\"", part, text);
}

/* The id, or the reasons; static. */
static const char *select_image(uint64_t below, uint64_t only)
{
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply =
        try_call(CKPT_SELECT, &error, "sttb", "game@x", below, only, 0);
    _cleanup_strv_ char **argv = NULL;
    static char text[2048];
    uint64_t real, boot;
    const char *id;

    if (!reply) {
        assert_string_equal(error.name, WIRE_ERROR_NO_CHECKPOINT);
        snprintf(text, sizeof(text), "%s", error.message);
        return text;
    }
    assert_true(sd_bus_message_read(reply, "stt", &id, &real, &boot) > 0);
    assert_true(sd_bus_message_read_strv(reply, &argv) >= 0);
    expect_text(argv[0], "/ckpt-worker");
    assert_string_equal(argv[1], "restore");
    expect_text(argv[5], "/state/checkpoints");
    assert_string_equal(argv[7], "game@x");
    snprintf(text, sizeof(text), "%s", id);
    return text;
}

static void watch(uint64_t interval)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
    struct ckpt_spec spec = {.name = (char *)"game@x",
                             .pid = service,
                             .interval_usec = interval,
                             .retention = {.keep = 2}};

    assert_int_equal(proc_stat(service, &spec.start_time, NULL, NULL), 0);
    assert_true(sd_bus_message_new_method_call(bus, &m, NULL, CKPT_PATH, CKPT_IFACE, CKPT_WATCH) >=
                0);
    assert_true(ckpt_spec_append(m, &spec) >= 0);
    assert_true(sd_bus_call(bus, m, PATIENCE_USEC, NULL, &reply) >= 0);
}

/* Lets signals come in until the condition holds. */
#define WAIT_FOR(condition)                                     \
    do {                                                        \
        uint64_t give_up = now_boottime_usec() + PATIENCE_USEC; \
        while (!(condition)) {                                  \
            assert_true(now_boottime_usec() < give_up);         \
            if (sd_bus_process(bus, NULL) == 0)                 \
                sd_bus_wait(bus, 20000);                        \
        }                                                       \
    } while (0)

static void put(const char *path, const char *text)
{
    if (store_dir < 0) {
        char checkpoints[128];

        snprintf(checkpoints, sizeof(checkpoints), "%s/checkpoints", state_dir);
        store_dir = open(checkpoints, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(store_dir >= 0);
    }
    assert_int_equal(fs_replace(store_dir, path, text, strlen(text), 0600), 0);
}

static bool is_there(const char *path)
{
    return faccessat(store_dir, path, F_OK, 0) == 0;
}

/* How dumps go from now on; the daemon has answered once, so its folders are there. */
static void dumps(const char *mode)
{
    ask(CKPT_FACTS, NULL);
    put("mode", mode);
}

/* ---- tests ---- */

static void nothing_yet(void **state)
{
    expect_text(ask(CKPT_LIST, ""), "{\"version\":1,\"checkpoints\":[]}");
    expect_text(ask(CKPT_FACTS, NULL), "\"criu\":\"4.1.1\"");
    expect_text(select_image(UINT64_MAX, 0), "there is no checkpoint of game@x");
    expect_text(ask(CKPT_CHECKPOINT, "game@x"), WIRE_ERROR_NOT_RUNNING);
    expect_text(ask(CKPT_CHECKPOINT, "../x"), SD_BUS_ERROR_INVALID_ARGS);
    expect_text(ask(CKPT_SHOW, "game@x@1"), WIRE_ERROR_NO_CHECKPOINT);
    expect_text(ask(CKPT_SHOW, "../../etc@1"), WIRE_ERROR_NO_CHECKPOINT);
    assert_string_equal(ask(CKPT_NEWEST, "game@x"), "");
    assert_string_equal(ask(CKPT_UNWATCH, "game@x"), "");
}

static void checkpoint_on_demand(void **state)
{
    dumps("commit");
    watch(0);
    assert_string_equal(ask(CKPT_CHECKPOINT, "game@x"), "game@x@1");
    assert_string_equal(ask(CKPT_CHECKPOINT, "game@x"), "game@x@2");
    assert_string_equal(ask(CKPT_CHECKPOINT, "game@x"), "game@x@3");
    WAIT_FOR(committed_count == 3);
    assert_string_equal(last_id, "game@x@3");
    expect_text(ask(CKPT_LIST, "game@x"), "[{\"id\":\"game@x@3\"");
    assert_false(is_there("game@x/1")); /* Keep=2 */
    expect_text(ask(CKPT_SHOW, "game@x@3"), "\"state\":\"whole\"");
    expect_text(ask(CKPT_SHOW, "game@x@3"), "/state/checkpoints/game@x/3\"");
    assert_string_equal(ask(CKPT_NEWEST, "game@x"), "game@x@3");
    assert_string_equal(select_image(UINT64_MAX, 0), "game@x@3");
    assert_string_equal(select_image(3, 0), "game@x@2");
    assert_string_equal(select_image(UINT64_MAX, 2), "game@x@2");
    expect_text(select_image(2, 0), "there is no checkpoint");
}

static void bad_ones_are_not_offered(void **state)
{
    dumps("commit");
    watch(0);
    ask(CKPT_CHECKPOINT, "game@x");
    ask(CKPT_CHECKPOINT, "game@x");
    sd_bus_message_unref(try_call(CKPT_POISON, NULL, "ss", "game@x@2", "it died again"));
    assert_string_equal(select_image(UINT64_MAX, 0), "game@x@1");
    assert_string_equal(select_image(UINT64_MAX, 2), "game@x@2"); /* by hand */
    put("game@x/1/pages-1.img", "pag");
    expect_text(select_image(UINT64_MAX, 0),
                "game@x@2: it died again; game@x@1: its file pages-1.img has 3 bytes");
    expect_text(ask(CKPT_LIST, ""), "\"corrupt\"");
    end_ckptd(SIGKILL);
    start_ckptd();
    expect_text(ask(CKPT_LIST, ""), "\"poisoned\"");
    expect_text(ask(CKPT_LIST, ""), "\"corrupt\"");
}

static void periodic(void **state)
{
    dumps("commit");
    watch(100 * USEC_PER_MSEC);
    WAIT_FOR(committed_count == 2);
    ask(CKPT_UNWATCH, "game@x");
    put("mode", "fail");
    usleep(200000);
    while (sd_bus_process(bus, NULL) > 0)
        ;
    assert_int_equal(failed_count, 0);
}

static void failure_says_why(void **state)
{
    dumps("fail");
    watch(0);
    expect_text(ask(CKPT_CHECKPOINT, "game@x"), WIRE_ERROR_FAILED "|it did not work\ndo better");
    WAIT_FOR(failed_count == 1);
    assert_string_equal(last_failure, "it did not work|do better");
    assert_false(is_there("game@x/staging-1"));
    put("mode", "silent");
    expect_text(ask(CKPT_CHECKPOINT, "game@x"), "ended with status 3");
    put("mode", "kill");
    expect_text(ask(CKPT_CHECKPOINT, "game@x"), "killed by signal 9; the service runs on");
    assert_false(is_there("game@x/staging-3"));
    put("mode", "commit");
    assert_string_equal(ask(CKPT_CHECKPOINT, "game@x"), "game@x@4");
}

static void watchdog_wakes_the_service(void **state)
{
    char task = 'R';

    dumps("hang");
    watch(0);
    kill(service, SIGSTOP); /* as a criu that was killed leaves it */
    expect_text(ask(CKPT_CHECKPOINT, "game@x"), "no progress for 1 s and was killed");
    proc_stat(service, NULL, NULL, &task);
    assert_int_not_equal(task, 'T');
    assert_false(is_there("game@x/staging-1"));
}

static unsigned children_of_ckptd(void)
{
    _cleanup_free_ char *text = NULL;
    unsigned n = 0;
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)ckptd, (int)ckptd);
    assert_int_equal(fs_read(AT_FDCWD, path, 4096, &text, NULL), 0);
    for (const char *p = text; (p = strchr(p, ' ')); p++)
        n++;
    return n;
}

static void begin_verify(sd_bus_message_handler_t done, void *userdata)
{
    assert_true(sd_bus_call_method_async(bus, NULL, NULL, CKPT_PATH, CKPT_IFACE, CKPT_VERIFY, done,
                                         userdata, "s", "") >= 0);
    assert_true(sd_bus_flush(bus) >= 0);
    WAIT_FOR(children_of_ckptd() > 0);
}

static int note_answer(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    const sd_bus_error *failure = sd_bus_message_get_error(m);

    snprintf(userdata, 256, "%s", failure ? failure->message : "ok");
    return 0;
}

/* What a worker finds out is learnt, whoever asked for it; and nothing of it stays. */
static void command_outlives_the_engine(void **state)
{
    char answer[256] = "";

    dumps("commit");
    watch(0);
    ask(CKPT_CHECKPOINT, "game@x");
    begin_verify(note_answer, answer);
    connect_engine();
    expect_text(ask(CKPT_LIST, ""), "\"state\":\"whole\"");
    put("go-on", "");
    WAIT_FOR(strstr(ask(CKPT_LIST, ""), "\"state\":\"corrupt\""));
    WAIT_FOR(children_of_ckptd() == 0);
    assert_true(is_there("game@x/1.corrupt"));
}

static void command_that_hangs_is_ended(void **state)
{
    char answer[256] = "";
    uint64_t begin = now_boottime_usec();

    dumps("hang");
    begin_verify(note_answer, answer);
    while (!answer[0] && now_boottime_usec() - begin < 20 * USEC_PER_SEC)
        if (sd_bus_process(bus, NULL) == 0)
            sd_bus_wait(bus, 100000);
    expect_text(answer, "the worker (verify) made no progress for 5 s and was killed");
    assert_int_equal(children_of_ckptd(), 0);
}

static void commands_are_counted(void **state)
{
    char answers[17][256] = {};

    dumps("commit");
    for (int i = 0; i < 17; i++)
        begin_verify(note_answer, answers[i]);
    WAIT_FOR(answers[16][0]);
    expect_text(answers[16], "16 commands are at work");
    put("go-on", "");
    for (int i = 0; i < 16; i++)
        WAIT_FOR(answers[i][0]);
    assert_string_equal(answers[15], "ok");
}

static void dump_outlives_ckptd(void **state)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;

    dumps("slow");
    watch(0);
    assert_true(
        sd_bus_message_new_method_call(bus, &m, NULL, CKPT_PATH, CKPT_IFACE, CKPT_CHECKPOINT) >= 0);
    assert_true(sd_bus_message_append(m, "s", "game@x") >= 0 && sd_bus_send(bus, m, NULL) >= 0);
    WAIT_FOR(is_there("game@x/staging-1/worker"));
    end_ckptd(SIGKILL);
    start_ckptd();
    watch(0);
    put("mode", "commit");
    /* The adopted one first, then the one asked for now. */
    assert_string_equal(ask(CKPT_CHECKPOINT, "game@x"), "game@x@2");
    WAIT_FOR(committed_count == 2);
    assert_true(is_there("game@x/1/manifest.json"));
    assert_false(is_there("game@x/staging-1"));
}

static void unwatch_waits_for_the_dump(void **state)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;

    dumps("slow");
    watch(0);
    assert_true(
        sd_bus_message_new_method_call(bus, &m, NULL, CKPT_PATH, CKPT_IFACE, CKPT_CHECKPOINT) >= 0);
    assert_true(sd_bus_message_append(m, "s", "game@x") >= 0 && sd_bus_send(bus, m, NULL) >= 0);
    WAIT_FOR(is_there("game@x/staging-1/worker"));
    assert_string_equal(ask(CKPT_UNWATCH, "game@x"), "");
    assert_true(is_there("game@x/1"));
}

static void garbage_is_swept(void **state)
{
    dumps("commit");
    watch(0);
    ask(CKPT_CHECKPOINT, "game@x");
    assert_int_equal(mkdirat(store_dir, "game@x/staging-9", 0700), 0);
    put("game@x/staging-9/pages-1.img", "x");
    end_ckptd(0);
    start_ckptd();
    ask(CKPT_FACTS, NULL);
    assert_false(is_there("game@x/staging-9"));
    watch(0);
    assert_string_equal(ask(CKPT_CHECKPOINT, "game@x"), "game@x@10"); /* 9 was given out */
}

static void new_engine_keeps_the_clock(void **state)
{
    uint64_t began = now_boottime_usec();

    dumps("commit");
    for (int i = 0; i < 4; i++) {
        watch(300 * USEC_PER_MSEC);
        usleep(70000);
        connect_engine();
    }
    watch(300 * USEC_PER_MSEC);
    WAIT_FOR(committed_count == 1);
    assert_true(now_boottime_usec() - began < 550 * USEC_PER_MSEC);
}

static void selftest_once_per_boot(void **state)
{
    _cleanup_free_ char *runs = NULL;
    char path[128];

    ask(CKPT_FACTS, NULL);
    snprintf(path, sizeof(path), "%s/selftests", root);
    setenv("FAKE_SELFTEST_COUNT", path, 1);
    for (int i = 0; i < 2; i++) {
        end_ckptd(0);
        start_ckptd();
        expect_text(ask(CKPT_FACTS, NULL), "\"usable\":true");
    }
    unsetenv("FAKE_SELFTEST_COUNT");
    assert_int_equal(fs_read(AT_FDCWD, path, 64, &runs, NULL), -ENOENT);
}

static void criu_that_does_not_work(void **state)
{
    end_ckptd(0);
    setenv("FAKE_USABLE", "false", 1);
    assert_int_equal(fs_remove_all(AT_FDCWD, state_dir), 0);
    start_ckptd();
    watch(50 * USEC_PER_MSEC);
    expect_text(ask(CKPT_FACTS, NULL), "\"why\":\"no luck\"");
    WAIT_FOR(failed_count == 1);
    assert_string_equal(last_failure, "no luck|try harder");
    expect_text(ask(CKPT_CHECKPOINT, "game@x"), "|no luck\ntry harder");
    expect_text(ask(CKPT_CHECK, "game@x"), "\"checkpointable\":false");
    usleep(150000);
    while (sd_bus_process(bus, NULL) > 0)
        ;
    assert_int_equal(failed_count, 1); /* said once, not every interval */
}

static void ends_with_the_keeper(void **state)
{
    int status;

    ask(CKPT_FACTS, NULL);
    keeper = fd_close(keeper);
    assert_int_equal(waitpid(ckptd, &status, 0), ckptd);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    start_ckptd();
}

static void needs_root(void **state)
{
    print_message("skipped: ckptd checkpoints only as root (CAP_SYS_ADMIN)\n");
    skip();
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_yet),
        TEST(checkpoint_on_demand),
        TEST(bad_ones_are_not_offered),
        TEST(periodic),
        TEST(failure_says_why),
        TEST(watchdog_wakes_the_service),
        TEST(command_outlives_the_engine),
        TEST(command_that_hangs_is_ended),
        TEST(commands_are_counted),
        TEST(dump_outlives_ckptd),
        TEST(unwatch_waits_for_the_dump),
        TEST(garbage_is_swept),
        TEST(new_engine_keeps_the_clock),
        TEST(selftest_once_per_boot),
        TEST(criu_that_does_not_work),
        TEST(ends_with_the_keeper),
    };

    const struct CMUnitTest without_root[] = {cmocka_unit_test(needs_root)};

    if (!proc_have_cap(CAP_SYS_ADMIN))
        return cmocka_run_group_tests(without_root, NULL, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
