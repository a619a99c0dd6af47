/* memory.c - a tree of three processes with every kind of memory, which they change and write out
 * when they are told to; between that they wait and touch nothing.
 *
 * memory FOLDER [huge]: SIGUSR1 changes a random part, SIGUSR2 writes FOLDER/ROLE.REGION, the bytes
 * of each region, and FOLDER/ROLE.map, "REGION START SIZE" per line. FOLDER/ROLE.ack with the pid
 * says that it is done. ROLE is parent, child, grandchild; both children began as copies on write.
 */
#include "tests/programs/shared.h"

#include <errno.h>
#include <linux/aio_abi.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>

#define PAGE 4096u
#define KB   1024u
#define MB   (1024u * KB)

static const char *role = "parent";
static uint64_t state = 88172645463325252u;

/* Private memory differs from process to process; `moving` is another mapping now and then. */
static struct region {
    const char *name;
    uint8_t *at;
    size_t size;
    bool shared, huge;
} regions[] = {
    {.name = "private", .size = 8 * MB},
    {.name = "moving", .size = 512 * KB},
    {.name = "shared", .size = 4 * MB, .shared = true},
    {.name = "memfd", .size = 4 * MB, .shared = true},
    {.name = "huge", .size = 4 * MB, .huge = true},
    {.name = "huge-shared", .size = 2 * MB, .shared = true, .huge = true},
};
static size_t region_count = sizeof(regions) / sizeof(regions[0]);

static uint64_t number(uint64_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state % below;
}

static void fill_page(uint8_t *page)
{
    for (unsigned i = 0; i < PAGE; i += 8) {
        uint64_t word = number(UINT64_MAX);

        memcpy(page + i, &word, 8);
    }
}

/* ---- what is told ---- */

static void change_page(const struct region *r, uint8_t *page)
{
    switch (number(8)) {
    case 0:
        memset(page, 0, PAGE);
        break;
    case 1: /* given back: zero again, and not there */
        if (!r->huge && madvise(page, PAGE, r->shared ? MADV_REMOVE : MADV_DONTNEED) < 0)
            die("madvise");
        break;
    case 2:
    case 3:
        page[number(PAGE)]++;
        break;
    default:
        fill_page(page);
    }
}

/* Elsewhere, longer or shorter; what was there goes along, or is lost. */
static void move(struct region *r)
{
    size_t size = (32 + number(128)) * PAGE;
    uint8_t *at;

    if (number(2)) {
        at = mremap(r->at, r->size, size, MREMAP_MAYMOVE);
    } else {
        at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        munmap(r->at, r->size);
    }
    if (at == MAP_FAILED)
        die("move");
    r->at = at;
    r->size = size;
}

static void change(void)
{
    for (size_t i = 0; i < region_count; i++) {
        struct region *r = &regions[i];
        size_t pages, start, run;

        if (strcmp(r->name, "moving") == 0)
            move(r);
        pages = r->size / PAGE;
        for (size_t n = 0; n < 1 + pages / 40; n++)
            change_page(r, r->at + number(pages) * PAGE);
        start = number(pages);
        run = number(30);
        for (size_t n = start; n < pages && n < start + run; n++)
            fill_page(r->at + n * PAGE);
    }
}

static FILE *open_for(const char *name, char path[4096], const char *folder)
{
    FILE *f;

    snprintf(path, 4096, "%s/%s.%s", folder, role, name);
    f = fopen(path, "w");
    if (!f)
        die(path);
    return f;
}

static void write_out(const char *folder)
{
    char path[4096];
    FILE *map = open_for("map", path, folder), *f;

    for (size_t i = 0; i < region_count; i++) {
        struct region *r = &regions[i];

        fprintf(map, "%s %lu %zu\n", r->name, (unsigned long)r->at, r->size);
        f = open_for(r->name, path, folder);
        if (fwrite(r->at, 1, r->size, f) != r->size || fclose(f) != 0)
            die(path);
    }
    if (fclose(map) != 0)
        die("map");
}

static void acknowledge(const char *folder)
{
    char path[4096], ready[4096 + 8];
    FILE *f = open_for("done", path, folder);

    fprintf(f, "%d\n", getpid());
    if (fclose(f) != 0)
        die(path);
    snprintf(ready, sizeof(ready), "%.*s.ack", (int)strlen(path) - 5, path);
    if (rename(path, ready) < 0)
        die(ready);
}

/* ---- the tree ---- */

static void map_regions(bool huge)
{
    if (!huge)
        region_count -= 2;
    for (size_t i = 0; i < region_count; i++) {
        struct region *r = &regions[i];
        int flags = (r->shared ? MAP_SHARED : MAP_PRIVATE) | (r->huge ? MAP_HUGETLB : 0), fd = -1;

        if (strcmp(r->name, "memfd") == 0) {
            fd = memfd_create("memory", MFD_CLOEXEC);
            if (fd < 0 || ftruncate(fd, (off_t)r->size) < 0)
                die("memfd_create");
        }
        r->at = mmap(NULL, r->size, PROT_READ | PROT_WRITE, flags | (fd < 0 ? MAP_ANONYMOUS : 0),
                     fd, 0);
        if (r->at == MAP_FAILED)
            die(r->name);
        if (fd >= 0)
            close(fd);
        for (size_t n = 0; n < r->size / PAGE; n++)
            if (number(10) < 7)
                fill_page(r->at + n * PAGE);
    }
}

static void fork_family(void)
{
    static const char *const roles[] = {"child", "grandchild"};

    for (int i = 0; i < 2; i++) {
        pid_t pid = fork();

        if (pid < 0)
            die("fork");
        if (pid > 0)
            return;
        role = roles[i];
        state += (uint64_t)i + 1;
    }
}

int main(int argc, char **argv)
{
    aio_context_t ring = 0; /* memory of the kernel's that is mapped here */
    sigset_t set;
    int signal;

    if (argc < 2)
        return 2;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, NULL);
    map_regions(argc > 2);
    if (syscall(SYS_io_setup, 32, &ring) < 0)
        die("io_setup");
    fork_family();
    for (;;) {
        acknowledge(argv[1]);
        do
            signal = sigwaitinfo(&set, NULL);
        while (signal < 0 && errno == EINTR); /* a freeze */
        if (signal == SIGUSR1)
            change();
        else
            write_out(argv[1]);
    }
}
