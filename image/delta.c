/* delta.c - an image anew: its pages against a parent's, all other files copied. */
#include "image/delta.h"

#include "common/cleanup.h"
#include "common/fs.h"
#include "image/content.h"
#include "image/delta_pages.h"
#include "image/layout.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROGRESS_PAGES 4096u /* from one report to the next */

#define PAGEMAP "pagemap-" /* pagemap-PID.img, and ... */
#define SHARED  "pagemap-shmem-"
#define PAGES   "pages-"

struct delta {
    const struct image_dir *source, *parent;
    size_t source_count, parent_count;
    int out_fd;
    const struct delta_options *options;
    struct delta_stats stats;
    uint64_t total, done, told;
};

static bool has_prefix(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* ---- files ---- */

/* The folder was empty: a name that is there already stands in the image twice. */
static int create_file(int dirfd, const char *name)
{
    int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

    return fd >= 0 ? fd : errno == EEXIST ? -EBADMSG : -errno;
}

/* Gives a file that was just written its final form. -EEXIST: that is the plain one, it is too
 * small to be worth another. */
static int pack_file(struct delta *d, const char *name)
{
    const struct pack_form *form = &d->options->form;
    _cleanup_free_ char *stored = NULL;
    int r;

    if (!form->zstd && !form->encrypt)
        return 0;
    r = pack_write(d->out_fd, name, d->out_fd, form, d->options->keys, &stored);
    if (r < 0)
        return r == -EEXIST && !form->encrypt ? 0 : r;
    return unlinkat(d->out_fd, name, 0) < 0 ? -errno : 0;
}

static int copy_file(struct delta *d, const char *name)
{
    _cleanup_close_ int from_fd = -1, to_fd = -1;
    int r;

    r = pack_open(&d->source[0], name, &from_fd);
    if (r < 0)
        return r;
    to_fd = create_file(d->out_fd, name);
    if (to_fd < 0)
        return to_fd;
    r = content_copy(from_fd, to_fd);
    if (r < 0)
        return r;
    return strcmp(name, "stats-dump") == 0 ? 0 : pack_file(d, name);
}

/* ---- pages ---- */

static int write_pagemap(struct delta *d, const char *name, const struct pagemap *pagemap)
{
    _cleanup_free_ char *data = NULL;
    _cleanup_close_ int fd = -1;
    size_t size;
    int r;

    r = pagemap_format(pagemap, &data, &size);
    if (r < 0)
        return r;
    fd = create_file(d->out_fd, name);
    if (fd < 0)
        return fd;
    r = fs_write_all(fd, data, size);
    return r < 0 ? r : pack_file(d, name);
}

static void note_progress(struct delta *d, uint64_t pages)
{
    d->done += pages;
    if (!d->options->progress || (d->done - d->told < PROGRESS_PAGES && d->done != d->total))
        return;
    d->told = d->done;
    d->options->progress(d->done, d->total, d->options->data);
}

static void note_stats(struct delta_stats *stats, const struct pages_writer *writer)
{
    uint64_t stored = writer->pagemap.bytes / PAGEMAP_PAGE;

    stats->pages += writer->pagemap.pages;
    stats->stored += stored;
    stats->zero += writer->zero;
    stats->from_parent += writer->pagemap.pages - stored;
}

/* Writes pages-N.img and the pagemap `name`, of what both sides have. */
static int write_pages(struct delta *d, const char *name, const struct pages *source,
                       const struct pages *parent, const struct untracked *untracked)
{
    _cleanup_(pages_writer_done) struct pages_writer writer = {0};
    struct delta_pages pages = {
        .source = source, .parent = parent, .untracked = untracked, .writer = &writer};
    _cleanup_close_ int fd = -1;
    char pages_name[32];
    uint64_t count;
    int r;

    snprintf(pages_name, sizeof(pages_name), "pages-%u.img", source->id);
    fd = create_file(d->out_fd, pages_name);
    if (fd < 0)
        return fd;
    pages_writer_init(&writer, fd, source->id);
    while ((r = delta_pages_step(&pages, &count)) > 0)
        note_progress(d, count);
    if (r == 0)
        r = pages_writer_end(&writer);
    if (r == 0)
        r = pack_file(d, pages_name);
    if (r == 0)
        r = write_pagemap(d, name, &writer.pagemap);
    if (r == 0)
        note_stats(&d->stats, &writer);
    return r;
}

/* What CRIU reads from the newest folder alone; shared memory is none of it. */
static int read_untracked(struct delta *d, const char *pagemap_name, struct untracked *ret)
{
    _cleanup_free_ char *name = NULL;

    if (has_prefix(pagemap_name, SHARED))
        return 0;
    if (asprintf(&name, "mm-%s", pagemap_name + strlen(PAGEMAP)) < 0) {
        name = NULL;
        return -ENOMEM;
    }
    return untracked_read(&d->source[0], name, ret);
}

/* A full image made plain: its pages are taken over as they are, in one pass. */
static bool is_taken_over(const struct delta *d)
{
    return d->source_count == 1 && d->parent_count == 0 && d->source[0].manifest &&
           !d->options->form.zstd && !d->options->form.encrypt;
}

static int take_over(struct delta *d, const char *name)
{
    _cleanup_(pagemap_done) struct pagemap pagemap = {0};
    _cleanup_close_ int fd = -1;
    char pages_name[32];
    struct stat st;
    int r;

    r = pages_read_map(&d->source[0], name, &pagemap);
    if (r < 0)
        return r;
    if (pagemap.bytes != pagemap.pages * PAGEMAP_PAGE)
        return -EBADMSG; /* pages of a parent, which it does not have */
    snprintf(pages_name, sizeof(pages_name), "pages-%u.img", pagemap.pages_id);
    fd = create_file(d->out_fd, pages_name);
    if (fd < 0)
        return fd;
    r = pack_copy(&d->source[0], pages_name, fd);
    if (r < 0)
        return r;
    if (fstat(fd, &st) < 0)
        return -errno;
    if ((uint64_t)st.st_size != pagemap.bytes)
        return -EBADMSG;
    note_progress(d, pagemap.pages);
    d->stats.pages += pagemap.pages;
    d->stats.stored += pagemap.pages;
    return copy_file(d, name);
}

static int write_delta(struct delta *d, const char *name)
{
    _cleanup_(untracked_done) struct untracked untracked = {0};
    _cleanup_(pages_done) struct pages source = {0}, parent = {0};
    int r;

    if (is_taken_over(d))
        return take_over(d, name);
    r = pages_open(d->source, d->source_count, name, NULL, &source);
    if (r < 0)
        return r;
    if (d->parent_count > 0) {
        r = pages_open(d->parent, d->parent_count, name, &source, &parent);
        if (r < 0 && r != -ENOENT)
            return r;
    }
    if (parent.count > 0) {
        r = read_untracked(d, name, &untracked);
        if (r < 0)
            return r;
    }
    return write_pages(d, name, &source, &parent, &untracked);
}

/* ---- the folder ---- */

struct names {
    char **items;
    size_t count;
};

static void names_done(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->items[i]);
    free(names->items);
}

static bool is_skipped(const char *name)
{
    static const char *const ours[] = {LAYOUT_PARENT, LAYOUT_WORKER, MANIFEST_FILE};
    size_t len = strlen(name);

    for (size_t i = 0; i < ELEMENTS(ours); i++)
        if (strcmp(name, ours[i]) == 0)
            return true;
    return len > 4 && strcmp(name + len - 4, ".log") == 0;
}

static int add_name(struct names *names, const char *stored_name)
{
    size_t len = pack_plain_name_length(stored_name);
    char **more, *name;

    if (strchr(stored_name, '/'))
        return -EBADMSG;
    name = strndup(stored_name, len);
    if (!name)
        return -ENOMEM;
    if (is_skipped(name)) {
        free(name);
        return 0;
    }
    more = reallocarray(names->items, names->count + 1, sizeof(*more));
    if (!more) {
        free(name);
        return -ENOMEM;
    }
    names->items = more;
    more[names->count++] = name;
    return 0;
}

/* Without a manifest nothing is packed. */
static int add_plain_name(int dirfd, const char *name, void *names)
{
    return pack_name_is_packed(name) ? -EBADMSG : add_name(names, name);
}

/* What a manifest does not list is not part of the image. */
static int list_files(const struct image_dir *dir, struct names *names)
{
    int r = 0;

    if (!dir->manifest)
        return fs_for_each(dir->fd, add_plain_name, names);
    for (size_t i = 0; r == 0 && i < dir->manifest->image_count; i++)
        r = add_name(names, dir->manifest->images[i].name);
    return r;
}

static int count_pages(struct delta *d, const struct names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        _cleanup_(pagemap_done) struct pagemap pagemap = {0};
        int r;

        if (!has_prefix(names->items[i], PAGEMAP))
            continue;
        r = pages_read_map(&d->source[0], names->items[i], &pagemap);
        if (r < 0)
            return r;
        d->total += pagemap.pages;
    }
    return 0;
}

static int write_files(struct delta *d, const struct names *names)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < names->count; i++) {
        if (has_prefix(names->items[i], PAGEMAP))
            r = write_delta(d, names->items[i]);
        else if (!has_prefix(names->items[i], PAGES))
            r = copy_file(d, names->items[i]);
    }
    return r;
}

int delta_make(const struct image_dir *source, size_t source_count, const struct image_dir *parent,
               size_t parent_count, int out_fd, const struct delta_options *options,
               struct delta_stats *ret)
{
    struct delta d = {.source = source,
                      .source_count = source_count,
                      .parent = parent,
                      .parent_count = parent_count,
                      .out_fd = out_fd,
                      .options = options};
    _cleanup_(names_done) struct names names = {0};
    int r;

    if (source_count == 0 || (parent_count > 0) != (options->parent_link != NULL))
        return -EINVAL;
    r = list_files(&source[0], &names);
    if (r == 0)
        r = count_pages(&d, &names);
    if (r == 0)
        r = write_files(&d, &names);
    if (r < 0)
        return r == -ENOENT ? -EBADMSG : r; /* a file that belongs to the image */
    if (options->parent_link && symlinkat(options->parent_link, out_fd, LAYOUT_PARENT) < 0)
        return -errno;
    *ret = d.stats;
    return 0;
}
