/* json.c - JSON answers (jansson). */
#include "ckptd/json.h"

#include "common/cleanup.h"
#include "common/utf8.h"
#include "image/manifest.h"
#include "image/pagemap.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

static void json_freep(json_t **json)
{
    json_decref(*json);
}

static int dump(const json_t *json, char **ret)
{
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

    if (!text)
        return -ENOMEM;
    *ret = text;
    return 0;
}

static const char *state_name(enum checkpoint_state state)
{
    static const char *const names[] = {
        [CHECKPOINT_WHOLE] = "whole",
        [CHECKPOINT_POISONED] = "poisoned",
        [CHECKPOINT_CORRUPT] = "corrupt",
    };

    return names[state];
}

/* NULL stands for "absent". */
static json_t *text_or_null(const char *text)
{
    return text && text[0] ? json_string(text) : json_null();
}

static json_t *id_or_null(const char *name, uint64_t number)
{
    char id[CHECKPOINT_ID_SIZE];

    return number ? json_string(checkpoint_id_format(name, number, id)) : json_null();
}

/* How many parents it has; -1: one of them is not there. A chain is never longer than the list. */
static int depth(const struct store *store, const char *name, const struct checkpoint *c)
{
    size_t count;
    int n = 0;

    (void)store_list(store, name, &count);
    for (; c->parent && (size_t)n < count; n++) {
        c = store_find(store, name, c->parent);
        if (!c)
            return -1;
    }
    return c->parent ? -1 : n;
}

static json_t *depth_or_null(const struct store *store, const char *name,
                             const struct checkpoint *c)
{
    int n = depth(store, name, c);

    return n < 0 ? json_null() : json_integer(n);
}

/* What was said with a mark; null when it has none. */
static json_t *mark_or_null(const struct store *store, const char *name, const struct checkpoint *c,
                            enum checkpoint_mark mark)
{
    _cleanup_free_ char *text = NULL;

    if (store_mark_text(store, name, c->number, mark, &text) < 0)
        return json_null();
    utf8_mend(text);
    return json_string(text);
}

static json_t *checkpoint_to_json(const struct store *store, const char *name,
                                  const struct checkpoint *c)
{
    char id[CHECKPOINT_ID_SIZE], time[RFC3339_SIZE];

    return json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:I, s:o, s:I, s:s, s:b, s:b, s:b, s:o, s:b}",
                     "id", checkpoint_id_format(name, c->number, id), "service", name, "time",
                     format_rfc3339(c->time_realtime, time), "kind", c->parent ? "delta" : "full",
                     "parent", id_or_null(name, c->parent), "depth", depth_or_null(store, name, c),
                     "bytes", (json_int_t)c->bytes, "memory_bytes",
                     c->pages ? json_integer((json_int_t)(c->pages * PAGEMAP_PAGE)) : json_null(),
                     "frozen_us", (json_int_t)c->frozen_usec, "state", state_name(c->state),
                     "pinned", c->pinned, "imported", c->imported, "proven", c->proven,
                     "unprovable",
                     c->unprovable ? mark_or_null(store, name, c, MARK_UNPROVABLE) : json_null(),
                     "packed", c->packed);
}

static int append_service(json_t *array, const struct store *store, const char *name)
{
    size_t count;
    const struct checkpoint *list = store_list(store, name, &count);

    while (count-- > 0)
        if (json_array_append_new(array, checkpoint_to_json(store, name, &list[count])) < 0)
            return -ENOMEM;
    return 0;
}

int json_list(const struct store *store, const char *name, char **ret)
{
    _cleanup_(json_freep) json_t *root = NULL;
    json_t *array = json_array();
    int r = 0;

    root = json_pack("{s:i, s:o}", "version", 1, "checkpoints", array);
    if (!root)
        return -ENOMEM;
    if (name[0])
        r = append_service(array, store, name);
    else
        for (size_t i = 0; r == 0 && store_service(store, i); i++)
            r = append_service(array, store, store_service(store, i));
    return r < 0 ? r : dump(root, ret);
}

/* The manifest as it stands; of a ruin, what the list knows. */
static json_t *load_manifest(const struct store *store, const char *name,
                             const struct checkpoint *c)
{
    _cleanup_close_ int fd = store_open_image(store, name, c->number);
    _cleanup_free_ char *path = NULL;
    json_t *root = NULL;

    if (fd >= 0 && asprintf(&path, "/proc/self/fd/%d/%s", fd, MANIFEST_FILE) < 0)
        path = NULL;
    if (path)
        root = json_load_file(path, 0, NULL);
    if (!json_is_object(root)) {
        json_decref(root);
        root = json_object();
    }
    return root;
}

int json_show(const struct store *store, const char *name, const struct checkpoint *c,
              const char *restorable_why, char **ret)
{
    _cleanup_(json_freep) json_t *root = load_manifest(store, name, c), *facts = NULL;
    _cleanup_free_ char *path = store_image_path(store, name, c->number), *why = NULL;
    int r;

    if (!root || !path)
        return -ENOMEM;
    if (c->state != CHECKPOINT_WHOLE && (r = store_why(store, c, name, &why)) < 0)
        return r;
    /* What the list says goes over what the file says: the same in a good one, the truth in a bad.
     */
    facts = checkpoint_to_json(store, name, c);
    if (!facts || json_object_update(root, facts) < 0 ||
        json_object_set_new(root, "version", json_integer(1)) < 0 ||
        json_object_set_new(root, "path", json_string(path)) < 0 ||
        json_object_set_new(root, "why", text_or_null(why)) < 0 ||
        json_object_set_new(root, "restorable", json_boolean(!restorable_why)) < 0 ||
        json_object_set_new(root, "restorable_why", text_or_null(restorable_why)) < 0)
        return -ENOMEM;
    return dump(root, ret);
}

static int append_problem(json_t *array, const struct reason *reason)
{
    return json_array_append_new(
        array, json_pack("{s:s, s:s}", "problem", reason_why(reason), "cure", reason_cure(reason)));
}

int json_check(const char *name, const struct problems *problems, const struct criu_facts *criu,
               char **ret)
{
    bool broken = criu->known && !criu->usable;
    _cleanup_(json_freep) json_t *root = NULL;
    json_t *array = json_array();

    root = json_pack("{s:i, s:s, s:b, s:o}", "version", 1, "service", name, "checkpointable",
                     problems->count == 0 && !broken, "problems", array);
    if (!root || (broken && append_problem(array, &criu->reason) < 0))
        return -ENOMEM;
    for (size_t i = 0; i < problems->count; i++)
        if (append_problem(array, &problems->list[i]) < 0)
            return -ENOMEM;
    return dump(root, ret);
}

int json_facts(const struct criu_facts *facts, char **ret)
{
    _cleanup_(json_freep) json_t *root = NULL;
    unsigned v = facts->version;
    char version[48] = "";

    if (v)
        snprintf(version, sizeof(version), v % 100 ? "%u.%u.%u" : "%u.%u", v / 10000, v / 100 % 100,
                 v % 100);
    root = json_pack("{s:o, s:o, s:b, s:b, s:b, s:o, s:o, s:o}", "criu", text_or_null(version),
                     "criu_path", text_or_null(facts->path), "usable", facts->usable, "sockets",
                     facts->sockets, "other_users", facts->other_users, "why",
                     text_or_null(facts->reason.why), "cure", text_or_null(facts->reason.cure),
                     "warning", text_or_null(facts->warning));
    return dump(root, ret);
}

int json_read_selftest(const char *text, struct criu_facts *facts)
{
    _cleanup_(json_freep) json_t *root = json_loads(text, JSON_DISABLE_EOF_CHECK, NULL);
    json_t *usable = json_object_get(root, "usable");
    json_int_t version = json_integer_value(json_object_get(root, "criu"));
    const char *why = json_string_value(json_object_get(root, "why"));
    const char *cure = json_string_value(json_object_get(root, "cure"));
    const char *warning = json_string_value(json_object_get(root, "warning"));

    if (!json_is_boolean(usable) || version > UINT32_MAX)
        return -EBADMSG;
    facts->version = version > 0 ? (unsigned)version : 0;
    facts->usable = json_is_true(usable);
    facts->other_users = json_is_true(json_object_get(root, "other_uid"));
    facts->sockets = json_is_true(json_object_get(root, "sockets"));
    if (!facts->usable || !facts->sockets || !facts->other_users)
        reason_set(&facts->reason, cure ? cure : "", "%s",
                   why && why[0] ? why : "the self-test of CRIU failed");
    if (warning && warning[0] && !(facts->warning = strdup(warning)))
        return -ENOMEM;
    return 0;
}

int json_prune_init(struct json_prune *report)
{
    report->list = json_array();
    return report->list ? 0 : -ENOMEM;
}

int json_prune_add(struct json_prune *report, const char *name, const struct checkpoint *c)
{
    char id[CHECKPOINT_ID_SIZE];

    report->bytes += c->bytes;
    return json_array_append_new(
        report->list,
        json_pack("{s:s, s:I, s:s}", "id", checkpoint_id_format(name, c->number, id), "bytes",
                  (json_int_t)c->bytes, "why", "no rule of [Checkpoint] Keep*= keeps it"));
}

int json_prune_text(const struct json_prune *report, char **ret)
{
    _cleanup_(json_freep) json_t *root =
        json_pack("{s:i, s:O, s:I}", "version", 1, "removed", (json_t *)report->list, "bytes",
                  (json_int_t)report->bytes);

    return dump(root, ret);
}

void json_prune_done(struct json_prune *report)
{
    json_decref(report->list);
}

int json_read_verified(const char *text, json_verified_t found, void *userdata)
{
    _cleanup_(json_freep) json_t *root = json_loads(text, 0, NULL);
    json_t *list = json_object_get(root, "checkpoints"), *one;
    size_t i;

    if (!json_is_array(list))
        return -EBADMSG;
    json_array_foreach(list, i, one)
    {
        const char *id = json_string_value(json_object_get(one, "id"));
        const char *why = json_string_value(json_object_get(one, "why"));
        json_t *ok = json_object_get(one, "ok"), *damaged = json_object_get(one, "damaged");

        if (!id || !json_is_boolean(ok) || !json_is_boolean(damaged))
            return -EBADMSG;
        found(&(struct json_verified){id, json_is_true(ok), json_is_true(damaged), why ? why : ""},
              userdata);
    }
    return 0;
}

int json_read_drilled(const char *text, bool *ret_proven, bool *ret_unprovable, char **ret_why)
{
    _cleanup_(json_freep) json_t *root = json_loads(text, 0, NULL);
    json_t *proven = json_object_get(root, "proven");
    const char *why = json_string_value(json_object_get(root, "why"));
    char *copy;

    if (!json_is_boolean(proven))
        return -EBADMSG;
    copy = strdup(why ? why : "");
    if (!copy)
        return -ENOMEM;
    *ret_proven = json_is_true(proven);
    *ret_unprovable = json_is_true(json_object_get(root, "unprovable"));
    *ret_why = copy;
    return 0;
}
