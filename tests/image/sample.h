/* sample.h - a manifest to start from, for the tests of what reads manifests. */
#pragma once

#include "image/manifest.h"

/* What the samples are sealed with; they stay where they are. */
const struct keys *sample_keys(void);

/* From now on with those of this file, which is made when there is none. */
void sample_use_keys(const char *path);

/* NAME@NUMBER of this boot and machine with one image file, pages-1.img of 4 bytes, and the files
 * given. Nothing in it belongs to the heap: never manifest_free() it. */
struct manifest sample_manifest(const char *name, uint64_t number, struct manifest_file *files,
                                size_t file_count);

/* Makes DIRFD/NAME/NUMBER with the image file and the manifest, like a worker that has committed.
 */
void sample_checkpoint(int dirfd, const char *name, uint64_t number);
