/* test_restorable.c - what of the host must be as it was, and what may differ. */
#include "common/cleanup.h"
#include "common/fs.h"
#include "image/restorable.h"
#include "tests/image/sample.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static char folder[] = "/tmp/perdure-test-restorable-XXXXXX";
static int dir_fd = -1;
static char path[128];

static int setup(void **state)
{
    if (!mkdtemp(folder))
        return -1;
    dir_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    snprintf(path, sizeof(path), "%s/file", folder);
    return dir_fd < 0 ? -1 : 0;
}

static int teardown(void **state)
{
    close(dir_fd);
    return fs_remove_all(AT_FDCWD, folder);
}

/* Writes the file and describes it as a dump would. */
static struct manifest_file make_file(const char *content)
{
    struct stat st;

    assert_int_equal(fs_replace(AT_FDCWD, path, content, strlen(content), 0600), 0);
    assert_int_equal(stat(path, &st), 0);
    return (struct manifest_file){
        .path = path,
        .device = st.st_dev,
        .inode = st.st_ino,
        .size = (uint64_t)st.st_size,
        .mtime_nsec = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec,
    };
}

static void set_time(time_t seconds)
{
    const struct timespec times[2] = {{.tv_sec = seconds}, {.tv_sec = seconds}};

    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

/* "" when restorable; static. */
static const char *why_in(struct manifest_file *file, enum files_mode mode)
{
    struct manifest m = sample_manifest("redis", 1, file, 1);
    _cleanup_free_ char *text = NULL;
    static char copy[512];
    int r = restorable_files(&m, mode, &text);

    assert_true(r == 0 || r == NOT_RESTORABLE);
    snprintf(copy, sizeof(copy), "%s", r ? text : "");
    if (r)
        assert_non_null(strstr(copy, path));
    return copy;
}

static const char *why(struct manifest_file *file)
{
    return why_in(file, FILES_IGNORE);
}

/* Writes into the file as it is, from its beginning. */
static void overwrite(const char *content)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, strlen(content)), strlen(content));
    assert_int_equal(ftruncate(fd, (off_t)strlen(content)), 0);
    close(fd);
}

static void open_file_keeps_its_size(void **state)
{
    struct manifest_file file = make_file("12345");

    file.open = true;
    assert_string_equal(why(&file), "");
    set_time(1); /* same size, other time: CRIU accepts it */
    assert_string_equal(why(&file), "");
    make_file("123456");
    assert_non_null(strstr(why(&file), "has 6 bytes now, the image needs 5"));
    make_file("1234");
    assert_non_null(strstr(why(&file), "has 4 bytes now, the image needs 5"));
}

static void log_may_grow(void **state)
{
    struct manifest_file file = make_file("12345");

    file.open = file.append = true;
    make_file("1234567890");
    assert_string_equal(why(&file), "");
    assert_int_equal(unlink(path), 0);
    assert_non_null(strstr(why(&file), "is gone"));
}

static void code_is_the_very_same(void **state)
{
    struct manifest_file file = make_file("\177ELFcode");

    file.mapped = true;
    assert_string_equal(why(&file), "");
    set_time(1);
    assert_non_null(strstr(why(&file), "was changed since"));
    file = make_file("\177ELFcode");
    file.mapped = true;
    file.inode++; /* as an overlay after a reboot */
    assert_string_equal(why(&file), "");
    set_time(1);
    assert_non_null(strstr(why(&file), "was replaced since"));
}

static void mapped_data_may_be_written(void **state)
{
    struct manifest_file file = make_file("data");

    file.mapped = true;
    set_time(1);
    assert_string_equal(why(&file), "");
    make_file("more data");
    assert_non_null(strstr(why(&file), "has 9 bytes now"));
}

static void refuse_sees_every_change(void **state)
{
    struct manifest_file file = make_file("12345");

    file.open = true; /* only read: it counts all the same */
    assert_string_equal(why_in(&file, FILES_REFUSE), "");
    set_time(1);
    assert_non_null(strstr(why_in(&file, FILES_REFUSE), "was written to since"));
    file = make_file("12345");
    file.open = file.append = true;
    file.flags = O_WRONLY | O_APPEND;
    overwrite("123456");
    assert_non_null(strstr(why_in(&file, FILES_REFUSE), "has 6 bytes now, the image needs 5"));
    make_file("12345");
    assert_non_null(strstr(why_in(&file, FILES_REFUSE), "was replaced since"));
    file.open = file.append = false;
    file.flags = 0;
    file.mapped = true; /* code: only as ever */
    assert_string_equal(why_in(&file, FILES_REFUSE), "");
}

static void truncate_takes_what_grew(void **state)
{
    struct manifest_file file = make_file("12345");

    file.open = true;
    file.flags = O_RDWR;
    assert_string_equal(why_in(&file, FILES_TRUNCATE), "");
    overwrite("123456");
    assert_string_equal(why_in(&file, FILES_TRUNCATE), "");
    assert_non_null(strstr(why_in(&file, FILES_IGNORE), "has 6 bytes now"));
    overwrite("1234");
    assert_non_null(strstr(why_in(&file, FILES_TRUNCATE), "cannot be cut back"));
    make_file("123456");
    assert_non_null(strstr(why_in(&file, FILES_TRUNCATE), "was replaced since"));
    file = make_file("12345");
    file.open = true;
    overwrite("123456");
    assert_non_null(strstr(why_in(&file, FILES_TRUNCATE), "only reads it"));
}

static void snapshot_makes_good(void **state)
{
    struct manifest_file file = make_file("12345");

    file.open = true;
    file.flags = O_RDWR;
    file.snapshot = (char *)"file-1.snap";
    assert_int_equal(unlink(path), 0);
    assert_string_equal(why_in(&file, FILES_SNAPSHOT), "");
    assert_non_null(strstr(why_in(&file, FILES_TRUNCATE), "is gone"));
    file.deleted = true; /* in the image itself */
    assert_string_equal(why_in(&file, FILES_REFUSE), "");
    file.deleted = file.open = false; /* of SnapshotPaths= alone: the memory does not need it */
    assert_string_equal(why_in(&file, FILES_TRUNCATE), "");
}

static void other_disk_numbers_after_a_boot(void **state)
{
    struct manifest_file file = make_file("12345");
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(file_compare(&file, &st, true), FILE_SAME);
    file.device++;
    assert_int_equal(file_compare(&file, &st, true), FILE_REPLACED);
    assert_int_equal(file_compare(&file, &st, false), FILE_SAME);
    file.inode++;
    assert_int_equal(file_compare(&file, &st, false), FILE_REPLACED);
}

static void image_files_have_their_sizes(void **state)
{
    struct manifest m = sample_manifest("redis", 1, NULL, 0);
    _cleanup_free_ char *gone = NULL, *cut = NULL;

    assert_int_equal(restorable_images(dir_fd, &m, &gone), NOT_RESTORABLE);
    assert_non_null(strstr(gone, "pages-1.img is gone"));
    assert_int_equal(fs_replace(dir_fd, "pages-1.img", "pag", 3, 0600), 0);
    assert_int_equal(restorable_images(dir_fd, &m, &cut), NOT_RESTORABLE);
    assert_non_null(strstr(cut, "pages-1.img has 3 bytes instead of 4"));
    assert_int_equal(fs_replace(dir_fd, "pages-1.img", "page", 4, 0600), 0);
    assert_int_equal(restorable_images(dir_fd, &m, NULL), 0);
}

static void host_must_fit(void **state)
{
    struct manifest m = sample_manifest("redis", 1, NULL, 0);
    struct host host;
    char *text = NULL;

    assert_int_equal(host_read(&host), 0);
    assert_int_equal(restorable_host(&m, &host, 40101, &text), 0);
    assert_int_equal(restorable_host(&m, &host, 40201, &text), 0);
    assert_int_equal(restorable_host(&m, &host, 0, &text), 0);
    assert_int_equal(restorable_host(&m, &host, 40000, &text), NOT_RESTORABLE);
    assert_string_equal(text, "it was made by CRIU 4.1.1, this host has 4.0.0");
    free(text);
    m.machine = (char *)"vax";
    assert_int_equal(restorable_host(&m, &host, 40101, &text), NOT_RESTORABLE);
    assert_non_null(strstr(text, "it was made on vax"));
    free(text);
    host_done(&host);
}

static void processor_has_every_feature(void **state)
{
    char *feature = NULL;

    assert_int_equal(host_compare_cpu("A: avx sse2", "B: sse2 avx avx2", &feature), 0);
    assert_int_equal(host_compare_cpu("A: ", "B: avx", &feature), 0);
    assert_int_equal(host_compare_cpu("A: sse2 avx2", "A: sse2 avx", &feature), HOST_LACKS);
    assert_string_equal(feature, "avx2");
    free(feature);
    assert_int_equal(host_compare_cpu("A: avx", "A: avx2 avx512f", &feature), HOST_LACKS);
    free(feature);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(open_file_keeps_its_size),
        cmocka_unit_test(log_may_grow),
        cmocka_unit_test(code_is_the_very_same),
        cmocka_unit_test(mapped_data_may_be_written),
        cmocka_unit_test(refuse_sees_every_change),
        cmocka_unit_test(truncate_takes_what_grew),
        cmocka_unit_test(snapshot_makes_good),
        cmocka_unit_test(other_disk_numbers_after_a_boot),
        cmocka_unit_test(image_files_have_their_sizes),
        cmocka_unit_test(host_must_fit),
        cmocka_unit_test(processor_has_every_feature),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
