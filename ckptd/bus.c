/* bus.c - the connection to the engine, and calls that wait for a dump or for the self-test. */
#include "ckptd/bus_state.h"

#include "common/cleanup.h"
#include "common/peer.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

/* ---- calls that wait ---- */

int bus_fail(sd_bus_error *error, const char *name, const struct reason *reason)
{
    const char *cure = reason_cure(reason);

    return sd_bus_error_setf(error, name, "%s%s%s", reason_why(reason), cure[0] ? "\n" : "", cure);
}

int bus_wait_for(struct bus_server *server, sd_bus_message *call, const char *name, uint64_t ticket,
                 sd_bus_message_handler_t again)
{
    struct pending *p = calloc(1, sizeof(*p));

    if (!p)
        return -ENOMEM;
    if (name && !(p->name = strdup(name))) {
        free(p);
        return -ENOMEM;
    }
    p->call = sd_bus_message_ref(call);
    p->ticket = ticket;
    p->again = again;
    p->next = server->pending;
    server->pending = p;
    return 1; /* answered later, sd_bus_add_object_vtable(3) */
}

static struct pending *pending_free(struct pending *p)
{
    sd_bus_message_unref(p->call);
    free(p->name);
    free(p);
    return NULL;
}

static void pending_drop_all(struct bus_server *server)
{
    for (struct pending *p = server->pending, *next; p; p = next) {
        next = p->next;
        pending_free(p);
    }
    server->pending = NULL;
}

static void answer_dump(const struct pending *p, const struct outcome *outcome)
{
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
    char id[CHECKPOINT_ID_SIZE];

    if (outcome->checkpoint) {
        (void)sd_bus_reply_method_return(
            p->call, "s", checkpoint_id_format(outcome->name, outcome->checkpoint->number, id));
        return;
    }
    bus_fail(&error, outcome->dropped ? WIRE_ERROR_NOT_RUNNING : WIRE_ERROR_FAILED,
             outcome->reason);
    (void)sd_bus_reply_method_error(p->call, &error);
}

/* True when this outcome is what the call waits for; it is answered then. */
static bool answer(struct bus_server *server, const struct pending *p,
                   const struct outcome *outcome)
{
    if (!p->name || strcmp(p->name, outcome->name) != 0)
        return false;
    if (p->ticket) {
        if (p->ticket != outcome->ticket)
            return false;
        answer_dump(p, outcome);
        return true;
    }
    if (manager_is_dumping(server->manager, p->name))
        return false;
    (void)sd_bus_reply_method_return(p->call, "");
    return true;
}

static void emit(struct bus_server *server, const struct outcome *outcome)
{
    const struct checkpoint *c = outcome->checkpoint;
    char id[CHECKPOINT_ID_SIZE];

    if (c)
        (void)sd_bus_emit_signal(server->bus, CKPT_PATH, CKPT_IFACE, CKPT_COMMITTED, "ssttts",
                                 outcome->name, checkpoint_id_format(outcome->name, c->number, id),
                                 c->time_realtime, c->frozen_usec, c->bytes, checkpoint_kind(c));
    else if (!outcome->dropped)
        (void)sd_bus_emit_signal(server->bus, CKPT_PATH, CKPT_IFACE, CKPT_FAILED, "sss",
                                 outcome->name, reason_why(outcome->reason),
                                 reason_cure(outcome->reason));
}

static void on_ended(const struct outcome *outcome, void *userdata)
{
    struct bus_server *server = userdata;

    if (!server->bus)
        return;
    emit(server, outcome);
    for (struct pending **p = &server->pending; *p;) {
        struct pending *now = *p;

        if (!answer(server, now, outcome)) {
            p = &now->next;
            continue;
        }
        *p = now->next;
        pending_free(now);
    }
}

/* Calls that came during the self-test are handled as if they came now. */
static void on_criu_known(void *userdata)
{
    struct bus_server *server = userdata;

    for (struct pending **p = &server->pending; *p;) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        struct pending *now = *p;
        int r;

        if (!now->again) {
            p = &now->next;
            continue;
        }
        *p = now->next;
        r = now->again(now->call, server, &error);
        if (r < 0 || sd_bus_error_is_set(&error))
            (void)sd_bus_reply_method_errno(now->call, r, &error);
        pending_free(now);
    }
}

/* ---- the connection ---- */

static void disconnect(struct bus_server *server)
{
    pending_drop_all(server);
    bus_detach_errands(server);
    server->post = sd_event_source_disable_unref(server->post);
    server->bus = peer_close(server->bus);
    if (server->manager)
        manager_forget_engine(server->manager);
}

static int on_gone(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    disconnect(userdata);
    return 0;
}

/* The keeper makes the socketpair, so the peer is of its user; anything else is a mistake. */
static int check_peer(int fd)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        return -errno;
    return peer.uid == 0 || peer.uid == geteuid() ? 0 : -EPERM;
}

int bus_server_connect(struct bus_server *server, int fd)
{
    _cleanup_close_ int mine = fd;
    int r;

    r = check_peer(fd);
    if (r < 0)
        return r;
    disconnect(server);
    r = peer_new_server(TAKE_FD(mine), &server->bus);
    if (r >= 0)
        r = sd_bus_add_object_vtable(server->bus, NULL, CKPT_PATH, CKPT_IFACE, bus_vtable, server);
    if (r >= 0)
        r = peer_start(server->bus, server->event, on_gone, server, &server->post);
    if (r < 0)
        disconnect(server);
    return r;
}

int bus_server_new(sd_event *event, struct bus_server **ret)
{
    struct bus_server *server = calloc(1, sizeof(*server));

    if (!server)
        return -ENOMEM;
    server->event = event;
    *ret = server;
    return 0;
}

struct bus_server *bus_server_free(struct bus_server *server)
{
    if (!server)
        return NULL;
    server->manager = NULL;
    bus_drop_errands(server);
    disconnect(server);
    free(server);
    return NULL;
}

struct manager_events bus_server_events(struct bus_server *server)
{
    return (struct manager_events){
        .ended = on_ended, .criu_known = on_criu_known, .userdata = server};
}

void bus_server_set_manager(struct bus_server *server, struct manager *manager)
{
    server->manager = manager;
}
