/* fuzz_pagemap.c - what is read as a pagemap is written and read again as the same. */
#include "image/pagemap.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

const char fuzz_name[] = "pagemap";

static void demand(int condition)
{
    if (!condition)
        abort();
}

/* The order and the sums on which those who map the pages rely. */
static void check(const struct pagemap *map)
{
    uint64_t end = 0, pages = 0, bytes = 0;

    for (size_t i = 0; i < map->count; i++) {
        const struct pagemap_entry *entry = &map->entries[i];

        demand(entry->address >= end && entry->address % PAGEMAP_PAGE == 0 && entry->pages > 0);
        demand(entry->pages <= (UINT64_MAX - entry->address) / PAGEMAP_PAGE);
        demand(!(entry->flags & PE_PRESENT) != !(entry->flags & PE_PARENT));
        demand(entry->offset == bytes);
        end = entry->address + entry->pages * PAGEMAP_PAGE;
        pages += entry->pages;
        bytes += entry->flags & PE_PRESENT ? entry->pages * PAGEMAP_PAGE : 0;
    }
    demand(map->pages == pages && map->bytes == bytes);
}

static void check_same(const struct pagemap *a, const struct pagemap *b)
{
    demand(a->pages_id == b->pages_id && a->count == b->count && a->bytes == b->bytes);
    for (size_t i = 0; i < a->count; i++) {
        demand(a->entries[i].address == b->entries[i].address);
        demand(a->entries[i].pages == b->entries[i].pages);
        demand(a->entries[i].offset == b->entries[i].offset);
        demand(a->entries[i].flags == b->entries[i].flags);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pagemap map, again;
    char *written;
    size_t written_size;

    if (pagemap_parse(data, size, &map) < 0)
        return 0;
    check(&map);
    demand(pagemap_format(&map, &written, &written_size) == 0);
    demand(pagemap_parse(written, written_size, &again) == 0);
    check_same(&map, &again);
    pagemap_done(&again);
    pagemap_done(&map);
    free(written);
    return 0;
}
