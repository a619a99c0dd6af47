/* record.c - the durable part of a service as a file. */
#include "supervisord/record.h"

#include "common/cleanup.h"
#include "common/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char *file_of(const char *name)
{
    char *file;

    return asprintf(&file, "%s.state", name) < 0 ? NULL : file;
}

int record_read(int dirfd, const char *name, struct record *ret)
{
    _cleanup_free_ char *file = file_of(name), *data = NULL;
    struct record record;
    size_t size;
    int r;

    if (!file)
        return -ENOMEM;
    r = fs_read(dirfd, file, 1 << 16, &data, &size);
    if (r == -ENOENT)
        return RECORD_NONE;
    if (r < 0)
        return r;
    if (size != sizeof(record))
        return RECORD_NONE;
    memcpy(&record, data, sizeof(record));
    if (record.magic != RECORD_MAGIC || record.size != sizeof(record) ||
        record.state >= SERVICE_STATE_COUNT || record.goal > GOAL_MANUAL)
        return RECORD_NONE;
    record.boot_id[BOOT_ID_LEN] = '\0';
    record.recovered_from[sizeof(record.recovered_from) - 1] = '\0';
    record.error[sizeof(record.error) - 1] = '\0';
    *ret = record;
    return 0;
}

/* Within one page of the page cache a write is whole or not begun for whoever reads after our
 * death. In place and not by rename, because an unsynced rename can leave an empty file after a
 * power loss, and with it would go the wish, which does not change here; and because it needs no
 * free space. */
_Static_assert(sizeof(struct record) <= 4096, "a record is one page");

static int write_in_place(int dirfd, const char *file, const struct record *record)
{
    _cleanup_close_ int fd = openat(dirfd, file, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (st.st_size != sizeof(*record))
        return -ENOENT;
    return pwrite(fd, record, sizeof(*record), 0) == sizeof(*record) ? 0 : -EIO;
}

int record_write(int dirfd, const char *name, const struct record *record, bool durable)
{
    _cleanup_free_ char *file = file_of(name);

    if (!file)
        return -ENOMEM;
    if (!durable && write_in_place(dirfd, file, record) == 0)
        return 0;
    return fs_replace(dirfd, file, record, sizeof(*record), 0600);
}

int record_remove(int dirfd, const char *name)
{
    _cleanup_free_ char *file = file_of(name);

    return file ? fs_remove_all(dirfd, file) : -ENOMEM;
}

/* Is a time not after a recorded one? Within this boot CLOCK_BOOTTIME tells, which never jumps. */
static bool is_before(uint64_t realtime, uint64_t boot, uint64_t then_realtime, uint64_t then_boot)
{
    if (then_boot)
        return boot <= then_boot;
    return then_realtime && realtime <= then_realtime;
}

bool record_forbids_image(const struct record *record, uint64_t realtime, uint64_t boot)
{
    return is_before(realtime, boot, record->floor_realtime, record->floor_boot);
}

void record_note_branch(struct record *record, uint64_t now_boot, uint64_t now_realtime)
{
    record->branch_number = record->attempt_number;
    record->branch_boot = now_boot;
    record->branch_realtime = now_realtime;
    if (record->attempt_time_realtime <= record->floor_realtime)
        record->floor_boot = record->floor_realtime = 0;
}

bool record_gave_up_image(const struct record *record, uint64_t number, uint64_t realtime,
                          uint64_t boot)
{
    return record->branch_number && number > record->branch_number &&
           is_before(realtime, boot, record->branch_realtime, record->branch_boot);
}

void record_from_service(struct record *record, const struct service *svc)
{
    record->magic = RECORD_MAGIC;
    record->size = sizeof(*record);
    record->desired_up = svc->desired_up;
    record->automatic = svc->automatic;
    record->fall_back = svc->fall_back;
    record->state = svc->state;
    record->goal = svc->goal;
    record->ladder = svc->ladder;
    record->manual_number = svc->manual_number;
    record->attempt_number = svc->attempt_number;
    record->restored_number = svc->restored_number;
    record->early_first = svc->early_first;
    record->early_deaths = svc->early_deaths;
    record->restarts = svc->restarts;
    record->up_since = svc->up_since;
    record->exited_at = svc->exited_at;
    memcpy(record->start_times, svc->start_times, sizeof(record->start_times));
    record->ever_exited = svc->ever_exited;
    record->exit_known = svc->exit.known;
    record->exit_code = svc->exit.code;
    record->exit_status = svc->exit.status;
}

void record_to_service(const struct record *record, bool same_boot, struct service *svc)
{
    svc->desired_up = record->desired_up;
    svc->restarts = record->restarts;
    svc->ever_exited = record->ever_exited;
    svc->exit = (struct service_exit){record->exit_known, record->exit_code, record->exit_status};
    svc->restored_number = record->restored_number;
    if (!same_boot)
        return;
    svc->automatic = record->automatic;
    svc->fall_back = record->fall_back;
    svc->goal = record->goal;
    svc->ladder = record->ladder;
    svc->manual_number = record->manual_number;
    svc->attempt_number = record->attempt_number;
    svc->early_first = record->early_first;
    svc->early_deaths = record->early_deaths;
    svc->up_since = record->up_since;
    svc->exited_at = record->exited_at;
    memcpy(svc->start_times, record->start_times, sizeof(svc->start_times));
}
