/* compare.h - what changed from one checkpoint to another: pages, processes, what was open.
 *
 * Processes are the same when they have the same pid, descriptors when pid and number are: a
 * restore gives them back. What was equal on both sides is counted, not listed. */
#pragma once

#include "image/describe.h"

enum page_change {
    PAGE_SAME,
    PAGE_CHANGED,
    PAGE_ADDED, /* only in the second */
    PAGE_GONE,  /* only in the first: unmapped, given back, or zero again */
    PAGE_CHANGES,
};

struct side {
    const struct image_dir *dirs; /* the checkpoint, its parent, ... */
    size_t dir_count;
    struct description description;
};

/* A mapping, or memory shared between processes as the first that maps it sees it. */
struct mapping_change {
    const struct process *process; /* NULL: a segment that nobody maps */
    const struct mapping *mapping; /* NULL: the same */
    bool is_new, is_gone;
    uint64_t pages[PAGE_CHANGES];
};

enum presence { ONLY_FIRST, ONLY_SECOND, IN_BOTH };

struct process_change {
    enum presence presence;
    const struct process *first, *second;
};

struct descriptor_change {
    enum presence presence;
    uint32_t pid, fd;
    const struct object *first, *second;
};

struct comparison {
    struct mapping_change *mappings; /* with a page that is not the same */
    size_t mapping_count;
    uint64_t pages[PAGE_CHANGES];
    struct process_change *processes;
    size_t process_count;
    struct descriptor_change *descriptors;
    size_t descriptor_count;
};

struct compare_progress {
    void (*tell)(uint64_t done, uint64_t total, void *data); /* pages */
    void *data;
};

/* The result points into both sides. -EBADMSG, -EIO: a page cannot be had. */
int compare(const struct side *first, const struct side *second,
            const struct compare_progress *progress, struct comparison *ret);
void comparison_done(struct comparison *comparison);
