/* facts.h - what a checkpoint needs of its host, as manifest entries.
 *
 * The list comes out of the finished image, whose paths, sizes and offsets CRIU took at the freeze;
 * device, inode, time and owner are read here: while the service is frozen when they matter
 * (files_keep.h), else just after. */
#pragma once

#include "image/image_scan.h"
#include "image/manifest.h"

#include <sys/stat.h>

/* Fills manifest->files: executables, libraries and open regular files, each path once, beside it
 * those that are deleted. Files that the kernel makes up (/proc, /sys) are none. */
int facts_files(const struct image *image, struct manifest *manifest);

/* The entry of a file that has a name; NULL: none. */
struct manifest_file *facts_find(const struct manifest *manifest, const char *path);

/* One more entry, with all but its path zero; NULL: out of memory. */
struct manifest_file *facts_add(struct manifest *manifest, const char *path);

/* Device, inode, time, owner and permissions. */
void facts_set_identity(struct manifest_file *file, const struct stat *st);

/* Fills kernel, machine, cpu, host and boot_id. */
int facts_host(struct manifest *manifest);

/* When the image was made, CLOCK_REALTIME usec: the birth of files.img, which CRIU creates first
 * thing after the freeze; `fallback` where the file system keeps no birth time. */
uint64_t facts_freeze_time(int dirfd, uint64_t fallback);
