/* files_keep.h - Files= at the dump: what is written down and copied of the service's files while
 * every process of it is frozen. */
#pragma once

#include "common/ckpt_spec.h"
#include "common/reason.h"
#include "image/pack.h"

/* Fills manifest->files as of now, with Files=snapshot also copies into a folder of its own in
 * `staging_fd`: blocks are shared where the file system can, for every file that the service
 * writes; files that SnapshotPaths= names are copied where it cannot. A repeat begins anew. < 0:
 * the checkpoint cannot be had as asked for, and `reason` says why. */
int files_keep(const struct ckpt_spec *spec, int images_fd, int staging_fd,
               struct manifest *manifest, struct reason *reason);

/* When the service runs again: the copies become files of the image, in its form. */
int files_keep_store(int staging_fd, const struct manifest *manifest, const struct pack_form *form,
                     const struct keys *keys);
