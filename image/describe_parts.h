/* describe_parts.h - the parts of describe.c: each reads one kind of image into the description. */
#pragma once

#include "image/describe.h"
#include "image/pb.h"

struct describing {
    const struct image_dir *dir;
    struct description *d;
    char name[64]; /* of the image being read */
};

/* Calls `each` with every record of the image that the format names; a missing file has none. */
int describe_records(struct describing *b, int (*each)(struct describing *, struct pb, void *),
                     void *data, const char *format, ...) __attribute__((format(printf, 4, 5)));

/* An element more, zeroed, at the end of the array that starts at *array_pointer; NULL: out of
 * memory. */
void *describe_grow(void *array_pointer, size_t *count, size_t size);

/* describe_objects.c: all that descriptors and mappings refer to; then those of a process. */
int describe_objects(struct describing *b);
int describe_descriptors(struct describing *b, const struct process *process);

/* describe_memory.c; the segment is made when it is not there. */
int describe_memory(struct describing *b, struct process *process);
int describe_segment(struct describing *b, uint64_t id, struct segment **ret);

/* describe_socket.c: fills a new `object` out of the entry of its kind. */
int describe_inet(struct pb entry, struct object *object);
int describe_unix(struct pb entry, struct object *object);
int describe_netlink(struct pb entry, struct object *object);
int describe_packet(struct pb entry, struct object *object);
