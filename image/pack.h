/* pack.h - files of an image in a form other than CRIU's: compressed, encrypted or both.
 *
 * The stored name tells: "pages-1.img" plain, "pages-1.img.zst", "pages-1.img.enc",
 * "pages-1.img.zst.enc" (compressed, then encrypted). The plain size stands in the manifest, so
 * that no decoder is trusted with how much it writes. */
#pragma once

#include "image/keys.h"
#include "image/manifest.h"

#include <stdbool.h>

#define PACK_ZSTD    ".zst"
#define PACK_ENCRYPT ".enc"

#define PACK_ZSTD_PAYS (64 * 1024) /* bytes; smaller files are not worth another frame */

/* A folder of images on its way through our hands. */
struct image_dir {
    int fd;                          /* borrowed */
    const struct manifest *manifest; /* NULL: a fresh dump, everything is plain */
    const struct keys *keys;         /* NULL: nothing in it can be encrypted */
};

struct pack_form {
    uint32_t zstd; /* level, 0: not compressed */
    bool encrypt;
};

/* Plain content of the file that CRIU calls `name`: an open descriptor for reading at offset 0, of
 * the file itself or of an unnamed temporary one. -ENOENT, -EBADMSG (damaged, or longer than its
 * plain size), -EKEYREJECTED (it does not decrypt), -ENOKEY. */
int pack_open(const struct image_dir *dir, const char *name, int *ret_fd);

/* Writes that content into the empty file `to_fd`, in one pass. Same errors. */
int pack_copy(const struct image_dir *dir, const char *name, int to_fd);

/* True when the manifest names a file that CRIU cannot read as it is. */
bool pack_is_packed(const struct manifest *manifest);

/* True when it names a file that pack_write() would compress and that is not yet: without one,
 * packing would change nothing. */
bool pack_is_compressible(const struct manifest *manifest);

/* Writes the plain file `name` of `from_fd` into the folder `to_fd` in the given form, holes where
 * it has holes or zero pages; its stored name is the caller's to free. Nothing is synced. */
int pack_write(int from_fd, const char *name, int to_fd, const struct pack_form *form,
               const struct keys *keys, char **ret_stored_name);

/* Size of what CRIU reads, as a file that pack_write() made tells in its first bytes; a damaged one
 * may lie. -EBADMSG. */
int pack_plain_size(int dirfd, const char *stored_name, uint64_t *ret_size);

/* "pages-1.img.zst.enc" -> length of "pages-1.img"; and how it is stored. */
size_t pack_plain_name_length(const char *stored_name);
size_t pack_parse_name(const char *stored_name, bool *ret_zstd, bool *ret_encrypted);
bool pack_name_is_packed(const char *stored_name);

/* Nothing that pack_write() makes: unpacked, it would look packed still. */
bool pack_name_is_packed_twice(const char *stored_name);
