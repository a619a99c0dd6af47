/* compare_parts.h - the parts of compare.c. */
#pragma once

#include "image/compare.h"
#include "image/describe_parts.h"

/* By pid; NULL: there is none. */
const struct process *compare_find(const struct description *description, uint32_t pid);

/* compare_memory.c: mappings and pages */
int compare_memory(const struct side *first, const struct side *second,
                   const struct compare_progress *progress, struct comparison *comparison);
