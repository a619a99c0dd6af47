/* test_files_back.c - files after a crash: what is cut, what is rewritten, and what is left alone.
 */
#include "common/cleanup.h"
#include "common/fs.h"
#include "tests/image/sample.h"
#include "worker/files_back.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#define OLD "one\ntwo\n"
#define NEW "one\ntwo\nthree\n"

static char folder[64];
static char path[128], other[128], third[128];
static int image_fd = -1;
static struct manifest_file file;
static struct reason reason;

static void put(const char *where, const char *content)
{
    _cleanup_close_ int fd = open(where, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, strlen(content)), strlen(content));
}

static void has(const char *where, const char *content)
{
    _cleanup_free_ char *data = NULL;

    assert_int_equal(fs_read(AT_FDCWD, where, 1000, &data, NULL), 0);
    assert_string_equal(data, content);
}

/* A file that the service writes, as of the freeze. */
static int setup(void **state)
{
    struct stat st;

    strcpy(folder, "/tmp/perdure-test-files-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof(path), "%s/data", folder);
    snprintf(other, sizeof(other), "%s/other", folder);
    snprintf(third, sizeof(third), "%s/third", folder);
    image_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (image_fd < 0)
        return -1;
    put(path, OLD);
    assert_int_equal(stat(path, &st), 0);
    file = (struct manifest_file){
        .path = path,
        .device = st.st_dev,
        .inode = st.st_ino,
        .size = (uint64_t)st.st_size,
        .mtime_nsec = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec,
        .flags = O_RDWR,
        .snapshot = (char *)"",
        .open = true,
        .mode = 0640,
        .uid = st.st_uid,
        .gid = st.st_gid,
    };
    return 0;
}

static int teardown(void **state)
{
    close(image_fd);
    reason_done(&reason);
    return fs_remove_all(AT_FDCWD, folder);
}

static enum worker_result put_back(struct manifest_file *files, size_t count, enum files_mode mode)
{
    struct manifest_image copy = {.name = (char *)"file-1.snap", .size = strlen(OLD)};
    struct manifest m = sample_manifest("redis", 1, files, count);
    const struct image_dir image = {.fd = image_fd, .manifest = &m};

    copy.plain_size = copy.size;
    m.images = &copy;
    reason_done(&reason);
    return files_check_and_put_back(&image, mode, &reason);
}

static void keep_snapshot(void)
{
    char name[160];

    snprintf(name, sizeof(name), "%s/file-1.snap", folder);
    put(name, OLD);
    file.snapshot = (char *)"file-1.snap";
}

static void says(const char *words)
{
    if (!strstr(reason_why(&reason), words))
        fail_msg("no '%s' in '%s'", words, reason_why(&reason));
    assert_true(reason_cure(&reason)[0] != '\0');
}

static void growth_is_cut(void **state)
{
    put(path, NEW);
    assert_int_equal(put_back(&file, 1, FILES_IGNORE), WORKER_OK);
    has(path, NEW);
    assert_int_equal(put_back(&file, 1, FILES_REFUSE), WORKER_UNRESTORABLE);
    says(path);
    has(path, NEW);
    assert_int_equal(put_back(&file, 1, FILES_TRUNCATE), WORKER_OK);
    has(path, OLD);
    assert_int_equal(put_back(&file, 1, FILES_TRUNCATE), WORKER_OK);
    has(path, OLD);
}

static void log_is_cut_too(void **state)
{
    file.flags = O_WRONLY | O_APPEND;
    file.append = true;
    put(path, NEW);
    assert_int_equal(put_back(&file, 1, FILES_TRUNCATE), WORKER_OK);
    has(path, OLD);
}

static void what_is_only_read_stays(void **state)
{
    file.flags = O_RDONLY;
    put(path, NEW);
    assert_int_equal(put_back(&file, 1, FILES_TRUNCATE), WORKER_UNRESTORABLE);
    says("only reads it");
    has(path, NEW);
}

static void shrunk_and_replaced_are_refused(void **state)
{
    put(path, "one\n");
    assert_int_equal(put_back(&file, 1, FILES_TRUNCATE), WORKER_UNRESTORABLE);
    says("has 4 bytes now");
    put(other, NEW);
    assert_int_equal(rename(other, path), 0);
    assert_int_equal(put_back(&file, 1, FILES_TRUNCATE), WORKER_UNRESTORABLE);
    says("was replaced");
    has(path, NEW);
}

/* The link leads to the very inode: nothing but the link is wrong, and it is not followed. */
static void planted_link_is_not_followed(void **state)
{
    put(path, NEW);
    assert_int_equal(rename(path, other), 0);
    assert_int_equal(symlink(other, path), 0);
    assert_int_equal(put_back(&file, 1, FILES_TRUNCATE), WORKER_UNRESTORABLE);
    says("symbolic link");
    has(other, NEW);
    keep_snapshot();
    assert_int_equal(put_back(&file, 1, FILES_SNAPSHOT), WORKER_UNRESTORABLE);
    says("symbolic link");
    has(other, NEW);
}

static void planted_folder_is_not_followed(void **state)
{
    char deep[160], real[128], linked[128];
    struct stat st;

    snprintf(real, sizeof(real), "%s/real", folder);
    snprintf(linked, sizeof(linked), "%s/linked", folder);
    snprintf(deep, sizeof(deep), "%s/victim", real);
    assert_int_equal(mkdir(real, 0700), 0);
    put(deep, NEW);
    assert_int_equal(symlink(real, linked), 0);
    assert_int_equal(stat(deep, &st), 0);
    file.inode = st.st_ino;
    snprintf(deep, sizeof(deep), "%s/victim", linked);
    file.path = deep;
    assert_int_equal(put_back(&file, 1, FILES_TRUNCATE), WORKER_UNRESTORABLE);
    says("symbolic link");
    has(deep, NEW);
    keep_snapshot();
    file.inode++; /* would be made anew */
    assert_int_equal(put_back(&file, 1, FILES_SNAPSHOT), WORKER_UNRESTORABLE);
    has(deep, NEW);
}

/* In place: the other name sees it, and nothing is left beside. */
static void snapshot_keeps_hard_links(void **state)
{
    struct stat st;

    keep_snapshot();
    put(path, "ONE\n and much more than there was");
    assert_int_equal(link(path, other), 0);
    assert_int_equal(put_back(&file, 1, FILES_TRUNCATE), WORKER_OK); /* grown: cut, not rewritten */
    has(path, "ONE\n and");
    assert_int_equal(put_back(&file, 1, FILES_SNAPSHOT), WORKER_OK);
    has(other, OLD);
    assert_int_equal(stat(path, &st), 0);
    assert_true(st.st_ino == file.inode && st.st_nlink == 2);
    assert_true((int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec == file.mtime_nsec);
    assert_int_equal(put_back(&file, 1, FILES_REFUSE), WORKER_OK);
}

static void snapshot_makes_a_lost_file_anew(void **state)
{
    struct stat st;

    keep_snapshot();
    snprintf(third, sizeof(third), "%s/.data.perdure-new", folder);
    put(third, "half of a run that was killed");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(put_back(&file, 1, FILES_SNAPSHOT), WORKER_OK);
    has(path, OLD);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_int_equal(access(third, F_OK), -1);
    put(other, "somebody's");
    assert_int_equal(rename(other, path), 0);
    assert_int_equal(link(path, other), 0);
    assert_int_equal(put_back(&file, 1, FILES_SNAPSHOT), WORKER_OK);
    has(path, OLD);
    has(other, "somebody's"); /* not the service's inode: it is not written into */
}

static void snapshot_needs_its_folder_and_its_copy(void **state)
{
    char lost[160], name[160];

    keep_snapshot();
    snprintf(lost, sizeof(lost), "%s/lost/data", folder);
    file.path = lost;
    assert_int_equal(put_back(&file, 1, FILES_SNAPSHOT), WORKER_UNRESTORABLE);
    says("is gone");
    file.path = path;
    snprintf(name, sizeof(name), "%s/file-1.snap", folder);
    assert_int_equal(unlink(name), 0);
    assert_int_equal(put_back(&file, 1, FILES_SNAPSHOT), WORKER_CORRUPT);
    file.snapshot = (char *)"other"; /* a file of the folder, but none of the image */
    put(other, OLD);
    assert_int_equal(put_back(&file, 1, FILES_SNAPSHOT), WORKER_CORRUPT);
}

static void what_is_anothers_stays(void **state)
{
    put(path, NEW);
    file.uid++;
    assert_int_equal(put_back(&file, 1, FILES_TRUNCATE), WORKER_UNRESTORABLE);
    says("belongs to user");
    keep_snapshot();
    assert_int_equal(put_back(&file, 1, FILES_SNAPSHOT), WORKER_UNRESTORABLE);
    says("belongs to user");
    has(path, NEW);
    file.gid++;
    assert_int_equal(unlink(path), 0);
    assert_int_equal(put_back(&file, 1, FILES_SNAPSHOT), WORKER_UNRESTORABLE);
    says("its folder is not one of its owner's");
    assert_int_equal(access(path, F_OK), -1);
}

/* A child that has the file open for writing until it is killed. */
static pid_t start_writer(void)
{
    int ready[2];
    char byte;
    pid_t pid;

    assert_int_equal(pipe(ready), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int fd = open(path, O_WRONLY | O_APPEND);

        if (fd < 0 || write(ready[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    return pid;
}

/* All are looked at first: the file before it is not cut either. */
static void another_writer_stops_it(void **state)
{
    struct manifest_file files[2] = {file, file};
    pid_t pid;
    struct stat st;

    put(other, OLD);
    assert_int_equal(stat(other, &st), 0);
    files[0].path = other;
    files[0].inode = st.st_ino;
    put(other, NEW);
    put(path, NEW);
    pid = start_writer();
    assert_int_equal(put_back(files, 2, FILES_TRUNCATE), WORKER_UNRESTORABLE);
    says("open for writing in another program");
    says(path);
    has(other, NEW);
    has(path, NEW);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(put_back(files, 2, FILES_TRUNCATE), WORKER_OK);
    has(other, OLD);
    has(path, OLD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(growth_is_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(log_is_cut_too, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_only_read_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(shrunk_and_replaced_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(planted_link_is_not_followed, setup, teardown),
        cmocka_unit_test_setup_teardown(planted_folder_is_not_followed, setup, teardown),
        cmocka_unit_test_setup_teardown(snapshot_keeps_hard_links, setup, teardown),
        cmocka_unit_test_setup_teardown(snapshot_makes_a_lost_file_anew, setup, teardown),
        cmocka_unit_test_setup_teardown(snapshot_needs_its_folder_and_its_copy, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_anothers_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(another_writer_stops_it, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
