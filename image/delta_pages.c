/* delta_pages.c - decides for every page whether the parent has the same one. */
#include "image/delta_pages.h"

#include <stdbool.h>
#include <string.h>

#define BLOCK_PAGES 256u /* looked at together: two of them fit into a second-level cache */

static uint64_t end_of(const struct pages_extent *extent)
{
    return extent->address + extent->pages * PAGEMAP_PAGE;
}

/* Pages, but none at or behind the address `to`. */
static uint64_t limit(uint64_t pages, uint64_t from, uint64_t to)
{
    uint64_t most = (to - from) / PAGEMAP_PAGE;

    return pages < most ? pages : most;
}

/* Cuts `part` to pages that have the same answer: where the parent has them, or NULL. */
static const struct pages_extent *find_in_parent(struct delta_pages *d, struct pages_extent *part)
{
    const struct untracked *untracked = d->untracked;
    const struct pages_extent *extent;
    const struct untracked_range *range;

    while (d->untracked_at < untracked->count &&
           untracked->ranges[d->untracked_at].end <= part->address)
        d->untracked_at++;
    if (d->untracked_at < untracked->count) {
        range = &untracked->ranges[d->untracked_at];
        if (range->start <= part->address) {
            part->pages = limit(part->pages, part->address, range->end);
            return NULL;
        }
        part->pages = limit(part->pages, part->address, range->start);
    }
    while (d->parent_at < d->parent->count &&
           end_of(&d->parent->extents[d->parent_at]) <= part->address)
        d->parent_at++;
    if (d->parent_at == d->parent->count)
        return NULL;
    extent = &d->parent->extents[d->parent_at];
    if (extent->address > part->address) {
        part->pages = limit(part->pages, part->address, extent->address);
        return NULL;
    }
    part->pages = limit(part->pages, part->address, end_of(extent));
    return extent;
}

/* How many of the next pages are the same on both sides, or differ. */
static uint64_t run_of(const uint8_t *a, const uint8_t *b, uint64_t pages, bool same)
{
    uint64_t n = 0;

    while (n < pages &&
           (memcmp(a + n * PAGEMAP_PAGE, b + n * PAGEMAP_PAGE, PAGEMAP_PAGE) == 0) == same)
        n++;
    return n;
}

static struct pages_extent part_of(const struct pages_extent *extent, uint64_t skip, uint64_t pages)
{
    struct pages_extent part = *extent;

    part.address += skip * PAGEMAP_PAGE;
    part.offset += skip * PAGEMAP_PAGE;
    part.pages = pages;
    return part;
}

/* Both sides have these pages, in different places. */
static int compare(struct pages_writer *writer, const struct pages_extent *part,
                   const struct pages_extent *other)
{
    const uint8_t *a = part->file->data + part->offset, *b = other->file->data + other->offset;
    uint64_t run;
    int r;

    r = pages_file_load(other->file, other->offset, part->pages * PAGEMAP_PAGE);
    for (uint64_t i = 0; r == 0 && i < part->pages; i += run) {
        const uint8_t *p = a + i * PAGEMAP_PAGE, *q = b + i * PAGEMAP_PAGE;

        run = run_of(p, q, part->pages - i, true);
        if (run > 0) {
            r = pages_writer_leave(writer, part->address + i * PAGEMAP_PAGE, run);
        } else {
            struct pages_extent changed;

            run = run_of(p, q, part->pages - i, false);
            changed = part_of(part, i, run);
            r = pages_writer_store(writer, &changed);
        }
    }
    return r;
}

static int step(struct delta_pages *d, struct pages_extent *part)
{
    const struct pages_extent *in_parent = find_in_parent(d, part);
    struct pages_extent other;
    int r;

    if (in_parent) {
        other =
            part_of(in_parent, (part->address - in_parent->address) / PAGEMAP_PAGE, part->pages);
        if (other.file == part->file && other.offset == part->offset)
            return pages_writer_leave(d->writer, part->address, part->pages);
    }
    r = pages_file_load(part->file, part->offset, part->pages * PAGEMAP_PAGE);
    if (r < 0)
        return r;
    return in_parent ? compare(d->writer, part, &other) : pages_writer_store(d->writer, part);
}

int delta_pages_step(struct delta_pages *d, uint64_t *ret_pages)
{
    const struct pages_extent *extent;
    struct pages_extent part;
    uint64_t left;
    int r;

    if (d->source_at == d->source->count)
        return 0;
    extent = &d->source->extents[d->source_at];
    left = extent->pages - d->skip;
    part = part_of(extent, d->skip, left < BLOCK_PAGES ? left : BLOCK_PAGES);
    r = step(d, &part);
    if (r < 0)
        return r;
    d->skip += part.pages;
    if (d->skip == extent->pages) {
        d->skip = 0;
        d->source_at++;
    }
    *ret_pages = part.pages;
    return 1;
}
