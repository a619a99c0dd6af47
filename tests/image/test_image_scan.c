/* test_image_scan.c - image folders made by hand, in CRIU's format, whole and damaged. */
#include "common/cleanup.h"
#include "image/image_scan.h"
#include "image/image_timers.h"
#include "tests/image/folder.h"
#include "tests/image/pb_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define COMMON    0x54564319u
#define INVENTORY 0x58313116u

static int dir_fd = -1;

static void put_magic(struct buffer *b, uint32_t first)
{
    uint32_t second = 0x12345678;

    put(b, &first, 4);
    if (first == COMMON)
        put(b, &second, 4);
}

static void save(const char *name, const struct buffer *b)
{
    folder_put(dir_fd, name, b->bytes, b->size);
}

/* ---- what CRIU would have written ---- */

static void put_reg(struct buffer *file, unsigned id, const char *name, unsigned flags,
                    uint64_t size, unsigned mode)
{
    struct buffer reg = {0}, entry = {0};

    put_number(&reg, 1, id);
    put_number(&reg, 2, flags);
    put_number(&reg, 3, size / 2);
    put_text(&reg, 6, name);
    if ((flags & (O_APPEND | O_ACCMODE)) != (O_APPEND | O_WRONLY))
        put_number(&reg, 8, size);
    put_number(&reg, 10, mode);
    put_number(&entry, 1, 1);
    put_number(&entry, 2, id);
    put_message(&entry, 3, &reg);
    put_record(file, &entry);
}

static void put_pipe(struct buffer *file, unsigned id, unsigned inode, unsigned flags)
{
    struct buffer pipe = {0}, entry = {0};

    put_number(&pipe, 1, id);
    put_number(&pipe, 2, inode);
    put_number(&pipe, 3, flags);
    put_number(&entry, 1, 2);
    put_number(&entry, 2, id);
    put_message(&entry, 18, &pipe);
    put_record(file, &entry);
}

static void save_files(void)
{
    struct buffer b = {0};

    put_magic(&b, COMMON);
    put_reg(&b, 1, "usr/bin/redis", O_RDONLY, 100, 0100755);
    put_reg(&b, 2, "./usr/lib/libc.so", O_RDONLY, 200, 0100755);
    put_reg(&b, 3, "/var/log/x.log", O_WRONLY | O_APPEND, 300, 0100644);
    put_reg(&b, 4, "dev/null", O_RDWR, 0, 020666);
    put_reg(&b, 5, "tmp/deleted", O_RDWR, 400, 0100600);
    put_reg(&b, 6, "var/data", O_RDONLY, 500, 0100600);
    put_reg(&b, 7, "proc/99/stat", O_RDONLY, 0, 0100444);
    put_pipe(&b, 10, 7001, O_WRONLY);
    put_pipe(&b, 11, 7002, O_RDONLY);
    put_pipe(&b, 12, 7002, O_WRONLY);
    put_pipe(&b, 13, 7003, O_RDWR);
    put_pipe(&b, 14, 7004, O_RDONLY);
    save("files.img", &b);
}

static void save_descriptors(void)
{
    struct buffer b = {0}, log = {0}, deleted = {0}, pipe = {0};

    put_magic(&b, COMMON);
    put_number(&log, 1, 3);
    put_number(&log, 2, 0);
    put_number(&log, 3, 1);
    put_number(&log, 4, 5);
    put_record(&b, &log);
    put_number(&deleted, 1, 5);
    put_number(&deleted, 2, 0);
    put_number(&deleted, 3, 1);
    put_number(&deleted, 4, 6);
    put_record(&b, &deleted);
    put_number(&pipe, 1, 1); /* the id of a file, but the type is pipe: not that file */
    put_number(&pipe, 2, 0);
    put_number(&pipe, 3, 2);
    put_number(&pipe, 4, 1);
    put_record(&b, &pipe);
    save("fdinfo-2.img", &b);
}

static void save_memory(void)
{
    struct buffer b = {0}, mm = {0}, file = {0}, data = {0}, anon = {0};

    put_magic(&b, COMMON);
    put_number(&mm, 1, 0x400000);
    put_number(&mm, 12, 1);
    put_number(&file, 1, 0x7f0000);
    put_number(&file, 2, 0x7f1000);
    put_number(&file, 4, 2);
    put_number(&file, 7, 1 | 1 << 6);
    put_message(&mm, 14, &file);
    put_number(&data, 1, 0x7f8000);
    put_number(&data, 2, 0x7f9000);
    put_number(&data, 4, 6);
    put_number(&data, 7, 1 | 1 << 7);
    put_number(&data, 10, O_RDWR);
    put_message(&mm, 14, &data);
    put_number(&anon, 1, 0x7fa000);
    put_number(&anon, 2, 0x7fb000);
    put_number(&anon, 4, 3); /* not a file's: status says anonymous */
    put_number(&anon, 7, 1 | 1 << 9);
    put_message(&mm, 14, &anon);
    put_record(&b, &mm);
    save("mm-77.img", &b);
}

static void save_rest(void)
{
    struct buffer remap = {0}, entry = {0}, dead = {0}, inventory = {0}, head = {0};

    put_magic(&remap, COMMON);
    put_number(&entry, 1, 5);
    put_number(&entry, 2, 1);
    put_record(&remap, &entry);
    put_number(&dead, 1, 7);
    put_number(&dead, 2, 99);
    put_number(&dead, 3, 2);
    put_record(&remap, &dead);
    save("remap-fpath.img", &remap);
    put_magic(&inventory, INVENTORY);
    put_number(&head, 1, 2);
    put_text(&head, 13, "abcd-1234");
    put_record(&inventory, &head);
    save("inventory.img", &inventory);
}

static int setup(void **state)
{
    static unsigned number;
    char name[16];

    snprintf(name, sizeof(name), "%u", number++);
    dir_fd = folder_make(name);
    save_files();
    save_descriptors();
    save_memory();
    save_rest();
    return 0;
}

static int teardown(void **state)
{
    dir_fd = fd_close(dir_fd);
    return 0;
}

/* ---- tests ---- */

static const struct image_file *find(const struct image *image, const char *path)
{
    for (size_t i = 0; i < image->file_count; i++)
        if (strcmp(image->files[i].path, path) == 0)
            return &image->files[i];
    return NULL;
}

static void test_files(void **state)
{
    const struct image_file *file;
    struct image image;

    assert_int_equal(image_scan(dir_fd, &image), 0);
    assert_int_equal(image.file_count, 5);
    file = find(&image, "/usr/bin/redis");
    assert_non_null(file);
    assert_true(file->mapped && !file->open && file->size == 100);
    file = find(&image, "/usr/lib/libc.so");
    assert_non_null(file);
    assert_true(file->mapped && !file->open && file->size == 200);
    file = find(&image, "/var/log/x.log");
    assert_non_null(file);
    assert_true(!file->mapped && file->open && file->flags & O_APPEND);
    assert_null(find(&image, "/dev/null"));
    assert_true(!file->deleted && !file->sized && file->offset == 150);
    file = find(&image, "/tmp/deleted");
    assert_non_null(file);
    assert_true(file->deleted && file->open && file->sized && file->size == 400);
    file = find(&image, "/var/data");
    assert_non_null(file);
    assert_true(file->mapped && !file->open && file->flags == O_RDWR);
    assert_null(find(&image, "/proc/99/stat"));
    assert_null(image.mounts);
    assert_string_equal(image.run_id, "abcd-1234");
    image_done(&image);
}

static void test_pipes(void **state)
{
    const uint64_t keys[] = {7001, 0};
    struct image image;

    assert_int_equal(image_scan(dir_fd, &image), 0);
    assert_int_equal(image.pipe_count, 4);
    assert_false(image_pipe_is_half(&image.pipes[0], keys, 2)); /* ours */
    assert_true(image_pipe_is_half(&image.pipes[0], keys + 1, 1));
    assert_false(image_pipe_is_half(&image.pipes[1], keys, 2)); /* both ends */
    assert_false(image_pipe_is_half(&image.pipes[2], keys, 2)); /* O_RDWR is both ends */
    assert_true(image_pipe_is_half(&image.pipes[3], keys, 2));
    image_done(&image);
}

static void test_mount_namespace(void **state)
{
    struct buffer b = {0};
    struct image image;

    put_magic(&b, COMMON);
    save("mountpoints-13.img", &b);
    assert_int_equal(image_scan(dir_fd, &image), 0);
    assert_string_equal(image.mounts, "mountpoints-13.img");
    image_done(&image);
}

static void test_missing(void **state)
{
    struct image image;

    unlinkat(dir_fd, "remap-fpath.img", 0); /* only there when something is deleted */
    assert_int_equal(image_scan(dir_fd, &image), 0);
    image_done(&image);
    unlinkat(dir_fd, "files.img", 0);
    assert_int_equal(image_scan(dir_fd, &image), -ENOENT);
}

static void test_every_cut(void **state)
{
    int fd, size;

    fd = openat(dir_fd, "files.img", O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    size = (int)lseek(fd, 0, SEEK_END);
    for (int cut = size - 1; cut >= 0; cut--) {
        struct image image;
        int r;

        assert_int_equal(ftruncate(fd, cut), 0);
        r = image_scan(dir_fd, &image);
        if (r == 0)
            image_done(&image); /* cut between two records */
        else
            assert_int_equal(r, -EBADMSG);
    }
    close(fd);
}

/* Fields of another wire type than CRIU's: what is no text counts as none. */
static void test_odd_fields(void **state)
{
    struct buffer inventory = {0}, head = {0}, b = {0}, reg = {0}, entry = {0};
    struct image image;

    put_magic(&inventory, INVENTORY);
    put_number(&head, 13, 77);
    put_record(&inventory, &head);
    save("inventory.img", &inventory);
    put_magic(&b, COMMON);
    put_number(&reg, 1, 1);
    put_number(&reg, 6, 77);
    put_message(&entry, 3, &reg);
    put_record(&b, &entry);
    save("files.img", &b);
    assert_int_equal(image_scan(dir_fd, &image), 0);
    assert_string_equal(image.run_id, "");
    assert_int_equal(image.file_count, 1);
    assert_string_equal(image.files[0].path, "/");
    image_done(&image);
}

static void put_timer(struct buffer *file, uint64_t ticks, uint64_t sec, uint64_t nsec,
                      uint64_t interval_nsec)
{
    struct buffer timer = {0}, entry = {0};

    put_number(&timer, 1, 4);
    put_number(&timer, 5, ticks);
    put_number(&timer, 7, sec);
    put_number(&timer, 8, nsec);
    put_number(&timer, 9, 0);
    put_number(&timer, 10, interval_nsec);
    put_number(&entry, 1, 11);
    put_message(&entry, 12, &timer);
    put_record(file, &entry);
}

/* Only the periodic timer that stands at zero is touched, and only by its one byte. */
static void test_expired_timers(void **state)
{
    struct buffer before = {0}, after = {0}, want = {0};
    unsigned count = 0;
    int fd;

    put_magic(&before, COMMON);
    put_reg(&before, 1, "/x", O_RDONLY, 1, 0100644);
    put_timer(&before, 0, 0, 77, 10000000); /* runs */
    put_timer(&before, 1, 0, 0, 0);         /* one shot, expired */
    put_timer(&before, 1, 0, 0, 10000000);  /* periodic, expired and unread */
    want = before;
    save("files.img", &before);
    assert_int_equal(image_rearm_timers(dir_fd, &count), 0);
    assert_int_equal(count, 1);
    fd = openat(dir_fd, "files.img", O_RDONLY | O_CLOEXEC);
    after.size = (size_t)read(fd, after.bytes, sizeof(after.bytes));
    close(fd);
    assert_int_equal(after.size, want.size);
    for (size_t i = 0; i < want.size; i++)
        if (after.bytes[i] != want.bytes[i]) {
            assert_int_equal(want.bytes[i], 0);
            assert_int_equal(after.bytes[i], 1);
            assert_int_equal(want.bytes[i - 1], 8 << 3); /* vnsec's key */
            count--;
        }
    assert_int_equal(count, 0);
    assert_int_equal(image_rearm_timers(dir_fd, &count), 0);
    assert_int_equal(count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_files, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pipes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mount_namespace, setup, teardown),
        cmocka_unit_test_setup_teardown(test_missing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_every_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(test_odd_fields, setup, teardown),
        cmocka_unit_test_setup_teardown(test_expired_timers, setup, teardown),
    };

    return cmocka_run_group_tests(tests, folder_setup, folder_teardown);
}
