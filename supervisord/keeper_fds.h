/* keeper_fds.h - the descriptors with which the keeper starts the engine. */
#pragma once

enum {
    ENGINE_FD_KEEPER = 3,  /* SOCK_SEQPACKET, keeper_proto.h; non-blocking */
    ENGINE_FD_CONTROL = 4, /* listening stream socket RUNTIME/control.sock */
    ENGINE_FD_NOTIFY = 5,  /* datagram socket RUNTIME/notify.sock, SO_PASSCRED */
};
