/* kdat.h - CRIU's kernel-feature cache, without which each run probes the kernel for 25 ms, and the
 * version of the criu program.
 *
 * criu loads /run/criu.kdat (RUNDIR of criu/include/kerndat.h) from any file system but writes it
 * on a tmpfs only, and checks neither boot nor kernel. So it is made once per boot and program by a
 * throw-away criu, and a stale one is removed. */
#pragma once

#include <stdbool.h>

/* Makes the cache when there is none for this boot and program. `ret_version` as of criu.h; < 0
 * when the program cannot be run. `ret_cached`: false when /run takes no file, for example; each
 * run is slower then. */
void kdat_prepare(const char *binary, int *ret_version, bool *ret_cached);

/* The version as remembered beside the cache for exactly this program, else asked from it. */
int kdat_version(const char *binary);
