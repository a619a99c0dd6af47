/* test_claim.c - a folder to work in is one worker's, and what is removed is one's own. */
#include "common/cleanup.h"
#include "common/fs.h"
#include "tests/image/folder.h"
#include "worker/claim.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static int service_fd = -1;

static int setup(void **state)
{
    service_fd = folder_make("service");
    return service_fd < 0 ? -1 : 0;
}

static int teardown(void **state)
{
    service_fd = fd_close(service_fd);
    return fs_remove_all(folder_fd, "service");
}

static bool is_there(const char *path)
{
    return faccessat(service_fd, path, F_OK, 0) == 0;
}

static void belongs_to_one(void **state)
{
    _cleanup_close_ int first = claim_folder(service_fd, "rebase-1"), second = -1;

    assert_true(first >= 0);
    folder_put(first, "pages-1.img", "page", 4);
    assert_int_equal(claim_folder(service_fd, "rebase-1"), -EBUSY);
    assert_true(is_there("rebase-1/pages-1.img"));
    second = claim_folder(service_fd, "rebase-2");
    assert_true(second >= 0);
}

static void takes_what_a_dead_one_left(void **state)
{
    _cleanup_close_ int fd = claim_folder(service_fd, "rebase-1");

    folder_put(fd, "pages-1.img", "page", 4);
    fd = fd_close(fd);
    fd = claim_folder(service_fd, "rebase-1");
    assert_true(fd >= 0);
    assert_false(is_there("rebase-1/pages-1.img"));
    fd = fd_close(fd);
    assert_int_equal(fs_remove_all(service_fd, "rebase-1"), 0);
    folder_put(service_fd, "rebase-1", "", 0);
    fd = claim_folder(service_fd, "rebase-1");
    assert_true(fd >= 0);
}

/* Two that re-base the same one: the slower must not take the other's work away. */
static void removes_its_own_only(void **state)
{
    _cleanup_close_ int mine = claim_folder(service_fd, "rebase-1"), other = -1;

    assert_int_equal(fs_remove_all(service_fd, "rebase-1"), 0); /* swept */
    other = claim_folder(service_fd, "rebase-1");
    assert_true(other >= 0);
    claim_remove(service_fd, "rebase-1", mine);
    assert_true(is_there("rebase-1"));
    claim_remove(service_fd, "rebase-1", -1);
    assert_true(is_there("rebase-1"));
    claim_remove(service_fd, "rebase-1", other);
    assert_false(is_there("rebase-1"));
}

/* As after an exchange: the name is that of the old form now. */
static void follows_the_folder(void **state)
{
    _cleanup_close_ int old = folder_make("service/1"), new = claim_folder(service_fd, "rebase-1");

    assert_int_equal(renameat2(service_fd, "rebase-1", service_fd, "1", RENAME_EXCHANGE), 0);
    claim_remove(service_fd, "rebase-1", new);
    assert_true(is_there("rebase-1"));
    claim_remove(service_fd, "rebase-1", old);
    assert_false(is_there("rebase-1"));
    assert_true(is_there("1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(belongs_to_one, setup, teardown),
        cmocka_unit_test_setup_teardown(takes_what_a_dead_one_left, setup, teardown),
        cmocka_unit_test_setup_teardown(removes_its_own_only, setup, teardown),
        cmocka_unit_test_setup_teardown(follows_the_folder, setup, teardown),
    };

    return cmocka_run_group_tests(tests, folder_setup, folder_teardown);
}
