/* journal.c - writes its count into a file, a line a number, and keeps its place in memory only:
 * the lines tell whether file and memory belong together.
 *
 * usage: journal [-a] [-h] [-m] [-r] [-u MEGABYTES] [-n NAME] FILE
 *   -a  append-only, as a log
 *   -h  hold a second descriptor that only reads
 *   -m  write through a shared mapping of 1 MB, and close the descriptor
 *   -r  overwrite the first line with the newest number, too
 *   -u  unlink the file after it has got that size
 *   -n  link the file to NAME and unlink FILE itself
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define LINE    9 /* "%08u\n" */
#define MAPPING (1 << 20)

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void write_line(int fd, char *mapping, unsigned number, int first)
{
    char line[LINE + 1];

    snprintf(line, sizeof(line), "%08u\n", number % 100000000);
    if (mapping)
        memcpy(mapping + (size_t)(number - 1) % (MAPPING / LINE) * LINE, line, LINE);
    else if (write(fd, line, LINE) != LINE)
        die("write");
    if (first && pwrite(fd, line, LINE, 0) != LINE)
        die("pwrite");
}

int main(int argc, char **argv)
{
    int flags = O_RDWR, hold = 0, map = 0, first = 0, fd, o;
    const struct timespec pause = {.tv_nsec = 2000000};
    const char *link_name = NULL;
    char *mapping = NULL;
    long size = -1;

    while ((o = getopt(argc, argv, "ahmru:n:")) != -1) {
        if (o == 'a')
            flags = O_WRONLY | O_APPEND;
        else if (o == 'h')
            hold = 1;
        else if (o == 'm')
            map = 1;
        else if (o == 'r')
            first = 1;
        else if (o == 'u')
            size = atol(optarg) << 20;
        else if (o == 'n')
            link_name = optarg;
        else
            return 2;
    }
    if (optind != argc - 1)
        return 2;
    fd = open(argv[optind], flags | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (fd < 0 || (hold && open(argv[optind], O_RDONLY | O_CLOEXEC) < 0))
        die(argv[optind]);
    if (size >= 0 && (posix_fallocate(fd, 0, size ? size : 1) != 0 || unlink(argv[optind]) < 0))
        die(argv[optind]);
    if (link_name && (link(argv[optind], link_name) < 0 || unlink(argv[optind]) < 0))
        die(link_name);
    if (map) {
        if (ftruncate(fd, MAPPING) < 0)
            die("ftruncate");
        mapping = mmap(NULL, MAPPING, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (mapping == MAP_FAILED)
            die("mmap");
        close(fd);
    }
    for (unsigned number = 1;; number++) {
        write_line(fd, mapping, number, first);
        nanosleep(&pause, NULL);
    }
}
