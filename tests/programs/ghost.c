/* ghost.c - counts in a deleted file that it keeps open, and in nothing else.
 *
 * usage: ghost FILE PAGE
 */
#include "tests/programs/shared.h"

int main(int argc, char **argv)
{
    struct share share;
    int fd;

    if (argc != 3)
        return 2;
    fd = open(argv[1], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, 100000) < 0 || unlink(argv[1]) < 0)
        die(argv[1]);
    share_open(&share, argv[2]);
    for (;;) {
        if (pread(fd, &share.own, sizeof(share.own), 50000) != sizeof(share.own))
            die("pread");
        share_beat(&share);
        if (pwrite(fd, &share.own, sizeof(share.own), 50000) != sizeof(share.own))
            die("pwrite");
        pause_usec(5000);
    }
}
