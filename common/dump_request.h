/* dump_request.h - the sealed memfd through which ckptd tells a dump worker what to dump.
 *
 * What only ckptd acts on does not travel: interval, retention and drill_every read back as 0. The
 * form is private to one build: ckptd and its workers are installed
 * together. */
#pragma once

#include "common/ckpt_spec.h"

#define DUMP_REQUEST_MAX (64 * 1024) /* bytes; hooks and snapshot paths are the only long parts */

/* A new memfd, sealed against every change (memfd_create(2), F_ADD_SEALS); the caller closes it. It
 * is close-on-exec: clear that in the child. -E2BIG when a hook's command line is too long. */
int dump_request_pack(const struct ckpt_spec *spec, int *ret_fd);

/* Reads it from the start, whatever the file offset. -EBADMSG when it is not a request of this
 * build. */
int dump_request_read(int fd, struct ckpt_spec *ret_spec);
