/* manager.h - brings store, schedule, probe and jobs together: which dump runs when, and what
 * follows.
 *
 * One dump at a time on the whole host: dumps are bound by I/O, two at once freeze both longer. */
#pragma once

#include "ckptd/probe.h"
#include "ckptd/select.h"
#include "ckptd/store.h"
#include "common/ckpt_spec.h"
#include "common/reason.h"

#include <stdbool.h>
#include <systemd/sd-event.h>

struct manager;

/* A dump has ended, or a queued one was dropped. */
struct outcome {
    const char *name;
    uint64_t ticket;                     /* of manager_checkpoint(); 0: nobody asked for it */
    const struct checkpoint *checkpoint; /* NULL: it failed, and `reason` says why */
    const struct reason *reason;
    bool dropped; /* it never began, or was none */
};

struct manager_events {
    void (*ended)(const struct outcome *outcome, void *userdata);
    void (*criu_known)(void *userdata); /* the self-test has ended */
    void *userdata;
};

struct manager_options {
    const char *state_dir;
    uint64_t stall_usec; /* of the no-progress watchdog */
};

/* Opens the store, takes over workers that still run, sweeps what dead ones left. */
int manager_new(sd_event *event, const struct manager_options *options,
                const struct manager_events *events, struct manager **ret);
/* Workers go on by themselves. */
struct manager *manager_free(struct manager *manager);

/* The daemon's settings; strings "" or NULL: the default. */
struct manager_settings {
    const char *criu;     /* found by itself */
    uint64_t reserve;     /* bytes, 0: 5 % of the file system */
    const char *key_file; /* STATE/store.keys */
    uint64_t max_bytes;   /* of all services together, 0: no limit */
    uint64_t scrub_usec;  /* each checkpoint is hashed again that often, 0: never */
};

/* Opens the store with its keys, and tests criu unless that one is known already. */
int manager_configure(struct manager *manager, const struct manager_settings *settings);

struct store *manager_store(struct manager *manager);
const struct criu_facts *manager_criu(const struct manager *manager);
const struct host *manager_host(const struct manager *manager);
const char *manager_key_file(const struct manager *manager);
uint64_t manager_stall_usec(const struct manager *manager);
struct select_context manager_select_context(struct manager *manager);

/* Takes the spec's strings over. A watch of the same process keeps the time of its next dump. */
int manager_watch(struct manager *manager, struct ckpt_spec *spec);
/* Drops what is queued. MANAGER_BUSY: a dump of it still runs; ask manager_is_dumping() after the
 * next outcome. */
enum { MANAGER_BUSY = 1 };
int manager_unwatch(struct manager *manager, const char *name);
bool manager_is_dumping(const struct manager *manager, const char *name);

/* What workers found out: results of the modes verify and drill. */
void manager_learn_verified(struct manager *manager, const char *json);
/* Something is wrong with it or with a parent: its chain is hashed next. */
void manager_doubt(struct manager *manager, const char *name, uint64_t number);
void manager_learn_drilled(struct manager *manager, const char *id, const char *json);

/* Removes what retention does not want, of one service or (name "") of all; *ret_json lists it. */
int manager_prune_now(struct manager *manager, const char *name, bool dry_run, char **ret_json);

/* Bytes that may be written without touching the reserve. */
int manager_room(const struct manager *manager, uint64_t *ret);

/* The new key seals from now on. */
int manager_rotate_key(struct manager *manager, char ret_id[KEYS_ID_SIZE]);

/* The engine is gone: its watches sleep until they are asked for again. */
void manager_forget_engine(struct manager *manager);

/* Begin no more dumps. */
void manager_stop(struct manager *manager);

/* The spec of a watched service, NULL when it is not watched. */
const struct ckpt_spec *manager_watched(const struct manager *manager, const char *name);

/* Queues a dump. Its outcome carries the ticket. -ESRCH: not watched. */
int manager_checkpoint(struct manager *manager, const char *name, uint64_t *ret_ticket);
