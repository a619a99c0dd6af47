/* delta_pages.h - the pages of one pagemap against those of a parent. */
#pragma once

#include "image/pages_writer.h"
#include "image/untracked.h"

/* Cursors into lists that all ascend, so that one walk is enough. */
struct delta_pages {
    const struct pages *source, *parent;
    const struct untracked *untracked;
    struct pages_writer *writer;
    size_t source_at, parent_at, untracked_at;
    uint64_t skip; /* pages of the source's extent that are done */
};

/* Writes the next pages, or leaves them to the parent. 1: did so with *ret_pages pages; 0: there
 * are no more. */
int delta_pages_step(struct delta_pages *pages, uint64_t *ret_pages);
