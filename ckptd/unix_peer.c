/* unix_peer.c - NETLINK_SOCK_DIAG for unix sockets. */
#include "ckptd/unix_peer.h"

#include "common/cleanup.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#define BUFFER_SIZE 32768 /* "at least 8192", netlink(7) */

struct list {
    struct unix_peer *peers;
    size_t count;
};

static int send_request(int sock)
{
    const struct {
        struct nlmsghdr header;
        struct unix_diag_req request;
    } message = {
        .header = {.nlmsg_len = sizeof(message),
                   .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
        .request = {.sdiag_family = AF_UNIX,
                    .udiag_states = 1 << TCP_ESTABLISHED,
                    .udiag_show = UDIAG_SHOW_PEER},
    };

    return send(sock, &message, sizeof(message), 0) < 0 ? -errno : 0;
}

static int add(struct list *list, uint32_t inode, uint32_t peer)
{
    struct unix_peer *more = realloc(list->peers, (list->count + 1) * sizeof(*more));

    if (!more)
        return -ENOMEM;
    more[list->count++] = (struct unix_peer){inode, peer};
    list->peers = more;
    return 0;
}

static int add_socket(struct list *list, const struct nlmsghdr *header)
{
    const struct unix_diag_msg *socket = NLMSG_DATA(header);
    const struct rtattr *attribute = (const struct rtattr *)(socket + 1);
    int left = (int)(header->nlmsg_len - NLMSG_LENGTH(sizeof(*socket)));

    if (socket->udiag_type != SOCK_STREAM)
        return 0;
    for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left))
        if (attribute->rta_type == UNIX_DIAG_PEER)
            return add(list, socket->udiag_ino, *(const uint32_t *)RTA_DATA(attribute));
    return 0;
}

/* > 0: more is to come. */
static int read_part(int sock, struct list *list)
{
    _Alignas(struct nlmsghdr) char buffer[BUFFER_SIZE];
    ssize_t n = recv(sock, buffer, sizeof(buffer), 0);
    unsigned left = (unsigned)n;

    if (n < 0)
        return -errno;
    for (struct nlmsghdr *h = (struct nlmsghdr *)buffer; NLMSG_OK(h, left);
         h = NLMSG_NEXT(h, left)) {
        int r;

        if (h->nlmsg_type == NLMSG_DONE)
            return 0;
        if (h->nlmsg_type == NLMSG_ERROR)
            return ((const struct nlmsgerr *)NLMSG_DATA(h))->error;
        r = add_socket(list, h);
        if (r < 0)
            return r;
    }
    return 1;
}

int unix_peers_read(struct unix_peer **ret_peers, size_t *ret_count)
{
    _cleanup_close_ int sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    struct list list = {};
    int r;

    if (sock < 0)
        return -errno;
    r = send_request(sock);
    while (r >= 0 && (r = read_part(sock, &list)) > 0)
        ;
    if (r < 0) {
        free(list.peers);
        return r;
    }
    *ret_peers = list.peers;
    *ret_count = list.count;
    return 0;
}
