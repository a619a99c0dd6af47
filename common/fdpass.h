/* fdpass.h - one fixed-size record and at most one descriptor over a SOCK_SEQPACKET socket. */
#pragma once

#include <stddef.h>

/* Sends the record whole (+ fd unless -1), never blocking: -EAGAIN when the queue is full. */
int fdpass_send(int sock, const void *record, size_t size, int fd);

/* Receives one, never blocking. *ret_fd is a new descriptor (O_CLOEXEC) or -1; any more that the
 * peer sent are closed. FDPASS_GONE at end of file or a broken connection, -EBADMSG when the record
 * has not exactly `size` bytes, -EAGAIN when nothing is there. */
enum { FDPASS_GONE = 1 };
int fdpass_receive(int sock, void *ret_record, size_t size, int *ret_fd);
