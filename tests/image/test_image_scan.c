/* test_image_scan.c - image folders made by hand, in CRIU's format, whole and damaged. */
#include "image/image_scan.h"
#include "image/image_timers.h"

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

static char folder[] = "/tmp/perdure-test-scan-XXXXXX";
static int dir_fd = -1;

/* ---- a protobuf writer of a few lines ---- */

struct buffer {
    uint8_t bytes[4096];
    size_t size;
};

static void put(struct buffer *b, const void *data, size_t size)
{
    assert_true(b->size + size <= sizeof(b->bytes));
    memcpy(b->bytes + b->size, data, size);
    b->size += size;
}

static void put_varint(struct buffer *b, uint64_t value)
{
    do {
        uint8_t byte = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));

        put(b, &byte, 1);
        value >>= 7;
    } while (value > 0);
}

static void put_number(struct buffer *b, unsigned field, uint64_t value)
{
    put_varint(b, field << 3);
    put_varint(b, value);
}

static void put_bytes(struct buffer *b, unsigned field, const void *data, size_t size)
{
    put_varint(b, field << 3 | 2);
    put_varint(b, size);
    put(b, data, size);
}

static void put_record(struct buffer *b, const struct buffer *message)
{
    uint32_t size = (uint32_t)message->size;

    put(b, &size, sizeof(size));
    put(b, message->bytes, message->size);
}

static void put_magic(struct buffer *b, uint32_t first)
{
    uint32_t second = 0x12345678;

    put(b, &first, 4);
    if (first == COMMON)
        put(b, &second, 4);
}

static void save(const char *name, const struct buffer *b)
{
    int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, b->bytes, b->size), b->size);
    close(fd);
}

/* ---- what CRIU would have written ---- */

static void put_reg(struct buffer *file, unsigned id, const char *name, unsigned flags,
                    uint64_t size, unsigned mode)
{
    struct buffer reg = {0}, entry = {0};

    put_number(&reg, 1, id);
    put_number(&reg, 2, flags);
    put_number(&reg, 3, size / 2);
    put_bytes(&reg, 6, name, strlen(name));
    if ((flags & (O_APPEND | O_ACCMODE)) != (O_APPEND | O_WRONLY))
        put_number(&reg, 8, size);
    put_number(&reg, 10, mode);
    put_number(&entry, 1, 1);
    put_number(&entry, 2, id);
    put_bytes(&entry, 3, reg.bytes, reg.size);
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
    put_bytes(&entry, 18, pipe.bytes, pipe.size);
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
    put_number(&file, 4, 2);
    put_number(&file, 7, 1 | 1 << 6);
    put_bytes(&mm, 14, file.bytes, file.size);
    put_number(&data, 1, 0x7f8000);
    put_number(&data, 4, 6);
    put_number(&data, 7, 1 | 1 << 7);
    put_number(&data, 10, O_RDWR);
    put_bytes(&mm, 14, data.bytes, data.size);
    put_number(&anon, 4, 3); /* not a file's: status says anonymous */
    put_number(&anon, 7, 1 | 1 << 9);
    put_bytes(&mm, 14, anon.bytes, anon.size);
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
    put_bytes(&head, 13, "abcd-1234", 9);
    put_record(&inventory, &head);
    save("inventory.img", &inventory);
}

static int setup(void **state)
{
    (void)state;
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    dir_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0)
        return -1;
    save_files();
    save_descriptors();
    save_memory();
    save_rest();
    return 0;
}

static int teardown(void **state)
{
    static const char *const names[] = {"files.img",       "fdinfo-2.img",  "mm-77.img",
                                        "remap-fpath.img", "inventory.img", "mountpoints-13.img"};

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        unlinkat(dir_fd, names[i], 0);
    close(dir_fd);
    return rmdir(folder);
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

    (void)state;
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

    (void)state;
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

    (void)state;
    put_magic(&b, COMMON);
    save("mountpoints-13.img", &b);
    assert_int_equal(image_scan(dir_fd, &image), 0);
    assert_string_equal(image.mounts, "mountpoints-13.img");
    image_done(&image);
}

static void test_missing(void **state)
{
    struct image image;

    (void)state;
    unlinkat(dir_fd, "remap-fpath.img", 0); /* only there when something is deleted */
    assert_int_equal(image_scan(dir_fd, &image), 0);
    image_done(&image);
    unlinkat(dir_fd, "files.img", 0);
    assert_int_equal(image_scan(dir_fd, &image), -ENOENT);
}

static void test_every_cut(void **state)
{
    char path[128];
    int fd, size;

    (void)state;
    snprintf(path, sizeof(path), "%s/files.img", folder);
    fd = open(path, O_RDWR | O_CLOEXEC);
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
    put_bytes(&entry, 12, timer.bytes, timer.size);
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
        cmocka_unit_test_setup_teardown(test_expired_timers, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
