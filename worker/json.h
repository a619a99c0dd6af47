/* json.h - pieces of the workers' JSON answers; what is unknown is null. */
#pragma once

#include "image/describe.h"

#include <jansson.h>

/* Bytes out of an image as a string; what is not UTF-8 becomes '?'. NULL: null. */
json_t *json_text(const char *text);

/* "7ffd5a3c1000": readers' numbers end at 2^53. */
json_t *json_address(uint64_t address);

json_t *json_pages(uint64_t pages); /* as bytes */

/* {"fd","kind","path","flags","offset","size"}, {"fd","family","type","state","local","remote",
 * "path"} or {"fd","kind","inode","end","path"}, each with its pid. */
json_t *json_descriptor(uint32_t pid, uint32_t fd, const struct object *object);

const char *json_mapping_kind(enum mapping_kind kind);

/* Dumps and drops; the exit status of the worker. */
struct worker_args;
int json_report(const struct worker_args *args, json_t *value);
