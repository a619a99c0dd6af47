/* keys.c - the key ring, and all that is done with a key; the only file that knows libsodium. */
#include "image/keys.h"

#include "common/cleanup.h"
#include "common/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_MAX (64 * 1024) /* some 800 keys */
#define HEX      (2 * crypto_kdf_KEYBYTES)
#define LINE     (KEYS_ID_SIZE - 1 + 1 + HEX) /* "ID HEX" */

/* One master key may do one kind of thing only: what it does is done by these. */
#define CONTEXT "perdure" /* crypto_kdf_CONTEXTBYTES with its NUL */
enum { SUBKEY_MANIFESTS = 1, SUBKEY_FILES = 2 };

_Static_assert(sizeof(CONTEXT) == crypto_kdf_CONTEXTBYTES, "context of crypto_kdf");
_Static_assert(crypto_generichash_BYTES * 2 + 1 == KEYS_MAC_SIZE, "size of a mac");
_Static_assert(crypto_secretstream_xchacha20poly1305_HEADERBYTES == KEYS_STREAM_HEADER, "header");
_Static_assert(crypto_secretstream_xchacha20poly1305_ABYTES == KEYS_STREAM_EXTRA, "extra");

struct key {
    char id[KEYS_ID_SIZE];
    uint8_t manifests[crypto_generichash_KEYBYTES];
    uint8_t files[crypto_secretstream_xchacha20poly1305_KEYBYTES];
};

struct keys {
    size_t count;
    struct key list[];
};

/* Memory that is kept out of swap and core dumps as far as the limits allow, and erased when it is
 * freed. Its end is at the end of a page: only a round size makes it aligned. */
static void *secret_new(size_t size)
{
    return sodium_malloc((size + 15) & ~(size_t)15);
}

static void secret_freep(void *p)
{
    sodium_free(*(void **)p);
}

#define _cleanup_secret_ _cleanup_(secret_freep)

struct keys *keys_free(struct keys *keys)
{
    sodium_free(keys);
    return NULL;
}

static const struct key *find(const struct keys *keys, const char *id)
{
    for (size_t i = 0; keys && i < keys->count; i++)
        if (strcmp(keys->list[i].id, id) == 0)
            return &keys->list[i];
    return NULL;
}

const char *keys_current(const struct keys *keys)
{
    return keys->list[keys->count - 1].id;
}

/* ---- the file ---- */

/* Whoever else can write the file decides what root restores; whoever can read it, too. */
static int open_file(const char *path)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    struct stat st;

    if (fd < 0)
        return errno == ELOOP ? -EPERM : -errno;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || (st.st_uid != 0 && st.st_uid != geteuid()) ||
        (st.st_mode & 077) != 0)
        return -EPERM;
    return TAKE_FD(fd);
}

/* The text of the file in secret memory, with room for one more line and a NUL. */
static int read_file(const char *path, char **ret_text, size_t *ret_size)
{
    _cleanup_secret_ char *text = NULL;
    _cleanup_close_ int fd = -1;
    size_t size = 0;
    ssize_t n;

    if (sodium_init() < 0)
        return -ENOSYS;
    fd = open_file(path);
    if (fd < 0)
        return fd;
    text = secret_new(FILE_MAX + 1 + LINE + 1 + 1);
    if (!text)
        return -ENOMEM;
    while (size <= FILE_MAX && (n = read(fd, text + size, FILE_MAX + 1 - size)) != 0) {
        if (n < 0 && errno != EINTR)
            return -errno;
        size += n > 0 ? (size_t)n : 0;
    }
    if (size > FILE_MAX)
        return -EBADMSG;
    if (size > 0 && text[size - 1] != '\n')
        text[size++] = '\n';
    text[size] = '\0';
    *ret_text = TAKE_PTR(text);
    *ret_size = size;
    return 0;
}

/* One line without its end. */
static int parse_key(const char *line, size_t size, struct key *ret)
{
    uint8_t master[crypto_kdf_KEYBYTES];
    size_t got;

    if (size != LINE || strspn(line, "0123456789abcdef") != KEYS_ID_SIZE - 1 ||
        line[KEYS_ID_SIZE - 1] != ' ' ||
        sodium_hex2bin(master, sizeof(master), line + KEYS_ID_SIZE, HEX, NULL, &got, NULL) != 0 ||
        got != sizeof(master))
        return -EBADMSG;
    memcpy(ret->id, line, KEYS_ID_SIZE - 1);
    ret->id[KEYS_ID_SIZE - 1] = '\0';
    crypto_kdf_derive_from_key(ret->manifests, sizeof(ret->manifests), SUBKEY_MANIFESTS, CONTEXT,
                               master);
    crypto_kdf_derive_from_key(ret->files, sizeof(ret->files), SUBKEY_FILES, CONTEXT, master);
    sodium_memzero(master, sizeof(master));
    return 0;
}

static int parse_file(const char *text, size_t size, struct keys **ret)
{
    _cleanup_secret_ struct keys *keys = NULL;
    const char *end;
    struct key key;
    int r = 0;

    keys = secret_new(sizeof(*keys) + (size / (LINE + 1)) * sizeof(keys->list[0]));
    if (!keys)
        return -ENOMEM;
    keys->count = 0;
    for (const char *line = text; r == 0 && line < text + size; line = end + 1) {
        end = memchr(line, '\n', (size_t)(text + size - line));
        r = parse_key(line, (size_t)(end - line), &key);
        if (r == 0 && find(keys, key.id))
            r = -EBADMSG;
        if (r == 0)
            keys->list[keys->count++] = key;
    }
    sodium_memzero(&key, sizeof(key));
    if (r < 0 || keys->count == 0)
        return -EBADMSG;
    (void)sodium_mprotect_readonly(keys);
    *ret = TAKE_PTR(keys);
    return 0;
}

int keys_read(const char *path, struct keys **ret)
{
    _cleanup_secret_ char *text = NULL;
    size_t size;
    int r;

    r = read_file(path, &text, &size);
    return r < 0 ? r : parse_file(text, size, ret);
}

/* A line with a new key, which none of `keys` has the id of. */
static void new_line(const struct keys *keys, char line[LINE + 2])
{
    uint8_t master[crypto_kdf_KEYBYTES], id[(KEYS_ID_SIZE - 1) / 2];

    do {
        randombytes_buf(id, sizeof(id));
        sodium_bin2hex(line, KEYS_ID_SIZE, id, sizeof(id));
    } while (find(keys, line));
    line[KEYS_ID_SIZE - 1] = ' ';
    crypto_kdf_keygen(master);
    sodium_bin2hex(line + KEYS_ID_SIZE, HEX + 1, master, sizeof(master));
    memcpy(line + LINE, "\n", 2);
    sodium_memzero(master, sizeof(master));
}

/* Of two that make it at the same time one wins, and both read what that one made. */
static int make_file(const char *path)
{
    _cleanup_free_ char *fresh = NULL;
    char line[LINE + 2];
    int r;

    if (asprintf(&fresh, "%s.fresh", path) < 0) {
        fresh = NULL;
        return -ENOMEM;
    }
    new_line(NULL, line);
    r = fs_replace(AT_FDCWD, fresh, line, LINE + 1, 0600);
    sodium_memzero(line, sizeof(line));
    if (r < 0)
        return r;
    if (renameat2(AT_FDCWD, fresh, AT_FDCWD, path, RENAME_NOREPLACE) < 0 && errno != ENOENT) {
        r = errno == EEXIST ? 0 : -errno;
        (void)unlink(fresh);
        return r;
    }
    return fs_sync_dir(AT_FDCWD, dirname(fresh));
}

/* What a rotation that was killed has left (fs_replace()). */
static int sweep(const char *path)
{
    char *left;
    int r;

    if (asprintf(&left, "%s.new", path) < 0)
        return -ENOMEM;
    r = unlink(left) < 0 && errno != ENOENT && errno != EROFS && errno != EACCES ? -errno : 0;
    free(left);
    return r;
}

int keys_read_or_make(const char *path, struct keys **ret)
{
    int r = sweep(path);

    if (r < 0)
        return r;
    r = keys_read(path, ret);
    if (r != -ENOENT)
        return r;
    r = make_file(path);
    return r < 0 ? r : keys_read(path, ret);
}

int keys_rotate(const char *path, char ret_id[KEYS_ID_SIZE])
{
    _cleanup_secret_ char *text = NULL;
    _cleanup_secret_ struct keys *keys = NULL;
    size_t size;
    int r;

    if ((r = read_file(path, &text, &size)) < 0 || (r = parse_file(text, size, &keys)) < 0)
        return r;
    if (size + LINE + 1 > FILE_MAX)
        return -EFBIG;
    new_line(keys, text + size);
    r = fs_replace(AT_FDCWD, path, text, size + LINE + 1, 0600);
    if (r < 0)
        return r;
    memcpy(ret_id, text + size, KEYS_ID_SIZE - 1);
    ret_id[KEYS_ID_SIZE - 1] = '\0';
    return 0;
}

/* ---- authentication ---- */

static int mac_of(const struct keys *keys, const char *id, const void *data, size_t size,
                  uint8_t ret[crypto_generichash_BYTES])
{
    const struct key *key = find(keys, id);

    if (!key)
        return -ENOKEY;
    return crypto_generichash(ret, crypto_generichash_BYTES, data, size, key->manifests,
                              sizeof(key->manifests)) == 0
               ? 0
               : -EIO;
}

int keys_sign(const struct keys *keys, const char *id, const void *data, size_t size,
              char ret_mac[KEYS_MAC_SIZE])
{
    uint8_t mac[crypto_generichash_BYTES];
    int r = mac_of(keys, id, data, size, mac);

    if (r < 0)
        return r;
    sodium_bin2hex(ret_mac, KEYS_MAC_SIZE, mac, sizeof(mac));
    return 0;
}

int keys_verify(const struct keys *keys, const char *id, const void *data, size_t size,
                const char *mac)
{
    char expected[KEYS_MAC_SIZE];
    int r = keys_sign(keys, id, data, size, expected);

    if (r < 0)
        return r;
    return strlen(mac) == KEYS_MAC_SIZE - 1 && sodium_memcmp(mac, expected, KEYS_MAC_SIZE - 1) == 0
               ? 0
               : -EKEYREJECTED;
}

/* ---- encryption ---- */

struct keys_stream {
    crypto_secretstream_xchacha20poly1305_state state;
};

static int new_stream(const struct keys *keys, const char *id, const struct key **ret_key,
                      struct keys_stream **ret)
{
    *ret_key = find(keys, id);
    if (!*ret_key)
        return -ENOKEY;
    *ret = secret_new(sizeof(**ret));
    return *ret ? 0 : -ENOMEM;
}

int keys_stream_encrypt(const struct keys *keys, uint8_t ret_header[KEYS_STREAM_HEADER],
                        struct keys_stream **ret)
{
    const struct key *key;
    int r = keys ? new_stream(keys, keys_current(keys), &key, ret) : -ENOKEY;

    if (r == 0)
        crypto_secretstream_xchacha20poly1305_init_push(&(*ret)->state, ret_header, key->files);
    return r;
}

int keys_stream_decrypt(const struct keys *keys, const char *id,
                        const uint8_t header[KEYS_STREAM_HEADER], struct keys_stream **ret)
{
    const struct key *key;
    int r = new_stream(keys, id, &key, ret);

    if (r == 0)
        crypto_secretstream_xchacha20poly1305_init_pull(&(*ret)->state, header, key->files);
    return r;
}

struct keys_stream *keys_stream_free(struct keys_stream *stream)
{
    sodium_free(stream);
    return NULL;
}

int keys_stream_push(struct keys_stream *stream, const void *data, size_t size, const void *about,
                     size_t about_size, bool last, void *ret)
{
    uint8_t tag = last ? crypto_secretstream_xchacha20poly1305_TAG_FINAL
                       : crypto_secretstream_xchacha20poly1305_TAG_MESSAGE;

    return crypto_secretstream_xchacha20poly1305_push(&stream->state, ret, NULL, data, size, about,
                                                      about_size, tag) == 0
               ? 0
               : -EIO;
}

int keys_stream_pull(struct keys_stream *stream, const void *data, size_t size, const void *about,
                     size_t about_size, void *ret, bool *ret_last)
{
    uint8_t tag;

    if (crypto_secretstream_xchacha20poly1305_pull(&stream->state, ret, NULL, &tag, data, size,
                                                   about, about_size) != 0)
        return -EKEYREJECTED;
    *ret_last = tag == crypto_secretstream_xchacha20poly1305_TAG_FINAL;
    return 0;
}
