/* control.h - the public bus interface: connections with their rights, and calls that wait.
 * Internal to control*.c. */
#pragma once

#include "supervisord/manager.h"

enum wait_kind { WAIT_UP, WAIT_DOWN, WAIT_RESTORED, WAIT_END };

/* A user's call that is answered when every service it names has got there. */
struct request {
    struct control *control;
    sd_bus_message *call;
    enum wait_kind kind;
    unsigned pending;
    char *error; /* the first failure; NULL none */
    struct waiter {
        char *name;      /* NULL: this one is done */
        uint64_t number; /* WAIT_RESTORED: the image asked for, 0 newest */
    } * waiters;
    size_t waiter_count;
    struct request *next; /* control::requests */
};

struct connection {
    struct control *control;
    sd_bus *bus;
    sd_event_source *post;
    bool may_act;            /* root, our own uid, or the control socket's group */
    bool is_root;            /* root or our own uid */
    struct connection *next; /* control::connections */
};

struct control {
    struct manager *manager;
    sd_event_source *accept;
    struct connection *connections;
    struct request *requests;
};

extern const sd_bus_vtable control_vtable[]; /* its userdata is a struct connection */

/* ---- control_calls.c ---- */
/* 0, or an error that says who may. */
int control_may_act(const struct connection *connection, sd_bus_error *error);

/* ---- control_store.c: sd_bus_message_handler_t of a struct connection ---- */
int control_look_at_store(sd_bus_message *call, void *userdata, sd_bus_error *error);
int control_act_on_store(sd_bus_message *call, void *userdata, sd_bus_error *error);
/* What hands out or takes in the memory of a service: root only. */
int control_carry_store(sd_bus_message *call, void *userdata, sd_bus_error *error);
int control_import(sd_bus_message *call, void *userdata, sd_bus_error *error);

/* ---- control_wait.c ---- */
/* Keeps `call` until the services in its `waiters` (room for `count`, filled by the caller) have
 * got where `kind` says. Freed by its answer. */
struct request *control_request_new(struct control *control, sd_bus_message *call,
                                    enum wait_kind kind, size_t count);
void control_request_check(struct request *request, const struct unit *unit);
void control_request_answer(struct request *request, const struct unit *unit);
/* All of that for a call about one service. */
int control_wait(struct control *control, sd_bus_message *call, struct unit *unit,
                 enum wait_kind kind, uint64_t number);

/* Drops the calls of a connection that has gone: nobody waits for their answers. */
void control_drop_calls(struct control *control, sd_bus *bus);
