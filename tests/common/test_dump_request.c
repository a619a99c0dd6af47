/* test_dump_request.c - the request arrives as it was packed, sealed, and a wrong one is refused.
 */
#include "common/cleanup.h"
#include "common/dump_request.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

static struct ckpt_spec sample(void)
{
    return (struct ckpt_spec){
        .name = (char *)"game@x",
        .pid = 4711,
        .start_time = 1ULL << 40,
        .cgroup = (char *)"/sys/fs/cgroup/perdure/game@x",
        .pipe_inode = {11, 12},
        .interval_usec = 5,
        .retention = {.keep = 3, .hourly = 4},
        .max_chain = 16,
        .compress = 3,
        .encrypt = true,
        .drill_every = 10,
        .drill_nice = 7,
        .staging = STAGING_TMPFS,
        .staging_max = 1ULL << 33,
        .files = FILES_SNAPSHOT,
        .snapshot_paths = (char *)"/srv/db\n/srv/*.idx",
        .ghost_limit = 1 << 26,
        .tcp_established = true,
        .pid_namespace = true,
        .pre_checkpoint = (char *)"redis-cli \"wait\" 1",
    };
}

static void arrives_as_packed(void **state)
{
    struct ckpt_spec spec = sample(), read = {};
    _cleanup_close_ int fd = -1;

    assert_int_equal(dump_request_pack(&spec, &fd), 0);
    assert_int_equal(dump_request_read(fd, &read), 0);
    assert_string_equal(read.name, spec.name);
    assert_int_equal(read.pid, 4711);
    assert_true(read.start_time == spec.start_time);
    assert_string_equal(read.cgroup, spec.cgroup);
    assert_int_equal(read.pipe_inode[STREAM_STDERR], 12);
    assert_int_equal(read.ghost_limit, 1 << 26);
    assert_int_equal(read.max_chain, 16);
    assert_int_equal(read.compress, 3);
    assert_true(read.encrypt);
    assert_int_equal(read.drill_nice, 7);
    assert_int_equal(read.staging, STAGING_TMPFS);
    assert_true(read.staging_max == spec.staging_max);
    assert_int_equal(read.files, FILES_SNAPSHOT);
    assert_string_equal(read.snapshot_paths, spec.snapshot_paths);
    assert_true(read.tcp_established && read.pid_namespace && !read.file_locks);
    assert_string_equal(read.pre_checkpoint, spec.pre_checkpoint);
    assert_string_equal(read.post_checkpoint, "");
    assert_string_equal(read.restored_from, "");
    assert_int_equal(read.interval_usec, 0);
    assert_int_equal(read.retention.keep, 0);
    assert_int_equal(read.drill_every, 0);
    ckpt_spec_done(&read);
}

static void is_sealed(void **state)
{
    struct ckpt_spec spec = sample();
    _cleanup_close_ int fd = -1;

    assert_int_equal(dump_request_pack(&spec, &fd), 0);
    assert_true(pwrite(fd, "x", 1, 0) < 0);
    assert_true(ftruncate(fd, 1) < 0);
}

static void too_long(void **state)
{
    _cleanup_free_ char *hook = malloc(DUMP_REQUEST_MAX + 1);
    struct ckpt_spec spec = sample();
    int fd;

    memset(hook, 'x', DUMP_REQUEST_MAX);
    hook[DUMP_REQUEST_MAX] = '\0';
    spec.post_checkpoint = hook;
    assert_int_equal(dump_request_pack(&spec, &fd), -E2BIG);
}

/* Every cut, and one byte more, of a good one. */
static void wrong_ones_are_refused(void **state)
{
    struct ckpt_spec spec = sample(), read;
    _cleanup_close_ int fd = -1, other = memfd_create("test", MFD_CLOEXEC);
    char data[4096];
    ssize_t size;

    assert_int_equal(dump_request_pack(&spec, &fd), 0);
    size = pread(fd, data, sizeof(data), 0);
    assert_true(size > 0 && size < (ssize_t)sizeof(data));
    data[size] = '\0';
    for (ssize_t n = 0; n <= size + 1; n++) {
        assert_int_equal(ftruncate(other, 0), 0);
        assert_int_equal(pwrite(other, data, (size_t)n, 0), n);
        if (n == size) {
            assert_int_equal(dump_request_read(other, &read), 0);
            ckpt_spec_done(&read);
        } else {
            assert_int_equal(dump_request_read(other, &read), -EBADMSG);
        }
    }
    data[0] ^= 1;
    assert_int_equal(pwrite(other, data, (size_t)size, 0), size);
    assert_int_equal(dump_request_read(other, &read), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arrives_as_packed),
        cmocka_unit_test(is_sealed),
        cmocka_unit_test(too_long),
        cmocka_unit_test(wrong_ones_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
