/* pb_writer.h - a protobuf writer of a few lines, and CRIU's image files of it. */
#pragma once

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct buffer {
    uint8_t bytes[8192];
    size_t size;
};

static inline void put(struct buffer *b, const void *data, size_t size)
{
    assert(b->size + size <= sizeof(b->bytes));
    memcpy(b->bytes + b->size, data, size);
    b->size += size;
}

static inline void put_varint(struct buffer *b, uint64_t value)
{
    do {
        uint8_t byte = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));

        put(b, &byte, 1);
        value >>= 7;
    } while (value > 0);
}

static inline void put_number(struct buffer *b, unsigned field, uint64_t value)
{
    put_varint(b, field << 3);
    put_varint(b, value);
}

static inline void put_bytes(struct buffer *b, unsigned field, const void *data, size_t size)
{
    put_varint(b, field << 3 | 2);
    put_varint(b, size);
    put(b, data, size);
}

static inline void put_text(struct buffer *b, unsigned field, const char *text)
{
    put_bytes(b, field, text, strlen(text));
}

static inline void put_message(struct buffer *b, unsigned field, const struct buffer *message)
{
    put_bytes(b, field, message->bytes, message->size);
}

static inline void put_record(struct buffer *b, const struct buffer *message)
{
    uint32_t size = (uint32_t)message->size;

    put(b, &size, sizeof(size));
    put(b, message->bytes, message->size);
}

/* IMG_COMMON_MAGIC and one that says which image it is. */
static inline void put_head(struct buffer *b, uint32_t magic)
{
    put(b, &(uint32_t){0x54564319}, 4);
    put(b, &magic, 4);
}
