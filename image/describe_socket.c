/* describe_socket.c - sockets: family, type, state and addresses as people write them. */
#include "image/describe_parts.h"

#include "common/cleanup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* The kernel's states (include/net/tcp_states.h), which all families use. */
static const char *socket_state(uint64_t state)
{
    static const char *const names[] = {"unknown",    "established", "syn-sent",  "syn-recv",
                                        "fin-wait-1", "fin-wait-2",  "time-wait", "close",
                                        "close-wait", "last-ack",    "listen",    "closing"};

    return names[state < ELEMENTS(names) ? state : 0];
}

/* "tcp", "udp", else by the type of the socket. */
static const char *inet_type(uint64_t type, uint64_t protocol)
{
    if (protocol == IPPROTO_TCP)
        return "tcp";
    if (protocol == IPPROTO_UDP)
        return "udp";
    return type == SOCK_RAW ? "raw" : "other";
}

static const char *unix_type(uint64_t type)
{
    return type == SOCK_STREAM      ? "stream"
           : type == SOCK_DGRAM     ? "dgram"
           : type == SOCK_SEQPACKET ? "seqpacket"
                                    : "other";
}

struct address {
    uint32_t words[4]; /* in network order */
    unsigned count;
    uint64_t port;
};

static void add_word(struct address *address, uint64_t word)
{
    if (address->count < ELEMENTS(address->words))
        address->words[address->count++] = (uint32_t)word;
}

/* "10.0.0.1:80", "[::1]:80". */
static char *address_text(const struct address *address, bool six)
{
    char host[INET6_ADDRSTRLEN];
    char *text;

    if (!inet_ntop(six ? AF_INET6 : AF_INET, address->words, host, sizeof(host)) ||
        asprintf(&text, six ? "[%s]:%u" : "%s:%u", host, (unsigned)(uint16_t)address->port) < 0)
        return NULL;
    return text;
}

int describe_inet(struct pb entry, struct object *object)
{
    struct address local = {0}, remote = {0};
    uint64_t family = 0, type = 0, protocol = 0;
    struct pb_field field;
    int r;

    while ((r = pb_next(&entry, &field)) > 0) {
        switch (field.number) { /* inet_sk_entry */
        case 2:
            object->inode = (uint32_t)field.value;
            break;
        case 3:
            family = field.value;
            break;
        case 4:
            type = field.value;
            break;
        case 5:
            protocol = field.value;
            break;
        case 6:
            object->state = socket_state(field.value);
            break;
        case 7:
            local.port = field.value;
            break;
        case 8:
            remote.port = field.value;
            break;
        case 9:
            object->flags = (uint32_t)field.value;
            break;
        case 11:
            add_word(&local, field.value);
            break;
        case 12:
            add_word(&remote, field.value);
            break;
        }
    }
    if (r < 0)
        return r;
    object->family = family == AF_INET6 ? "inet6" : "inet";
    object->type = inet_type(type, protocol);
    object->local = address_text(&local, family == AF_INET6);
    object->remote = remote.port ? address_text(&remote, family == AF_INET6) : NULL;
    return object->local && (object->remote || !remote.port) ? 0 : -ENOMEM;
}

/* sun_path: NUL first is abstract, shown as '@' (unix(7)); a relative name has its folder apart. */
static char *unix_path(struct pb name, struct pb folder)
{
    _cleanup_free_ char *text = NULL, *dir = NULL;
    char *path;

    if (name.p == name.end)
        return strdup("");
    if (*name.p == '\0') {
        name.p++;
        text = pb_text(name);
        return text && asprintf(&path, "@%s", text) >= 0 ? path : NULL;
    }
    text = pb_text(name);
    dir = pb_text(folder);
    if (!text || !dir || asprintf(&path, "%s%s%s", dir, dir[0] ? "/" : "", text) < 0)
        return NULL;
    return path;
}

int describe_unix(struct pb entry, struct object *object)
{
    struct pb name = {0}, folder = {0};
    struct pb_field field;
    int r;

    while ((r = pb_next(&entry, &field)) > 0) {
        switch (field.number) { /* unix_sk_entry */
        case 2:
            object->inode = (uint32_t)field.value;
            break;
        case 3:
            object->type = unix_type(field.value);
            break;
        case 4:
            object->state = socket_state(field.value);
            break;
        case 5:
            object->flags = (uint32_t)field.value;
            break;
        case 11:
            name = field.bytes;
            break;
        case 14:
            folder = field.bytes;
            break;
        }
    }
    if (r < 0)
        return r;
    object->family = "unix";
    object->path = unix_path(name, folder);
    return object->path ? 0 : -ENOMEM;
}

/* Families of which people want to know little more than that they are there. */
int describe_netlink(struct pb entry, struct object *object)
{
    struct pb_field field;
    int r;

    while ((r = pb_next(&entry, &field)) > 0)
        if (field.number == 2) /* netlink_sk_entry.ino */
            object->inode = (uint32_t)field.value;
        else if (field.number == 6)
            object->flags = (uint32_t)field.value;
    object->family = "netlink";
    return r;
}

int describe_packet(struct pb entry, struct object *object)
{
    struct pb_field field;
    int r;

    while ((r = pb_next(&entry, &field)) > 0)
        if (field.number == 4) /* packet_sock_entry.flags */
            object->flags = (uint32_t)field.value;
    object->family = "packet";
    return r;
}
