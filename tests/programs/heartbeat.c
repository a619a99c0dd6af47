/* heartbeat.c - a program with memory: beats in a shared page and owns M megabytes that it
 * verifies.
 *
 * usage: heartbeat [-m MB] [-u USEC] [-d FLAG] [-c SOCKET] [-i] PAGE
 *   -d  exit 9 when the file FLAG appears (one that is there at the start is ignored)
 *   -c  hold a unix stream connection to SOCKET, which CRIU cannot dump
 *   -i  hold an io_uring, which CRIU cannot dump
 */
#include "tests/programs/shared.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

enum { PAGE = 4096 };

static void hold_connection(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (strlen(path) >= sizeof(a.sun_path))
        exit(2);
    strcpy(a.sun_path, path);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
        die(path);
}

static void hold_io_uring(void)
{
    uint64_t params[15] = {0}; /* struct io_uring_params, 120 bytes */

    if (syscall(SYS_io_uring_setup, 4, params) < 0)
        die("io_uring_setup");
}

static uint64_t *fill(size_t pages)
{
    uint64_t *memory = malloc(pages * PAGE);

    if (pages && !memory)
        die("malloc");
    for (size_t i = 0; i < pages; i++)
        for (size_t k = 0; k < PAGE / 8; k++)
            memory[i * (PAGE / 8) + k] = i * 0x9e3779b97f4a7c15u + k;
    return memory;
}

static size_t count_bad(const uint64_t *memory, size_t pages)
{
    size_t bad = 0;

    for (size_t i = 0; i < pages; i++)
        bad += memory[i * (PAGE / 8) + 7] != i * 0x9e3779b97f4a7c15u + 7;
    return bad;
}

int main(int argc, char **argv)
{
    size_t pages = 0;
    unsigned usec = 1000;
    const char *flag = NULL;
    struct share share;
    uint64_t *memory;
    int o;

    while ((o = getopt(argc, argv, "m:u:d:c:i")) != -1) {
        if (o == 'm')
            pages = strtoul(optarg, NULL, 10) * (1048576 / PAGE);
        else if (o == 'u')
            usec = (unsigned)strtoul(optarg, NULL, 10);
        else if (o == 'd')
            flag = optarg;
        else if (o == 'c')
            hold_connection(optarg);
        else if (o == 'i')
            hold_io_uring();
        else
            return 2;
    }
    if (optind != argc - 1)
        return 2;
    memory = fill(pages);
    if (flag && access(flag, F_OK) == 0)
        flag = NULL;
    share_open(&share, argv[optind]);
    for (;;) {
        if (share_beat(&share))
            share.page->bad_pages = count_bad(memory, pages);
        if (flag && access(flag, F_OK) == 0)
            return 9;
        pause_usec(usec);
    }
}
