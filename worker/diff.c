/* diff.c - what changed from one checkpoint to another, as JSON (docs/json.md, `diff`). */
#include "image/compare.h"

#include "common/cleanup.h"
#include "image/checkpoint.h"
#include "worker/describe.h"
#include "worker/json.h"
#include "worker/worker.h"

#include <errno.h>
#include <string.h>

struct half {
    char id[CHECKPOINT_ID_SIZE];
    struct opened at;
    struct side side;
};

static void half_done(struct half *half)
{
    description_done(&half->side.description);
    opened_done(&half->at);
}

static int half_open(struct half *half, const struct worker_args *args, const char *name,
                     uint64_t number, struct reason *reason)
{
    int r;

    checkpoint_id_format(name, number, half->id);
    r = opened_checkpoint(&half->at, args, name, number, reason);
    if (r < 0)
        return r;
    half->side.dirs = half->at.chain.dirs;
    half->side.dir_count = half->at.chain.count;
    return describe_opened(&half->at, half->id, &half->side.description, reason);
}

/* ---- JSON ---- */

/* Appends to the list `name` of `object`. */
static bool append(json_t *object, const char *name, json_t *value)
{
    return json_array_append_new(json_object_get(object, name), value) == 0;
}

static json_t *checked(json_t *object, bool whole)
{
    if (whole)
        return object;
    json_decref(object);
    return NULL;
}

static json_t *pages_to_json(const uint64_t pages[PAGE_CHANGES])
{
    return json_pack("{s:I, s:I, s:I, s:I}", "same", (json_int_t)pages[PAGE_SAME], "changed",
                     (json_int_t)pages[PAGE_CHANGED], "added", (json_int_t)pages[PAGE_ADDED],
                     "gone", (json_int_t)pages[PAGE_GONE]);
}

static json_t *mapping_to_json(const struct mapping_change *c)
{
    const struct mapping *m = c->mapping;

    return json_pack("{s:o, s:o, s:o, s:s, s:o, s:s, s:I, s:I, s:I}", "pid",
                     c->process ? json_integer(c->process->pid) : json_null(), "start",
                     m ? json_address(m->start) : json_null(), "end",
                     m ? json_address(m->end) : json_null(), "kind",
                     m ? json_mapping_kind(m->kind) : "shared", "path",
                     json_text(m ? m->path : NULL), "mapping",
                     c->is_new    ? "new"
                     : c->is_gone ? "gone"
                                  : "same",
                     "changed", (json_int_t)c->pages[PAGE_CHANGED], "added",
                     (json_int_t)c->pages[PAGE_ADDED], "gone", (json_int_t)c->pages[PAGE_GONE]);
}

static json_t *mappings_to_json(const struct comparison *c)
{
    json_t *array = json_array();
    bool whole = array;

    for (size_t i = 0; whole && i < c->mapping_count; i++)
        whole = json_array_append_new(array, mapping_to_json(&c->mappings[i])) == 0;
    return checked(array, whole);
}

static json_t *process_to_json(const struct process *p)
{
    return json_pack("{s:I, s:o, s:s, s:I}", "pid", (json_int_t)p->pid, "comm", json_text(p->comm),
                     "state", p->state, "threads", (json_int_t)p->threads);
}

static json_t *processes_to_json(const struct comparison *c)
{
    json_t *object = json_pack("{s:[], s:[], s:[]}", "started", "ended", "changed");
    bool whole = object;

    for (size_t i = 0; whole && i < c->process_count; i++) {
        const struct process_change *p = &c->processes[i];

        if (p->presence == ONLY_SECOND)
            whole = append(object, "started", process_to_json(p->second));
        else if (p->presence == ONLY_FIRST)
            whole = append(object, "ended", process_to_json(p->first));
        else
            whole = append(object, "changed",
                           json_pack("{s:o, s:o}", "from", process_to_json(p->first), "to",
                                     process_to_json(p->second)));
    }
    return checked(object, whole);
}

static const char *list_of(enum presence presence)
{
    return presence == ONLY_SECOND ? "opened" : presence == ONLY_FIRST ? "closed" : "changed";
}

static json_t *descriptor_to_json(const struct descriptor_change *d)
{
    if (d->presence != IN_BOTH)
        return json_descriptor(d->pid, d->fd, d->first ? d->first : d->second);
    return json_pack("{s:o, s:o}", "from", json_descriptor(d->pid, d->fd, d->first), "to",
                     json_descriptor(d->pid, d->fd, d->second));
}

static json_t *descriptors_to_json(const struct comparison *c, bool sockets)
{
    json_t *object = json_pack("{s:[], s:[], s:[]}", "opened", "closed", "changed");
    bool whole = object;

    for (size_t i = 0; whole && i < c->descriptor_count; i++) {
        const struct descriptor_change *d = &c->descriptors[i];
        const struct object *any = d->first ? d->first : d->second;

        if ((any->kind == OBJECT_SOCKET) == sockets)
            whole = append(object, list_of(d->presence), descriptor_to_json(d));
    }
    return checked(object, whole);
}

static json_t *comparison_to_json(const struct half *first, const struct half *second,
                                  const struct comparison *c)
{
    return json_pack("{s:i, s:s, s:s, s:i, s:o, s:o, s:o, s:o, s:o}", "version", 1, "from",
                     first->id, "to", second->id, "page_size", (int)PAGEMAP_PAGE, "pages",
                     pages_to_json(c->pages), "mappings", mappings_to_json(c), "processes",
                     processes_to_json(c), "files", descriptors_to_json(c, false), "sockets",
                     descriptors_to_json(c, true));
}

static void tell(uint64_t done, uint64_t total, void *data)
{
    report_progress(data, done, total);
}

int worker_diff(const struct worker_args *args)
{
    _cleanup_(half_done) struct half first = {.at = OPENED_NONE}, second = {.at = OPENED_NONE};
    _cleanup_(comparison_done) struct comparison comparison = {0};
    _cleanup_(reason_done) struct reason reason = {0};
    struct compare_progress progress = {tell, (void *)args};
    int r;

    if (half_open(&first, args, args->name, args->number, &reason) < 0 ||
        half_open(&second, args, args->other_name, args->other_number, &reason) < 0)
        return report_failure(args, &reason);
    r = compare(&first.side, &second.side, &progress, &comparison);
    if (r < 0) {
        reason_set(&reason, "`perdure verify` says which of them is damaged",
                   "%s and %s cannot be compared: %s", first.id, second.id, strerror(-r));
        return report_failure(args, &reason);
    }
    return json_report(args, comparison_to_json(&first, &second, &comparison));
}
