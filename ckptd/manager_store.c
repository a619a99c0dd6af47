/* manager_store.c - the store as the manager sees it: what workers found out about it, room, and
 * pruning by hand. */
#include "ckptd/manager_state.h"

#include "ckptd/json.h"
#include "ckptd/retention.h"
#include "common/cleanup.h"
#include "common/proc.h"

#include <errno.h>
#include <string.h>

/* ---- what workers found out ---- */

static void on_verified(const struct json_verified *one, void *userdata)
{
    struct manager *manager = userdata;
    _cleanup_free_ char *name = NULL;
    uint64_t number;
    int r = 0;

    if (checkpoint_id_parse(one->id, &name, &number) < 0)
        return;
    if (!one->ok)
        log_warning("%s: %s", one->id, one->why);
    if (one->ok)
        r = store_note_checked(manager->store, name, number);
    else if (one->damaged)
        r = store_mark(manager->store, name, number, MARK_CORRUPT, one->why);
    if (r < 0 && r != -ENOENT)
        log_warning("%s: cannot write down the outcome of a check: %s", one->id, strerror(-r));
}

void manager_learn_verified(struct manager *manager, const char *json)
{
    if (json_read_verified(json, on_verified, manager) < 0)
        log_error("a worker's report about a check makes no sense");
    upkeep_wake(manager->upkeep);
}

void manager_doubt(struct manager *manager, const char *name, uint64_t number)
{
    upkeep_doubt(manager->upkeep, name, number);
}

void manager_learn_drilled(struct manager *manager, const char *id, const char *json)
{
    _cleanup_free_ char *name = NULL, *why = NULL;
    bool proven, unprovable;
    uint64_t number;
    int r;

    if (checkpoint_id_parse(id, &name, &number) < 0)
        return;
    r = json_read_drilled(json, &proven, &unprovable, &why);
    if (r < 0) {
        log_error("a worker's report about a drill makes no sense");
        return;
    }
    if (!proven && !unprovable) {
        log_warning("%s did not come back in a drill: %s", id, why);
        manager_doubt(manager, name, number);
    }
    r = store_mark(manager->store, name, number, proven ? MARK_PROVEN : MARK_UNPROVABLE, why);
    if (r < 0 && r != -ENOENT)
        log_warning("%s: cannot write down the outcome of a drill: %s", id, strerror(-r));
}

/* ---- pruning by hand ---- */

/* What the rules do not want of one service goes, or would go; added to the report. */
static int prune_one(struct manager *manager, const char *name, bool dry_run,
                     struct json_prune *report)
{
    const struct ckpt_spec *spec = manager_watched(manager, name);
    _cleanup_free_ struct checkpoint *left = NULL;
    _cleanup_free_ bool *wanted = NULL;
    size_t count, next;
    const struct checkpoint *list = store_list(manager->store, name, &count);

    /* Without its policy nobody knows what is wanted. */
    if (!spec || count == 0)
        return 0;
    left = reallocarray(NULL, count, sizeof(*left));
    wanted = calloc(count, sizeof(*wanted));
    if (!left || !wanted)
        return -ENOMEM;
    memcpy(left, list, count * sizeof(*left));
    for (;;) {
        int r;

        retention_wanted(left, count, &spec->retention, now_realtime_usec(), wanted);
        next = retention_surplus(left, count, wanted);
        if (next == RETENTION_NONE)
            return 0;
        r = dry_run ? 0 : store_remove(manager->store, name, left[next].number);
        if (r == -EBUSY) { /* left to the next prune, with all that it needs */
            left[next].pinned = true;
            continue;
        }
        if (r < 0 || (r = json_prune_add(report, name, &left[next])) < 0)
            return r;
        memmove(&left[next], &left[next + 1], (count - next - 1) * sizeof(*left));
        count--;
    }
}

int manager_prune_now(struct manager *manager, const char *name, bool dry_run, char **ret_json)
{
    _cleanup_(json_prune_done) struct json_prune report = {};
    int r = json_prune_init(&report);

    for (size_t i = 0; r == 0 && store_service(manager->store, i); i++) {
        const char *service = store_service(manager->store, i);

        if (!name[0] || strcmp(service, name) == 0)
            r = prune_one(manager, service, dry_run, &report);
    }
    return r < 0 ? r : json_prune_text(&report, ret_json);
}

struct space_limits manager_space_limits(const struct manager *manager,
                                         const struct retention_rules *rules)
{
    return (struct space_limits){
        .reserve = manager->reserve,
        .max_bytes = rules->max_bytes,
        .store_max_bytes = manager->max_bytes,
    };
}

int manager_room(const struct manager *manager, uint64_t *ret)
{
    return space_free(manager->store, manager->reserve, ret);
}
