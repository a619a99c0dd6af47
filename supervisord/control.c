/* control.c - who is connected to RUNTIME/control.sock, and what they may do. */
#include "supervisord/control.h"

#include "common/cleanup.h"
#include "common/log.h"
#include "common/peer.h"
#include "common/wire.h"

#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

static struct connection *connection_free(struct connection *connection)
{
    if (!connection)
        return NULL;
    for (struct connection **c = &connection->control->connections; *c; c = &(*c)->next)
        if (*c == connection) {
            *c = connection->next;
            break;
        }
    control_drop_calls(connection->control, connection->bus);
    sd_event_source_disable_unref(connection->post);
    peer_close(connection->bus);
    free(connection);
    return NULL;
}

static int on_gone(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
    connection_free(userdata);
    return 0;
}

static bool peer_has_group(int fd, gid_t primary, gid_t wanted)
{
    gid_t groups[256];
    socklen_t size = sizeof(groups);

    if (primary == wanted)
        return true;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0)
        return false;
    for (size_t i = 0; i < size / sizeof(gid_t); i++)
        if (groups[i] == wanted)
            return true;
    return false;
}

/* Rights come from the transport (unix(7) SO_PEERCRED), never from what a message says of itself.
 */
static void learn_rights(const struct manager *m, int fd, struct connection *connection)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);
    const struct group *group;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        return;
    connection->is_root = peer.uid == 0 || peer.uid == geteuid();
    group = m->settings.control_group ? getgrnam(m->settings.control_group) : NULL;
    connection->may_act =
        connection->is_root || (group && peer_has_group(fd, peer.gid, group->gr_gid));
}

static int connection_new(struct control *control, int fd)
{
    struct connection *connection = calloc(1, sizeof(*connection));
    int r;

    if (!connection) {
        fd_close(fd);
        return -ENOMEM;
    }
    connection->control = control;
    connection->next = control->connections;
    control->connections = connection;
    learn_rights(control->manager, fd, connection);
    if ((r = peer_new_server(fd, &connection->bus)) < 0 ||
        (r = sd_bus_add_object_vtable(connection->bus, NULL, CONTROL_PATH, CONTROL_IFACE,
                                      control_vtable, connection)) < 0 ||
        (r = peer_start(connection->bus, control->manager->event, on_gone, connection,
                        &connection->post)) < 0)
        connection_free(connection);
    return r;
}

static int on_connect(sd_event_source *source, int listen_fd, uint32_t revents, void *userdata)
{
    int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), r;

    if (fd < 0)
        return 0;
    r = connection_new(userdata, fd);
    if (r < 0)
        log_warning("cannot take a control connection: %s, ignoring it", strerror(-r));
    return 0;
}

/* ControlGroup= may act, ControlMode= says who may connect and look. */
static int set_access(const struct manager *m)
{
    _cleanup_free_ char *path = NULL;
    const struct group *group = NULL;

    if (asprintf(&path, "%s/%s", m->dirs->runtime, DIRS_CONTROL_SOCK) < 0)
        return -ENOMEM;
    if (m->settings.control_group && !(group = getgrnam(m->settings.control_group)))
        log_error("ControlGroup=%s does not exist; only root may act", m->settings.control_group);
    if (group && chown(path, (uid_t)-1, group->gr_gid) < 0)
        return -errno;
    return chmod(path, (mode_t)m->settings.control_mode) < 0 ? -errno : 0;
}

int control_open(struct manager *m, int listen_fd, struct control **ret)
{
    _cleanup_free_ struct control *control = calloc(1, sizeof(*control));
    int r;

    if (!control)
        return -ENOMEM;
    control->manager = m;
    r = set_access(m);
    if (r < 0)
        log_warning("cannot set the access of the control socket: %s, ignoring", strerror(-r));
    r = sd_event_add_io(m->event, &control->accept, listen_fd, EPOLLIN, on_connect, control);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(control);
    return 0;
}

struct control *control_free(struct control *control)
{
    if (!control)
        return NULL;
    while (control->connections)
        connection_free(control->connections);
    sd_event_source_disable_unref(control->accept);
    free(control);
    return NULL;
}
