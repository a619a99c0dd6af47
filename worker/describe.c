/* describe.c - what a checkpoint holds, as JSON (docs/json.md, `show`). */
#include "worker/describe.h"

#include "common/cleanup.h"
#include "image/checkpoint.h"
#include "worker/json.h"
#include "worker/worker.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

static json_t *mapping_to_json(const struct mapping *m)
{
    char prot[4] = {m->prot & PROT_READ ? 'r' : '-', m->prot & PROT_WRITE ? 'w' : '-',
                    m->prot & PROT_EXEC ? 'x' : '-'};

    return json_pack(
        "{s:o, s:o, s:I, s:s, s:b, s:s, s:o, s:o, s:o}", "start", json_address(m->start), "end",
        json_address(m->end), "size", (json_int_t)(m->end - m->start), "prot", prot, "shared",
        (int)(m->flags & MAP_SHARED), "kind", json_mapping_kind(m->kind), "path",
        json_text(m->path), "bytes", json_pages(m->pages), "stored_bytes", json_pages(m->stored));
}

/* Every member or NULL; an array never has holes. */
static json_t *checked(json_t *array, bool whole)
{
    if (whole)
        return array;
    json_decref(array);
    return NULL;
}

static json_t *mappings_to_json(const struct process *p)
{
    json_t *array = json_array();
    bool whole = array;

    for (size_t i = 0; whole && i < p->mapping_count; i++)
        whole = json_array_append_new(array, mapping_to_json(&p->mappings[i])) == 0;
    return checked(array, whole);
}

static json_t *id_or_null(uint32_t id)
{
    return id == UINT32_MAX ? json_null() : json_integer(id);
}

static json_t *process_to_json(const struct process *p)
{
    return json_pack("{s:I, s:I, s:I, s:o, s:s, s:I, s:o, s:o, s:o, s:o, s:o}", "pid",
                     (json_int_t)p->pid, "ppid", (json_int_t)p->ppid, "session", (json_int_t)p->sid,
                     "comm", json_text(p->comm), "state", p->state, "threads",
                     (json_int_t)p->threads, "uid", id_or_null(p->uid), "gid", id_or_null(p->gid),
                     "bytes", json_pages(p->pages), "stored_bytes", json_pages(p->stored),
                     "mappings", mappings_to_json(p));
}

static json_t *processes_to_json(const struct description *d)
{
    json_t *array = json_array();
    bool whole = array;

    for (size_t i = 0; whole && i < d->process_count; i++)
        whole = json_array_append_new(array, process_to_json(&d->processes[i])) == 0;
    return checked(array, whole);
}

static json_t *descriptors_to_json(const struct description *d, enum object_kind kind,
                                   enum object_kind or_kind)
{
    json_t *array = json_array();
    bool whole = array;

    for (size_t i = 0; whole && i < d->descriptor_count; i++) {
        const struct descriptor *x = &d->descriptors[i];
        const struct object *object = &d->objects[x->object];

        if (object->kind == kind || object->kind == or_kind)
            whole = json_array_append_new(array, json_descriptor(x->pid, x->fd, object)) == 0;
    }
    return checked(array, whole);
}

static json_t *totals_to_json(const struct description *d)
{
    uint64_t threads = 0, mapped = 0, shared = 0;

    for (size_t i = 0; i < d->process_count; i++) {
        threads += d->processes[i].threads;
        for (size_t k = 0; k < d->processes[i].mapping_count; k++)
            mapped += d->processes[i].mappings[k].end - d->processes[i].mappings[k].start;
    }
    for (size_t i = 0; i < d->segment_count; i++)
        shared += d->segments[i].pages;
    return json_pack("{s:I, s:I, s:I, s:I, s:o, s:o, s:o}", "processes",
                     (json_int_t)d->process_count, "threads", (json_int_t)threads, "descriptors",
                     (json_int_t)d->descriptor_count, "mapped_bytes", (json_int_t)mapped, "bytes",
                     json_pages(d->pages), "stored_bytes", json_pages(d->stored), "shared_bytes",
                     json_pages(shared));
}

/* The checkpoint itself, its parent, ... */
static json_t *chain_to_json(const struct chain *chain)
{
    json_t *array = json_array();
    bool whole = array;

    for (size_t i = 0; whole && i < chain->count; i++) {
        const struct manifest *m = chain->dirs[i].manifest;
        char id[CHECKPOINT_ID_SIZE], time[RFC3339_SIZE];

        whole = json_array_append_new(
                    array, json_pack("{s:s, s:s, s:s, s:I, s:o, s:o}", "id",
                                     checkpoint_id_format(m->service, m->number, id), "time",
                                     format_rfc3339(m->time_realtime, time), "kind",
                                     m->parent ? "delta" : "full", "bytes", (json_int_t)m->bytes,
                                     "memory_bytes", json_pages(m->pages), "stored_bytes",
                                     json_pages(m->pages_stored))) == 0;
    }
    return checked(array, whole);
}

static json_t *versions_to_json(const struct manifest *m)
{
    unsigned v = m->criu_version;
    char criu[48];

    snprintf(criu, sizeof(criu), v % 100 ? "%u.%u.%u" : "%u.%u", v / 10000, v / 100 % 100, v % 100);
    return json_pack("{s:s, s:o, s:o, s:o}", "criu", criu, "kernel", json_text(m->kernel),
                     "machine", json_text(m->machine), "host", json_text(m->host));
}

static json_t *timings_to_json(const struct manifest *m, const struct description *d)
{
    json_t *json =
        json_pack("{s:I, s:I, s:n, s:n, s:n}", "frozen_us", (json_int_t)m->frozen_usec, "dump_us",
                  (json_int_t)m->dump_usec, "freezing_us", "memdump_us", "memwrite_us");

    if (json && d->has_stats &&
        (json_object_set_new(json, "freezing_us", json_integer(d->stats.freezing_usec)) < 0 ||
         json_object_set_new(json, "memdump_us", json_integer(d->stats.memdump_usec)) < 0 ||
         json_object_set_new(json, "memwrite_us", json_integer(d->stats.memwrite_usec)) < 0))
        return checked(json, false);
    return json;
}

static json_t *description_to_json(const char *id, const struct chain *chain,
                                   const struct description *d)
{
    const struct manifest *m = chain->dirs[0].manifest;

    return json_pack("{s:i, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "version", 1, "id", id,
                     "totals", totals_to_json(d), "processes", processes_to_json(d), "files",
                     descriptors_to_json(d, OBJECT_FILE, OBJECT_OTHER), "sockets",
                     descriptors_to_json(d, OBJECT_SOCKET, OBJECT_SOCKET), "pipes",
                     descriptors_to_json(d, OBJECT_PIPE, OBJECT_PIPE), "chain",
                     chain_to_json(chain), "versions", versions_to_json(m), "timings",
                     timings_to_json(m, d));
}

int describe_opened(const struct opened *at, const char *id, struct description *ret,
                    struct reason *reason)
{
    char name[64];
    int r = describe(&at->chain.dirs[0], ret, name);

    if (r < 0)
        reason_set(reason,
                   r == -EBADMSG ? "`perdure verify` says whether its files are damaged" : "",
                   "%s: %s of the image cannot be read: %s", id, name, strerror(-r));
    return r;
}

int worker_describe(const struct worker_args *args)
{
    _cleanup_(description_done) struct description description = {0};
    _cleanup_(opened_done) struct opened at = OPENED_NONE;
    _cleanup_(reason_done) struct reason reason = {0};
    char id[CHECKPOINT_ID_SIZE];

    checkpoint_id_format(args->name, args->number, id);
    if (opened_checkpoint(&at, args, args->name, args->number, &reason) < 0 ||
        describe_opened(&at, id, &description, &reason) < 0)
        return report_failure(args, &reason);
    return json_report(args, description_to_json(id, &at.chain, &description));
}
