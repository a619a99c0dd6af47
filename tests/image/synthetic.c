/* synthetic.c - writes and reads image folders, slowly and by the book. */
#include "tests/image/synthetic.h"

#include "image/pagemap.h"
#include "tests/image/folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

void put_pagemap_head(struct buffer *b, uint32_t pages_id)
{
    struct buffer head = {0};

    put_head(b, 0x56084025);
    put_number(&head, 1, pages_id);
    put_record(b, &head);
}

void put_pagemap_entry(struct buffer *b, enum encoding encoding, uint64_t address, uint64_t pages,
                       uint32_t flags)
{
    struct buffer entry = {0};

    put_number(&entry, 1, address);
    put_number(&entry, 2, encoding == ENCODING_4_2 ? 0 : pages);
    if (encoding != ENCODING_OLD)
        put_number(&entry, 4, flags);
    else if (flags & PE_PARENT)
        put_number(&entry, 3, 1);
    if (encoding == ENCODING_4_2)
        put_number(&entry, 5, pages);
    put_record(b, &entry);
}

/* ---- writing ---- */

void save(int dirfd, const char *name, const struct buffer *b)
{
    folder_put(dirfd, name, b->bytes, b->size);
}

void model_page(const struct model *model, unsigned n, uint8_t page[4096])
{
    uint32_t content = model->content[n];

    for (unsigned i = 0; i < 4096; i += 4) {
        uint32_t word = content == 1 ? 0 : content * 2654435761u + i;

        memcpy(page + i, &word, 4);
    }
}

void model_save(int dirfd, const struct model *model, const char *name, uint32_t pages_id,
                enum encoding encoding)
{
    static uint8_t pages[MODEL_PAGES][4096];
    struct buffer map = {0};
    size_t count = 0;
    char file[64];

    put_pagemap_head(&map, pages_id);
    for (unsigned n = 0, end; n < MODEL_PAGES; n = end) {
        for (end = n; end < MODEL_PAGES && model->content[end]; end++)
            model_page(model, end, pages[count++]);
        if (end > n)
            put_pagemap_entry(&map, encoding, MODEL_BASE + n * 4096ull, end - n,
                              n % 2 ? PE_PRESENT : PE_PRESENT | PE_LAZY);
        else
            end++;
    }
    snprintf(file, sizeof(file), "pagemap-%s.img", name);
    save(dirfd, file, &map);
    snprintf(file, sizeof(file), "pages-%u.img", pages_id);
    folder_put(dirfd, file, pages, count * 4096);
}

static void put_mapping(struct buffer *mm, unsigned first, unsigned end, uint32_t flags,
                        uint32_t status)
{
    struct buffer vma = {0};

    if (first == end)
        return;
    put_number(&vma, 1, MODEL_BASE + first * 4096ull);
    put_number(&vma, 2, MODEL_BASE + end * 4096ull);
    put_number(&vma, 6, flags);
    put_number(&vma, 7, status);
    put_message(mm, 14, &vma);
}

void mappings_save(int dirfd, unsigned pid, unsigned first, unsigned pages, uint32_t flags,
                   uint32_t status)
{
    struct buffer file = {0}, mm = {0};
    char name[32];

    put_mapping(&mm, 0, first, 0x22, 0x201);
    put_mapping(&mm, first, first + pages, 0x22 | flags, 0x201 | status);
    put_mapping(&mm, first + pages, MODEL_PAGES, 0x22, 0x201);
    put_mapping(&mm, 1, 2, 0, 1 << 16); /* a note of guard pages: behind all mappings, in one */
    put_head(&file, 0x57492820);
    put_record(&file, &mm);
    snprintf(name, sizeof(name), "mm-%u.img", pid);
    save(dirfd, name, &file);
}

/* ---- reading ---- */

static void read_map(const struct image_dir *dir, const char *name, struct pagemap *ret)
{
    static uint8_t data[1 << 16];
    char file[64];
    ssize_t size;
    int fd;

    snprintf(file, sizeof(file), "pagemap-%s.img", name);
    assert_int_equal(pack_open(dir, file, &fd), 0);
    size = pread(fd, data, sizeof(data), 0);
    close(fd);
    assert_true(size > 0 && size < (ssize_t)sizeof(data));
    assert_int_equal(pagemap_parse(data, (size_t)size, ret), 0);
}

static const struct pagemap_entry *find_entry(const struct pagemap *map, uint64_t address)
{
    for (size_t i = 0; i < map->count; i++)
        if (address >= map->entries[i].address &&
            address < map->entries[i].address + map->entries[i].pages * 4096)
            return &map->entries[i];
    return NULL;
}

/* One folder of a chain, opened. */
struct level {
    struct pagemap map;
    int fd;
};

static void open_level(const struct image_dir *dir, const char *name, struct level *ret)
{
    char file[32];

    read_map(dir, name, &ret->map);
    snprintf(file, sizeof(file), "pages-%u.img", ret->map.pages_id);
    assert_int_equal(pack_open(dir, file, &ret->fd), 0);
}

/* Which folder has the bytes; -1: nothing is mapped there. */
static int read_page(const struct level *levels, size_t count, uint64_t address, uint8_t page[4096])
{
    for (size_t n = 0; n < count; n++) {
        const struct pagemap_entry *entry = find_entry(&levels[n].map, address);

        if (!entry) {
            assert_int_equal(n, 0); /* else an entry said that this one has it */
            return -1;
        }
        if (entry->flags & PE_PRESENT) {
            off_t offset = (off_t)(entry->offset + (address - entry->address));

            assert_int_equal(pread(levels[n].fd, page, 4096, offset), 4096);
            return (int)n;
        }
        assert_int_equal(entry->flags, PE_PARENT);
    }
    fail_msg("a page is left to a parent that does not exist");
    return -1;
}

unsigned model_check(const struct image_dir *dirs, size_t count, const char *name,
                     const struct model *model)
{
    struct level *levels = calloc(count, sizeof(*levels));
    unsigned own = 0;

    for (size_t n = 0; n < count; n++)
        open_level(&dirs[n], name, &levels[n]);
    for (unsigned n = 0; n < MODEL_PAGES; n++) {
        uint8_t page[4096], wanted[4096];
        int level = read_page(levels, count, MODEL_BASE + n * 4096ull, page);

        assert_int_equal(level >= 0, model->content[n] != 0);
        if (level < 0)
            continue;
        model_page(model, n, wanted);
        assert_memory_equal(page, wanted, 4096);
        own += level == 0;
    }
    for (size_t n = 0; n < count; n++) {
        pagemap_done(&levels[n].map);
        close(levels[n].fd);
    }
    free(levels);
    return own;
}
