/* peer.c - sd-bus without a broker: a socket, a loop, and the two things busctl and libdbus need.
 */
#include "common/peer.h"

#include "common/cleanup.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-id128.h>

/* busctl --address= and every other bus client says Hello to the broker first; a one-connection bus
 * answers for itself. */
static int reply_hello(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    return sd_bus_reply_method_return(m, "s", ":1.1");
}

static int reply_names(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    return sd_bus_reply_method_return(m, "as", 1, "org.freedesktop.DBus");
}

static int reply_owner(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    return sd_bus_reply_method_return(m, "s", ":1.0");
}

static int reply_yes(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    return sd_bus_reply_method_return(m, "b", 1);
}

static int reply_nothing(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    return sd_bus_reply_method_return(m, "");
}

static const sd_bus_vtable broker_vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD("Hello", "", "s", reply_hello, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("ListNames", "", "as", reply_names, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("ListActivatableNames", "", "as", reply_names, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("GetNameOwner", "s", "s", reply_owner, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("NameHasOwner", "s", "b", reply_yes, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("AddMatch", "s", "", reply_nothing, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("RemoveMatch", "s", "", reply_nothing, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_VTABLE_END,
};

int peer_new_server(int fd, sd_bus **ret)
{
    _cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;
    sd_id128_t id;
    int r;

    r = sd_id128_randomize(&id);
    if (r < 0 || (r = sd_bus_new(&bus)) < 0 || (r = sd_bus_set_fd(bus, fd, fd)) < 0) {
        fd_close(fd);
        return r;
    }
    /* Anonymous: the transport's peer credentials decide, not the SASL user of the client. */
    if ((r = sd_bus_set_server(bus, 1, id)) < 0 || (r = sd_bus_set_anonymous(bus, 1)) < 0 ||
        (r = sd_bus_negotiate_creds(bus, 1, SD_BUS_CREDS_EUID | SD_BUS_CREDS_PID)) < 0 ||
        (r = sd_bus_add_object_vtable(bus, NULL, "/org/freedesktop/DBus", "org.freedesktop.DBus",
                                      broker_vtable, NULL)) < 0)
        return r;
    *ret = TAKE_PTR(bus);
    return 0;
}

int peer_new_client(int fd, sd_bus **ret)
{
    _cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;
    int r;

    if ((r = sd_bus_new(&bus)) < 0 || (r = sd_bus_set_fd(bus, fd, fd)) < 0) {
        fd_close(fd);
        return r;
    }
    *ret = TAKE_PTR(bus);
    return 0;
}

/* Bytes that arrived together with the end of authentication wait in sd-bus's buffer without any
 * event; processing after every loop iteration finds them. */
static int process_buffered(sd_event_source *source, void *userdata)
{
    _cleanup_(sd_bus_unrefp) sd_bus *bus = sd_bus_ref(userdata);

    for (unsigned n = 0; n < 64 && sd_bus_is_open(bus) > 0 && sd_bus_process(bus, NULL) > 0; n++)
        ;
    return 0;
}

int peer_start(sd_bus *bus, sd_event *event, sd_bus_message_handler_t on_gone, void *userdata,
               sd_event_source **ret_post)
{
    int r;

    r = sd_bus_match_signal(bus, NULL, "org.freedesktop.DBus.Local", "/org/freedesktop/DBus/Local",
                            "org.freedesktop.DBus.Local", "Disconnected", on_gone, userdata);
    if (r < 0 || (r = sd_bus_start(bus)) < 0 || (r = sd_bus_attach_event(bus, event, 0)) < 0)
        return r;
    return ret_post ? sd_event_add_post(event, ret_post, process_buffered, bus) : 0;
}

int peer_connect(const char *socket_path, sd_bus **ret)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    _cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;
    _cleanup_close_ int fd = -1;
    int r;

    /* Connected here, not by sd-bus: its address syntax would need escaping of the path. */
    if (strlen(socket_path) >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    memcpy(address.sun_path, socket_path, strlen(socket_path) + 1);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return -errno;
    r = peer_new_client(TAKE_FD(fd), &bus);
    if (r < 0 || (r = sd_bus_start(bus)) < 0)
        return r;
    *ret = TAKE_PTR(bus);
    return 0;
}

sd_bus *peer_close(sd_bus *bus)
{
    if (!bus)
        return NULL;
    (void)sd_bus_detach_event(bus);
    return sd_bus_flush_close_unref(bus);
}
