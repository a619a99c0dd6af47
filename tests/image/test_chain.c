/* test_chain.c - a checkpoint and its parents are opened, locked, and refused when one is not
 * right.
 */
#include "common/cleanup.h"
#include "common/fs.h"
#include "image/chain.h"
#include "tests/image/folder.h"
#include "tests/image/sample.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

static int service_fd = -1;

/* redis/N with that parent, sealed by `keys`. */
static void put(uint64_t number, uint64_t parent, const struct keys *keys)
{
    struct manifest m = sample_manifest("redis", number, NULL, 0);
    _cleanup_close_ int fd = -1;
    char folder[24];

    m.parent = parent;
    snprintf(folder, sizeof(folder), "%llu", (unsigned long long)number);
    (void)mkdirat(service_fd, folder, 0700);
    fd = openat(service_fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(manifest_write(fd, &m, keys), 0);
}

static int make_service(void **state)
{
    service_fd = folder_make("redis");
    put(1, 0, sample_keys());
    put(2, 1, sample_keys());
    put(3, 2, sample_keys());
    return 0;
}

static int remove_service(void **state)
{
    service_fd = fd_close(service_fd);
    return fs_remove_all(folder_fd, "redis");
}

/* Opens 3, which fails with a reason that has these two words. */
static int fails(const char *word, const char *other)
{
    struct reason reason = {};
    struct chain chain;
    int r = chain_open(service_fd, "redis", 3, sample_keys(), &chain, &reason);

    assert_true(r < 0);
    assert_non_null(strstr(reason_why(&reason), word));
    assert_non_null(strstr(reason_why(&reason), other));
    reason_done(&reason);
    return r;
}

static bool is_locked(const char *folder)
{
    _cleanup_close_ int fd = openat(service_fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_true(fd >= 0);
    return flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

static void opens_and_locks_all(void **state)
{
    struct reason reason = {};
    struct chain chain = {};

    assert_int_equal(chain_open(service_fd, "redis", 3, sample_keys(), &chain, &reason), 0);
    assert_int_equal(chain.count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(chain.numbers[i], 3 - i);
        assert_int_equal(chain.dirs[i].manifest->number, 3 - i);
        assert_ptr_equal(chain.dirs[i].keys, sample_keys());
    }
    assert_true(chain_is_plain(&chain));
    assert_true(is_locked("1") && is_locked("2") && is_locked("3"));
    chain_done(&chain);
    assert_false(is_locked("1") || is_locked("2") || is_locked("3"));
    chain_done(&chain);
}

/* An older image that was written anew against a newer one. */
static void parent_may_be_newer(void **state)
{
    struct reason reason = {};
    struct chain chain;

    put(1, 3, sample_keys());
    put(3, 0, sample_keys());
    assert_int_equal(chain_open(service_fd, "redis", 2, sample_keys(), &chain, &reason), 0);
    assert_int_equal(chain.count, 3);
    assert_int_equal(chain.numbers[2], 3);
    chain_done(&chain);
}

static void missing(void **state)
{
    assert_int_equal(fs_remove_all(service_fd, "1"), 0);
    assert_int_equal(fails("redis@1, a parent of redis@3", "missing"), -EBADMSG);
    assert_int_equal(symlinkat("2", service_fd, "1"), 0);
    assert_int_equal(fails("redis@1", "missing"), -EBADMSG);
    assert_int_equal(fs_remove_all(service_fd, "3"), 0);
    assert_int_equal(fails("no checkpoint", "redis@3"), -ENOENT);
}

static void circle(void **state)
{
    put(1, 3, sample_keys());
    assert_int_equal(fails("redis@3", "damaged"), -EBADMSG);
}

static void damaged(void **state)
{
    assert_int_equal(fs_remove_all(service_fd, "2/manifest.json"), 0);
    assert_int_equal(fails("redis@2, a parent of redis@3", "damaged"), -EBADMSG);
    folder_put(service_fd, "2/manifest.json", "{}", 2);
    assert_int_equal(fails("redis@2", "damaged"), -EBADMSG);
}

/* A folder cannot take another's place. */
static void of_another(void **state)
{
    struct reason reason = {};
    struct chain chain;

    assert_int_equal(fs_remove_all(service_fd, "2"), 0);
    assert_int_equal(renameat(service_fd, "1", service_fd, "2"), 0);
    assert_int_equal(fails("redis@2", "damaged"), -EBADMSG);
    assert_int_equal(chain_open(service_fd, "other", 3, sample_keys(), &chain, &reason), -EBADMSG);
    reason_done(&reason);
}

static void of_another_key(void **state)
{
    struct keys *foreign = NULL;
    char path[128];

    snprintf(path, sizeof(path), "%s/foreign", folder_path());
    assert_int_equal(keys_read_or_make(path, &foreign), 0);
    put(1, 0, foreign);
    assert_int_equal(fails("redis@1, a parent of redis@3", "not in the key file"), -ENOKEY);
    put(1, 0, sample_keys());
    keys_free(foreign);
}

/* A child process has it locked, exchanges it and goes: the new one is taken. */
static void waits_for_an_exchange(void **state)
{
    int ready[2], go[2], status;
    struct reason reason = {};
    struct stat held, named;
    struct chain chain;
    char byte = 0;
    pid_t pid;

    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(go), 0);
    put(12, 0, sample_keys());
    pid = fork();
    if (pid == 0) {
        int fd = openat(service_fd, "3", O_RDONLY | O_DIRECTORY);

        if (flock(fd, LOCK_EX) < 0 || write(ready[1], &byte, 1) != 1 || read(go[0], &byte, 1) != 1)
            _exit(1);
        usleep(50000); /* the other is most likely waiting by then; if not, nothing is lost */
        /* A parent that cannot be had: whoever went on with the old folder would fail. */
        _exit(renameat(service_fd, "3", service_fd, "rebase-3") < 0 ||
              renameat(service_fd, "new", service_fd, "3") < 0);
    }
    assert_int_equal(mkdirat(service_fd, "new", 0700), 0);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    {
        struct manifest m = sample_manifest("redis", 3, NULL, 0);
        _cleanup_close_ int fd = openat(service_fd, "new", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        m.parent = 12;
        assert_int_equal(manifest_write(fd, &m, sample_keys()), 0);
    }
    assert_int_equal(write(go[1], &byte, 1), 1);
    assert_int_equal(chain_open(service_fd, "redis", 3, sample_keys(), &chain, &reason), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(fstat(chain.dirs[0].fd, &held), 0);
    assert_int_equal(fstatat(service_fd, "3", &named, 0), 0);
    assert_int_equal(held.st_ino, named.st_ino);
    assert_int_equal(chain.numbers[1], 12);
    chain_done(&chain);
    for (int i = 0; i < 2; i++) {
        close(ready[i]);
        close(go[i]);
    }
}

#define service_test(f) cmocka_unit_test_setup_teardown(f, make_service, remove_service)

int main(void)
{
    const struct CMUnitTest tests[] = {
        service_test(opens_and_locks_all),
        service_test(parent_may_be_newer),
        service_test(missing),
        service_test(circle),
        service_test(damaged),
        service_test(of_another),
        service_test(of_another_key),
        service_test(waits_for_an_exchange),
    };

    return cmocka_run_group_tests(tests, folder_setup, folder_teardown);
}
