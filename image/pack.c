/* pack.c - files of an image, packed and unpacked. */
#include "image/pack.h"

#include "common/cleanup.h"
#include "image/crypt.h"
#include "image/zstd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define MEMORY_MAX (256ull * 1024 * 1024) /* larger content goes to the disk */

static void crypt_freep(struct sink **sink)
{
    crypt_free(*sink);
}

static void zstd_freep(struct sink **sink)
{
    zstd_free(*sink);
}

/* ---- opening ---- */

/* O_NONBLOCK: what somebody put in a file's place must not hold us up. */
static int open_file(int dirfd, const char *name, uint64_t *ret_size)
{
    _cleanup_close_ int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat st;

    if (fd < 0)
        return errno == ELOOP ? -EBADMSG : -errno;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EBADMSG;
    *ret_size = (uint64_t)st.st_size;
    return TAKE_FD(fd);
}

int pack_plain_size(int dirfd, const char *stored_name, uint64_t *ret_size)
{
    _cleanup_close_ int fd = -1;
    char beginning[CRYPT_BEGINNING];
    bool compressed, encrypted;
    uint64_t size;
    ssize_t n;

    fd = open_file(dirfd, stored_name, &size);
    if (fd < 0)
        return fd;
    (void)pack_parse_name(stored_name, &compressed, &encrypted);
    if (!compressed && !encrypted) {
        *ret_size = size;
        return 0;
    }
    n = pread(fd, beginning, sizeof(beginning), 0);
    if (n < 0)
        return -errno;
    return encrypted ? crypt_plain_size(beginning, (size_t)n, ret_size)
                     : zstd_content_size(beginning, (size_t)n, ret_size);
}

/* Decodes `from` into `to`; what it holds is exactly `size` bytes, or it is damaged. */
static int unpack(const struct image_dir *dir, const struct manifest_image *image, int from, int to)
{
    _cleanup_(crypt_freep) struct sink *decrypt = NULL;
    _cleanup_(zstd_freep) struct sink *decompress = NULL;
    bool compressed, encrypted;
    struct file_sink file;
    struct sink *first;
    int r;

    (void)pack_parse_name(image->name, &compressed, &encrypted);
    file_sink_init(&file, to, image->plain_size);
    first = &file.sink;
    if (compressed) {
        r = zstd_decompress(first, &decompress);
        if (r < 0)
            return r;
        first = decompress;
    }
    if (encrypted) {
        r = crypt_decrypt(dir->keys, first, &decrypt);
        if (r < 0)
            return r;
        first = decrypt;
    }
    r = stream_file(from, first);
    if (r < 0)
        return r;
    return file.at == image->plain_size ? 0 : -EBADMSG;
}

static int temporary_file(int dirfd, uint64_t size)
{
    int fd = size <= MEMORY_MAX ? memfd_create("perdure-image", MFD_CLOEXEC)
                                : openat(dirfd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    return fd < 0 ? -errno : fd;
}

static const struct manifest_image *find(const struct manifest *manifest, const char *name)
{
    size_t length = strlen(name);

    for (size_t i = 0; i < manifest->image_count; i++)
        if (pack_plain_name_length(manifest->images[i].name) == length &&
            memcmp(manifest->images[i].name, name, length) == 0)
            return &manifest->images[i];
    return NULL;
}

/* The file as stored; *ret_image is NULL where nothing is packed. */
static int open_stored(const struct image_dir *dir, const char *name,
                       const struct manifest_image **ret_image, int *ret_fd)
{
    const struct manifest_image *image = dir->manifest ? find(dir->manifest, name) : NULL;
    _cleanup_close_ int fd = -1;
    uint64_t size;

    if (dir->manifest && !image)
        return -ENOENT;
    fd = open_file(dir->fd, image ? image->name : name, &size);
    if (fd < 0)
        return fd;
    if (image && size != image->size)
        return -EBADMSG;
    *ret_image = image && pack_name_is_packed(image->name) ? image : NULL;
    *ret_fd = TAKE_FD(fd);
    return 0;
}

int pack_open(const struct image_dir *dir, const char *name, int *ret_fd)
{
    const struct manifest_image *packed;
    _cleanup_close_ int fd = -1, plain = -1;
    int r;

    r = open_stored(dir, name, &packed, &fd);
    if (r < 0)
        return r;
    if (!packed) {
        *ret_fd = TAKE_FD(fd);
        return 0;
    }
    plain = temporary_file(dir->fd, packed->plain_size);
    if (plain < 0)
        return plain;
    r = unpack(dir, packed, fd, plain);
    if (r < 0)
        return r;
    *ret_fd = TAKE_FD(plain);
    return 0;
}

int pack_copy(const struct image_dir *dir, const char *name, int to_fd)
{
    const struct manifest_image *packed;
    _cleanup_close_ int fd = -1;
    struct file_sink file;
    int r;

    r = open_stored(dir, name, &packed, &fd);
    if (r < 0)
        return r;
    if (packed)
        return unpack(dir, packed, fd, to_fd);
    file_sink_init(&file, to_fd, INT64_MAX);
    return stream_file(fd, &file.sink);
}

/* ---- writing ---- */

static char *stored_name(const char *name, bool compress, bool encrypt)
{
    char *stored;

    return asprintf(&stored, "%s%s%s", name, compress ? PACK_ZSTD : "",
                    encrypt ? PACK_ENCRYPT : "") < 0
               ? NULL
               : stored;
}

static int pack(int from, uint64_t size, uint32_t level, const struct keys *keys, int to)
{
    _cleanup_(crypt_freep) struct sink *encrypt = NULL;
    _cleanup_(zstd_freep) struct sink *compress = NULL;
    struct file_sink file;
    struct sink *first;
    int r;

    file_sink_init(&file, to, INT64_MAX);
    first = &file.sink;
    if (keys) {
        r = crypt_encrypt(keys, size, first, &encrypt);
        if (r < 0)
            return r;
        first = encrypt;
    }
    if (level > 0) {
        r = zstd_compress(level, size, first, &compress);
        if (r < 0)
            return r;
        first = compress;
    }
    return stream_file(from, first);
}

int pack_write(int from_fd, const char *name, int to_fd, const struct pack_form *form,
               const struct keys *keys, char **ret_stored_name)
{
    _cleanup_close_ int from = -1, to = -1;
    _cleanup_free_ char *stored = NULL;
    uint32_t level;
    uint64_t size;
    int r;

    if (pack_name_is_packed(name))
        return -EINVAL;
    if (form->encrypt && !keys)
        return -ENOKEY;
    from = open_file(from_fd, name, &size);
    if (from < 0)
        return from;
    level = size >= PACK_ZSTD_PAYS ? form->zstd : 0;
    stored = stored_name(name, level > 0, form->encrypt);
    if (!stored)
        return -ENOMEM;
    to = openat(to_fd, stored, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (to < 0)
        return -errno;
    r = pack(from, size, level, form->encrypt ? keys : NULL, to);
    if (r < 0)
        return r;
    *ret_stored_name = TAKE_PTR(stored);
    return 0;
}
