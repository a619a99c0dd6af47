/* describe.c - reads the tree of processes, and all that belongs to it. */
#include "image/content.h"
#include "image/describe_parts.h"

#include "common/cleanup.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#define IMAGE_MAX   (256u << 20) /* far above any metadata; a damaged size stops here */
#define PROCESS_MAX 65536

void *describe_grow(void *array_pointer, size_t *count, size_t size)
{
    void *old, *more;
    char *element;

    memcpy(&old, array_pointer, sizeof(old));
    /* Doubled at each power of two. */
    if ((*count & (*count - 1)) == 0) {
        more = reallocarray(old, *count ? *count * 2 : 1, size);
        if (!more)
            return NULL;
        memcpy(array_pointer, &more, sizeof(more));
        old = more;
    }
    element = (char *)old + (*count)++ * size;
    memset(element, 0, size);
    return element;
}

int describe_records(struct describing *b, int (*each)(struct describing *, struct pb, void *),
                     void *data, const char *format, ...)
{
    _cleanup_free_ char *image = NULL;
    struct pb records, message;
    va_list args;
    size_t size;
    int r;

    va_start(args, format);
    vsnprintf(b->name, sizeof(b->name), format, args);
    va_end(args);
    r = content_read(b->dir, b->name, IMAGE_MAX, &image, &size);
    if (r == -ENOENT)
        return 0;
    if (r < 0 || (r = pb_image(image, size, &records)) < 0)
        return r;
    while ((r = pb_next_record(&records, &message)) > 0) {
        r = each(b, message, data);
        if (r < 0)
            return r;
    }
    return r;
}

/* ---- processes ---- */

static int note_process(struct describing *b, struct pb message, void *data)
{
    struct description *d = b->d;
    struct process *p;
    struct pb_field field;
    int r;

    if (d->process_count == PROCESS_MAX)
        return -EBADMSG;
    p = describe_grow(&d->processes, &d->process_count, sizeof(*p));
    if (!p)
        return -ENOMEM;
    p->uid = p->gid = UINT32_MAX;
    while ((r = pb_next(&message, &field)) > 0) {
        switch (field.number) { /* pstree_entry */
        case 1:
            p->pid = (uint32_t)field.value;
            break;
        case 2:
            p->ppid = (uint32_t)field.value;
            break;
        case 4:
            p->sid = (uint32_t)field.value;
            break;
        case 5:
            p->threads++;
            break;
        }
    }
    return r < 0 ? r : p->pid == 0 ? -EBADMSG : 0;
}

static const char *task_state(uint64_t state)
{
    switch (state) { /* compel/include/uapi/task-state.h */
    case 1:
        return "running";
    case 2:
        return "dead";
    case 3:
        return "stopped";
    case 6:
        return "zombie";
    default:
        return "unknown";
    }
}

static int note_task(struct pb message, struct process *p)
{
    struct pb_field field;
    int r;

    while ((r = pb_next(&message, &field)) > 0) {
        if (field.number == 1) { /* task_core_entry.task_state */
            p->state = task_state(field.value);
        } else if (field.number == 6 && !p->comm) {
            p->comm = pb_text(field.bytes);
            if (!p->comm)
                return -ENOMEM;
        }
    }
    return r;
}

static int note_credentials(struct pb message, struct process *p)
{
    struct pb_field field;
    int r;

    while ((r = pb_next(&message, &field)) > 0) {
        if (field.number == 3) /* creds_entry.euid */
            p->uid = (uint32_t)field.value;
        else if (field.number == 4)
            p->gid = (uint32_t)field.value;
    }
    return r;
}

static int note_core(struct describing *b, struct pb message, void *data)
{
    struct pb_field field, inner;
    int r, q = 0;

    while (q >= 0 && (r = pb_next(&message, &field)) > 0) {
        if (field.number == 3) /* core_entry.tc */
            q = note_task(field.bytes, data);
        else if (field.number == 5) /* .thread_core */
            while (q >= 0 && (q = pb_next(&field.bytes, &inner)) > 0)
                if (inner.number == 10) /* thread_core_entry.creds */
                    q = note_credentials(inner.bytes, data);
    }
    return q < 0 ? q : r;
}

static int note_ids(struct describing *b, struct pb message, void *data)
{
    struct process *p = data;
    struct pb_field field;
    int r;

    while ((r = pb_next(&message, &field)) > 0)
        if (field.number == 2) /* task_kobj_ids_entry.files_id */
            p->files = (uint32_t)field.value;
    return r;
}

static int describe_process(struct describing *b, struct process *p)
{
    int r;

    if ((r = describe_records(b, note_core, p, "core-%u.img", p->pid)) < 0 ||
        (r = describe_records(b, note_ids, p, "ids-%u.img", p->pid)) < 0 ||
        (r = describe_memory(b, p)) < 0 || (r = describe_descriptors(b, p)) < 0)
        return r;
    if (!p->state)
        p->state = "unknown";
    if (!p->comm && !(p->comm = strdup("")))
        return -ENOMEM;
    b->d->pages += p->pages;
    b->d->stored += p->stored;
    return 0;
}

/* ---- all of it ---- */

/* CRIU's own measurements are a courtesy: a checkpoint that was imported may have none. */
static void read_stats(struct describing *b)
{
    _cleanup_free_ char *data = NULL;
    size_t size;

    b->d->has_stats = content_read(b->dir, STATS_DUMP_FILE, IMAGE_MAX, &data, &size) == 0 &&
                      stats_dump_parse(data, size, &b->d->stats) == 0;
}

static int by_pid_and_fd(const void *a, const void *b)
{
    const struct descriptor *x = a, *y = b;

    if (x->pid != y->pid)
        return x->pid < y->pid ? -1 : 1;
    return x->fd < y->fd ? -1 : x->fd > y->fd;
}

static int read_tree(struct describing *b)
{
    struct description *d = b->d;
    int r;

    r = describe_records(b, note_process, NULL, "pstree.img");
    if (r < 0)
        return r;
    if (d->process_count == 0)
        return -EBADMSG;
    r = describe_objects(b);
    for (size_t i = 0; r == 0 && i < d->process_count; i++)
        r = describe_process(b, &d->processes[i]);
    for (size_t i = 0; r == 0 && i < d->segment_count; i++) {
        d->pages += d->segments[i].pages;
        d->stored += d->segments[i].stored;
    }
    if (d->descriptor_count > 1)
        qsort(d->descriptors, d->descriptor_count, sizeof(*d->descriptors), by_pid_and_fd);
    return r;
}

int describe(const struct image_dir *dir, struct description *ret, char ret_name[64])
{
    struct description d = {0};
    struct describing b = {.dir = dir, .d = &d};
    int r = read_tree(&b);

    if (r < 0) {
        memcpy(ret_name, b.name, sizeof(b.name));
        description_done(&d);
        return r;
    }
    read_stats(&b);
    *ret = d;
    return 0;
}

void description_done(struct description *d)
{
    for (size_t i = 0; i < d->process_count; i++) {
        struct process *p = &d->processes[i];

        for (size_t k = 0; k < p->mapping_count; k++)
            free(p->mappings[k].path);
        free(p->mappings);
        free(p->comm);
    }
    for (size_t i = 0; i < d->object_count; i++) {
        free(d->objects[i].path);
        free(d->objects[i].local);
        free(d->objects[i].remote);
    }
    for (size_t i = 0; i < d->segment_count; i++)
        pagemap_done(&d->segments[i].map);
    free(d->processes);
    free(d->segments);
    free(d->objects);
    free(d->descriptors);
    *d = (struct description){0};
}
