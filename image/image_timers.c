/* image_timers.c - mends expired periodic timers in files.img. */
#include "image/image_timers.h"

#include "common/cleanup.h"
#include "common/fs.h"
#include "image/pb.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>

#define FILES_IMG "files.img"
#define FILES_MAX (256u << 20)

/* images/fdinfo.proto file_entry, images/timerfd.proto timerfd_entry */
enum { FILE_ENTRY_TFD = 12, TFD_VSEC = 7, TFD_VNSEC = 8, TFD_ISEC = 9, TFD_INSEC = 10 };

/* Where the nanoseconds of an expired periodic timer stand: its one byte, a varint 0. NULL: the
 * timer needs nothing. */
static int find_expired(struct pb timer, const uint8_t **ret_byte)
{
    const uint8_t *nanoseconds = NULL;
    bool periodic = false, running = false;
    struct pb_field field;
    int r;

    while ((r = pb_next(&timer, &field)) > 0) {
        if (field.number == TFD_VSEC || field.number == TFD_VNSEC)
            running |= field.value != 0;
        if (field.number == TFD_ISEC || field.number == TFD_INSEC)
            periodic |= field.value != 0;
        if (field.number == TFD_VNSEC)
            nanoseconds = timer.p - 1;
    }
    if (r < 0)
        return r;
    *ret_byte = periodic && !running ? nanoseconds : NULL;
    return 0;
}

static int rearm_of_entry(int fd, const char *data, struct pb entry, unsigned *count)
{
    const uint8_t *byte = NULL;
    struct pb_field field;
    int r;

    while ((r = pb_next(&entry, &field)) > 0) {
        if (field.number != FILE_ENTRY_TFD)
            continue;
        r = find_expired(field.bytes, &byte);
        if (r < 0)
            return r;
        if (!byte)
            continue;
        if (pwrite(fd, "\1", 1, byte - (const uint8_t *)data) != 1)
            return -errno;
        ++*count;
    }
    return r;
}

int image_rearm_timers(int dirfd, unsigned *ret_count)
{
    _cleanup_free_ char *data = NULL;
    _cleanup_close_ int fd = -1;
    struct pb records, entry;
    unsigned count = 0;
    size_t size;
    int r;

    r = fs_read(dirfd, FILES_IMG, FILES_MAX, &data, &size);
    if (r < 0 || (r = pb_image(data, size, &records)) < 0)
        return r;
    fd = openat(dirfd, FILES_IMG, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    while ((r = pb_next_record(&records, &entry)) > 0) {
        r = rearm_of_entry(fd, data, entry, &count);
        if (r < 0)
            return r;
    }
    if (r == 0 && ret_count)
        *ret_count = count;
    return r;
}
