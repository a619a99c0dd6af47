/* pages.h - the pages of one pagemap, looked up through the folders that it names as parents. */
#pragma once

#include "image/pack.h"
#include "image/pagemap.h"

#include <stdint.h>
#include <sys/types.h>

/* A pages-N.img, mapped. */
struct pages_file {
    unsigned users;
    dev_t device; /* with inode and id: folder and number, the same bytes wherever both are equal */
    ino_t inode;
    uint32_t id;
    int fd;
    const uint8_t *data;
    uint64_t size; /* of what is mapped: as its pagemap says, never more than the file has */
};

/* Pages that follow each other both in memory and in one file. */
struct pages_extent {
    uint64_t address, pages;
    struct pages_file *file;
    uint64_t offset;
    uint32_t flags; /* PE_PRESENT, perhaps PE_LAZY */
};

struct pages {
    uint32_t id;                  /* pages_id of the newest folder's pagemap */
    struct pages_extent *extents; /* ascending */
    size_t count;
    struct pages_file **files;
    size_t file_count;
};

/* Resolves the pagemap `name` of dirs[0]; each folder's parent is the next one. What `twin` (may be
 * NULL) has mapped already is used again, and so is the same pages_file. -ENOENT: dirs[0] has no
 * such file. -EBADMSG: damaged, cut short, or a page is in none of the folders. */
int pages_open(const struct image_dir *dirs, size_t count, const char *name,
               const struct pages *twin, struct pages *ret);
void pages_done(struct pages *pages);

/* Reads the pagemap `name` of one folder. */
int pages_read_map(const struct image_dir *dir, const char *name, struct pagemap *ret);

/* To be called before that part of `data` is touched: a disk that cannot be read is then -EIO
 * instead of a signal. */
int pages_file_load(const struct pages_file *file, uint64_t offset, uint64_t size);
