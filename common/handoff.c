/* handoff.c - the keeper's channel to ckptd. */
#include "common/handoff.h"

#include "common/cleanup.h"
#include "common/fdpass.h"

#include <errno.h>

#define HANDOFF_MAGIC 0x70726832u

struct handoff {
    uint32_t magic;
    uint32_t type;
};

int handoff_send(int sock, enum handoff_type type, int fd)
{
    struct handoff record = {.magic = HANDOFF_MAGIC, .type = type};

    return fdpass_send(sock, &record, sizeof(record), fd);
}

int handoff_receive(int sock, enum handoff_type *ret_type, int *ret_fd)
{
    _cleanup_close_ int fd = -1;
    struct handoff record;
    int r;

    r = fdpass_receive(sock, &record, sizeof(record), &fd);
    if (r != 0)
        return r == FDPASS_GONE ? HANDOFF_GONE : r;
    if (record.magic != HANDOFF_MAGIC)
        return -EBADMSG;
    *ret_type = record.type;
    *ret_fd = TAKE_FD(fd);
    return 0;
}
