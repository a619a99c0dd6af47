/* pb.h - walks protobuf messages and CRIU image files without a schema: the few fields we need are
 * picked by number (CRIU images/NAME.proto). Borrowed memory only. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct pb {
    const uint8_t *p, *end;
};

struct pb_field {
    uint32_t number;
    uint64_t value;  /* varint and fixed fields */
    struct pb bytes; /* length-delimited fields: string or message; else empty */
};

/* Next field: 1 found, 0 end of the message, -EBADMSG when it is not protobuf. */
int pb_next(struct pb *message, struct pb_field *ret);

/* Next record of a CRIU image file's content (after its head): u32 size, message. Same answers. */
int pb_next_record(struct pb *file, struct pb *ret_message);

/* The records of an image file's content: skips its head, one or two magic numbers of four bytes
 * (criu/include/magic.h). -EBADMSG when it has neither of the known ones. */
int pb_image(const void *data, size_t size, struct pb *ret_records);

/* A string field as a new string, up to its first NUL; NULL: out of memory. */
char *pb_text(struct pb bytes);

/* The same of a path: CRIU writes it relative to the root ("usr/bin/x", "./usr/bin/x") or not;
 * here it is always absolute. */
char *pb_path(struct pb bytes);
