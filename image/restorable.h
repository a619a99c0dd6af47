/* restorable.h - could this host restore that image now? Compares the manifest with what is here.
 */
#pragma once

#include "image/host.h"
#include "image/manifest.h"

#include <stdbool.h>
#include <sys/stat.h>

#define NOT_RESTORABLE 1 /* *ret_why is a new string of one line that names the thing */

/* What became of a file since the freeze. */
enum file_change {
    FILE_SAME,
    FILE_TOUCHED, /* same size, other time */
    FILE_GROWN,
    FILE_SHRUNK,
    FILE_REPLACED, /* another inode, or no regular file any more */
};

enum file_change file_compare(const struct manifest_file *file, const struct stat *now,
                              bool same_boot);

/* Opened or mapped for writing: what the service changes. */
bool file_is_written(const struct manifest_file *file);

/* Since the manifest was made: device numbers of the same disk may differ after a boot. */
bool manifest_is_of_this_boot(const struct manifest *manifest);

/* Files that the image needs. CRIU compares the size of every one that is open or mapped, except of
 * logs (O_APPEND and write-only; criu/files-reg.c); executables and libraries must be the very
 * same. What `mode` puts right before a restore (worker/files_back.h) is no obstacle, and what it
 * refuses is one. */
int restorable_files(const struct manifest *manifest, enum files_mode mode, char **ret_why);

/* Machine, processor and CRIU's version (40101 is 4.1.1; 0: ours is not known). */
int restorable_host(const struct manifest *manifest, const struct host *host, unsigned criu_version,
                    char **ret_why);

/* The files of the image itself are all there with their sizes; hashes are the worker's job. */
int restorable_images(int image_fd, const struct manifest *manifest, char **ret_why);
