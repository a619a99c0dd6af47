/* progress.c - see progress.h. */
#include "ctl/progress.h"

#include "common/bytesize.h"
#include "common/proc.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define BAR 20

static void bar(double share, char buf[BAR + 1])
{
    unsigned full = (unsigned)(share * BAR);

    for (unsigned i = 0; i < BAR; i++)
        buf[i] = i < full ? '#' : '-';
    buf[BAR] = '\0';
}

/* "1.2G/2.8G"; "" when these are no bytes. */
static void amounts(const struct progress *p, char *buf, size_t size)
{
    char done[BYTESIZE_SIZE], total[BYTESIZE_SIZE];

    buf[0] = '\0';
    if (p->unit)
        snprintf(buf, size, " %s/%s", bytesize_format(p->done * p->unit, done),
                 bytesize_format(p->total * p->unit, total));
}

char *progress_format(const struct progress *p, uint64_t now, size_t columns,
                      char buf[PROGRESS_SIZE])
{
    uint64_t seconds = now > p->since ? (now - p->since) / USEC_PER_SEC : 0;
    char drawn[BAR + 1], sizes[2 * BYTESIZE_SIZE + 4];
    double share;

    if (p->total == 0) {
        snprintf(buf, PROGRESS_SIZE, "%s ... %" PRIu64 " s", p->doing, seconds);
    } else {
        share = p->done < p->total ? (double)p->done / (double)p->total : 1;
        bar(share, drawn);
        amounts(p, sizes, sizeof(sizes));
        snprintf(buf, PROGRESS_SIZE, "%s [%s] %3.0f%%%s", p->doing, drawn,
                 (double)(unsigned)(share * 100), sizes);
        if (strlen(buf) > columns)
            snprintf(buf, PROGRESS_SIZE, "%s %3.0f%%", p->doing, (double)(unsigned)(share * 100));
    }
    if (columns < PROGRESS_SIZE)
        buf[columns] = '\0';
    return buf;
}

static size_t terminal_columns(void)
{
    struct winsize size;

    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col - 1u : 79;
}

void progress_draw(struct progress *p)
{
    uint64_t now = now_boottime_usec();
    char line[PROGRESS_SIZE];

    /* What is quick needs no line. */
    if (p->total == 0 && now - p->since < USEC_PER_SEC)
        return;
    fprintf(stderr, "\r%s\033[K", progress_format(p, now, terminal_columns(), line));
    p->drawn = true;
}

void progress_clear(struct progress *p)
{
    if (p->drawn)
        fprintf(stderr, "\r\033[K");
    p->drawn = false;
}
