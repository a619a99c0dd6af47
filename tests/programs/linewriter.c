/* linewriter.c - numbered lines to stdout at a rate, the number kept where no restore rolls it
 * back.
 *
 * usage: linewriter LINES_PER_SECOND PAGE
 *
 * The number is stored before the write, so a kill between the two loses one number, and an image
 * taken between the two writes one old line again: at most one of each per kill of this program,
 * none when anybody else is killed. */
#include "tests/programs/shared.h"

int main(int argc, char **argv)
{
    struct share share;
    unsigned long per_tick;
    char line[64];

    if (argc != 3)
        return 2;
    per_tick = strtoul(argv[1], NULL, 10) / 200 + 1;
    share_open(&share, argv[2]);
    for (;;) {
        for (unsigned long i = 0; i < per_tick; i++) {
            int n = snprintf(line, sizeof(line), "L %lu\n", (unsigned long)++share.page->sequence);
            if (write(STDOUT_FILENO, line, (size_t)n) != n)
                return 1;
        }
        share_beat(&share);
        pause_usec(5000);
    }
}
