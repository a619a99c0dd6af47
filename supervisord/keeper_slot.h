/* keeper_slot.h - the keeper's table: one slot per service, in memory and as one page each of
 * STATE/keeper.table, so that a single write(2) changes a slot whole or not at all. */
#pragma once

#include "common/proc.h"
#include "supervisord/keeper_cgroup.h"
#include "supervisord/keeper_child.h"
#include "supervisord/keeper_proto.h"
#include "supervisord/pump.h"

#include <stdbool.h>
#include <systemd/sd-event.h>

enum {
    SLOT_PAGE = 4096,
    SLOTS_MAX = 1024,
    SLOT_TARGET_MAX = 1000, /* bytes of a log's path, NUL included */
};

/* What survives our own death. `record` is what the engine is told as KEEPER_SLOT. */
struct slot_saved {
    struct keeper_record record; /* .state, .pid..., .request: the last request and its .outcome */
    uint32_t begun_by;           /* KEEPER_SPAWN or KEEPER_RESTORE: how .request started it */
    int32_t leader;              /* process group of the service where it has no cgroup */
    int32_t worker_pid;          /* RESTORING */
    uint64_t worker_start_time;
    uint64_t started_usec;         /* CLOCK_BOOTTIME of SPAWNED or RESTORED */
    uint32_t stream[STREAM_COUNT]; /* enum stream_kind */
    char target[STREAM_COUNT][SLOT_TARGET_MAX];
};
_Static_assert(sizeof(struct slot_saved) <= SLOT_PAGE, "a slot is one page");

struct table_header {
    uint32_t magic;     /* KEEPER_MAGIC */
    uint32_t slot_size; /* sizeof(struct slot_saved) */
    char boot_id[BOOT_ID_LEN + 1];
    struct proc_id keeper, engine, ckptd;
};

struct keeper;

struct slot {
    struct slot_saved saved;
    struct keeper *keeper;
    unsigned index;
    uint32_t pending; /* PENDING_*: records the engine has not been sent yet */
    uint64_t refused_request;
    int refused_errno;
    int pidfd;             /* of the main process; -1 none */
    int status_fd;         /* SPAWNING: struct child_failure or end of file */
    int report_fd;         /* RESTORING: struct worker_report */
    uint64_t begun_usec;   /* RESTORING: when the worker was forked */
    uint64_t status_until; /* when we stop asking for an exit status; 0: not asking */
    sd_event_source *status_source;
    sd_event_source *pidfd_source; /* a main process that is not our child */
    sd_event_source *empty_source;
    sd_event_source *timer;          /* RESTORING: last resort; else: exit status not known yet */
    struct pump *pump[STREAM_COUNT]; /* NULL: no pipe, or the same as the one before */
};

struct table {
    int fd;
    struct table_header header;
    struct slot *slots[SLOTS_MAX];
    unsigned count; /* used entries of `slots` are below it; some may be NULL */
};

/* Opens or makes the file. TABLE_OLD: it was of another boot or layout and has been emptied.
 * *ret_previous is its header as found (all zero when there was none). */
enum { TABLE_OLD = 1 };
int table_open(struct table *table, int state_dirfd, struct table_header *ret_previous);
int table_load(struct table *table); /* the slots; their runtime part is empty */
int table_save_header(struct table *table);
void table_done(struct table *table);

struct slot *table_find(struct table *table, const char *name);
int table_add(struct table *table, const char *name, struct slot **ret); /* -ENOSPC when full */
struct slot *table_drop(struct table *table, struct slot *slot);         /* also in the file */

int slot_save(struct table *table, const struct slot *slot);
void slot_close_process(struct slot *slot); /* pidfd, sources, pipes of a spawn or restore */
struct family slot_family(const struct slot *slot);
