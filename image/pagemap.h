/* pagemap.h - CRIU's pagemap-*.img: which pages of a process or of a shared memory are in the image
 * (images/pagemap.proto, criu/pagemap.c). Pure: bytes in, bytes out. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define PAGEMAP_PAGE 4096u /* bytes */

/* criu/include/pagemap.h */
enum {
    PE_PARENT = 1,  /* the bytes are in the folder that the link `parent` names */
    PE_LAZY = 2,    /* may be restored on demand */
    PE_PRESENT = 4, /* the bytes are in pages-N.img */
};

struct pagemap_entry {
    uint64_t address; /* of the process; for shared memory the offset in it */
    uint64_t pages;
    uint64_t offset; /* in pages-N.img, when present */
    uint32_t flags;
};

struct pagemap {
    uint32_t pages_id; /* N of pages-N.img in the same folder */
    uint64_t pages;    /* of all entries */
    uint64_t bytes;    /* that pages-N.img must have */
    struct pagemap_entry *entries;
    size_t count, room;
};

void pagemap_done(struct pagemap *pagemap);

/* Adds pages behind the last entry; one that goes on where the last one ends makes it longer.
 * -EBADMSG: not page aligned, not behind the last one, or flags that contradict each other. */
int pagemap_append(struct pagemap *pagemap, uint64_t address, uint64_t pages, uint32_t flags);

/* Reads the whole content of a file. -EBADMSG: it is none, or says what cannot be. */
int pagemap_parse(const void *data, size_t size, struct pagemap *ret);

/* The content of a file, for the caller to free. Both page counts are written: CRIU before 4.2
 * knows only the one of 32 bits, later ones write only the other. */
int pagemap_format(const struct pagemap *pagemap, char **ret_data, size_t *ret_size);
