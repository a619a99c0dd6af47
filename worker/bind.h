/* bind.h - pieces of a mount tree as descriptors (open_tree(2), move_mount(2), mount_setattr(2);
 * Linux 5.12). */
#pragma once

#include <stdbool.h>

/* A read-only copy of the file or folder `path`, mounted nowhere; with all mounts below it when
 * `recursive`. */
int bind_clone(int dirfd, const char *path, bool recursive);

/* Mounts what bind_clone() or scratch_mount() gave on `path`. */
int bind_attach(int fd, const char *path);
