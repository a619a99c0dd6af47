/* compare_memory.c - pages of two checkpoints side by side, counted by mapping.
 *
 * Pages that both sides find at the same place of the same file are the same without being read:
 * two checkpoints of one chain cost what differs. */
#include "image/compare_parts.h"
#include "image/pages.h"

#include "common/cleanup.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define LOAD_PAGES 1024 /* read and compared at a time */

/* Part of an address space that is counted for itself. */
struct area {
    uint64_t start, end;
    uint64_t pages[PAGE_CHANGES];
};

struct areas {
    struct area *items; /* ascending */
    size_t count;
};

struct comparing {
    const struct side *first, *second;
    const struct compare_progress *progress;
    struct comparison *result;
    uint64_t done, total;
    struct areas first_areas, second_areas; /* of the address space being compared */
};

static void areas_done(struct areas *areas)
{
    free(areas->items);
    *areas = (struct areas){0};
}

/* The area of this address or NULL; *ret_limit is where that answer ends. */
static struct area *area_at(const struct areas *areas, uint64_t address, uint64_t *ret_limit)
{
    size_t low = 0, high = areas->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (areas->items[middle].end <= address)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == areas->count) {
        *ret_limit = UINT64_MAX;
        return NULL;
    }
    if (areas->items[low].start > address) {
        *ret_limit = areas->items[low].start;
        return NULL;
    }
    *ret_limit = areas->items[low].end;
    return &areas->items[low];
}

/* Counts pages where the second side has them mapped, else where the first side had. */
static void count(struct comparing *c, uint64_t address, uint64_t pages, enum page_change change)
{
    c->result->pages[change] += pages;
    if (change != PAGE_GONE) {
        c->done += pages;
        if (c->progress && c->progress->tell)
            c->progress->tell(c->done, c->total, c->progress->data);
    }
    while (pages > 0) {
        uint64_t limit, first_limit, n;
        struct area *area = area_at(&c->second_areas, address, &limit);

        if (!area) {
            area = area_at(&c->first_areas, address, &first_limit);
            limit = first_limit < limit ? first_limit : limit;
        }
        n = (limit - address) / PAGEMAP_PAGE;
        n = n == 0 ? 1 : n < pages ? n : pages;
        if (area)
            area->pages[change] += n;
        address += n * PAGEMAP_PAGE;
        pages -= n;
    }
}

/* ---- two address spaces ---- */

static int compare_bytes(struct comparing *c, const struct pages_extent *a,
                         const struct pages_extent *b, uint64_t pages)
{
    for (uint64_t at = 0; at < pages;) {
        uint64_t n = pages - at < LOAD_PAGES ? pages - at : LOAD_PAGES;
        uint64_t offset = at * PAGEMAP_PAGE;
        int r;

        if ((r = pages_file_load(a->file, a->offset + offset, n * PAGEMAP_PAGE)) < 0 ||
            (r = pages_file_load(b->file, b->offset + offset, n * PAGEMAP_PAGE)) < 0)
            return r;
        for (; n > 0; n--, at++, offset += PAGEMAP_PAGE)
            count(c, a->address + offset, 1,
                  memcmp(a->file->data + a->offset + offset, b->file->data + b->offset + offset,
                         PAGEMAP_PAGE) == 0
                      ? PAGE_SAME
                      : PAGE_CHANGED);
    }
    return 0;
}

static void advance(struct pages_extent *extent, uint64_t pages)
{
    extent->address += pages * PAGEMAP_PAGE;
    extent->offset += pages * PAGEMAP_PAGE;
    extent->pages -= pages;
}

/* The next extent with pages left; one of no pages at the very end of memory when there is none. */
static void next(const struct pages *pages, size_t *at, struct pages_extent *extent)
{
    if (extent->pages > 0)
        return;
    *extent =
        *at < pages->count ? pages->extents[(*at)++] : (struct pages_extent){.address = UINT64_MAX};
}

/* How many of `extent` lie before `address`. */
static uint64_t pages_before(const struct pages_extent *extent, uint64_t address)
{
    uint64_t n = (address - extent->address) / PAGEMAP_PAGE;

    return n < extent->pages ? n : extent->pages;
}

static int walk(struct comparing *c, const struct pages *first, const struct pages *second)
{
    struct pages_extent a = {0}, b = {0};
    size_t i = 0, k = 0;
    uint64_t n;
    int r = 0;

    for (;;) {
        next(first, &i, &a);
        next(second, &k, &b);
        if (r < 0 || (a.pages == 0 && b.pages == 0))
            return r;
        if (a.address < b.address) {
            n = pages_before(&a, b.address);
            count(c, a.address, n, PAGE_GONE);
            advance(&a, n);
        } else if (b.address < a.address) {
            n = pages_before(&b, a.address);
            count(c, b.address, n, PAGE_ADDED);
            advance(&b, n);
        } else {
            n = a.pages < b.pages ? a.pages : b.pages;
            if (a.file == b.file && a.offset == b.offset)
                count(c, a.address, n, PAGE_SAME);
            else
                r = compare_bytes(c, &a, &b, n);
            advance(&a, n);
            advance(&b, n);
        }
    }
}

/* A pagemap that one side does not have has no pages. */
static int compare_space(struct comparing *c, const char *first_name, const char *second_name)
{
    _cleanup_(pages_done) struct pages first = {0}, second = {0};
    int r = 0;

    if (first_name)
        r = pages_open(c->first->dirs, c->first->dir_count, first_name, NULL, &first);
    if (r < 0 && r != -ENOENT)
        return r;
    r = second_name
            ? pages_open(c->second->dirs, c->second->dir_count, second_name, &first, &second)
            : 0;
    return r < 0 && r != -ENOENT ? r : walk(c, &first, &second);
}

/* ---- processes ---- */

/* Shared mappings are areas as well: no page of the process itself is in them. */
static int areas_of(const struct process *process, struct areas *ret)
{
    *ret = (struct areas){0};
    if (!process || process->mapping_count == 0)
        return 0;
    ret->items = calloc(process->mapping_count, sizeof(*ret->items));
    if (!ret->items)
        return -ENOMEM;
    ret->count = process->mapping_count;
    for (size_t i = 0; i < ret->count; i++) {
        ret->items[i].start = process->mappings[i].start;
        ret->items[i].end = process->mappings[i].end;
    }
    return 0;
}

static bool overlaps(const struct areas *areas, const struct mapping *mapping)
{
    uint64_t limit;

    return area_at(areas, mapping->start, &limit) || limit < mapping->end;
}

static int add_change(struct comparison *result, const struct mapping_change *change)
{
    struct mapping_change *more;

    if (change->pages[PAGE_CHANGED] + change->pages[PAGE_ADDED] + change->pages[PAGE_GONE] == 0)
        return 0;
    more = describe_grow(&result->mappings, &result->mapping_count, sizeof(*more));
    if (!more)
        return -ENOMEM;
    *more = *change;
    return 0;
}

static int add_changes(struct comparison *result, const struct process *process,
                       const struct areas *areas, const struct areas *others, bool second)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < areas->count; i++) {
        const struct mapping *mapping = &process->mappings[i];
        struct mapping_change change = {.process = process, .mapping = mapping};

        change.is_new = second && !overlaps(others, mapping);
        change.is_gone = !second && !overlaps(others, mapping);
        memcpy(change.pages, areas->items[i].pages, sizeof(change.pages));
        r = add_change(result, &change);
    }
    return r;
}

/* Either may be NULL: a process that ended or began. */
static int compare_process(struct comparing *c, const struct process *first,
                           const struct process *second)
{
    char name[32];
    int r;

    snprintf(name, sizeof(name), "pagemap-%" PRIu32 ".img", first ? first->pid : second->pid);
    if ((r = areas_of(first, &c->first_areas)) == 0 &&
        (r = areas_of(second, &c->second_areas)) == 0 &&
        (r = compare_space(c, first ? name : NULL, second ? name : NULL)) == 0 &&
        (r = add_changes(c->result, second, &c->second_areas, &c->first_areas, true)) == 0)
        r = add_changes(c->result, first, &c->first_areas, &c->second_areas, false);
    areas_done(&c->first_areas);
    areas_done(&c->second_areas);
    return r;
}

/* ---- segments ---- */

/* The first mapping that shows the segment. */
static const struct mapping *shown_by(const struct description *d, uint64_t segment,
                                      const struct process **ret_process)
{
    for (size_t i = 0; i < d->process_count; i++)
        for (size_t k = 0; k < d->processes[i].mapping_count; k++)
            if (d->processes[i].mappings[k].segment == segment) {
                *ret_process = &d->processes[i];
                return &d->processes[i].mappings[k];
            }
    *ret_process = NULL;
    return NULL;
}

/* Ids are inodes, which a restore changes: what the same process has mapped at the same place
 * counts first. 0: the other side has none. */
static uint64_t twin_of(const struct description *d, const struct description *other,
                        uint64_t segment)
{
    const struct process *process, *twin;
    const struct mapping *mapping = shown_by(d, segment, &process);

    twin = mapping ? compare_find(other, process->pid) : NULL;
    for (size_t i = 0; twin && i < twin->mapping_count; i++)
        if (twin->mappings[i].start == mapping->start && twin->mappings[i].segment)
            return twin->mappings[i].segment;
    return description_segment(other, segment) ? segment : 0;
}

static int compare_segment(struct comparing *c, uint64_t first, uint64_t second)
{
    struct area area = {.end = UINT64_MAX};
    const struct side *side = second ? c->second : c->first;
    struct mapping_change change = {.is_new = !first, .is_gone = !second};
    char first_name[48], second_name[48];
    int r;

    snprintf(first_name, sizeof(first_name), "pagemap-shmem-%" PRIu64 ".img", first);
    snprintf(second_name, sizeof(second_name), "pagemap-shmem-%" PRIu64 ".img", second);
    c->second_areas = (struct areas){&area, 1};
    r = compare_space(c, first ? first_name : NULL, second ? second_name : NULL);
    c->second_areas = (struct areas){0};
    if (r < 0)
        return r;
    change.mapping = shown_by(&side->description, second ? second : first, &change.process);
    memcpy(change.pages, area.pages, sizeof(change.pages));
    return add_change(c->result, &change);
}

static int compare_segments(struct comparing *c)
{
    const struct description *first = &c->first->description, *second = &c->second->description;
    int r = 0;

    for (size_t i = 0; r == 0 && i < second->segment_count; i++)
        r = compare_segment(c, twin_of(second, first, second->segments[i].id),
                            second->segments[i].id);
    for (size_t i = 0; r == 0 && i < first->segment_count; i++)
        if (twin_of(first, second, first->segments[i].id) == 0)
            r = compare_segment(c, first->segments[i].id, 0);
    return r;
}

int compare_memory(const struct side *first, const struct side *second,
                   const struct compare_progress *progress, struct comparison *comparison)
{
    const struct description *a = &first->description, *b = &second->description;
    struct comparing c = {.first = first,
                          .second = second,
                          .progress = progress,
                          .result = comparison,
                          .total = b->pages};
    int r = 0;

    for (size_t i = 0; r == 0 && i < b->process_count; i++)
        r = compare_process(&c, compare_find(a, b->processes[i].pid), &b->processes[i]);
    for (size_t i = 0; r == 0 && i < a->process_count; i++)
        if (!compare_find(b, a->processes[i].pid))
            r = compare_process(&c, &a->processes[i], NULL);
    return r < 0 ? r : compare_segments(&c);
}
