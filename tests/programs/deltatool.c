/* deltatool.c - delta_make() for tests and the bench, on plain folders, without a daemon.
 *
 * deltatool make OUT LINK SOURCE... -- [PARENT...]   folders newest first; LINK "": no parent
 * deltatool bench FOLDER [MB [CHANGED_MB]]           both print one line of JSON */
#include "common/cleanup.h"
#include "common/fs.h"
#include "image/delta.h"
#include "image/pagemap.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define DIRS_MAX 64
#define ROUNDS   5
#define MB       (1u << 20)

static int fail(const char *what, int error)
{
    fprintf(stderr, "deltatool: %s: %s\n", what, strerror(error));
    exit(1);
}

static int open_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd >= 0 ? fd : fail(path, errno);
}

static double seconds(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- make ---- */

static int make(int argc, char **argv)
{
    struct image_dir dirs[DIRS_MAX] = {0};
    struct delta_options options = {.parent_link = *argv[1] ? argv[1] : NULL};
    struct delta_stats stats;
    size_t count = 0, sources = 0;
    double begin;
    int out, r;

    out = open_folder(argv[0]);
    for (int i = 2; i < argc && count < DIRS_MAX; i++)
        if (strcmp(argv[i], "--") == 0)
            sources = count;
        else
            dirs[count++].fd = open_folder(argv[i]);
    begin = seconds(CLOCK_MONOTONIC);
    r = delta_make(dirs, sources, dirs + sources, count - sources, out, &options, &stats);
    if (r < 0)
        fail("delta_make", -r);
    printf("{\"pages\": %" PRIu64 ", \"stored\": %" PRIu64 ", \"zero\": %" PRIu64
           ", \"from_parent\": %" PRIu64 ", \"seconds\": %.6f}\n",
           stats.pages, stats.stored, stats.zero, stats.from_parent,
           seconds(CLOCK_MONOTONIC) - begin);
    return 0;
}

/* ---- bench ---- */

static void write_file(int dirfd, const char *name, const void *data, size_t size)
{
    _cleanup_close_ int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int r = fd < 0 ? -errno : fs_write_all(fd, data, size);

    if (r < 0 || fsync(fd) < 0)
        fail(name, r < 0 ? -r : errno);
}

/* One process of that many pages; every `step`th one has other content when `changed`. */
static int write_image(const char *folder, const char *name, uint64_t pages, uint64_t step,
                       bool changed)
{
    static const uint8_t mm[] = {0x19, 0x43, 0x56, 0x54, 0x20, 0x28, 0x49, 0x57, 0, 0, 0, 0};
    _cleanup_free_ char *path = fs_join(folder, name), *map_data = NULL;
    _cleanup_free_ uint64_t *data = malloc(pages * PAGEMAP_PAGE);
    struct pagemap map = {.pages_id = 1};
    uint64_t state = 88172645463325252u;
    size_t size = 0;
    int fd, r;

    if (!path || !data || mkdir(path, 0700) < 0)
        fail(name, errno);
    fd = open_folder(path);
    for (uint64_t i = 0; i < pages * PAGEMAP_PAGE / 8; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        data[i] = state;
    }
    for (uint64_t n = 0; changed && n < pages; n += step)
        data[n * PAGEMAP_PAGE / 8 + 511]++;
    write_file(fd, "pages-1.img", data, pages * PAGEMAP_PAGE);
    r = pagemap_append(&map, 0x7f0000000000, pages, PE_PRESENT);
    if (r == 0)
        r = pagemap_format(&map, &map_data, &size);
    if (r < 0)
        fail(name, -r);
    write_file(fd, "pagemap-1.img", map_data, size);
    write_file(fd, "mm-1.img", mm, sizeof(mm));
    pagemap_done(&map);
    return fd;
}

/* The yardstick: both files read once and compared. */
static double read_both(int a, int b, uint64_t size)
{
    static char x[256 << 10], y[256 << 10];
    _cleanup_close_ int fd_a = openat(a, "pages-1.img", O_RDONLY | O_CLOEXEC);
    _cleanup_close_ int fd_b = openat(b, "pages-1.img", O_RDONLY | O_CLOEXEC);
    double begin = seconds(CLOCK_MONOTONIC);
    unsigned differ = 0;

    for (uint64_t at = 0; at < size; at += sizeof(x)) {
        if (read(fd_a, x, sizeof(x)) <= 0 || read(fd_b, y, sizeof(y)) <= 0)
            fail("pages-1.img", EIO);
        differ += memcmp(x, y, sizeof(x)) != 0;
    }
    if (differ == 0)
        fail("nothing differs", EINVAL);
    return seconds(CLOCK_MONOTONIC) - begin;
}

static uint64_t allocated(int dirfd)
{
    _cleanup_close_ int fd = openat(dirfd, "pages-1.img", O_RDONLY | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fsync(fd) < 0 || fstat(fd, &st) < 0)
        fail("pages-1.img", errno);
    return (uint64_t)st.st_blocks * 512;
}

/* Seconds of wall and, in *cpu, of the processor. */
static double delta(int source, int parent, const char *out, uint64_t *ret_bytes, double *ret_cpu)
{
    const struct image_dir from = {.fd = source}, against = {.fd = parent};
    const struct delta_options options = {.parent_link = "../parent"};
    struct delta_stats stats;
    double wall, cpu;
    int fd, r;

    if (mkdir(out, 0700) < 0)
        fail(out, errno);
    fd = open_folder(out);
    wall = seconds(CLOCK_MONOTONIC);
    cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    r = delta_make(&from, 1, &against, 1, fd, &options, &stats);
    if (r < 0)
        fail("delta_make", -r);
    *ret_cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    wall = seconds(CLOCK_MONOTONIC) - wall;
    *ret_bytes = allocated(fd);
    close(fd);
    r = fs_remove_all(AT_FDCWD, out);
    return r < 0 ? fail(out, -r) : wall;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(double *values)
{
    qsort(values, ROUNDS, sizeof(*values), compare_doubles);
    return values[ROUNDS / 2];
}

static int bench(int argc, char **argv)
{
    uint64_t pages = (argc > 1 ? strtoull(argv[1], NULL, 10) : 1024) * MB / PAGEMAP_PAGE;
    uint64_t changed = (argc > 2 ? strtoull(argv[2], NULL, 10) : 10) * MB / PAGEMAP_PAGE;
    uint64_t step = changed ? pages / changed : pages, forward = 0, reverse = 0;
    double read[ROUNDS], wall[ROUNDS], cpu[ROUNDS], ignored;
    _cleanup_free_ char *folder = fs_join(argv[0], "deltatool-XXXXXX"), *out = NULL;
    int old, new;

    if (!folder || !mkdtemp(folder) || !(out = fs_join(folder, "delta")))
        fail(argv[0], errno);
    old = write_image(folder, "old", pages, step, false);
    new = write_image(folder, "new", pages, step, true);
    read_both(old, new, pages * PAGEMAP_PAGE);
    for (int i = 0; i < ROUNDS; i++) {
        read[i] = read_both(old, new, pages * PAGEMAP_PAGE);
        wall[i] = delta(new, old, out, &forward, &cpu[i]);
    }
    delta(old, new, out, &reverse, &ignored);
    if (fs_remove_all(AT_FDCWD, folder) < 0)
        fail(folder, errno);
    printf("{\"bytes\": %" PRIu64 ", \"read_seconds\": %.4f, \"delta_seconds\": %.4f, "
           "\"delta_cpu_seconds\": %.4f, \"forward_bytes\": %" PRIu64
           ", \"reverse_bytes\": %" PRIu64 "}\n",
           pages * PAGEMAP_PAGE, median(read), median(wall), median(cpu), forward, reverse);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc >= 5 && strcmp(argv[1], "make") == 0)
        return make(argc - 2, argv + 2);
    if (argc >= 3 && strcmp(argv[1], "bench") == 0)
        return bench(argc - 2, argv + 2);
    fputs("usage: deltatool make OUT LINK SOURCE... -- [PARENT...]\n"
          "       deltatool bench FOLDER [MB [CHANGED_MB]]\n",
          stderr);
    return 2;
}
