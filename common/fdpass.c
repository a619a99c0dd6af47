/* fdpass.c - records with a descriptor over SOCK_SEQPACKET; see unix(7), cmsg(3). */
#include "common/fdpass.h"

#include "common/cleanup.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

enum { FDS_MAX = 4 }; /* room for more than the one we take, so that extra ones can be closed */

int fdpass_send(int sock, const void *record, size_t size, int fd)
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec iov = {.iov_base = (void *)record, .iov_len = size};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t n;

    if (fd >= 0) {
        struct cmsghdr *c = &control.align;

        msg.msg_control = control.space;
        msg.msg_controllen = sizeof(control.space);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &fd, sizeof(int));
    }
    do {
        n = sendmsg(sock, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : 0;
}

static int take_first_fd(struct msghdr *msg)
{
    int taken = -1;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        int fds[FDS_MAX];
        size_t bytes;

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        bytes = c->cmsg_len - CMSG_LEN(0);
        memcpy(fds, CMSG_DATA(c), bytes);
        for (size_t i = 0; i < bytes / sizeof(int); i++) {
            if (taken < 0)
                taken = fds[i];
            else
                close(fds[i]);
        }
    }
    return taken;
}

int fdpass_receive(int sock, void *ret_record, size_t size, int *ret_fd)
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(FDS_MAX * sizeof(int))];
    } control;
    struct iovec iov = {.iov_base = ret_record, .iov_len = size};
    struct msghdr msg = {
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = control.space,
        .msg_controllen = sizeof(control.space),
    };
    _cleanup_close_ int fd = -1;
    ssize_t n;

    do {
        n = recvmsg(sock, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    if (n == 0 || (n < 0 && errno == ECONNRESET))
        return FDPASS_GONE;
    if (n < 0)
        return -errno;
    fd = take_first_fd(&msg);
    if ((size_t)n != size || (msg.msg_flags & MSG_TRUNC))
        return -EBADMSG;
    *ret_fd = TAKE_FD(fd);
    return 0;
}
