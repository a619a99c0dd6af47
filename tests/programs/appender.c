/* appender.c - appends its count to a log of its own every 5 ms: the one kind of growing file that
 * CRIU restores.
 *
 * usage: appender LOG PAGE
 */
#include "tests/programs/shared.h"

int main(int argc, char **argv)
{
    struct share share;
    int fd;

    if (argc != 3)
        return 2;
    fd = open(argv[1], O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        die(argv[1]);
    share_open(&share, argv[2]);
    for (;;) {
        share_beat(&share);
        dprintf(fd, "%lu\n", share.own);
        pause_usec(5000);
    }
}
