/* keeper_slot.c - the keeper's table in memory and in STATE/keeper.table. */
#include "supervisord/keeper_slot.h"

#include "common/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* One page-sized, page-aligned write: the page cache takes it under one lock, so a kill -9 leaves
 * the old page or the new one. Power loss needs no thought: the table is of one boot. */
static int write_page(int fd, unsigned index, const void *data, size_t size)
{
    char page[SLOT_PAGE] = {0};
    ssize_t n;

    memcpy(page, data, size);
    n = pwrite(fd, page, sizeof(page), (off_t)index * SLOT_PAGE);
    return n < 0 ? -errno : n == SLOT_PAGE ? 0 : -ENOSPC;
}

static struct slot *slot_free(struct slot *slot)
{
    if (!slot)
        return NULL;
    slot_close_process(slot);
    sd_event_source_disable_unref(slot->empty_source);
    for (int i = 0; i < STREAM_COUNT; i++)
        pump_free(slot->pump[i]);
    free(slot);
    return NULL;
}

static struct slot *slot_new(unsigned index)
{
    struct slot *slot = calloc(1, sizeof(*slot));

    if (slot) {
        slot->index = index;
        slot->pidfd = slot->status_fd = slot->report_fd = -1;
    }
    return slot;
}

int table_open(struct table *table, int state_dirfd, struct table_header *ret_previous)
{
    struct table_header previous = {0}, *own = &table->header;
    int r;

    *table = (struct table){.fd = -1};
    own->magic = KEEPER_MAGIC;
    own->slot_size = sizeof(struct slot_saved);
    r = proc_boot_id(own->boot_id);
    if (r < 0)
        return r;
    table->fd = openat(state_dirfd, DIRS_TABLE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (table->fd < 0)
        return -errno;
    if (pread(table->fd, &previous, sizeof(previous), 0) <= 0) {
        *ret_previous = (struct table_header){0};
        return 0;
    }
    if (previous.magic == own->magic && previous.slot_size == own->slot_size &&
        memcmp(previous.boot_id, own->boot_id, sizeof(own->boot_id)) == 0) {
        *ret_previous = previous;
        return 0;
    }
    if (ftruncate(table->fd, 0) < 0)
        return -errno;
    *ret_previous = (struct table_header){0};
    return TABLE_OLD;
}

static bool saved_is_valid(const struct slot_saved *saved)
{
    const struct keeper_record *record = &saved->record;

    if (record->magic != KEEPER_MAGIC || record->state == SLOT_FREE ||
        record->state > SLOT_CLEARING || !memchr(record->name, '\0', sizeof(record->name)) ||
        !service_name_is_valid(record->name) || !memchr(record->text, '\0', sizeof(record->text)) ||
        !memchr(record->cgroup, '\0', sizeof(record->cgroup)))
        return false;
    for (int i = 0; i < STREAM_COUNT; i++)
        if (saved->stream[i] > STREAM_SAME ||
            !memchr(saved->target[i], '\0', sizeof(saved->target[i])))
            return false;
    return true;
}

int table_load(struct table *table)
{
    for (unsigned i = 0; i < SLOTS_MAX; i++) {
        struct slot_saved saved;
        ssize_t n = pread(table->fd, &saved, sizeof(saved), (off_t)(i + 1) * SLOT_PAGE);

        if (n < 0)
            return -errno;
        if (n < (ssize_t)sizeof(saved))
            break;
        if (!saved_is_valid(&saved))
            continue;
        table->slots[i] = slot_new(i);
        if (!table->slots[i])
            return -ENOMEM;
        table->slots[i]->saved = saved;
        table->count = i + 1;
    }
    return 0;
}

int table_save_header(struct table *table)
{
    return write_page(table->fd, 0, &table->header, sizeof(table->header));
}

void table_done(struct table *table)
{
    for (unsigned i = 0; i < table->count; i++)
        table->slots[i] = slot_free(table->slots[i]);
    table->count = 0;
    table->fd = fd_close(table->fd);
}

struct slot *table_find(struct table *table, const char *name)
{
    for (unsigned i = 0; i < table->count; i++)
        if (table->slots[i] && strcmp(table->slots[i]->saved.record.name, name) == 0)
            return table->slots[i];
    return NULL;
}

int table_add(struct table *table, const char *name, struct slot **ret)
{
    unsigned index = 0;
    struct slot *slot;

    while (index < SLOTS_MAX && table->slots[index])
        index++;
    if (index == SLOTS_MAX)
        return -ENOSPC;
    slot = slot_new(index);
    if (!slot)
        return -ENOMEM;
    slot->saved.record = keeper_record(KEEPER_SLOT, 0, name);
    slot->saved.record.state = SLOT_DOWN;
    table->slots[index] = slot;
    if (table->count <= index)
        table->count = index + 1;
    *ret = slot;
    return 0;
}

struct slot *table_drop(struct table *table, struct slot *slot)
{
    static const struct slot_saved nothing = {.record.state = SLOT_FREE};

    (void)write_page(table->fd, slot->index + 1, &nothing, sizeof(nothing));
    table->slots[slot->index] = NULL;
    return slot_free(slot);
}

int slot_save(struct table *table, const struct slot *slot)
{
    return write_page(table->fd, slot->index + 1, &slot->saved, sizeof(slot->saved));
}

void slot_close_process(struct slot *slot)
{
    slot->status_source = sd_event_source_disable_unref(slot->status_source);
    slot->pidfd_source = sd_event_source_disable_unref(slot->pidfd_source);
    slot->timer = sd_event_source_disable_unref(slot->timer);
    slot->pidfd = fd_close(slot->pidfd);
    slot->status_fd = fd_close(slot->status_fd);
    slot->report_fd = fd_close(slot->report_fd);
}

struct family slot_family(const struct slot *slot)
{
    return (struct family){.cgroup = slot->saved.record.cgroup, .leader = slot->saved.leader};
}
