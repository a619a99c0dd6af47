/* hash.h - SHA-256 of image files; the only file that knows OpenSSL.
 *
 * libcrypto is loaded at the first hash: a restore of an unchanged image needs none, and loading it
 * would cost that restore a millisecond. */
#pragma once

#include "image/manifest.h"

/* SHA-256 of the file `name` in `dirfd` as lower-case hex. -ENOSYS: there is no libcrypto, or
 * it refuses. -EIO: the disk cannot read the file. */
int hash_file(int dirfd, const char *name, char ret_hex[HASH_HEX + 1]);

/* The same, which tells after each piece how many bytes it had. */
int hash_file_telling(int dirfd, const char *name, void (*tell)(uint64_t bytes, void *data),
                      void *data, char ret_hex[HASH_HEX + 1]);
