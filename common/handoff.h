/* handoff.h - the keeper's channel to ckptd: a bus socket for each new engine, and "finish". */
#pragma once

#include <stdint.h>

enum { HANDOFF_FD = 3 }; /* SOCK_SEQPACKET, non-blocking, open in ckptd when it starts */

enum handoff_type {
    HANDOFF_PEER =
        1, /* + stream socket to a new engine: speak sd-bus as its server (common/peer.h) */
    HANDOFF_TERMINATE, /* the instance stops: begin no more dumps. End of file follows: exit. */
};

/* Sends one record (+ fd unless -1). -EAGAIN when the queue is full. */
int handoff_send(int sock, enum handoff_type type, int fd);

/* Receives one. *ret_fd is a new descriptor or -1. HANDOFF_GONE at end of file: the keeper is gone,
 * ckptd exits. -EAGAIN when nothing is there, -EBADMSG for a record of a wrong shape. */
enum { HANDOFF_GONE = 1 };
int handoff_receive(int sock, enum handoff_type *ret_type, int *ret_fd);
