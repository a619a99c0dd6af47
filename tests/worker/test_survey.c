/* test_survey.c - images made by hand: what is replaced in a drill, and what makes one impossible.
 */
#include "worker/survey.h"

#include "common/fs.h"
#include "tests/image/pb_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/perdure-test-survey-XXXXXX";
static char data[64], fifo[64]; /* of the host: a file of 10 bytes, a FIFO */
static int dir_fd = -1;

static void begin(struct buffer *b)
{
    b->size = 0;
    put_head(b, 0x12345678);
}

static void save(const char *name, const struct buffer *b)
{
    int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, b->bytes, b->size), b->size);
    close(fd);
}

/* ---- what CRIU would have written ---- */

static struct buffer files;

static void put_file(unsigned field, const struct buffer *entry)
{
    struct buffer file = {0};

    put_message(&file, field, entry);
    put_record(&files, &file);
}

static void put_reg(unsigned id, const char *name, unsigned flags, uint64_t size, unsigned mode,
                    bool build_id)
{
    struct buffer reg = {0};

    put_number(&reg, 1, id);
    put_number(&reg, 2, flags);
    put_text(&reg, 6, name);
    put_number(&reg, 8, size);
    put_number(&reg, 10, mode);
    if (build_id)
        put_number(&reg, 11, 7);
    put_file(3, &reg);
}

static void put_unix(unsigned uflags, const char *name, size_t size)
{
    struct buffer usk = {0};

    put_number(&usk, 6, uflags);
    put_bytes(&usk, 11, name, size);
    put_file(16, &usk);
}

static void put_mapping(unsigned id, unsigned prot)
{
    struct buffer file, vma = {0}, mm = {0};

    put_number(&vma, 4, id);
    put_number(&vma, 5, prot);
    put_number(&vma, 7, 1 << 7);
    put_message(&mm, 14, &vma);
    begin(&file);
    put_record(&file, &mm);
    save("mm-5.img", &file);
}

static void put_tree(void)
{
    struct buffer file, entry = {0};

    put_number(&entry, 1, 500);
    put_number(&entry, 2, 1);
    put_number(&entry, 3, 400);
    put_number(&entry, 4, 400);
    put_number(&entry, 5, 501);
    begin(&file);
    put_record(&file, &entry);
    save("pstree.img", &file);
}

static int look(struct survey *s)
{
    save("files.img", &files);
    return survey_make(dir_fd, s);
}

static const struct survey_item *item(const struct survey *s, const char *path)
{
    for (size_t i = 0; i < s->item_count; i++)
        if (strcmp(s->items[i].path, path) == 0)
            return &s->items[i];
    return NULL;
}

static bool has_path(const struct survey *s, const char *path)
{
    for (size_t i = 0; i < s->path_count; i++)
        if (strcmp(s->paths[i], path) == 0)
            return true;
    return false;
}

static int set_up(void **state)
{
    int fd;

    if (!mkdtemp(folder))
        return -1;
    snprintf(data, sizeof(data), "%s/data", folder);
    snprintf(fifo, sizeof(fifo), "%s/fifo", folder);
    dir_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fd = open(data, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
    if (dir_fd < 0 || fd < 0 || ftruncate(fd, 10) < 0 || mkfifo(fifo, 0600) < 0)
        return -1;
    close(fd);
    return 0;
}

static int clear(void **state)
{
    begin(&files);
    put_tree();
    (void)unlinkat(dir_fd, "mm-5.img", 0);
    return 0;
}

static int tear_down(void **state)
{
    close(dir_fd);
    return fs_remove_all(AT_FDCWD, folder);
}

/* ---- tests ---- */

static void test_what_is_written_has_the_size_of_the_freeze(void **state)
{
    struct survey s;

    put_reg(1, data, O_RDWR, 7, S_IFREG | 0640, false);
    put_reg(2, fifo + 1, O_RDWR, 0, S_IFIFO | 0600, false);
    assert_int_equal(look(&s), 0);
    assert_true(item(&s, data)->written);
    assert_int_equal(item(&s, data)->size, 7);
    assert_int_equal(item(&s, data)->mode, S_IFREG | 0640);
    assert_true(S_ISFIFO(item(&s, fifo)->mode));
    assert_null(s.unprovable.why);
    survey_done(&s);
}

static void test_what_is_read_stays_the_hosts(void **state)
{
    struct survey s;

    put_reg(1, data, O_RDONLY, 7, S_IFREG | 0640, true);
    put_reg(2, "/no/such/file", O_RDWR, 7, S_IFREG | 0640, false);
    assert_int_equal(look(&s), 0);
    assert_false(item(&s, data)->written);
    assert_true(item(&s, data)->mapped);
    assert_int_equal(item(&s, data)->size, 10);
    assert_null(item(&s, "/no/such/file"));
    assert_true(has_path(&s, "/no/such/file"));
    survey_done(&s);
}

static void test_a_shared_mapping_writes(void **state)
{
    struct survey s;

    put_reg(9, data, O_RDONLY, 10, S_IFREG | 0640, false);
    put_mapping(9, PROT_READ);
    assert_int_equal(look(&s), 0);
    assert_false(item(&s, data)->written);
    survey_done(&s);
    put_mapping(9, PROT_READ | PROT_WRITE);
    assert_int_equal(look(&s), 0);
    assert_true(item(&s, data)->written);
    survey_done(&s);
}

static void test_sockets(void **state)
{
    struct survey s;

    put_unix(0, "/run/own/socket", sizeof("/run/own/socket"));
    put_unix(1, "\0outside", 8);
    put_unix(1, "/run/log", sizeof("/run/log"));
    put_unix(0, "", 0);
    assert_int_equal(look(&s), 0);
    assert_true(has_path(&s, "/run/own"));
    assert_true(has_path(&s, "/run"));
    assert_int_equal(s.peer_count, 2);
    assert_memory_equal(s.peers[0].address.sun_path, "\0outside", 8);
    assert_int_equal(s.peers[0].size, sizeof(sa_family_t) + 8);
    assert_string_equal(s.peers[1].address.sun_path, "/run/log");
    survey_done(&s);
}

static void test_numbers_are_in_order(void **state)
{
    static const uint32_t wanted[] = {400, 400, 500, 501};
    struct survey s;

    assert_int_equal(look(&s), 0);
    assert_int_equal(s.number_count, 4);
    assert_memory_equal(s.numbers, wanted, sizeof(wanted));
    survey_done(&s);
}

static void expect_unprovable(const char *word)
{
    struct survey s;

    assert_int_equal(look(&s), 0);
    assert_non_null(s.unprovable.why);
    assert_non_null(strstr(s.unprovable.why, word));
    survey_done(&s);
}

static void test_devices(void **state)
{
    struct survey s;

    put_reg(1, "/dev/null", O_RDWR, 0, S_IFCHR | 0666, false);
    assert_int_equal(look(&s), 0);
    assert_null(s.unprovable.why);
    survey_done(&s);
    put_reg(2, "/dev/kmsg", O_RDONLY, 0, S_IFCHR | 0644, false);
    expect_unprovable("/dev/kmsg");
}

static void test_interfaces(void **state)
{
    struct buffer isk = {0}, options = {0};
    struct survey s;

    put_bytes(&options, 15, "lo", 2);
    put_message(&isk, 14, &options);
    put_file(4, &isk);
    assert_int_equal(look(&s), 0);
    assert_null(s.unprovable.why);
    survey_done(&s);
    isk.size = options.size = 0;
    put_bytes(&options, 15, "eth7", 4);
    put_message(&isk, 14, &options);
    put_file(4, &isk);
    expect_unprovable("eth7");
}

static void test_terminal(void **state)
{
    struct buffer tty = {0};

    put_number(&tty, 1, 1);
    put_file(19, &tty);
    expect_unprovable("terminal");
}

static void test_hostile_paths(void **state)
{
    static const char *const paths[] = {"/run/../etc/shadow", "/run/..", "//etc", "/a/./b", "a//b"};
    struct survey s;

    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        begin(&files);
        put_reg(1, paths[i], O_RDWR, 0, S_IFREG, false);
        assert_int_equal(look(&s), -EBADMSG);
    }
}

static void test_a_long_address(void **state)
{
    char name[120];
    struct survey s;

    memset(name, 'x', sizeof(name));
    put_unix(1, name, sizeof(name));
    assert_int_equal(look(&s), -EBADMSG);
}

static void test_every_truncation(void **state)
{
    struct buffer whole;
    struct survey s;

    put_reg(1, data, O_RDWR, 7, S_IFREG | 0640, false);
    put_unix(1, "/run/log", sizeof("/run/log"));
    whole = files;
    for (files.size = 0; files.size < whole.size; files.size++) {
        int r = look(&s);

        assert_true(r == 0 || r == -EBADMSG);
        if (r == 0)
            survey_done(&s);
    }
}

static void test_missing(void **state)
{
    struct survey s;

    (void)unlinkat(dir_fd, "files.img", 0);
    assert_int_equal(survey_make(dir_fd, &s), -ENOENT);
}

static void test_below(void **state)
{
    assert_true(path_is_below("/run", "/run"));
    assert_true(path_is_below("/run/x", "/run"));
    assert_false(path_is_below("/runner", "/run"));
    assert_true(path_is_below("/any", "/"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_what_is_written_has_the_size_of_the_freeze, clear),
        cmocka_unit_test_setup(test_what_is_read_stays_the_hosts, clear),
        cmocka_unit_test_setup(test_a_shared_mapping_writes, clear),
        cmocka_unit_test_setup(test_sockets, clear),
        cmocka_unit_test_setup(test_numbers_are_in_order, clear),
        cmocka_unit_test_setup(test_devices, clear),
        cmocka_unit_test_setup(test_interfaces, clear),
        cmocka_unit_test_setup(test_terminal, clear),
        cmocka_unit_test_setup(test_hostile_paths, clear),
        cmocka_unit_test_setup(test_a_long_address, clear),
        cmocka_unit_test_setup(test_every_truncation, clear),
        cmocka_unit_test_setup(test_missing, clear),
        cmocka_unit_test(test_below),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
