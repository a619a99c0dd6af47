/* facts.h - what a checkpoint needs of its host, as manifest entries.
 *
 * The list comes out of the finished image, whose paths and sizes CRIU took at the freeze, so the
 * service pays nothing for it in the frozen window. Device, inode and time are read just after. */
#pragma once

#include "image/image_scan.h"
#include "image/manifest.h"

/* Fills manifest->files: executables, libraries and open regular files, each path once. */
int facts_files(const struct image *image, struct manifest *manifest);

/* Fills kernel, machine, cpu, host and boot_id. */
int facts_host(struct manifest *manifest);

/* When the image was made, CLOCK_REALTIME usec: the birth of files.img, which CRIU creates first
 * thing after the freeze; `fallback` where the file system keeps no birth time. */
uint64_t facts_freeze_time(int dirfd, uint64_t fallback);
