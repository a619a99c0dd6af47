/* stats.c - picks the dump's times out of CRIU's stats-dump. */
#include "image/stats.h"

#include "common/cleanup.h"
#include "common/fs.h"
#include "image/pb.h"

#include <errno.h>
#include <stdbool.h>

#define STATS_MAX (64 * 1024)

/* dump_stats_entry */
enum { FREEZING = 1, FROZEN = 2, MEMDUMP = 3, MEMWRITE = 4, PAGES_WRITTEN = 7 };

static int parse_dump(struct pb message, struct dump_stats *ret)
{
    struct dump_stats stats = {0};
    struct pb_field field;
    bool frozen = false;
    int r;

    while ((r = pb_next(&message, &field)) > 0) {
        switch (field.number) {
        case FREEZING:
            stats.freezing_usec = field.value;
            break;
        case FROZEN:
            stats.frozen_usec = field.value;
            frozen = true;
            break;
        case MEMDUMP:
            stats.memdump_usec = field.value;
            break;
        case MEMWRITE:
            stats.memwrite_usec = field.value;
            break;
        case PAGES_WRITTEN:
            stats.pages_written = field.value;
            break;
        }
    }
    if (r < 0)
        return r;
    if (!frozen)
        return -EBADMSG;
    *ret = stats;
    return 0;
}

int stats_dump_parse(const void *data, size_t size, struct dump_stats *ret)
{
    struct pb records, message;
    struct pb_field field;
    int r;

    r = pb_image(data, size, &records);
    if (r < 0)
        return r;
    if (pb_next_record(&records, &message) != 1)
        return -EBADMSG;
    while ((r = pb_next(&message, &field)) > 0)
        if (field.number == 1) /* stats_entry.dump */
            return parse_dump(field.bytes, ret);
    return -EBADMSG;
}

int stats_dump_read(int dirfd, struct dump_stats *ret)
{
    _cleanup_free_ char *data = NULL;
    size_t size;
    int r;

    r = fs_read(dirfd, STATS_DUMP_FILE, STATS_MAX, &data, &size);
    if (r < 0)
        return r;
    return stats_dump_parse(data, size, ret);
}
