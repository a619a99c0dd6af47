/* criu_log.h - finds in a CRIU log what went wrong. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* The first line that is an error and not known to be harmless, from "Error (" on (without time and
 * pid), cut to `size`. False when there is none. */
bool criu_log_first_error(const char *log, char *ret, size_t size);

/* "CRIU run id = X" of a log of level >= 3: names the run's nft table. criu under libcriu makes
 * two; the last one counts (cr_service_work() calls util_init() again). */
bool criu_log_run_id(const char *log, char *ret, size_t size);

/* The pid in a "Can't fork for PID: File exists" error; 0 when it is another error. */
int criu_log_taken_pid(const char *error);
