/* manager_state.h - what manager.c (when), manager_dump.c (one dump), manager_settings.c and
 * manager_store.c share. */
#pragma once

#include "ckptd/job.h"
#include "ckptd/manager.h"
#include "ckptd/schedule.h"
#include "ckptd/space.h"
#include "ckptd/upkeep.h"
#include "common/log.h"

struct watch {
    struct ckpt_spec spec;
    struct schedule schedule;
    bool active;     /* the engine of now wants it */
    uint64_t queued; /* place in the queue, 0: not in it */
    uint64_t ticket; /* of the queued dump; 0: periodic */
    struct watch *next;
};

/* A dump that runs, with what must be known after its watch is gone. */
struct run {
    struct job *job;
    uint64_t ticket;
    struct retention_rules rules;
    bool adopted;
    struct run *next;
};

struct manager {
    sd_event *event;
    struct manager_events events;
    struct store *store;
    struct probe *probe;
    struct host host;
    char *worker, *archiver; /* paths of ckpt-worker and ckpt-archive */
    char *criu;              /* as configured; NULL: found by itself */
    char *state_dir, *key_file;
    bool keys_read; /* the store is open with those of key_file */
    uint64_t reserve, max_bytes, scrub_usec, stall_usec;
    struct watch *watches;
    struct run *runs; /* one of ours at most; adopted ones beside it */
    sd_event_source *timer, *queue;
    uint64_t last_place, last_ticket;
    struct upkeep *upkeep;
    bool stopping;
};

/* manager.c */
struct watch *manager_find_active(const struct manager *manager, const char *name);
void manager_arm_timer(struct manager *manager);
void manager_wake_queue(struct manager *manager);
void manager_tell(struct manager *manager, const struct outcome *outcome);
uint64_t watch_dequeue(struct watch *w); /* returns the ticket it had */
void manager_on_criu_known(void *userdata);

/* manager_dump.c */
void manager_start_dump(struct manager *manager, struct watch *w);
int manager_look_after_leftovers(struct manager *manager);
void manager_prune(struct manager *manager, const char *name, const struct retention_rules *rules);
void run_free(struct run *run);

/* manager_store.c */
struct space_limits manager_space_limits(const struct manager *manager,
                                         const struct retention_rules *rules);
