/* retention.h - which checkpoint of a service goes next. Pure: no file system, no clock. */
#pragma once

#include "image/checkpoint.h"

#include <stddef.h>
#include <stdint.h>

#define RETENTION_NONE SIZE_MAX

/* All lists are of one service, oldest first. Each answer is an index or RETENTION_NONE.
 *
 * The one to remove when there are more than `keep` whole ones, or more than `keep` of the others
 * (which are kept for post-mortem only). */
size_t retention_surplus(const struct checkpoint *list, size_t count, uint32_t keep);

/* The one to remove when space is needed: the others first, then the oldest whole one, but never
 * the newest whole one. */
size_t retention_victim(const struct checkpoint *list, size_t count);

uint64_t retention_bytes(const struct checkpoint *list, size_t count);

/* Bytes that retention_victim() can give back, one after the other. */
uint64_t retention_removable(const struct checkpoint *list, size_t count);
