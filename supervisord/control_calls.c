/* control_calls.c - the methods of the control interface: look, or act and answer when it is done.
 */
#include "supervisord/control.h"

#include "common/cleanup.h"
#include "common/strv.h"
#include "common/wire.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>

/* ---- acting on services ---- */

static int refuse_unknown(sd_bus_error *error, const char *name)
{
    return sd_bus_error_setf(error, WIRE_ERROR_UNKNOWN_SERVICE,
                             "there is no service %s\n`perdure status` lists them; policies are "
                             "read at start and by `perdure reload`",
                             name);
}

int control_may_act(const struct connection *connection, sd_bus_error *error)
{
    if (connection->may_act)
        return 0;
    return sd_bus_error_setf(error, SD_BUS_ERROR_ACCESS_DENIED,
                             "only root and the members of ControlGroup= may do this\n"
                             "ask to be added to the group, or use sudo");
}

/* What cannot be begun now, and why. */
static int may_begin(const struct unit *unit, sd_bus_error *error)
{
    if (unit->manager->terminating)
        return sd_bus_error_setf(error, WIRE_ERROR_BUSY, "supervisord is shutting down");
    if (unit->policy_lost)
        return sd_bus_error_setf(error, WIRE_ERROR_FAILED,
                                 "the policy of %s is gone or broken\nmend it (`perdure check` "
                                 "says what is wrong), then `perdure reload`",
                                 unit->policy->name);
    return 0;
}

static int act(struct connection *connection, sd_bus_message *call, sd_bus_error *error,
               enum service_event event, enum wait_kind kind)
{
    struct manager *m = connection->control->manager;
    _cleanup_strv_ char **names = NULL;
    struct request *request;
    int r;

    if ((r = control_may_act(connection, error)) < 0 ||
        (r = sd_bus_message_read_strv(call, &names)) < 0)
        return r;
    for (char **name = names; name && *name; name++) {
        const struct unit *unit = manager_find(m, *name);

        if (!unit)
            return refuse_unknown(error, *name);
        if (event != EV_STOP && (r = may_begin(unit, error)) < 0)
            return r;
    }
    if (!names || !names[0])
        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "no service named");
    request = control_request_new(connection->control, call, kind, strv_length(names));
    if (!request)
        return -ENOMEM;
    for (char **name = names; *name; name++)
        request->waiters[request->waiter_count++].name = strdup(*name);
    /* One more than there are, so that no step below answers before all were asked. */
    request->pending = (unsigned)request->waiter_count + 1;
    for (char **name = names; *name; name++) {
        struct unit *unit = manager_find(m, *name);

        unit_step(unit, event);
        control_request_check(request, unit);
    }
    if (--request->pending == 0)
        control_request_answer(request, NULL);
    return 1;
}

static int call_start(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    return act(userdata, call, error, EV_START, WAIT_UP);
}

static int call_stop(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    return act(userdata, call, error, EV_STOP, WAIT_DOWN);
}

static int call_restart(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    return act(userdata, call, error, EV_RESTART, WAIT_UP);
}

static int call_wait(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    struct connection *connection = userdata;
    const char *name;
    struct unit *unit;
    int r;

    r = sd_bus_message_read(call, "s", &name);
    if (r < 0)
        return r;
    unit = manager_find(connection->control->manager, name);
    if (!unit)
        return refuse_unknown(error, name);
    return control_wait(connection->control, call, unit, WAIT_END, 0);
}

/* The image is chosen before what runs is ended: a wrong id costs nothing. */
struct pending_restore {
    struct control *control; /* not the connection: that may be gone by then */
    sd_bus_message *call;
    char *name;
    uint64_t number;
};

static void pending_restore_free(struct pending_restore *p)
{
    sd_bus_message_unref(p->call);
    free(p->name);
    free(p);
}

static int on_restore_chosen(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
    struct pending_restore *p = userdata;
    struct unit *unit = manager_find(p->control->manager, p->name);
    const sd_bus_error *failure = sd_bus_message_get_error(m);
    const char *id, *at;
    int r;

    if (failure) {
        (void)sd_bus_reply_method_error(p->call, failure);
    } else if (!unit || sd_bus_message_read(m, "s", &id) < 0) {
        (void)sd_bus_reply_method_errorf(p->call, WIRE_ERROR_FAILED,
                                         "%s is gone: its policy was removed", p->name);
    } else {
        at = strrchr(id, '@');
        p->number = at ? strtoull(at + 1, NULL, 10) : 0;
        unit->svc.manual_number = p->number;
        unit_step(unit, EV_RESTORE);
        r = control_wait(p->control, p->call, unit, WAIT_RESTORED, p->number);
        if (r < 0)
            (void)sd_bus_reply_method_errno(p->call, r, NULL);
    }
    pending_restore_free(p);
    return 0;
}

static int no_ckptd(sd_bus_error *error)
{
    return sd_bus_error_setf(error, WIRE_ERROR_BUSY,
                             "the checkpoint daemon is starting\ntry again in a second");
}

static int call_restore(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    struct connection *connection = userdata;
    struct manager *m = connection->control->manager;
    const char *name, *id, *at;
    const struct unit *unit;
    struct pending_restore *p;
    uint64_t number = 0;
    int r;

    if ((r = control_may_act(connection, error)) < 0 ||
        (r = sd_bus_message_read(call, "ss", &name, &id)) < 0)
        return r;
    unit = manager_find(m, name);
    if (!unit)
        return refuse_unknown(error, name);
    if ((r = may_begin(unit, error)) < 0)
        return r;
    if (*id) {
        at = strrchr(id, '@');
        number = at ? strtoull(at + 1, NULL, 10) : 0;
        if (!at || number == 0 || strncmp(id, name, strlen(name)) != 0 || at != id + strlen(name))
            return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                     "%s is not a checkpoint of %s\n`perdure list %s` shows them",
                                     id, name, name);
    }
    if (!m->ckptd)
        return no_ckptd(error);
    p = calloc(1, sizeof(*p));
    if (!p)
        return -ENOMEM;
    *p = (struct pending_restore){connection->control, sd_bus_message_ref(call), strdup(name),
                                  number};
    r = sd_bus_call_method_async(m->ckptd, NULL, NULL, CKPT_PATH, CKPT_IFACE, CKPT_SELECT,
                                 on_restore_chosen, p, "sttb", name, LADDER_ANY, number, 0);
    if (r >= 0)
        return 1;
    pending_restore_free(p);
    return r;
}

/* ---- questions that ckptd answers ---- */

static int call_checkpoint(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    struct connection *connection = userdata;
    const struct unit *unit;
    const char *name;
    int r;

    if ((r = control_may_act(connection, error)) < 0 ||
        (r = sd_bus_message_read(call, "s", &name)) < 0)
        return r;
    unit = manager_find(connection->control->manager, name);
    if (!unit)
        return refuse_unknown(error, name);
    if (unit->svc.state != SERVICE_UP)
        return sd_bus_error_setf(error, WIRE_ERROR_NOT_RUNNING,
                                 "%s is %s, not up\n`perdure start %s` first", name,
                                 service_state_name(&unit->svc), name);
    if (!unit->policy->checkpoint_enabled)
        return sd_bus_error_setf(error, WIRE_ERROR_FAILED,
                                 "%s has [Checkpoint] Enabled=no\nset Enabled=yes and Interval=0 "
                                 "for checkpoints by hand only, then `perdure reload`",
                                 name);
    return control_look_at_store(call, userdata, error);
}

static int call_check(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    struct connection *connection = userdata;
    const struct unit *unit;
    const char *name;
    int r = sd_bus_message_read(call, "s", &name);

    if (r < 0)
        return r;
    unit = manager_find(connection->control->manager, name);
    if (!unit)
        return refuse_unknown(error, name);
    if (unit->svc.state != SERVICE_UP)
        return sd_bus_error_setf(error, WIRE_ERROR_NOT_RUNNING, "%s is %s, not up", name,
                                 service_state_name(&unit->svc));
    return control_look_at_store(call, userdata, error);
}

/* ---- status: ckptd's facts are asked for first, so that "restorable" is of now ---- */

struct pending_status {
    struct manager *manager;
    sd_bus_message *call;
    char **names;
    size_t missing;
};

static void status_part_done(void *userdata)
{
    struct pending_status *p = userdata;
    _cleanup_free_ char *json = NULL;

    if (--p->missing > 0)
        return;
    json = json_status(p->manager, p->names);
    if (json)
        (void)sd_bus_reply_method_return(p->call, "s", json);
    else
        (void)sd_bus_reply_method_errnof(p->call, ENOMEM, "out of memory");
    sd_bus_message_unref(p->call);
    strv_free(p->names);
    free(p);
}

static int call_status(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    struct connection *connection = userdata;
    struct manager *m = connection->control->manager;
    _cleanup_strv_ char **names = NULL;
    struct pending_status *p;
    int r = sd_bus_message_read_strv(call, &names);
    bool all = r >= 0 && (!names || !names[0]);

    if (r < 0)
        return r;
    for (char **name = names; name && *name; name++)
        if (!manager_find(m, *name))
            return refuse_unknown(error, *name);
    for (size_t i = 0; all && i < m->unit_count; i++)
        if ((r = strv_extend(&names, m->units[i]->policy->name)) < 0)
            return r;
    p = calloc(1, sizeof(*p));
    if (!p)
        return -ENOMEM;
    *p = (struct pending_status){m, sd_bus_message_ref(call), TAKE_PTR(names), 1};
    p->missing += strv_length(p->names);
    for (char **name = p->names; name && *name; name++)
        ckpt_refresh(manager_find(m, *name), status_part_done, p);
    status_part_done(p);
    return 1;
}

static int call_log_path(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    struct connection *connection = userdata;
    struct manager *m = connection->control->manager;
    const struct policy_stream *stream;
    _cleanup_free_ char *standard = NULL;
    const struct unit *unit;
    const char *name;
    int r = sd_bus_message_read(call, "s", &name);

    if (r < 0)
        return r;
    unit = manager_find(m, name);
    if (!unit)
        return refuse_unknown(error, name);
    stream = &unit->policy->stream[STREAM_STDOUT];
    if (asprintf(&standard, "%s/%s/%s.log", m->dirs->state, DIRS_LOGS, name) < 0)
        return -ENOMEM;
    if (stream->kind != STREAM_FILE && stream->kind != STREAM_APPEND)
        return sd_bus_reply_method_return(call, "s", "");
    return sd_bus_reply_method_return(call, "s", stream->path ? stream->path : standard);
}

static int call_version(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    struct connection *connection = userdata;
    _cleanup_free_ char *json = json_version(connection->control->manager);

    return json ? sd_bus_reply_method_return(call, "s", json) : -ENOMEM;
}

static int call_reload(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    struct connection *connection = userdata;
    struct manager *m = connection->control->manager;
    _cleanup_(reload_report_done) struct reload_report report = {0};
    _cleanup_free_ char *json = NULL;
    int r;

    if ((r = control_may_act(connection, error)) < 0 || (r = policies_reload(m, &report)) < 0)
        return r;
    json = json_reload(m, &report);
    return json ? sd_bus_reply_method_return(call, "s", json) : -ENOMEM;
}

static int call_shutdown(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    struct connection *connection = userdata;
    int leave_running, r;

    if ((r = control_may_act(connection, error)) < 0 ||
        (r = sd_bus_message_read(call, "b", &leave_running)) < 0 ||
        (r = sd_bus_reply_method_return(call, "")) < 0)
        return r;
    (void)sd_bus_flush(connection->bus);
    manager_terminate(connection->control->manager, leave_running);
    return 1;
}

/* SD_BUS_VTABLE_UNPRIVILEGED everywhere: rights are checked here, by transport, not by sd-bus. */
#define METHOD(name, in, out, handler) \
    SD_BUS_METHOD(name, in, out, handler, SD_BUS_VTABLE_UNPRIVILEGED)

const sd_bus_vtable control_vtable[] = {
    SD_BUS_VTABLE_START(0),
    METHOD(CONTROL_STATUS, "as", "s", call_status),
    METHOD(CONTROL_LIST, "s", "s", control_look_at_store),
    METHOD(CONTROL_SHOW, "s", "s", control_look_at_store),
    METHOD(CONTROL_CHECK, "s", "s", call_check),
    METHOD(CONTROL_LOG_PATH, "s", "s", call_log_path),
    METHOD(CONTROL_VERSION, "", "s", call_version),
    METHOD(CONTROL_START, "as", "", call_start),
    METHOD(CONTROL_STOP, "as", "", call_stop),
    METHOD(CONTROL_RESTART, "as", "", call_restart),
    METHOD(CONTROL_CHECKPOINT, "s", "s", call_checkpoint),
    METHOD(CONTROL_RESTORE, "ss", "s", call_restore),
    METHOD(CONTROL_RELOAD, "", "s", call_reload),
    METHOD(CONTROL_WAIT, "s", "sii", call_wait),
    METHOD(CONTROL_SHUTDOWN, "b", "", call_shutdown),
    METHOD(CONTROL_VERIFY, "s", "s", control_act_on_store),
    METHOD(CONTROL_DESCRIBE, "s", "s", control_look_at_store),
    METHOD(CONTROL_DIFF, "ss", "s", control_look_at_store),
    METHOD(CONTROL_PIN, "sb", "", control_act_on_store),
    METHOD(CONTROL_PRUNE, "sb", "s", control_act_on_store),
    METHOD(CONTROL_DRILL, "s", "s", control_act_on_store),
    METHOD(CONTROL_ROTATE_KEY, "", "s", control_carry_store),
    METHOD(CONTROL_UNPACK, "sh", "s", control_carry_store),
    METHOD(CONTROL_EXPORT, "sh", "s", control_carry_store),
    METHOD(CONTROL_IMPORT, "hsb", "s", control_import),
    SD_BUS_SIGNAL(CONTROL_CHANGED, "ss", 0),
    SD_BUS_SIGNAL(CONTROL_CHECKPOINT_COMMITTED, "ss", 0),
    SD_BUS_SIGNAL(CONTROL_CHECKPOINT_FAILED, "sss", 0),
    SD_BUS_SIGNAL(CONTROL_PROGRESS, "sstt", 0),
    SD_BUS_VTABLE_END,
};
