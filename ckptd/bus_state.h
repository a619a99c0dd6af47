/* bus_state.h - what bus.c (the connection, calls that wait) and bus_calls.c (the methods) share.
 */
#pragma once

#include "ckptd/bus.h"
#include "common/wire.h"

#include <stdint.h>
#include <systemd/sd-bus.h>

/* A call that is answered later. */
struct pending {
    sd_bus_message *call;
    char *name;                     /* of the service; NULL: waits until criu is known */
    uint64_t ticket;                /* of a dump; 0: waits until no dump of `name` runs */
    sd_bus_message_handler_t again; /* asked again when criu is known */
    struct pending *next;
};

struct bus_server {
    sd_event *event;
    struct manager *manager;
    sd_bus *bus;
    sd_event_source *post;
    struct pending *pending;
    struct errand *errands; /* the store's commands that run */
};

/* bus.c: an error of `reason`; the call is answered by a later outcome, or asked again. */
int bus_fail(sd_bus_error *error, const char *name, const struct reason *reason);
int bus_wait_for(struct bus_server *server, sd_bus_message *call, const char *name, uint64_t ticket,
                 sd_bus_message_handler_t again);

/* bus_calls.c */
extern const sd_bus_vtable bus_vtable[];

/* bus_store.c: sd_bus_message_handler_t */
int bus_verify(sd_bus_message *m, void *userdata, sd_bus_error *error);
int bus_describe(sd_bus_message *m, void *userdata, sd_bus_error *error);
int bus_diff(sd_bus_message *m, void *userdata, sd_bus_error *error);
int bus_pin(sd_bus_message *m, void *userdata, sd_bus_error *error);
int bus_prune(sd_bus_message *m, void *userdata, sd_bus_error *error);
int bus_drill(sd_bus_message *m, void *userdata, sd_bus_error *error);
int bus_rotate_key(sd_bus_message *m, void *userdata, sd_bus_error *error);
int bus_unpack(sd_bus_message *m, void *userdata, sd_bus_error *error);
int bus_export(sd_bus_message *m, void *userdata, sd_bus_error *error);
int bus_import(sd_bus_message *m, void *userdata, sd_bus_error *error);
/* The engine is gone: they go on, and what they find out is learnt all the same. */
void bus_detach_errands(struct bus_server *server);
void bus_drop_errands(struct bus_server *server);
