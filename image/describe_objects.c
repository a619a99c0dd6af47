/* describe_objects.c - what files.img has: files, sockets, pipes and the rest; and descriptors. */
#include "image/describe_parts.h"

#include "common/cleanup.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

/* images/fdinfo.proto: file_entry */
enum {
    ENTRY_ID = 2,
    ENTRY_REG = 3,
    ENTRY_INET = 4,
    ENTRY_NAMESPACE = 5,
    ENTRY_PACKET = 6,
    ENTRY_NETLINK = 7,
    ENTRY_EVENTFD = 8,
    ENTRY_EPOLL = 9,
    ENTRY_SIGNALFD = 10,
    ENTRY_TUN = 11,
    ENTRY_TIMERFD = 12,
    ENTRY_INOTIFY = 13,
    ENTRY_FANOTIFY = 14,
    ENTRY_EXTERNAL = 15,
    ENTRY_UNIX = 16,
    ENTRY_FIFO = 17,
    ENTRY_PIPE = 18,
    ENTRY_TTY = 19,
    ENTRY_MEMFD = 20,
    ENTRY_BPF = 21,
    ENTRY_PIDFD = 22,
};

/* Those of which only the flags are told: number of that field in their own message, 0 none. */
static const struct {
    const char *type;
    unsigned flags;
} plain[] = {
    [ENTRY_NAMESPACE] = {"namespace", 4},
    [ENTRY_EVENTFD] = {"eventfd", 2},
    [ENTRY_EPOLL] = {"epoll", 2},
    [ENTRY_SIGNALFD] = {"signalfd", 2},
    [ENTRY_TUN] = {"tun", 2},
    [ENTRY_TIMERFD] = {"timerfd", 2},
    [ENTRY_INOTIFY] = {"inotify", 2},
    [ENTRY_FANOTIFY] = {"fanotify", 2},
    [ENTRY_EXTERNAL] = {"external", 0},
    [ENTRY_BPF] = {"bpf-map", 0},
    [ENTRY_PIDFD] = {"pidfd", 0},
};

static const char *file_type(uint32_t mode)
{
    return S_ISDIR(mode)    ? "directory"
           : S_ISCHR(mode)  ? "device"
           : S_ISBLK(mode)  ? "block-device"
           : S_ISFIFO(mode) ? "fifo"
           : S_ISSOCK(mode) ? "socket"
                            : "file";
}

static int note_file(struct pb entry, struct object *object)
{
    struct pb name = {0};
    uint32_t mode = S_IFREG;
    struct pb_field field;
    int r;

    while ((r = pb_next(&entry, &field)) > 0) {
        switch (field.number) { /* reg_file_entry */
        case 2:
            object->flags = (uint32_t)field.value;
            break;
        case 3:
            object->offset = field.value;
            break;
        case 6:
            name = field.bytes;
            break;
        case 8:
            object->size = field.value;
            break;
        case 10:
            mode = (uint32_t)field.value;
            break;
        }
    }
    if (r < 0)
        return r;
    object->type = file_type(mode);
    object->path = pb_path(name);
    return object->path ? 0 : -ENOMEM;
}

/* pipe_entry, fifo_entry and tty_file_entry: {1 id, 2 inode or number, 3 flags or the id of the
 * file that has the name, 6 of a terminal} */
static int note_pipe(struct pb entry, struct object *object, uint32_t kind)
{
    struct pb_field field;
    int r;

    while ((r = pb_next(&entry, &field)) > 0) {
        if (field.number == 2 && kind != ENTRY_TTY)
            object->inode = (uint32_t)field.value;
        else if (field.number == 3 && kind != ENTRY_FIFO)
            object->flags = (uint32_t)field.value;
        else if (field.number == (kind == ENTRY_FIFO ? 3 : 6))
            object->named = (uint32_t)field.value;
    }
    object->type = kind == ENTRY_TTY ? "tty" : kind == ENTRY_FIFO ? "fifo" : "pipe";
    return r;
}

static int note_memfd(struct pb entry, struct object *object)
{
    struct pb_field field;
    int r;

    while ((r = pb_next(&entry, &field)) > 0) {
        if (field.number == 2) /* memfd_file_entry.flags */
            object->flags = (uint32_t)field.value;
        else if (field.number == 3)
            object->offset = field.value;
        else if (field.number == 5)
            object->inode = (uint32_t)field.value;
    }
    object->type = "memfd";
    return r;
}

static int note_plain(struct pb entry, struct object *object, uint32_t kind)
{
    struct pb_field field;
    int r;

    while ((r = pb_next(&entry, &field)) > 0)
        if (field.number == plain[kind].flags)
            object->flags = (uint32_t)field.value;
    object->type = plain[kind].type;
    return r;
}

static int note_entry(const struct pb_field *field, struct object *object)
{
    switch (field->number) {
    case ENTRY_REG:
        object->kind = OBJECT_FILE;
        return note_file(field->bytes, object);
    case ENTRY_INET:
        object->kind = OBJECT_SOCKET;
        return describe_inet(field->bytes, object);
    case ENTRY_UNIX:
        object->kind = OBJECT_SOCKET;
        return describe_unix(field->bytes, object);
    case ENTRY_NETLINK:
        object->kind = OBJECT_SOCKET;
        return describe_netlink(field->bytes, object);
    case ENTRY_PACKET:
        object->kind = OBJECT_SOCKET;
        return describe_packet(field->bytes, object);
    case ENTRY_PIPE:
    case ENTRY_FIFO:
        object->kind = OBJECT_PIPE;
        return note_pipe(field->bytes, object, field->number);
    case ENTRY_TTY:
        object->kind = OBJECT_OTHER;
        return note_pipe(field->bytes, object, field->number);
    case ENTRY_MEMFD:
        object->kind = OBJECT_OTHER;
        return note_memfd(field->bytes, object);
    default:
        object->kind = OBJECT_OTHER;
        return field->number < ELEMENTS(plain) && plain[field->number].type
                   ? note_plain(field->bytes, object, field->number)
                   : 0;
    }
}

/* The id, and the one message that says what it is. */
static int note_object(struct describing *b, struct pb message, void *data)
{
    struct pb_field field, entry = {0};
    struct object *object;
    uint64_t id = 0;
    int r;

    while ((r = pb_next(&message, &field)) > 0) {
        if (field.number == ENTRY_ID)
            id = field.value;
        else if (field.number >= ENTRY_REG)
            entry = field;
    }
    if (r < 0)
        return r;
    if (id == 0 || id > UINT32_MAX)
        return -EBADMSG;
    object = describe_grow(&b->d->objects, &b->d->object_count, sizeof(*object));
    if (!object)
        return -ENOMEM;
    object->id = (uint32_t)id;
    r = note_entry(&entry, object);
    if (!object->type)
        object->type = "other";
    return r;
}

/* ---- memfd: names and contents are apart from the descriptors ---- */

static int note_memfd_inode(struct describing *b, struct pb message, void *data)
{
    uint64_t inode = 0, segment = 0, size = 0;
    struct segment *made;
    struct pb name = {0};
    struct pb_field field;
    int r;

    while ((r = pb_next(&message, &field)) > 0) {
        switch (field.number) { /* memfd_inode_entry */
        case 1:
            name = field.bytes;
            break;
        case 4:
            size = field.value;
            break;
        case 5:
            segment = field.value;
            break;
        case 7:
            inode = field.value;
            break;
        }
    }
    for (size_t i = 0; r == 0 && i < b->d->object_count; i++) {
        struct object *object = &b->d->objects[i];

        if (strcmp(object->type, "memfd") != 0 || object->inode != inode || object->path)
            continue;
        object->segment = segment;
        object->size = size;
        object->path = pb_text(name);
        if (!object->path)
            return -ENOMEM;
    }
    return r < 0 || segment == 0 ? r : describe_segment(b, segment, &made);
}

/* ---- all of them ---- */

static int by_id(const void *a, const void *b)
{
    const struct object *x = a, *y = b;

    return x->id < y->id ? -1 : x->id > y->id;
}

const struct object *description_object(const struct description *d, uint32_t id)
{
    const struct object key = {.id = id};

    return d->object_count > 0
               ? bsearch(&key, d->objects, d->object_count, sizeof(*d->objects), by_id)
               : NULL;
}

/* A fifo's and a terminal's path stand with a file of their own. */
static int take_names(struct description *d)
{
    for (size_t i = 0; i < d->object_count; i++) {
        struct object *object = &d->objects[i];
        const struct object *named = object->named ? description_object(d, object->named) : NULL;

        if (object->path || !named || !named->path)
            continue;
        object->path = strdup(named->path);
        if (!object->path)
            return -ENOMEM;
    }
    return 0;
}

int describe_objects(struct describing *b)
{
    struct description *d = b->d;
    int r = describe_records(b, note_object, NULL, "files.img");

    if (r < 0)
        return r;
    if (d->object_count > 1)
        qsort(d->objects, d->object_count, sizeof(*d->objects), by_id);
    r = take_names(d);
    return r < 0 ? r : describe_records(b, note_memfd_inode, NULL, "memfd.img");
}

/* ---- descriptors ---- */

/* One whose object is not in files.img is of a kind that CRIU keeps elsewhere. */
static int note_descriptor(struct describing *b, struct pb message, void *data)
{
    const struct process *p = data;
    const struct object *object;
    struct descriptor *descriptor;
    struct pb_field field;
    uint64_t id = 0, fd = 0;
    int r;

    while ((r = pb_next(&message, &field)) > 0) {
        if (field.number == 1) /* fdinfo_entry.id */
            id = field.value;
        else if (field.number == 4)
            fd = field.value;
    }
    object = id <= UINT32_MAX ? description_object(b->d, (uint32_t)id) : NULL;
    if (r < 0 || !object)
        return r;
    descriptor = describe_grow(&b->d->descriptors, &b->d->descriptor_count, sizeof(*descriptor));
    if (!descriptor)
        return -ENOMEM;
    *descriptor = (struct descriptor){p->pid, (uint32_t)fd, (size_t)(object - b->d->objects)};
    return 0;
}

int describe_descriptors(struct describing *b, const struct process *p)
{
    return describe_records(b, note_descriptor, (void *)p, "fdinfo-%u.img", p->files);
}
