/* pages.c - resolves chains of pagemaps into extents of mapped files. */
#include "image/pages.h"

#include "common/cleanup.h"
#include "image/content.h"
#include "image/pagemap.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define PAGEMAP_MAX (256u << 20) /* bytes; far above any real one */

/* ---- files ---- */

static void file_unref(struct pages_file *file)
{
    if (--file->users > 0)
        return;
    if (file->size > 0)
        munmap((void *)file->data, file->size);
    fd_close(file->fd);
    free(file);
}

static bool file_is(const struct pages_file *file, const struct stat *folder, uint32_t id)
{
    return file->device == folder->st_dev && file->inode == folder->st_ino && file->id == id;
}

/* The file must have what its pagemap says before it is mapped: beyond its end is SIGBUS. */
static int file_map(struct pages_file *file, uint64_t size)
{
    struct stat st;
    void *data;

    if (fstat(file->fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size < size)
        return -EBADMSG;
    if (size == 0)
        return 0;
    data = mmap(NULL, size, PROT_READ, MAP_SHARED, file->fd, 0);
    if (data == MAP_FAILED)
        return -errno;
    (void)madvise(data, size, MADV_SEQUENTIAL);
    file->data = data;
    file->size = size;
    return 0;
}

static int file_open(const struct image_dir *dir, const struct pagemap *pagemap,
                     const struct pages *twin, struct pages_file **ret)
{
    struct pages_file *file;
    char name[32];
    struct stat st;
    int r;

    if (fstat(dir->fd, &st) < 0)
        return -errno;
    for (size_t i = 0; twin && i < twin->file_count; i++)
        if (file_is(twin->files[i], &st, pagemap->pages_id)) {
            twin->files[i]->users++;
            *ret = twin->files[i];
            return pagemap->bytes <= twin->files[i]->size ? 0 : -EBADMSG;
        }
    file = calloc(1, sizeof(*file));
    if (!file)
        return -ENOMEM;
    *file = (struct pages_file){
        .users = 1, .device = st.st_dev, .inode = st.st_ino, .id = pagemap->pages_id, .fd = -1};
    *ret = file;
    snprintf(name, sizeof(name), "pages-%u.img", pagemap->pages_id);
    r = pack_open(dir, name, &file->fd);
    if (r == -ENOENT)
        return pagemap->bytes > 0 ? -EBADMSG : 0;
    return r < 0 ? r : file_map(file, pagemap->bytes);
}

/* The new one belongs to `pages` whatever becomes of it. */
static int add_file(struct pages *pages, const struct image_dir *dir, const struct pagemap *pagemap,
                    const struct pages *twin, struct pages_file **ret)
{
    struct pages_file **more;
    int r;

    more = reallocarray(pages->files, pages->file_count + 1, sizeof(*more));
    if (!more)
        return -ENOMEM;
    pages->files = more;
    more[pages->file_count] = NULL;
    r = file_open(dir, pagemap, twin, &more[pages->file_count]);
    if (more[pages->file_count])
        *ret = more[pages->file_count++];
    return r;
}

int pages_file_load(const struct pages_file *file, uint64_t offset, uint64_t size)
{
    if (madvise((void *)(file->data + offset), size, MADV_POPULATE_READ) == 0)
        return 0;
    return errno == EINVAL ? 0 : errno == ENOMEM ? -ENOMEM : -EIO; /* EINVAL: Linux < 5.14 */
}

/* ---- extents ---- */

struct extents {
    struct pages_extent *items;
    size_t count, room;
};

static void extents_done(struct extents *extents)
{
    free(extents->items);
}

static uint64_t end_of(const struct pages_extent *extent)
{
    return extent->address + extent->pages * PAGEMAP_PAGE;
}

static int extents_add(struct extents *extents, const struct pages_extent *extent)
{
    struct pages_extent *more, *last;
    size_t room = extents->room ? extents->room * 2 : 64;

    if (extents->count > 0) {
        last = &extents->items[extents->count - 1];
        if (end_of(last) == extent->address && last->file == extent->file &&
            last->offset + last->pages * PAGEMAP_PAGE == extent->offset &&
            last->flags == extent->flags) {
            last->pages += extent->pages;
            return 0;
        }
    }
    if (extents->count == extents->room) {
        more = reallocarray(extents->items, room, sizeof(*more));
        if (!more)
            return -ENOMEM;
        extents->items = more;
        extents->room = room;
    }
    extents->items[extents->count++] = *extent;
    return 0;
}

/* Takes the pages of `entry` out of `below`; *at is where the one before it ended. */
static int extents_take(struct extents *extents, const struct pagemap_entry *entry,
                        const struct extents *below, size_t *at)
{
    uint64_t address = entry->address, left = entry->pages;
    int r = 0;

    while (r == 0 && left > 0) {
        struct pages_extent part;
        uint64_t skip;

        while (*at < below->count && end_of(&below->items[*at]) <= address)
            (*at)++;
        if (*at == below->count || below->items[*at].address > address)
            return -EBADMSG;
        part = below->items[*at];
        skip = (address - part.address) / PAGEMAP_PAGE;
        part.address = address;
        part.offset += skip * PAGEMAP_PAGE;
        part.pages = part.pages - skip < left ? part.pages - skip : left;
        address += part.pages * PAGEMAP_PAGE;
        left -= part.pages;
        r = extents_add(extents, &part);
    }
    return r;
}

/* One folder's pagemap over what its parents gave: both ascend, so one walk is enough. */
static int overlay(const struct pagemap *pagemap, struct pages_file *file,
                   const struct extents *below, struct extents *ret)
{
    size_t at = 0;
    int r = 0;

    for (size_t i = 0; r == 0 && i < pagemap->count; i++) {
        const struct pagemap_entry *entry = &pagemap->entries[i];

        if (entry->flags & PE_PRESENT)
            r = extents_add(ret, &(struct pages_extent){entry->address, entry->pages, file,
                                                        entry->offset, entry->flags});
        else
            r = extents_take(ret, entry, below, &at);
    }
    return r;
}

/* ---- chains ---- */

static bool has_parent(const struct pagemap *pagemap)
{
    for (size_t i = 0; i < pagemap->count; i++)
        if (pagemap->entries[i].flags & PE_PARENT)
            return true;
    return false;
}

int pages_read_map(const struct image_dir *dir, const char *name, struct pagemap *ret)
{
    _cleanup_free_ char *data = NULL;
    size_t size;
    int r;

    r = content_read(dir, name, PAGEMAP_MAX, &data, &size);
    return r < 0 ? r : pagemap_parse(data, size, ret);
}

/* Goes no deeper than there are pages left to find. */
static int resolve(const struct image_dir *dirs, size_t count, const char *name,
                   const struct pages *twin, struct pages *pages, struct extents *ret)
{
    _cleanup_(extents_done) struct extents below = {0};
    _cleanup_(pagemap_done) struct pagemap pagemap = {0};
    struct pages_file *file = NULL;
    int r;

    if (count == 0)
        return -ENOENT;
    r = pages_read_map(dirs, name, &pagemap);
    if (r == 0)
        r = add_file(pages, dirs, &pagemap, twin, &file);
    if (r < 0)
        return r;
    if (pages->file_count == 1)
        pages->id = pagemap.pages_id;
    if (has_parent(&pagemap)) {
        r = resolve(dirs + 1, count - 1, name, twin, pages, &below);
        if (r < 0)
            return r == -ENOENT ? -EBADMSG : r;
    }
    return overlay(&pagemap, file, &below, ret);
}

int pages_open(const struct image_dir *dirs, size_t count, const char *name,
               const struct pages *twin, struct pages *ret)
{
    _cleanup_(pages_done) struct pages pages = {0};
    _cleanup_(extents_done) struct extents extents = {0};
    int r;

    r = resolve(dirs, count, name, twin, &pages, &extents);
    if (r < 0)
        return r;
    pages.extents = TAKE_PTR(extents.items);
    pages.count = extents.count;
    *ret = TAKE(pages, (struct pages){0});
    return 0;
}

void pages_done(struct pages *pages)
{
    for (size_t i = 0; i < pages->file_count; i++)
        file_unref(pages->files[i]);
    free(pages->files);
    free(pages->extents);
    *pages = (struct pages){0};
}
