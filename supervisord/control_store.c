/* control_store.c - commands about the store: handed on to ckptd as they are, with their open
 * files, and the answer handed back. */
#include "supervisord/control.h"

#include "common/cleanup.h"
#include "common/wire.h"

#include <errno.h>
#include <pwd.h>
#include <string.h>

static int on_answer(sd_bus_message *answer, void *userdata, sd_bus_error *ret_error)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = userdata, *reply = NULL;
    const sd_bus_error *failure = sd_bus_message_get_error(answer);

    if (failure)
        (void)sd_bus_reply_method_error(call, failure);
    else if (sd_bus_message_new_method_return(call, &reply) >= 0 &&
             sd_bus_message_copy(reply, answer, true) >= 0)
        (void)sd_bus_send(NULL, reply, NULL);
    else
        (void)sd_bus_reply_method_errorf(call, WIRE_ERROR_FAILED,
                                         "ckptd gave an answer that makes no sense");
    return 0;
}

static int no_ckptd(sd_bus_error *error)
{
    return sd_bus_error_setf(error, WIRE_ERROR_BUSY,
                             "the checkpoint daemon is starting\ntry again in a second");
}

/* A method of the same name on ckptd's interface. */
static int new_call(struct manager *m, sd_bus_message *call, sd_bus_message **ret)
{
    return sd_bus_message_new_method_call(m->ckptd, ret, NULL, CKPT_PATH, CKPT_IFACE,
                                          sd_bus_message_get_member(call));
}

/* Sends `question`; its answer becomes that of `call`. No timeout: ckptd knows when a worker hangs,
 * and its own end is an answer, too. */
static int ask(struct manager *m, sd_bus_message *question, sd_bus_message *call)
{
    int r = sd_bus_call_async(m->ckptd, NULL, question, on_answer, sd_bus_message_ref(call),
                              UINT64_MAX);

    if (r < 0)
        sd_bus_message_unref(call);
    return r < 0 ? r : 1;
}

int control_look_at_store(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    struct connection *connection = userdata;
    struct manager *m = connection->control->manager;
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *question = NULL;
    int r;

    if (!m->ckptd)
        return no_ckptd(error);
    if ((r = new_call(m, call, &question)) < 0 || (r = sd_bus_message_rewind(call, true)) < 0 ||
        (r = sd_bus_message_copy(question, call, true)) < 0)
        return r;
    return ask(m, question, call);
}

int control_act_on_store(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    int r = control_may_act(userdata, error);

    return r < 0 ? r : control_look_at_store(call, userdata, error);
}

int control_carry_store(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    const struct connection *connection = userdata;

    if (!connection->is_root)
        return sd_bus_error_setf(error, SD_BUS_ERROR_ACCESS_DENIED,
                                 "only root may do this\n"
                                 "a checkpoint holds all that the service has in memory");
    return control_look_at_store(call, userdata, error);
}

/* The only user whose processes may come out of an archive for this service. */
static int policy_uid(const struct policy *policy, uid_t *ret)
{
    const struct passwd *entry;

    *ret = geteuid();
    if (!policy->user)
        return 0;
    entry = getpwnam(policy->user);
    if (entry)
        *ret = entry->pw_uid;
    else if (policy->user[strspn(policy->user, "0123456789")] == '\0')
        *ret = (uid_t)strtoul(policy->user, NULL, 10);
    else
        return -ESRCH;
    return 0;
}

int control_import(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    struct connection *connection = userdata;
    struct manager *m = connection->control->manager;
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *question = NULL;
    const struct unit *unit;
    const char *name;
    int fd, trust, r;
    uid_t uid;

    if (!connection->is_root)
        return sd_bus_error_setf(error, SD_BUS_ERROR_ACCESS_DENIED,
                                 "only root may import a checkpoint\n"
                                 "it becomes a process with the rights of the service's user");
    if (!m->ckptd)
        return no_ckptd(error);
    if ((r = sd_bus_message_read(call, "hsb", &fd, &name, &trust)) < 0)
        return r;
    unit = manager_find(m, name);
    if (!unit)
        return sd_bus_error_setf(error, WIRE_ERROR_UNKNOWN_SERVICE,
                                 "there is no service '%s' to import it for\n"
                                 "write its policy first, then `perdure reload`; --name NAME says "
                                 "which service it is for",
                                 name);
    if (policy_uid(unit->policy, &uid) < 0)
        return sd_bus_error_setf(error, WIRE_ERROR_FAILED, "User=%s of %s is unknown here",
                                 unit->policy->user, name);
    if ((r = new_call(m, call, &question)) < 0 ||
        (r = sd_bus_message_append(question, "hsbub", fd, name, trust, (uint32_t)uid,
                                   (int)unit->policy->encrypt)) < 0)
        return r;
    return ask(m, question, call);
}

int control_on_progress(sd_bus_message *signal, void *userdata, sd_bus_error *ret_error)
{
    struct manager *m = userdata;
    const char *method, *id;
    uint64_t done, total;

    if (!m->control || sd_bus_message_read(signal, "sstt", &method, &id, &done, &total) < 0)
        return 0;
    for (struct connection *c = m->control->connections; c; c = c->next)
        (void)sd_bus_emit_signal(c->bus, CONTROL_PATH, CONTROL_IFACE, CONTROL_PROGRESS, "sstt",
                                 method, id, done, total);
    return 0;
}
