/* log.h - one line per event to stderr, with systemd's <N> priority prefix when a journal reads it
 * (sd-daemon(3)). Only programs log; library code returns errors. */
#pragma once

#include <syslog.h>

/* `program` is borrowed for the life of the process. Lines above `max_level` (LOG_*) are dropped.
 */
void log_init(const char *program, int max_level);

void log_line(int level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)   log_line(LOG_ERR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_WARNING, __VA_ARGS__)
#define log_notice(...)  log_line(LOG_NOTICE, __VA_ARGS__)
#define log_info(...)    log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...)   log_line(LOG_DEBUG, __VA_ARGS__)
