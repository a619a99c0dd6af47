/* describe_memory.c - mappings out of mm-PID.img, and how many of their pages the image has. */
#include "image/describe_parts.h"

#include "common/cleanup.h"
#include "image/pages.h"
#include "image/vma.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

static uint64_t end_of(const struct pagemap_entry *entry)
{
    return entry->address + entry->pages * PAGEMAP_PAGE;
}

/* Pages between two addresses, all of them and those with bytes. */
static void count_pages(const struct pagemap *map, uint64_t start, uint64_t end,
                        uint64_t *ret_pages, uint64_t *ret_stored)
{
    size_t low = 0, high = map->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (end_of(&map->entries[middle]) <= start)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < map->count && map->entries[low].address < end; low++) {
        const struct pagemap_entry *entry = &map->entries[low];
        uint64_t from = entry->address > start ? entry->address : start;
        uint64_t to = end_of(entry) < end ? end_of(entry) : end;

        *ret_pages += (to - from) / PAGEMAP_PAGE;
        if (entry->flags & PE_PRESENT)
            *ret_stored += (to - from) / PAGEMAP_PAGE;
    }
}

/* What is not there has no pages: all zero, or all of a file's own. */
static int load_pagemap(struct describing *b, const char *prefix, uint64_t id, struct pagemap *ret)
{
    int r;

    snprintf(b->name, sizeof(b->name), "pagemap-%s%" PRIu64 ".img", prefix, id);
    r = pages_read_map(b->dir, b->name, ret);
    return r == -ENOENT ? 0 : r;
}

/* ---- segments ---- */

/* Where the segment is, or where it would be. */
static size_t segment_place(const struct description *d, uint64_t id)
{
    size_t low = 0, high = d->segment_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (d->segments[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct segment *description_segment(const struct description *d, uint64_t id)
{
    size_t at = segment_place(d, id);

    return at < d->segment_count && d->segments[at].id == id ? &d->segments[at] : NULL;
}

int describe_segment(struct describing *b, uint64_t id, struct segment **ret)
{
    struct description *d = b->d;
    size_t at = segment_place(d, id);
    struct segment segment = {.id = id};
    int r;

    if (at == d->segment_count || d->segments[at].id != id) {
        r = load_pagemap(b, "shmem-", id, &segment.map);
        if (r < 0)
            return r;
        if (!describe_grow(&d->segments, &d->segment_count, sizeof(*d->segments))) {
            pagemap_done(&segment.map);
            return -ENOMEM;
        }
        count_pages(&segment.map, 0, UINT64_MAX, &segment.pages, &segment.stored);
        memmove(&d->segments[at + 1], &d->segments[at],
                (d->segment_count - 1 - at) * sizeof(*d->segments));
        d->segments[at] = segment;
    }
    *ret = &d->segments[at];
    return 0;
}

/* ---- mappings ---- */

static enum mapping_kind kind_of(const struct vma *vma, const struct object *object)
{
    if (vma->flags & MAP_HUGETLB)
        return MAPPING_HUGETLB;
    if (vma->status & VMA_AREA_STACK)
        return MAPPING_STACK;
    if (vma->status & VMA_AREA_HEAP)
        return MAPPING_HEAP;
    if (vma->status & (VMA_AREA_VDSO | VMA_AREA_VVAR | VMA_AREA_VSYSCALL))
        return MAPPING_VDSO;
    if (vma->status & (VMA_AREA_SOCKET | VMA_AREA_AIORING))
        return MAPPING_OTHER;
    /* mmap(MAP_SHARED | MAP_ANONYMOUS) is a file of this name to the kernel, a memfd to CRIU. */
    if (vma->status & VMA_AREA_MEMFD)
        return object && object->path && strncmp(object->path, "/dev/zero", 9) == 0 ? MAPPING_SHARED
                                                                                    : MAPPING_MEMFD;
    if (vma->status & (VMA_ANON_SHARED | VMA_AREA_SYSVIPC))
        return MAPPING_SHARED;
    return vma->status & (VMA_FILE_PRIVATE | VMA_FILE_SHARED) ? MAPPING_FILE : MAPPING_ANON;
}

/* Whose pages a shared mapping shows; 0: nobody else's. */
static uint64_t segment_of(const struct vma *vma, const struct object *object)
{
    if (vma->status & VMA_AREA_MEMFD)
        return object && vma->flags & MAP_SHARED ? object->segment : 0;
    return vma->status & (VMA_ANON_SHARED | VMA_AREA_SYSVIPC) ? vma->shmid : 0;
}

static int note_mapping(struct describing *b, struct pb message, struct process *p)
{
    const struct object *object = NULL;
    struct mapping *mapping;
    struct vma vma;
    int r = vma_parse(message, &vma);

    if (r < 0)
        return r;
    if (vma.offset > UINT64_MAX - (vma.end - vma.start))
        return -EBADMSG;
    if (vma.status & VMA_AREA_GUARD)
        return 0;
    if (vma.status & (VMA_FILE_PRIVATE | VMA_FILE_SHARED))
        object = vma.shmid <= UINT32_MAX ? description_object(b->d, (uint32_t)vma.shmid) : NULL;
    mapping = describe_grow(&p->mappings, &p->mapping_count, sizeof(*mapping));
    if (!mapping)
        return -ENOMEM;
    *mapping = (struct mapping){.start = vma.start,
                                .end = vma.end,
                                .prot = vma.prot,
                                .flags = vma.flags,
                                .kind = kind_of(&vma, object),
                                .segment = segment_of(&vma, object),
                                .offset = vma.offset};
    if (object && object->path && mapping->kind != MAPPING_SHARED)
        mapping->path = strdup(object->path);
    return object && object->path && mapping->kind != MAPPING_SHARED && !mapping->path ? -ENOMEM
                                                                                       : 0;
}

static int note_memory(struct describing *b, struct pb message, void *data)
{
    struct process *p = data;
    uint64_t stack = 0;
    struct pb_field field;
    int r;

    while ((r = pb_next(&message, &field)) > 0) {
        int q = 0;

        if (field.number == 5) /* mm_entry.mm_start_stack */
            stack = field.value;
        else if (field.number == MM_VMAS)
            q = note_mapping(b, field.bytes, p);
        if (q < 0)
            return q;
    }
    for (size_t i = 0; r == 0 && i < p->mapping_count; i++)
        if (p->mappings[i].kind == MAPPING_ANON && p->mappings[i].start <= stack &&
            stack < p->mappings[i].end)
            p->mappings[i].kind = MAPPING_STACK;
    return r;
}

static int by_address(const void *a, const void *b)
{
    const struct mapping *x = a, *y = b;

    return x->start < y->start ? -1 : x->start > y->start;
}

static int count_mapping(struct describing *b, struct mapping *m, const struct pagemap *own)
{
    struct segment *segment;
    int r;

    if (m->segment == 0) {
        count_pages(own, m->start, m->end, &m->pages, &m->stored);
        return 0;
    }
    r = describe_segment(b, m->segment, &segment);
    if (r == 0)
        count_pages(&segment->map, m->offset, m->offset + (m->end - m->start), &m->pages,
                    &m->stored);
    return r;
}

int describe_memory(struct describing *b, struct process *p)
{
    _cleanup_(pagemap_done) struct pagemap own = {0};
    int r;

    r = describe_records(b, note_memory, p, "mm-%u.img", p->pid);
    if (r < 0 || (r = load_pagemap(b, "", p->pid, &own)) < 0)
        return r;
    if (p->mapping_count > 1)
        qsort(p->mappings, p->mapping_count, sizeof(*p->mappings), by_address);
    for (size_t i = 0; i < p->mapping_count; i++)
        if (i > 0 && p->mappings[i].start < p->mappings[i - 1].end)
            return -EBADMSG;
        else if ((r = count_mapping(b, &p->mappings[i], &own)) < 0)
            return r;
    count_pages(&own, 0, UINT64_MAX, &p->pages, &p->stored);
    return 0;
}
