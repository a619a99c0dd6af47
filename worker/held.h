/* held.h - which files the processes of a tree really have open: the kernel's word, which no path
 * that somebody swaps can change. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct held_file {
    dev_t device;
    ino_t inode;
};

struct held {
    struct held_file *files; /* sorted */
    size_t count;
};

/* Regular files behind descriptors, and with `maps` those behind mappings too. Walks /proc. */
int held_read(pid_t root, bool maps, struct held *ret);
void held_done(struct held *held);

bool held_has(const struct held *held, dev_t device, ino_t inode);
