/* compare.c - processes and descriptors of two checkpoints side by side. */
#include "image/compare_parts.h"

#include "common/cleanup.h"

#include <errno.h>
#include <string.h>

const struct process *compare_find(const struct description *d, uint32_t pid)
{
    for (size_t i = 0; i < d->process_count; i++)
        if (d->processes[i].pid == pid)
            return &d->processes[i];
    return NULL;
}

/* ---- processes ---- */

static bool process_is_same(const struct process *a, const struct process *b)
{
    return strcmp(a->comm, b->comm) == 0 && a->threads == b->threads && a->uid == b->uid &&
           strcmp(a->state, b->state) == 0;
}

static int add_process(struct comparison *c, const struct process *first,
                       const struct process *second)
{
    struct process_change *change;

    if (first && second && process_is_same(first, second))
        return 0;
    change = describe_grow(&c->processes, &c->process_count, sizeof(*change));
    if (!change)
        return -ENOMEM;
    *change = (struct process_change){first && second ? IN_BOTH
                                      : first         ? ONLY_FIRST
                                                      : ONLY_SECOND,
                                      first, second};
    return 0;
}

static int compare_processes(const struct description *first, const struct description *second,
                             struct comparison *c)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < second->process_count; i++)
        r = add_process(c, compare_find(first, second->processes[i].pid), &second->processes[i]);
    for (size_t i = 0; r == 0 && i < first->process_count; i++)
        if (!compare_find(second, first->processes[i].pid))
            r = add_process(c, &first->processes[i], NULL);
    return r;
}

/* ---- descriptors ---- */

static bool text_is_same(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

/* Stands for the same thing; inodes of pipes and sockets change with a restore, and say nothing. */
static bool object_is_same(const struct object *a, const struct object *b)
{
    return a->kind == b->kind && strcmp(a->type, b->type) == 0 && text_is_same(a->path, b->path) &&
           text_is_same(a->family, b->family) && text_is_same(a->local, b->local) &&
           text_is_same(a->remote, b->remote);
}

static bool object_is_equal(const struct object *a, const struct object *b)
{
    return a->offset == b->offset && a->size == b->size && a->flags == b->flags &&
           text_is_same(a->state, b->state);
}

static int add_descriptor(struct comparison *c, const struct descriptor *descriptor,
                          const struct object *first, const struct object *second)
{
    struct descriptor_change *change;

    change = describe_grow(&c->descriptors, &c->descriptor_count, sizeof(*change));
    if (!change)
        return -ENOMEM;
    *change = (struct descriptor_change){first && second ? IN_BOTH
                                         : first         ? ONLY_FIRST
                                                         : ONLY_SECOND,
                                         descriptor->pid, descriptor->fd, first, second};
    return 0;
}

/* A number that now stands for another thing was closed and opened. */
static int compare_descriptor(struct comparison *c, const struct descriptor *descriptor,
                              const struct object *first, const struct object *second)
{
    int r;

    if (!object_is_same(first, second)) {
        r = add_descriptor(c, descriptor, first, NULL);
        return r < 0 ? r : add_descriptor(c, descriptor, NULL, second);
    }
    return object_is_equal(first, second) ? 0 : add_descriptor(c, descriptor, first, second);
}

static int order(const struct descriptor *a, const struct descriptor *b)
{
    return a->pid != b->pid ? (a->pid < b->pid ? -1 : 1)
           : a->fd != b->fd ? (a->fd < b->fd ? -1 : 1)
                            : 0;
}

static const struct descriptor *nth(const struct description *d, size_t i)
{
    return i < d->descriptor_count ? &d->descriptors[i] : NULL;
}

/* Both are in order, so one walk is enough. */
static int compare_descriptors(const struct description *first, const struct description *second,
                               struct comparison *c)
{
    const struct descriptor *a, *b;
    size_t i = 0, k = 0;
    int r = 0;

    while (a = nth(first, i), b = nth(second, k), r == 0 && (a || b)) {
        int where = !a ? 1 : !b ? -1 : order(a, b);

        if (where < 0)
            r = add_descriptor(c, a, &first->objects[a->object], NULL);
        else if (where > 0)
            r = add_descriptor(c, b, NULL, &second->objects[b->object]);
        else
            r = compare_descriptor(c, a, &first->objects[a->object], &second->objects[b->object]);
        i += where <= 0;
        k += where >= 0;
    }
    return r;
}

int compare(const struct side *first, const struct side *second,
            const struct compare_progress *progress, struct comparison *ret)
{
    _cleanup_(comparison_done) struct comparison c = {0};
    int r;

    if ((r = compare_processes(&first->description, &second->description, &c)) < 0 ||
        (r = compare_descriptors(&first->description, &second->description, &c)) < 0 ||
        (r = compare_memory(first, second, progress, &c)) < 0)
        return r;
    *ret = TAKE(c, (struct comparison){0});
    return 0;
}

void comparison_done(struct comparison *comparison)
{
    free(comparison->mappings);
    free(comparison->processes);
    free(comparison->descriptors);
    *comparison = (struct comparison){0};
}
