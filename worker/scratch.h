/* scratch.h - folders in memory that belong to no path: tmpfs that is mounted nowhere, and is gone
 * with its last descriptor however we die (fsopen(2), fsmount(2); Linux 5.2). */
#pragma once

#include <stdint.h>

/* A new folder that takes at most `max_bytes` of memory; close-on-exec. */
int scratch_memory(uint64_t max_bytes);

/* The same, not opened (O_PATH) and ready to be mounted somewhere (move_mount(2)). */
int scratch_mount(uint64_t max_bytes);

/* What a folder in memory may take so that the machine does not begin to swap: half of what is
 * available now (proc_meminfo(5)). 0 when that cannot be told. */
uint64_t scratch_memory_available(void);
