/* peer.h - sd-bus peer to peer: a bus over a connected socket, attached to an event loop. */
#pragma once

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

/* Server side over `fd` (owned by the bus from now on). Adds org.freedesktop.DBus.Hello and
 * friends, so that busctl --address= works, and a post source against sd-bus's lost wake-up when a
 * client pipelines BEGIN and its first message. The caller adds its vtables before peer_start(). */
int peer_new_server(int fd, sd_bus **ret);

/* Client side over `fd` (owned by the bus from now on). */
int peer_new_client(int fd, sd_bus **ret);

/* Starts and attaches it. `on_gone` is called once when the peer has disconnected; the bus is still
 * valid in it. `ret_post` (may be NULL for clients) is the post source: drop it with the bus. */
int peer_start(sd_bus *bus, sd_event *event, sd_bus_message_handler_t on_gone, void *userdata,
               sd_event_source **ret_post);

/* Connects to a control socket and waits until it is ready; for the command line. */
int peer_connect(const char *socket_path, sd_bus **ret);

/* Detaches and closes; NULL ok; returns NULL. */
sd_bus *peer_close(sd_bus *bus);
