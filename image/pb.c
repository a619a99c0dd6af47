/* pb.c - the protobuf wire format (protobuf.dev/programming-guides/encoding), read only. */
#include "image/pb.h"

#include "common/cleanup.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* criu/include/magic.h */
#define IMG_COMMON_MAGIC  0x54564319u
#define IMG_SERVICE_MAGIC 0x55105940u
#define INVENTORY_MAGIC   0x58313116u

enum wire_type { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

static size_t left(const struct pb *m)
{
    return (size_t)(m->end - m->p);
}

static bool take_varint(struct pb *m, uint64_t *ret)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 64 && m->p < m->end; shift += 7) {
        uint8_t byte = *m->p++;

        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *ret = value;
            return true;
        }
    }
    return false;
}

/* Little endian, as both protobuf and CRIU write it. */
static bool take_fixed(struct pb *m, size_t size, uint64_t *ret)
{
    uint64_t value = 0;

    if (left(m) < size)
        return false;
    for (size_t i = 0; i < size; i++)
        value |= (uint64_t)m->p[i] << (8 * i);
    m->p += size;
    *ret = value;
    return true;
}

static bool take_bytes(struct pb *m, uint64_t size, struct pb *ret)
{
    if (left(m) < size)
        return false;
    *ret = (struct pb){m->p, m->p + size};
    m->p += size;
    return true;
}

int pb_next(struct pb *message, struct pb_field *ret)
{
    struct pb_field field = {0};
    uint64_t key;
    bool ok;

    if (message->p == message->end)
        return 0;
    if (!take_varint(message, &key) || key >> 3 == 0 || key >> 3 > UINT32_MAX)
        return -EBADMSG;
    field.number = (uint32_t)(key >> 3);
    switch (key & 7) {
    case VARINT:
        ok = take_varint(message, &field.value);
        break;
    case FIXED64:
        ok = take_fixed(message, 8, &field.value);
        break;
    case FIXED32:
        ok = take_fixed(message, 4, &field.value);
        break;
    case BYTES:
        ok = take_varint(message, &field.value) && take_bytes(message, field.value, &field.bytes);
        break;
    default:
        ok = false;
    }
    if (!ok)
        return -EBADMSG;
    *ret = field;
    return 1;
}

int pb_next_record(struct pb *file, struct pb *ret_message)
{
    uint64_t size;

    if (file->p == file->end)
        return 0;
    if (!take_fixed(file, 4, &size) || !take_bytes(file, size, ret_message))
        return -EBADMSG;
    return 1;
}

int pb_image(const void *data, size_t size, struct pb *ret_records)
{
    struct pb records = {data, (const uint8_t *)data + size};
    uint64_t magic;

    if (!take_fixed(&records, 4, &magic))
        return -EBADMSG;
    if (magic == IMG_COMMON_MAGIC || magic == IMG_SERVICE_MAGIC) {
        if (!take_fixed(&records, 4, &magic))
            return -EBADMSG;
    } else if (magic != INVENTORY_MAGIC) {
        return -EBADMSG;
    }
    *ret_records = records;
    return 0;
}

char *pb_text(struct pb bytes)
{
    return strndup(bytes.p ? (const char *)bytes.p : "", left(&bytes));
}

char *pb_path(struct pb bytes)
{
    _cleanup_free_ char *text = NULL;
    char *path;

    if (left(&bytes) >= 2 && bytes.p[0] == '.' && bytes.p[1] == '/')
        bytes.p++;
    if (left(&bytes) >= 1 && bytes.p[0] == '/')
        bytes.p++;
    text = pb_text(bytes);
    return text && asprintf(&path, "/%s", text) >= 0 ? path : NULL;
}
