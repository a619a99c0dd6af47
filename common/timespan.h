/* timespan.h - time spans as people write them, systemd.time(7): "5min 20s", "1.5h", "infinity". */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Units: us ms s min h d w M y and their long names; a bare number counts in `unit_usec` (the usual
 * one is USEC_PER_SEC). "infinity" is USEC_INFINITY. -EINVAL when it is no time span, -ERANGE when
 * it does not fit. */
int timespan_parse(const char *text, uint64_t unit_usec, uint64_t *ret_usec);

/* "1min 30s", "3.2s", "150ms", "0", "infinity"; parts below `accuracy_usec` (at least 1) are left
 * out. Writes at most TIMESPAN_SIZE bytes and returns buf. */
#define TIMESPAN_SIZE 64
char *timespan_format(uint64_t usec, uint64_t accuracy_usec, char buf[TIMESPAN_SIZE]);
