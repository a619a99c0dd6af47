/* control_wait.c - calls that are answered later, when the services they name have got there. */
#include "supervisord/control.h"

#include "common/cleanup.h"
#include "common/wire.h"

#include <errno.h>
#include <string.h>

static struct request *request_free(struct request *request)
{
    struct request **r = &request->control->requests;

    while (*r && *r != request)
        r = &(*r)->next;
    if (*r)
        *r = request->next;
    for (size_t i = 0; i < request->waiter_count; i++)
        free(request->waiters[i].name);
    free(request->waiters);
    free(request->error);
    sd_bus_message_unref(request->call);
    free(request);
    return NULL;
}

void control_drop_calls(struct control *control, sd_bus *bus)
{
    struct request *next;

    for (struct request *r = control->requests; r; r = next) {
        next = r->next;
        if (sd_bus_message_get_bus(r->call) == bus)
            request_free(r);
    }
}

struct request *control_request_new(struct control *control, sd_bus_message *call,
                                    enum wait_kind kind, size_t count)
{
    struct request *request = calloc(1, sizeof(*request));

    if (!request)
        return NULL;
    request->waiters = calloc(count ? count : 1, sizeof(*request->waiters));
    if (!request->waiters) {
        free(request);
        return NULL;
    }
    request->control = control;
    request->call = sd_bus_message_ref(call);
    request->kind = kind;
    request->next = control->requests;
    control->requests = request;
    return request;
}

static void answer_end(struct request *request, const struct unit *unit)
{
    const struct service_exit *e = &unit->svc.exit;
    bool told = unit->svc.ever_exited && e->known;

    (void)sd_bus_reply_method_return(request->call, "sii", service_state_name(&unit->svc),
                                     told ? e->code : 0, told ? e->status : 0);
}

void control_request_answer(struct request *request, const struct unit *unit)
{
    if (request->error)
        (void)sd_bus_reply_method_errorf(request->call, WIRE_ERROR_FAILED, "%s", request->error);
    else if (request->kind == WAIT_END && unit)
        answer_end(request, unit);
    else if (request->kind == WAIT_RESTORED && unit)
        (void)sd_bus_reply_method_return(request->call, "s", unit->record.recovered_from);
    else
        (void)sd_bus_reply_method_return(request->call, "");
    request_free(request);
}

/* Is the unit where the call wants it? A failure to get there is noted in the request. */
static bool arrived(struct request *request, const struct waiter *waiter, const struct unit *unit)
{
    enum service_state state = unit->svc.state;
    bool down = state == SERVICE_STOPPED || state == SERVICE_FAILED;
    bool failed = down || state == SERVICE_BACKOFF;

    if (request->kind == WAIT_DOWN || request->kind == WAIT_END)
        return down;
    if (state == SERVICE_UP && request->kind == WAIT_RESTORED && waiter->number &&
        unit->svc.restored_number != waiter->number)
        failed = true;
    if (failed && !request->error &&
        asprintf(&request->error, "%s is %s%s%s\nsee `perdure status %s` and `perdure logs %s`",
                 unit->policy->name, service_state_name(&unit->svc),
                 unit->record.error[0] ? ": " : "", unit->record.error, unit->policy->name,
                 unit->policy->name) < 0)
        request->error = NULL;
    return failed || state == SERVICE_UP;
}

void control_request_check(struct request *request, const struct unit *unit)
{
    for (size_t i = 0; i < request->waiter_count; i++) {
        struct waiter *waiter = &request->waiters[i];

        if (!waiter->name || strcmp(waiter->name, unit->policy->name) != 0 ||
            !arrived(request, waiter, unit))
            continue;
        free(TAKE_PTR(waiter->name));
        if (--request->pending == 0) {
            control_request_answer(request, unit);
            return;
        }
    }
}

void control_unit_changed(struct control *control, struct unit *unit)
{
    struct request *next;

    if (!control)
        return;
    for (struct connection *c = control->connections; c; c = c->next)
        (void)sd_bus_emit_signal(c->bus, CONTROL_PATH, CONTROL_IFACE, CONTROL_CHANGED, "ss",
                                 unit->policy->name, service_state_name(&unit->svc));
    for (struct request *r = control->requests; r; r = next) {
        next = r->next;
        control_request_check(r, unit);
    }
}

void control_checkpoint_committed(struct control *control, const char *name, const char *id)
{
    for (struct connection *c = control ? control->connections : NULL; c; c = c->next)
        (void)sd_bus_emit_signal(c->bus, CONTROL_PATH, CONTROL_IFACE, CONTROL_CHECKPOINT_COMMITTED,
                                 "ss", name, id);
}

void control_checkpoint_failed(struct control *control, const char *name, const char *message,
                               const char *cure)
{
    for (struct connection *c = control ? control->connections : NULL; c; c = c->next)
        (void)sd_bus_emit_signal(c->bus, CONTROL_PATH, CONTROL_IFACE, CONTROL_CHECKPOINT_FAILED,
                                 "sss", name, message, cure);
}

void control_unit_gone(struct control *control, const char *name)
{
    struct request *next;

    for (struct request *r = control ? control->requests : NULL; r; r = next) {
        next = r->next;
        for (size_t i = 0; i < r->waiter_count; i++)
            if (r->waiters[i].name && strcmp(r->waiters[i].name, name) == 0) {
                if (!r->error)
                    (void)!asprintf(&r->error, "%s is gone: its policy was removed", name);
                control_request_answer(r, NULL);
                break;
            }
    }
}

int control_wait(struct control *control, sd_bus_message *call, struct unit *unit,
                 enum wait_kind kind, uint64_t number)
{
    struct request *request = control_request_new(control, call, kind, 1);

    if (!request)
        return -ENOMEM;
    request->waiters[0] = (struct waiter){strdup(unit->policy->name), number};
    request->waiter_count = request->pending = 1;
    control_request_check(request, unit);
    return 1;
}
