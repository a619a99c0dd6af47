/* synthetic.h - image folders in CRIU's format, made of a model of a process's memory, and read
 * back page by page without the code under test. */
#pragma once

#include "image/pack.h"
#include "tests/image/pb_writer.h"

#include <stddef.h>
#include <stdint.h>

#define MODEL_PAGES 512
#define MODEL_BASE  0x7f0000000000u

/* What is in each page: 0 nothing is mapped, 1 zeros, else bytes made of the number. */
struct model {
    uint32_t content[MODEL_PAGES];
};

/* How pagemap entries are written. */
enum encoding {
    ENCODING_OLD, /* a count of 32 bits, in_parent instead of flags */
    ENCODING_4_1, /* a count of 32 bits, flags */
    ENCODING_4_2, /* only the count of 64 bits */
    ENCODING_COUNT,
};

/* The head of a pagemap, with the id of its pages; an entry. */
void put_pagemap_head(struct buffer *b, uint32_t pages_id);
void put_pagemap_entry(struct buffer *b, enum encoding encoding, uint64_t address, uint64_t pages,
                       uint32_t flags);

void save(int dirfd, const char *name, const struct buffer *b);

/* Page `n` of the model as bytes. */
void model_page(const struct model *model, unsigned n, uint8_t page[4096]);

/* Writes pagemap-NAME.img and pages-ID.img, everything present. */
void model_save(int dirfd, const struct model *model, const char *name, uint32_t pages_id,
                enum encoding encoding);

/* Writes mm-PID.img: one mapping over the model, with a part in its middle that has these flags. */
void mappings_save(int dirfd, unsigned pid, unsigned first, unsigned pages, uint32_t flags,
                   uint32_t status);

/* Fails the test unless pagemap-NAME.img of dirs[0], looked up through all of them, is exactly the
 * model; returns how many pages dirs[0] has itself. */
unsigned model_check(const struct image_dir *dirs, size_t count, const char *name,
                     const struct model *model);
