/* report.c - what a worker tells the daemon that started it. */
#include "worker/worker.h"

#include "common/fs.h"
#include "common/proc.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROGRESS_USEC (100 * USEC_PER_MSEC)

void report_progress(const struct worker_args *args, uint64_t done, uint64_t total)
{
    static uint64_t last;
    uint64_t now = now_boottime_usec();
    char line[64];

    if (args->report_fd < 0 || (now - last < PROGRESS_USEC && done < total))
        return;
    last = now;
    snprintf(line, sizeof(line), "%%%" PRIu64 "/%" PRIu64 "\n", done, total);
    (void)fs_write_all(args->report_fd, line, strlen(line));
}

/* Whoever wanted to know may be gone; what was done stays done. */
static void say(const struct worker_args *args, const char *text)
{
    if (args->report_fd >= 0)
        (void)fs_write_all(args->report_fd, text, strlen(text));
}

int report_result(const struct worker_args *args, const char *json)
{
    say(args, json);
    return EXIT_SUCCESS;
}

int report_failure(const struct worker_args *args, const struct reason *reason)
{
    char text[2048];

    snprintf(text, sizeof(text), "%s\n%s", reason_why(reason), reason_cure(reason));
    say(args, text);
    return EXIT_FAILURE;
}
