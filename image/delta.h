/* delta.h - writes an image anew against another parent: the one operation behind incremental
 * checkpoints, re-basing, merging and unpacking. Stock CRIU restores what it writes.
 *
 * Sources and parents are folders newest first, each the parent of the one before it. What the
 * source's pages hold is looked up through all its folders; what the parent's folders hold at the
 * same place in the same process and is equal becomes an entry without bytes. */
#pragma once

#include "image/pack.h"

struct delta_options {
    const char *parent_link; /* target of the link `parent`, "../12"; NULL: none, a full image */
    struct pack_form form;   /* of what is written; {}: plain, ready for CRIU */
    const struct keys *keys; /* needed to encrypt */
    void (*progress)(uint64_t done, uint64_t total, void *data); /* pages; may be NULL */
    void *data;
};

struct delta_stats {
    uint64_t pages;       /* that the image has */
    uint64_t stored;      /* of these, written with bytes */
    uint64_t zero;        /* of the stored, all zero: a hole */
    uint64_t from_parent; /* left to the parent */
};

/* Writes the image into the empty folder `out_fd`, files of mode 0600. All that the source's first
 * folder has (with a manifest: that this lists) comes along, except the manifest, the link
 * `parent`, LAYOUT_WORKER and logs; stats-dump stays plain in any form. `parent_link` goes with a
 * parent, and only with one. Nothing is synced; after a failure the folder is for the caller to
 * remove.
 *
 * Always written with bytes: huge pages, AIO rings and mappings of CRIU's plugins, which CRIU reads
 * from the newest folder alone, and a process or shared memory that the parent does not have.
 *
 * -EBADMSG: a folder is not what CRIU wrote, or needs a parent that is not there. Otherwise what
 * pack_open() and pack_write() say. */
int delta_make(const struct image_dir *source, size_t source_count, const struct image_dir *parent,
               size_t parent_count, int out_fd, const struct delta_options *options,
               struct delta_stats *ret);
