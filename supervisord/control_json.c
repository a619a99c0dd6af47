/* control_json.c - what the engine knows as JSON (docs/json.md): absent facts are null, never 0. */
#include "supervisord/manager.h"

#include "common/cleanup.h"
#include "common/strv.h"

#include <jansson.h>
#include <signal.h>
#include <string.h>
#include <sys/utsname.h>

/* json_string() refuses text that is not UTF-8; such a text is shown as unknown, not as an error.
 */
static json_t *text_or_null(const char *text)
{
    json_t *value = text && *text ? json_string(text) : NULL;

    return value ? value : json_null();
}

static json_t *time_or_null(uint64_t realtime_usec)
{
    char buf[RFC3339_SIZE];

    return realtime_usec ? json_string(format_rfc3339(realtime_usec, buf)) : json_null();
}

static json_t *last_exit(const struct service *svc)
{
    bool exited = svc->exit.code == CLD_EXITED;

    if (!svc->ever_exited)
        return json_null();
    if (!svc->exit.known)
        return json_pack("{s:n, s:n}", "code", "signal");
    return json_pack("{s:o, s:o}", "code", exited ? json_integer(svc->exit.status) : json_null(),
                     "signal", exited ? json_null() : json_integer(svc->exit.status));
}

static json_t *checkpoint(const struct unit *unit)
{
    if (!unit->checkpoint.id)
        return json_null();
    return json_pack("{s:s, s:o, s:I, s:I, s:s}", "id", unit->checkpoint.id, "time",
                     time_or_null(unit->checkpoint.time_realtime), "frozen_us",
                     (json_int_t)unit->checkpoint.frozen_usec, "bytes",
                     (json_int_t)unit->checkpoint.bytes, "kind", unit->checkpoint.kind);
}

/* Whether the newest checkpoint would come back here and now. */
static json_t *restorable(const struct unit *unit)
{
    if (!unit->checkpoint.id || !unit->manager->ckptd)
        return json_pack("{s:n, s:n}", "ok", "why");
    return json_pack("{s:b, s:o}", "ok", !unit->checkpoint.not_restorable, "why",
                     text_or_null(unit->checkpoint.not_restorable));
}

static json_t *log_file(const struct unit *unit)
{
    const struct policy_stream *stream = &unit->policy->stream[STREAM_STDOUT];
    char path[4096];

    if (stream->kind != STREAM_FILE && stream->kind != STREAM_APPEND)
        return json_null();
    (void)snprintf(path, sizeof(path), "%s/%s/%s.log", unit->manager->dirs->state, DIRS_LOGS,
                   unit->policy->name);
    return json_string(stream->path ? stream->path : path);
}

static json_t *status_of(const struct unit *unit)
{
    const struct service *svc = &unit->svc;
    const struct record *facts = &unit->record;
    const char *error = facts->error[0] ? facts->error : unit->checkpoint_error;
    uint64_t age = now_boottime_usec() - svc->state_since;

    return json_pack(
        "{s:s, s:s, s:o, s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:o, s:s, s:o, s:o, s:o, s:o, "
        "s:I, s:I}",
        "name", unit->policy->name, "state", service_state_name(svc), "pid",
        svc->pid > 0 && svc->state != SERVICE_STOPPED ? json_integer(svc->pid) : json_null(),
        "restarts", (int)svc->restarts, "recovered_from", text_or_null(facts->recovered_from),
        "work_lost_ms",
        facts->work_lost_known ? json_integer((json_int_t)(facts->work_lost_usec / 1000))
                               : json_null(),
        "last_exit", last_exit(svc), "checkpoint", checkpoint(unit), "error", text_or_null(error),
        "description", text_or_null(unit->policy->description), "type",
        service_type_name(unit->policy->type), "since",
        svc->state_since ? time_or_null(now_realtime_usec() - age) : json_null(), "desired",
        svc->desired_up ? "up" : "down", "restorable", restorable(unit), "log", log_file(unit),
        "status_text", text_or_null(unit->status_text), "cgroup", text_or_null(unit->cgroup),
        "checkpoints_made", (json_int_t)unit->checkpoints_made, "checkpoints_failed",
        (json_int_t)unit->checkpoints_failed);
}

/* Compact text; steals the reference. */
static char *dump(json_t *root)
{
    char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;

    json_decref(root);
    return text;
}

char *json_status(const struct manager *m, char *const *names)
{
    json_t *services = json_array();

    for (char *const *name = names; name && *name; name++) {
        const struct unit *unit = manager_find(m, *name);

        if (unit)
            (void)json_array_append_new(services, status_of(unit));
    }
    return dump(json_pack("{s:i, s:o}", "version", 1, "services", services));
}

static json_t *list_of(char *const *names)
{
    json_t *list = json_array();

    for (; names && *names; names++)
        (void)json_array_append_new(list, json_string(*names));
    return list;
}

char *json_reload(const struct manager *m, const struct reload_report *report)
{
    json_t *errors = json_array();

    for (size_t i = 0; i < m->errors.count; i++) {
        const struct policy_error *e = &m->errors.items[i];

        (void)json_array_append_new(errors, json_pack("{s:s, s:o, s:o}", "file", e->file, "line",
                                                      e->line ? json_integer(e->line) : json_null(),
                                                      "message", text_or_null(e->message)));
    }
    return dump(json_pack("{s:i, s:o, s:o, s:o, s:o}", "version", 1, "added",
                          list_of(report->added), "removed", list_of(report->removed), "changed",
                          list_of(report->changed), "errors", errors));
}

char *json_version(const struct manager *m)
{
    json_t *facts = m->facts ? json_loads(m->facts, 0, NULL) : NULL;
    struct utsname host = {0};

    (void)uname(&host);
    return dump(json_pack("{s:i, s:s, s:s, s:s, s:o}", "version", 1, "perdure", PERDURE_VERSION,
                          "kernel", host.release, "machine", host.machine, "checkpoints",
                          facts ? facts : json_null()));
}
