/* progress.h - how far something long is, on a terminal: one line that is drawn over itself. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct progress {
    const char *doing;    /* "verifying redis@4" */
    uint64_t unit;        /* bytes that one of `total` stands for; 0: they are no bytes */
    uint64_t done, total; /* total 0: nothing is known */
    uint64_t since;       /* CLOCK_BOOTTIME, usec */
    bool drawn;
};

/* "verifying redis@4 [########------------]  43% 1.2G/2.8G", or "checkpointing redis ... 3 s" when
 * nothing is known; what does not fit into `columns` is left out. Returns buf. */
#define PROGRESS_SIZE 512
char *progress_format(const struct progress *progress, uint64_t now, size_t columns,
                      char buf[PROGRESS_SIZE]);

void progress_draw(struct progress *progress);

/* Leaves the line empty. */
void progress_clear(struct progress *progress);
