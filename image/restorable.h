/* restorable.h - could this host restore that image now? Compares the manifest with what is here.
 */
#pragma once

#include "image/host.h"
#include "image/manifest.h"

#define NOT_RESTORABLE 1 /* *ret_why is a new string of one line that names the thing */

/* Files that the image needs. CRIU compares the size of every one that is open or mapped, except of
 * logs (O_APPEND and write-only; criu/files-reg.c); executables and libraries must be the very
 * same. */
int restorable_files(const struct manifest *manifest, char **ret_why);

/* Machine, processor and CRIU's version (40101 is 4.1.1; 0: ours is not known). */
int restorable_host(const struct manifest *manifest, const struct host *host, unsigned criu_version,
                    char **ret_why);

/* The files of the image itself are all there with their sizes; hashes are the worker's job. */
int restorable_images(int image_fd, const struct manifest *manifest, char **ret_why);
