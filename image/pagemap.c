/* pagemap.c - reads and writes pagemap-*.img; what it reads it does not trust. */
#include "image/pagemap.h"

#include "common/cleanup.h"
#include "image/pb.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* CRIU counts the pages of one entry in an int. */
#define ENTRY_PAGES_MAX INT32_MAX

/* IMG_COMMON_MAGIC and PAGEMAP_MAGIC of criu/include/magic.h, little endian. */
static const uint8_t head[8] = {0x19, 0x43, 0x56, 0x54, 0x25, 0x40, 0x08, 0x56};

/* images/pagemap.proto: fields of pagemap_head and pagemap_entry */
enum { HEAD_PAGES_ID = 1 };
enum { ENTRY_VADDR = 1, ENTRY_COUNT_32 = 2, ENTRY_IN_PARENT = 3, ENTRY_FLAGS = 4, ENTRY_COUNT = 5 };

void pagemap_done(struct pagemap *pagemap)
{
    free(pagemap->entries);
    *pagemap = (struct pagemap){0};
}

static bool flags_are_known(uint32_t flags)
{
    return (flags & ~(uint32_t)PE_LAZY) == PE_PARENT || (flags & ~(uint32_t)PE_LAZY) == PE_PRESENT;
}

static uint64_t end_of(const struct pagemap_entry *entry)
{
    return entry->address + entry->pages * PAGEMAP_PAGE;
}

static struct pagemap_entry *add_entry(struct pagemap *pagemap)
{
    struct pagemap_entry *more;
    size_t room = pagemap->room ? pagemap->room * 2 : 64;

    if (pagemap->count == pagemap->room) {
        more = reallocarray(pagemap->entries, room, sizeof(*more));
        if (!more)
            return NULL;
        pagemap->entries = more;
        pagemap->room = room;
    }
    return &pagemap->entries[pagemap->count++];
}

int pagemap_append(struct pagemap *pagemap, uint64_t address, uint64_t pages, uint32_t flags)
{
    struct pagemap_entry *last, *entry;

    last = pagemap->count > 0 ? &pagemap->entries[pagemap->count - 1] : NULL;
    if (!flags_are_known(flags) || pages == 0 || pages > ENTRY_PAGES_MAX ||
        address % PAGEMAP_PAGE != 0 || address > UINT64_MAX - pages * PAGEMAP_PAGE ||
        (last && address < end_of(last)))
        return -EBADMSG;
    if (last && address == end_of(last) && flags == last->flags &&
        pages <= ENTRY_PAGES_MAX - last->pages) {
        last->pages += pages;
    } else {
        entry = add_entry(pagemap);
        if (!entry)
            return -ENOMEM;
        *entry = (struct pagemap_entry){
            .address = address, .pages = pages, .offset = pagemap->bytes, .flags = flags};
    }
    pagemap->pages += pages;
    if (flags & PE_PRESENT)
        pagemap->bytes += pages * PAGEMAP_PAGE;
    return 0;
}

/* ---- reading ---- */

static int parse_head(struct pb message, struct pagemap *pagemap)
{
    struct pb_field field;
    bool found = false;
    int r;

    while ((r = pb_next(&message, &field)) > 0) {
        if (field.number != HEAD_PAGES_ID)
            continue;
        if (field.value > UINT32_MAX)
            return -EBADMSG;
        pagemap->pages_id = (uint32_t)field.value;
        found = true;
    }
    return r < 0 ? r : found ? 0 : -EBADMSG;
}

/* As CRIU's init_compat_pagemap_entry(), except that two counts that differ are refused: which one
 * holds would depend on CRIU's version. */
static int parse_entry(struct pb message, struct pagemap *pagemap)
{
    uint64_t address = UINT64_MAX, old_count = 0, count = 0, flags = 0;
    bool in_parent = false, has_flags = false;
    struct pb_field field;
    int r;

    while ((r = pb_next(&message, &field)) > 0) {
        switch (field.number) {
        case ENTRY_VADDR:
            address = field.value;
            break;
        case ENTRY_COUNT_32:
            old_count = field.value;
            break;
        case ENTRY_IN_PARENT:
            in_parent = field.value;
            break;
        case ENTRY_FLAGS:
            flags = field.value;
            has_flags = true;
            break;
        case ENTRY_COUNT:
            count = field.value;
            break;
        }
    }
    if (r < 0)
        return r;
    if ((old_count && count && old_count != count) || flags > UINT32_MAX)
        return -EBADMSG;
    if (in_parent)
        flags |= PE_PARENT;
    else if (!has_flags)
        flags = PE_PRESENT;
    return pagemap_append(pagemap, address, count ? count : old_count, (uint32_t)flags);
}

int pagemap_parse(const void *data, size_t size, struct pagemap *ret)
{
    _cleanup_(pagemap_done) struct pagemap pagemap = {0};
    struct pb records, message;
    int r;

    if (size < sizeof(head) || memcmp(data, head, sizeof(head)) != 0)
        return -EBADMSG;
    records = (struct pb){(const uint8_t *)data + sizeof(head), (const uint8_t *)data + size};
    r = pb_next_record(&records, &message);
    if (r <= 0)
        return -EBADMSG;
    r = parse_head(message, &pagemap);
    while (r == 0 && (r = pb_next_record(&records, &message)) > 0)
        r = parse_entry(message, &pagemap);
    if (r < 0)
        return r;
    *ret = TAKE(pagemap, (struct pagemap){0});
    return 0;
}

/* ---- writing ---- */

#define RECORD_MAX 32 /* size, and what put_entry() writes */

static uint8_t *put_number(uint8_t *p, unsigned field, uint64_t value)
{
    *p++ = (uint8_t)(field << 3);
    for (; value > 0x7f; value >>= 7)
        *p++ = (uint8_t)(value | 0x80);
    *p++ = (uint8_t)value;
    return p;
}

/* The record between `begin`, where its size goes, and `end`. */
static uint8_t *end_record(uint8_t *begin, uint8_t *end)
{
    uint32_t size = (uint32_t)(end - begin) - 4;

    for (int i = 0; i < 4; i++)
        begin[i] = (uint8_t)(size >> (8 * i));
    return end;
}

static uint8_t *put_entry(uint8_t *begin, const struct pagemap_entry *entry)
{
    uint8_t *p = begin + 4;

    p = put_number(p, ENTRY_VADDR, entry->address);
    p = put_number(p, ENTRY_COUNT_32, entry->pages);
    p = put_number(p, ENTRY_FLAGS, entry->flags);
    p = put_number(p, ENTRY_COUNT, entry->pages);
    return end_record(begin, p);
}

int pagemap_format(const struct pagemap *pagemap, char **ret_data, size_t *ret_size)
{
    uint8_t *data, *p;

    data = reallocarray(NULL, pagemap->count + 2, RECORD_MAX);
    if (!data)
        return -ENOMEM;
    memcpy(data, head, sizeof(head));
    p = data + sizeof(head);
    p = end_record(p, put_number(p + 4, HEAD_PAGES_ID, pagemap->pages_id));
    for (size_t i = 0; i < pagemap->count; i++)
        p = put_entry(p, &pagemap->entries[i]);
    *ret_data = (char *)data;
    *ret_size = (size_t)(p - data);
    return 0;
}
