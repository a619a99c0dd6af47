/* text.h - times for people, and JSON members that may be absent; pure. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TEXT_SIZE 64 /* also holds a TIMESPAN_SIZE and a BYTESIZE_SIZE */

/* A time span as accurate as a person wants it: "3.2s", "5min 20s", "2d 4h". */
char *format_span(uint64_t usec, char buf[TEXT_SIZE]);

/* Of RFC 3339 UTC as our daemons write it, "2026-11-21T01:05:03.250Z"; -EINVAL. */
int parse_rfc3339(const char *text, uint64_t *ret_usec);

/* A member, or "absent" (NULL, false) when it is missing, null or of another type. */
const char *member_string(const json_t *object, const char *key);
bool member_number(const json_t *object, const char *key, int64_t *ret);
bool member_bool(const json_t *object, const char *key, bool *ret);

/* The same as text for people: "4711", "1.5G"; "" when it is absent. Both return buf. */
const char *number_text(const json_t *object, const char *key, char buf[TEXT_SIZE]);
const char *size_text(const json_t *object, const char *key, char buf[TEXT_SIZE]);

/* A JSON string of any bytes; those that are not UTF-8 become U+FFFD. NULL when out of memory. */
json_t *json_text(const char *bytes, size_t size);
