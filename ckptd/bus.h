/* bus.h - ckptd's side of the checkpoint interface (common/wire.h): translation, no decisions. */
#pragma once

#include "ckptd/manager.h"

struct bus_server;

int bus_server_new(sd_event *event, struct bus_server **ret);
struct bus_server *bus_server_free(struct bus_server *server);

/* What the manager tells goes to the engine of now; give these to manager_new(), then the manager.
 */
struct manager_events bus_server_events(struct bus_server *server);
void bus_server_set_manager(struct bus_server *server, struct manager *manager);

/* A new engine's socket (taken over, on failure too) replaces the old engine. -EPERM: of a
 * stranger. */
int bus_server_connect(struct bus_server *server, int fd);
