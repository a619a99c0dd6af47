/* keeper_proto.c - sending, receiving and checking the records between engine and keeper. */
#include "supervisord/keeper_proto.h"

#include "common/cleanup.h"
#include "common/fdpass.h"

#include <errno.h>
#include <string.h>

int keeper_send(int sock, const struct keeper_record *record, int fd)
{
    return fdpass_send(sock, record, sizeof(*record), fd);
}

static bool terminated(const char *text, size_t size)
{
    return memchr(text, '\0', size) != NULL;
}

int keeper_receive(int sock, struct keeper_record *ret_record, int *ret_fd)
{
    _cleanup_close_ int fd = -1;
    struct keeper_record record;
    int r;

    r = fdpass_receive(sock, &record, sizeof(record), &fd);
    if (r != 0)
        return r == FDPASS_GONE ? KEEPER_GONE : r;
    if (record.magic != KEEPER_MAGIC || !terminated(record.name, sizeof(record.name)) ||
        !terminated(record.text, sizeof(record.text)) ||
        !terminated(record.cgroup, sizeof(record.cgroup)))
        return -EBADMSG;
    *ret_record = record;
    *ret_fd = TAKE_FD(fd);
    return 0;
}

struct keeper_record keeper_record(enum keeper_type type, uint64_t request, const char *name)
{
    struct keeper_record record = {.magic = KEEPER_MAGIC, .type = type, .request = request};

    if (name)
        strncpy(record.name, name, sizeof(record.name) - 1);
    return record;
}
