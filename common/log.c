/* log.c - lines to stderr, whole and in one write(2) each, so that daemons sharing it never mix. */
#include "common/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *log_program = "perdure";
static int log_max_level = LOG_INFO;
static bool log_prefix;

void log_init(const char *program, int max_level)
{
    log_program = program;
    log_max_level = max_level;
    /* sd-daemon(3): the journal sets this and understands <N>; people's terminals do not. */
    log_prefix = getenv("JOURNAL_STREAM") != NULL;
}

void log_line(int level, const char *format, ...)
{
    char line[2048];
    int head, body;
    va_list ap;

    if (level > log_max_level)
        return;
    head = log_prefix ? snprintf(line, sizeof(line), "<%d>%s: ", level, log_program)
                      : snprintf(line, sizeof(line), "%s: ", log_program);
    va_start(ap, format);
    body = vsnprintf(line + head, sizeof(line) - (size_t)head - 1, format, ap);
    va_end(ap);
    if (body < 0)
        return;
    if ((size_t)(head + body) > sizeof(line) - 2)
        body = (int)sizeof(line) - 2 - head;
    line[head + body] = '\n';
    (void)!write(STDERR_FILENO, line, (size_t)(head + body + 1));
}
