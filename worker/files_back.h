/* files_back.h - Files= at the restore: the service's files as they were at the freeze, or a reason
 * why not.
 *
 * Runs when no process of the service lives. A file with a snapshot gets the content of the freeze,
 * in place when it is the very inode of the freeze, so that hard links stay; else it is made anew
 * with its owner and permissions and takes its name by rename(2). Without a snapshot a file that
 * the service writes and that only grew is cut back. Cut off or put back half by a kill: the
 * snapshot stays in the image, and a repeat finishes it. */
#pragma once

#include "common/ckpt_spec.h"
#include "common/reason.h"
#include "common/worker_abi.h"
#include "image/pack.h"

enum worker_result files_check_and_put_back(const struct image_dir *image, enum files_mode mode,
                                            struct reason *reason);
