/* crypt.c - cuts bytes into encrypted records, and puts them together again. */
#include "image/crypt.h"

#include "common/cleanup.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define MAGIC "PERDENC1"
#define CHUNK (64 * 1024)

enum kind { KIND_DATA, KIND_ZEROS };

struct beginning {
    char magic[8], id[8];
    uint64_t plain_size; /* little-endian */
    uint8_t stream[KEYS_STREAM_HEADER];
};

_Static_assert(sizeof(struct beginning) == CRYPT_BEGINNING, "the form of the file");

struct record {
    uint8_t kind, data[CHUNK];
};

/* Both directions; which bytes of `cipher` are there, is `have`. */
struct crypt {
    struct sink sink;
    struct sink *to;
    const struct keys *keys;
    struct keys_stream *stream;
    struct beginning beginning;
    size_t have, need;
    enum { AT_BEGINNING, AT_LENGTH, AT_RECORD, AT_END } at; /* decrypt: what comes next */
    struct record plain;
    uint8_t cipher[sizeof(struct record) + KEYS_STREAM_EXTRA];
};

struct sink *crypt_free(struct sink *sink)
{
    struct crypt *c = (struct crypt *)sink;

    if (!c)
        return NULL;
    keys_stream_free(c->stream);
    free(c);
    return NULL;
}

/* ---- encrypt ---- */

static int push_record(struct crypt *c, enum kind kind, size_t size, bool last)
{
    uint32_t length = htole32((uint32_t)(1 + size + KEYS_STREAM_EXTRA));
    int r;

    c->plain.kind = (uint8_t)kind;
    r = keys_stream_push(c->stream, &c->plain, 1 + size, &c->beginning, sizeof(c->beginning), last,
                         c->cipher);
    if (r == 0)
        r = c->to->write(c->to, &length, sizeof(length));
    return r < 0 ? r : c->to->write(c->to, c->cipher, 1 + size + KEYS_STREAM_EXTRA);
}

static int flush(struct crypt *c)
{
    int r = c->have > 0 ? push_record(c, KIND_DATA, c->have, false) : 0;

    c->have = 0;
    return r;
}

static int encrypt_write(struct sink *sink, const void *data, size_t size)
{
    struct crypt *c = (struct crypt *)sink;
    const uint8_t *bytes = data;

    while (size > 0) {
        size_t n = size < CHUNK - c->have ? size : CHUNK - c->have;
        int r;

        memcpy(c->plain.data + c->have, bytes, n);
        c->have += n;
        bytes += n;
        size -= n;
        r = c->have == CHUNK ? flush(c) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

static int encrypt_zeros(struct sink *sink, uint64_t size)
{
    struct crypt *c = (struct crypt *)sink;
    uint64_t length = htole64(size);
    int r = flush(c);

    if (r < 0)
        return r;
    memcpy(c->plain.data, &length, sizeof(length));
    return push_record(c, KIND_ZEROS, sizeof(length), false);
}

static int encrypt_finish(struct sink *sink)
{
    struct crypt *c = (struct crypt *)sink;
    int r = flush(c);

    if (r == 0)
        r = push_record(c, KIND_DATA, 0, true);
    return r < 0 ? r : c->to->finish(c->to);
}

int crypt_encrypt(const struct keys *keys, uint64_t plain_size, struct sink *to, struct sink **ret)
{
    struct crypt *c = calloc(1, sizeof(*c));
    int r;

    if (!c)
        return -ENOMEM;
    c->to = to;
    c->sink = (struct sink){encrypt_write, encrypt_zeros, encrypt_finish};
    r = keys_stream_encrypt(keys, c->beginning.stream, &c->stream);
    if (r == 0) {
        memcpy(c->beginning.magic, MAGIC, sizeof(c->beginning.magic));
        memcpy(c->beginning.id, keys_current(keys), sizeof(c->beginning.id));
        c->beginning.plain_size = htole64(plain_size);
        r = to->write(to, &c->beginning, sizeof(c->beginning));
    }
    if (r < 0) {
        crypt_free(&c->sink);
        return r;
    }
    *ret = &c->sink;
    return 0;
}

/* ---- decrypt ---- */

static int take_beginning(struct crypt *c)
{
    char id[KEYS_ID_SIZE] = "";

    memcpy(&c->beginning, c->cipher, sizeof(c->beginning));
    if (memcmp(c->beginning.magic, MAGIC, sizeof(c->beginning.magic)) != 0)
        return -EBADMSG;
    memcpy(id, c->beginning.id, sizeof(c->beginning.id));
    c->at = AT_LENGTH;
    c->need = sizeof(uint32_t);
    return keys_stream_decrypt(c->keys, id, c->beginning.stream, &c->stream);
}

static int take_length(struct crypt *c)
{
    uint32_t length;

    memcpy(&length, c->cipher, sizeof(length));
    c->need = le32toh(length);
    c->at = AT_RECORD;
    return c->need > KEYS_STREAM_EXTRA && c->need <= sizeof(c->cipher) ? 0 : -EBADMSG;
}

static int take_record(struct crypt *c)
{
    size_t size = c->need - KEYS_STREAM_EXTRA - 1;
    uint64_t zeros;
    bool last;
    int r = keys_stream_pull(c->stream, c->cipher, c->need, &c->beginning, sizeof(c->beginning),
                             &c->plain, &last);

    if (r < 0)
        return r;
    c->at = last ? AT_END : AT_LENGTH;
    c->need = sizeof(uint32_t);
    switch (c->plain.kind) {
    case KIND_DATA:
        return size > 0 ? c->to->write(c->to, c->plain.data, size) : 0;
    case KIND_ZEROS:
        if (size != sizeof(zeros))
            return -EBADMSG;
        memcpy(&zeros, c->plain.data, sizeof(zeros));
        return c->to->zeros(c->to, le64toh(zeros));
    default:
        return -EBADMSG;
    }
}

static int take(struct crypt *c)
{
    c->have = 0;
    switch (c->at) {
    case AT_BEGINNING:
        return take_beginning(c);
    case AT_LENGTH:
        return take_length(c);
    case AT_RECORD:
        return take_record(c);
    default:
        return -EBADMSG;
    }
}

static int decrypt_write(struct sink *sink, const void *data, size_t size)
{
    struct crypt *c = (struct crypt *)sink;
    const uint8_t *bytes = data;

    while (size > 0) {
        size_t n = size < c->need - c->have ? size : c->need - c->have;
        int r;

        if (c->at == AT_END)
            return -EBADMSG;
        memcpy(c->cipher + c->have, bytes, n);
        c->have += n;
        bytes += n;
        size -= n;
        r = c->have == c->need ? take(c) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

static int decrypt_finish(struct sink *sink)
{
    struct crypt *c = (struct crypt *)sink;

    return c->at == AT_END ? c->to->finish(c->to) : -EBADMSG;
}

int crypt_decrypt(const struct keys *keys, struct sink *to, struct sink **ret)
{
    struct crypt *c = calloc(1, sizeof(*c));

    if (!c)
        return -ENOMEM;
    c->to = to;
    c->keys = keys;
    c->need = sizeof(c->beginning);
    c->sink = (struct sink){decrypt_write, stream_write_zeros, decrypt_finish};
    *ret = &c->sink;
    return 0;
}

int crypt_plain_size(const void *data, size_t size, uint64_t *ret_size)
{
    struct beginning beginning;

    if (size < sizeof(beginning))
        return -EBADMSG;
    memcpy(&beginning, data, sizeof(beginning));
    if (memcmp(beginning.magic, MAGIC, sizeof(beginning.magic)) != 0)
        return -EBADMSG;
    *ret_size = le64toh(beginning.plain_size);
    return 0;
}
