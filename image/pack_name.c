/* pack_name.c - what the name of a stored file tells; all that a reader of manifests needs of
 * packing.
 */
#include "image/pack.h"

#include <string.h>

static bool take_suffix(const char *name, size_t *length, const char *suffix)
{
    size_t size = strlen(suffix);

    if (*length <= size || memcmp(name + *length - size, suffix, size) != 0)
        return false;
    *length -= size;
    return true;
}

size_t pack_parse_name(const char *stored_name, bool *ret_zstd, bool *ret_encrypted)
{
    size_t length = strlen(stored_name);

    *ret_encrypted = take_suffix(stored_name, &length, PACK_ENCRYPT);
    *ret_zstd = take_suffix(stored_name, &length, PACK_ZSTD);
    return length;
}

size_t pack_plain_name_length(const char *stored_name)
{
    bool compressed, encrypted;

    return pack_parse_name(stored_name, &compressed, &encrypted);
}

bool pack_name_is_packed(const char *stored_name)
{
    return pack_plain_name_length(stored_name) != strlen(stored_name);
}

bool pack_name_is_packed_twice(const char *stored_name)
{
    size_t length = pack_plain_name_length(stored_name), whole = strlen(stored_name);

    return length != whole && (take_suffix(stored_name, &length, PACK_ENCRYPT) ||
                               take_suffix(stored_name, &length, PACK_ZSTD));
}

bool pack_is_packed(const struct manifest *manifest)
{
    for (size_t i = 0; i < manifest->image_count; i++)
        if (pack_name_is_packed(manifest->images[i].name))
            return true;
    return false;
}

bool pack_is_compressible(const struct manifest *manifest)
{
    for (size_t i = 0; i < manifest->image_count; i++) {
        const struct manifest_image *image = &manifest->images[i];
        bool zstd, encrypted;

        pack_parse_name(image->name, &zstd, &encrypted);
        if (!zstd && image->plain_size >= PACK_ZSTD_PAYS)
            return true;
    }
    return false;
}
