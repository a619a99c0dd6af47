/* bus_calls.c - the methods of the checkpoint interface. */
#include "ckptd/bus_state.h"

#include "ckptd/json.h"
#include "ckptd/preflight.h"
#include "ckptd/select.h"
#include "common/ckpt_spec_bus.h"
#include "common/cleanup.h"
#include "common/dirs.h"
#include "common/members.h"

#include <errno.h>

/* ---- errors ---- */

static int fail_text(sd_bus_error *error, const char *name, const char *cure, const char *why,
                     const char *subject)
{
    return sd_bus_error_setf(error, name, "%s %s\n%s", subject, why, cure);
}

static int bad_name(sd_bus_error *error, const char *name)
{
    return fail_text(error, SD_BUS_ERROR_INVALID_ARGS, "see `perdure status` for the names",
                     "is not a service's name", name);
}

static int bad_id(sd_bus_error *error, const char *id)
{
    return fail_text(error, WIRE_ERROR_NO_CHECKPOINT, "`perdure list` shows which there are",
                     "is not the id of a checkpoint", id);
}

static int not_running(sd_bus_error *error, const char *name)
{
    return fail_text(error, WIRE_ERROR_NOT_RUNNING, "start it; see [Checkpoint] Enabled=",
                     "does not run, or is not to be checkpointed", name);
}

/* ---- methods that change something ---- */

static int on_configure(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct bus_server *server = userdata;
    struct manager_settings s = {};
    int r;

    r = sd_bus_message_read(m, "ststt", &s.criu, &s.reserve, &s.key_file, &s.max_bytes,
                            &s.scrub_usec);
    if (r < 0 || (r = manager_configure(server->manager, &s)) < 0)
        return r;
    return sd_bus_reply_method_return(m, "");
}

static int on_watch(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct bus_server *server = userdata;
    _cleanup_(ckpt_spec_done) struct ckpt_spec spec = {};
    int r;

    r = ckpt_spec_read(m, &spec);
    if (r < 0 || (r = manager_watch(server->manager, &spec)) < 0)
        return r;
    return sd_bus_reply_method_return(m, "");
}

/* Reads the one string argument, a service's name. */
static int read_name(sd_bus_message *m, const char **ret_name, sd_bus_error *error)
{
    int r = sd_bus_message_read(m, "s", ret_name);

    if (r < 0)
        return r;
    return service_name_is_valid(*ret_name) ? 0 : bad_name(error, *ret_name);
}

static int on_unwatch(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct bus_server *server = userdata;
    const char *name;
    int r;

    r = read_name(m, &name, error);
    if (r < 0)
        return r;
    if (manager_unwatch(server->manager, name) == MANAGER_BUSY)
        return bus_wait_for(server, m, name, 0, NULL);
    return sd_bus_reply_method_return(m, "");
}

static int on_checkpoint(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct bus_server *server = userdata;
    const struct criu_facts *criu = manager_criu(server->manager);
    const char *name;
    uint64_t ticket;
    int r;

    r = read_name(m, &name, error);
    if (r < 0)
        return r;
    if (criu->known && !criu->usable)
        return bus_fail(error, WIRE_ERROR_FAILED, &criu->reason);
    r = manager_checkpoint(server->manager, name, &ticket);
    if (r == -ESRCH)
        return not_running(error, name);
    return r < 0 ? r : bus_wait_for(server, m, name, ticket, NULL);
}

static int mark(sd_bus_message *m, struct bus_server *server, enum checkpoint_mark which,
                sd_bus_error *error)
{
    _cleanup_free_ char *name = NULL;
    const char *id, *why;
    uint64_t number;
    int r;

    r = sd_bus_message_read(m, "ss", &id, &why);
    if (r < 0)
        return r;
    r = checkpoint_id_parse(id, &name, &number);
    if (r == 0)
        r = store_mark(manager_store(server->manager), name, number, which, why);
    /* The damage may be a parent's, and others depend on that. */
    if (r == 0 && which == MARK_CORRUPT)
        manager_doubt(server->manager, name, number);
    if (r == -EINVAL || r == -ENOENT)
        return bad_id(error, id);
    return r < 0 ? r : sd_bus_reply_method_return(m, "");
}

static int on_poison(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    return mark(m, userdata, MARK_POISONED, error);
}

static int on_corrupt(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    return mark(m, userdata, MARK_CORRUPT, error);
}

/* ---- the choice of an image ---- */

static int reply_selection(sd_bus_message *m, const char *name, const struct selection *selection)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    char id[CHECKPOINT_ID_SIZE];
    int r;

    if ((r = sd_bus_message_new_method_return(m, &reply)) < 0 ||
        (r = sd_bus_message_append(reply, "stt", checkpoint_id_format(name, selection->number, id),
                                   selection->time_realtime, selection->time_boot)) < 0 ||
        (r = sd_bus_message_append_strv(reply, selection->argv)) < 0)
        return r;
    return sd_bus_send(NULL, reply, NULL);
}

static int on_select(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct bus_server *server = userdata;
    const struct criu_facts *criu = manager_criu(server->manager);
    const struct select_context context = manager_select_context(server->manager);
    _cleanup_(selection_done) struct selection selection = {};
    _cleanup_(reason_done) struct reason reason = {};
    uint64_t below, only;
    int proven_only;
    const char *name;
    int r;

    if (!criu->known)
        return bus_wait_for(server, m, NULL, 0, on_select);
    if ((r = sd_bus_message_rewind(m, 1)) < 0 ||
        (r = sd_bus_message_read(m, "sttb", &name, &below, &only, &proven_only)) < 0)
        return r;
    if (!service_name_is_valid(name))
        return bad_name(error, name);
    if (!criu->usable)
        return bus_fail(error, WIRE_ERROR_NO_CHECKPOINT, &criu->reason);
    r = select_image(&context, &(struct select_wish){name, below, only, proven_only}, &selection,
                     &reason);
    if (r == SELECT_NONE)
        return bus_fail(error, WIRE_ERROR_NO_CHECKPOINT, &reason);
    return r < 0 ? r : reply_selection(m, name, &selection);
}

/* ---- methods that only look ---- */

/* Answers with a JSON string that `make` has put into `json`. */
static int reply_json(sd_bus_message *m, int r, char *json)
{
    _cleanup_free_ char *text = json;

    return r < 0 ? r : sd_bus_reply_method_return(m, "s", text);
}

static int on_list(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct bus_server *server = userdata;
    char *json = NULL;
    const char *name;
    int r;

    r = sd_bus_message_read(m, "s", &name);
    if (r < 0)
        return r;
    if (name[0] && !service_name_is_valid(name))
        return bad_name(error, name);
    r = json_list(manager_store(server->manager), name, &json);
    return reply_json(m, r, json);
}

/* Why it cannot be restored here, NULL when it can. */
static int why_not(struct bus_server *server, const char *name, const struct checkpoint *c,
                   char **ret_why)
{
    const struct select_context context = manager_select_context(server->manager);

    if (c->state != CHECKPOINT_WHOLE)
        return store_why(context.store, c, name, ret_why);
    return select_why_not(&context, name, c->number, ret_why);
}

static int on_show(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct bus_server *server = userdata;
    _cleanup_free_ char *name = NULL, *why = NULL;
    const struct checkpoint *c = NULL;
    uint64_t number;
    const char *id;
    char *json = NULL;
    int r;

    r = sd_bus_message_read(m, "s", &id);
    if (r < 0)
        return r;
    if (checkpoint_id_parse(id, &name, &number) == 0)
        c = store_find(manager_store(server->manager), name, number);
    if (!c)
        return bad_id(error, id);
    r = why_not(server, name, c, &why);
    if (r >= 0)
        r = json_show(manager_store(server->manager), name, c, why, &json);
    return reply_json(m, r, json);
}

static int on_newest(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct bus_server *server = userdata;
    _cleanup_free_ char *why = NULL;
    const struct checkpoint *c;
    char id[CHECKPOINT_ID_SIZE];
    const char *name;
    int r;

    r = read_name(m, &name, error);
    if (r < 0)
        return r;
    c = store_newest(manager_store(server->manager), name);
    if (!c)
        return sd_bus_reply_method_return(m, "stttss", "", (uint64_t)0, (uint64_t)0, (uint64_t)0,
                                          "", "");
    r = why_not(server, name, c, &why);
    if (r < 0)
        return r;
    return sd_bus_reply_method_return(m, "stttss", checkpoint_id_format(name, c->number, id),
                                      c->time_realtime, c->frozen_usec, c->bytes,
                                      checkpoint_kind(c), why ? why : "");
}

/* Whatever of the host cannot be found out is not looked at. */
static int look(struct bus_server *server, const struct ckpt_spec *spec, struct problems *problems)
{
    const struct criu_facts *criu = manager_criu(server->manager);
    _cleanup_free_ struct unix_peer *peers = NULL;
    _cleanup_free_ pid_t *pids = NULL;
    struct preflight preflight = {.proc = "/proc", .ghost_limit = spec->ghost_limit};
    int r;

    r = members_read(spec->cgroup, spec->pid, &pids, &preflight.count);
    if (r < 0)
        return r;
    (void)unix_peers_read(&peers, &preflight.peer_count);
    preflight.pids = pids;
    preflight.peers = peers;
    if (criu->known && criu->usable && !criu->sockets)
        preflight.sockets = &criu->reason;
    else if (criu->known && criu->usable && !criu->other_users)
        preflight.other_users = &criu->reason;
    return preflight_run(&preflight, problems);
}

static int on_check(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct bus_server *server = userdata;
    _cleanup_(problems_done) struct problems problems = {};
    const struct ckpt_spec *spec;
    char *json = NULL;
    const char *name;
    int r;

    r = read_name(m, &name, error);
    if (r < 0)
        return r;
    spec = manager_watched(server->manager, name);
    if (!spec)
        return not_running(error, name);
    r = look(server, spec, &problems);
    if (r >= 0)
        r = json_check(name, &problems, manager_criu(server->manager), &json);
    return reply_json(m, r, json);
}

static int on_facts(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct bus_server *server = userdata;
    const struct criu_facts *criu = manager_criu(server->manager);
    char *json = NULL;
    int r;

    if (!criu->known)
        return bus_wait_for(server, m, NULL, 0, on_facts);
    r = json_facts(criu, &json);
    return reply_json(m, r, json);
}

const sd_bus_vtable bus_vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD(CKPT_CONFIGURE, "ststt", "", on_configure, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD(CKPT_WATCH, CKPT_SPEC_SIGNATURE, "", on_watch, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD(CKPT_UNWATCH, "s", "", on_unwatch, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD(CKPT_CHECKPOINT, "s", "s", on_checkpoint, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD(CKPT_SELECT, "sttb", "sttas", on_select, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD(CKPT_POISON, "ss", "", on_poison, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD(CKPT_CORRUPT, "ss", "", on_corrupt, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD(CKPT_LIST, "s", "s", on_list, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD(CKPT_SHOW, "s", "s", on_show, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD(CKPT_CHECK, "s", "s", on_check, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD(CKPT_NEWEST, "s", "stttss", on_newest, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD(CKPT_FACTS, "", "s", on_facts, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD(CKPT_VERIFY, "s", "s", bus_verify, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD(CKPT_DESCRIBE, "s", "s", bus_describe, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD(CKPT_DIFF, "ss", "s", bus_diff, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD(CKPT_PIN, "sb", "", bus_pin, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD(CKPT_PRUNE, "sb", "s", bus_prune, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD(CKPT_DRILL, "s", "s", bus_drill, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD(CKPT_ROTATE_KEY, "", "s", bus_rotate_key, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD(CKPT_UNPACK, "sh", "s", bus_unpack, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD(CKPT_EXPORT, "sh", "s", bus_export, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD(CKPT_IMPORT, "hsbub", "s", bus_import, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_SIGNAL(CKPT_PROGRESS, "sstt", 0),
    SD_BUS_SIGNAL(CKPT_COMMITTED, "ssttts", 0),
    SD_BUS_SIGNAL(CKPT_FAILED, "sss", 0),
    SD_BUS_VTABLE_END,
};
