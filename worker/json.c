/* json.c - see json.h. */
#include "worker/json.h"

#include "common/cleanup.h"
#include "common/utf8.h"
#include "worker/worker.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

json_t *json_text(const char *text)
{
    _cleanup_free_ char *copy = text ? strdup(text) : NULL;

    if (!text)
        return json_null();
    if (!copy)
        return NULL;
    utf8_mend(copy);
    return json_string(copy);
}

json_t *json_address(uint64_t address)
{
    char text[20];

    snprintf(text, sizeof(text), "%" PRIx64, address);
    return json_string(text);
}

json_t *json_pages(uint64_t pages)
{
    return json_integer((json_int_t)(pages * PAGEMAP_PAGE));
}

const char *json_mapping_kind(enum mapping_kind kind)
{
    static const char *const names[] = {
        [MAPPING_ANON] = "anon",   [MAPPING_FILE] = "file",       [MAPPING_STACK] = "stack",
        [MAPPING_HEAP] = "heap",   [MAPPING_VDSO] = "vdso",       [MAPPING_SHARED] = "shared",
        [MAPPING_MEMFD] = "memfd", [MAPPING_HUGETLB] = "hugetlb", [MAPPING_OTHER] = "other",
    };

    return names[kind];
}

/* "rw,append,nonblock" */
static json_t *open_flags(uint32_t flags)
{
    static const struct {
        uint32_t flag;
        const char *name;
    } all[] = {{O_APPEND, "append"}, {O_NONBLOCK, "nonblock"}, {O_DIRECT, "direct"},
               {O_ASYNC, "async"},   {O_DSYNC, "sync"},        {O_PATH, "path"}};
    uint32_t access = flags & O_ACCMODE;
    char text[64];

    snprintf(text, sizeof(text), "%s", access == O_RDONLY ? "r" : access == O_WRONLY ? "w" : "rw");
    for (size_t i = 0; i < ELEMENTS(all); i++)
        if (flags & all[i].flag)
            snprintf(text + strlen(text), sizeof(text) - strlen(text), ",%s", all[i].name);
    return json_string(text);
}

static const char *pipe_end(uint32_t flags)
{
    uint32_t access = flags & O_ACCMODE;

    return access == O_RDONLY ? "read" : access == O_WRONLY ? "write" : "both";
}

json_t *json_descriptor(uint32_t pid, uint32_t fd, const struct object *o)
{
    switch (o->kind) {
    case OBJECT_SOCKET:
        return json_pack("{s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o}", "pid", (json_int_t)pid, "fd",
                         (json_int_t)fd, "family", json_text(o->family), "type", json_text(o->type),
                         "state", json_text(o->state), "local", json_text(o->local), "remote",
                         json_text(o->remote), "path", json_text(o->path));
    case OBJECT_PIPE:
        return json_pack("{s:I, s:I, s:s, s:I, s:s, s:o}", "pid", (json_int_t)pid, "fd",
                         (json_int_t)fd, "kind", o->type, "inode", (json_int_t)o->inode, "end",
                         pipe_end(o->flags), "path", json_text(o->path));
    case OBJECT_FILE:
    case OBJECT_OTHER:
        break;
    }
    return json_pack("{s:I, s:I, s:s, s:o, s:o, s:I, s:I}", "pid", (json_int_t)pid, "fd",
                     (json_int_t)fd, "kind", o->type, "path", json_text(o->path), "flags",
                     open_flags(o->flags), "offset", (json_int_t)o->offset, "size",
                     (json_int_t)o->size);
}

int json_report(const struct worker_args *args, json_t *value)
{
    _cleanup_free_ char *text = value ? json_dumps(value, JSON_COMPACT) : NULL;
    struct reason reason = {0};

    json_decref(value);
    if (text)
        return report_result(args, text);
    reason_set(&reason, "", "out of memory");
    return report_failure(args, &reason);
}
