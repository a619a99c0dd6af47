/* stats.h - CRIU's own measurements of a run: stats-dump and stats-restore (images/stats.proto). */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define STATS_DUMP_FILE "stats-dump"

struct dump_stats {
    uint64_t freezing_usec, frozen_usec, memdump_usec, memwrite_usec;
    uint64_t pages_written;
};

/* The content of a stats-dump file; -EBADMSG when it is none. */
int stats_dump_parse(const void *data, size_t size, struct dump_stats *ret);

/* Reads stats-dump in the folder `dirfd`. */
int stats_dump_read(int dirfd, struct dump_stats *ret);
