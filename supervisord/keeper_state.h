/* keeper_state.h - the keeper's inside, shared by keeper*.c only.
 *
 *   keeper.c          life of the keeper: locks, sockets, signals, the end
 *   keeper_daemon.c   engine and ckptd: start, respawn, connect
 *   keeper_engine.c   the channel to the engine: requests in, pending records out
 *   keeper_service.c  a slot's life: spawn, running, exit, empty
 *   keeper_restore.c  a slot's restore: worker, its word, clearing after a failure
 *   keeper_reap.c     every exit status goes to whom it belongs
 *   keeper_stream.c   pipes and logs of a slot
 *   keeper_adopt.c    what a killed keeper left behind */
#pragma once

#include "supervisord/keeper.h"
#include "supervisord/keeper_slot.h"

enum {
    DAEMON_BURST = 6,        /* starts, the first one included, ... */
    DAEMON_BURST_MSEC = 150, /* ... within this, so it dies while it starts: then after a second */
    DEAD_MAX = 64,
    RESTORE_LIMIT_SEC = 600, /* the worker watches criu itself; this is the last resort */
    STATUS_WAIT_MSEC = 5000, /* for somebody else to reap a process whose status we want */
    STATUS_TRY_MSEC = 50,
    QUIT_WAIT_SEC = 2,
};

/* Records that the engine has still to be sent; built from the slot when there is room. */
enum {
    PENDING_SLOT = 1 << 0,
    PENDING_STREAM = 1 << 1, /* two bits per stream: pipe, log */
    PENDING_STREAMS = 15 << 1,
    PENDING_STARTED = 1 << 5,
    PENDING_FAILED = 1 << 6,
    PENDING_EXITED = 1 << 7,
    PENDING_EMPTIED = 1 << 8,
    PENDING_REFUSED = 1 << 9,
    /* of the keeper as a whole */
    PENDING_TABLE_END = 1 << 0,
    PENDING_PEER = 1 << 1,
    PENDING_TERMINATE = 1 << 2,
    PENDING_RELOAD = 1 << 3,
};

struct daemon {
    const char *what;
    char *const *argv; /* NULL: not used */
    struct proc_id id; /* pid 0: not running */
    int sock;          /* our end of its channel; -1 none */
    int peer_fd;       /* engine: bus socket to ckptd that it has still to be sent; -1 none */
    sd_event_source *respawn;
    uint64_t started_usec[DAEMON_BURST]; /* ring of the last starts */
    unsigned starts;
};

struct dead { /* a process that belonged to nobody when it was reaped */
    pid_t pid;
    int code, status;
    uint64_t when_usec;
};

struct keeper {
    const struct keeper_config *config;
    sd_event *event;
    int state_dirfd; /* with an exclusive flock */
    int lock_fd;     /* RUNTIME/supervisord.lock, likewise */
    int control_fd, notify_fd;
    struct table table;
    struct daemon engine, ckptd;
    sd_event_source *engine_source;
    uint64_t highest_request;
    uint32_t pending;
    bool engine_full; /* its queue: waiting for room */
    bool ready;       /* the engine has loaded its policies at least once */
    bool terminating, leave_running;
    bool quitting;
    int exit_status;
    struct dead dead[DEAD_MAX]; /* only filled while something is being restored */
    unsigned dead_next;
};

/* keeper.c */
void keeper_quit(struct keeper *k, int exit_status, bool leave_running);
void keeper_daemon_ended(struct keeper *k); /* while quitting: ends the loop after the last one */

/* keeper_daemon.c */
void daemon_start(struct keeper *k, struct daemon *d);
void daemon_gone(struct keeper *k, struct daemon *d, int code, int status);

/* keeper_engine.c */
int engine_attach(struct keeper *k); /* a new engine is at the other end of k->engine.sock */
void engine_detach(struct keeper *k);
void engine_flush(struct keeper *k); /* sends what is pending as far as there is room */
void slot_tell(struct slot *slot, uint32_t pending);

/* keeper_service.c */
int slot_ready_for_start(struct slot *slot, const char *cgroup); /* -EBUSY: it is not all gone */
enum spawn_stage slot_begin(struct slot *slot, uint64_t request, enum keeper_type begun_by,
                            const struct spawn_view *view, int report_fd, int *ret_error);
void slot_spawn(struct slot *slot, uint64_t request, const struct spawn_view *view);
void slot_running(struct slot *slot, pid_t pid, uint64_t start_time);
void slot_main_exited(struct slot *slot, int code, int status, bool known);
void slot_check_empty(struct slot *slot); /* now, and whenever that may have changed */
void slot_acknowledge(struct slot *slot);
int slot_set_main(struct slot *slot, const struct proc_id *id);
int slot_signal(struct slot *slot, int signal, bool group);
int slot_kill(struct slot *slot);
void slot_write_down(struct slot *slot);

/* keeper_restore.c */
int slot_restore(struct slot *slot, uint64_t request, const struct spawn_view *view);
void slot_worker_exited(struct slot *slot, int code, int status);
void slot_clear(struct slot *slot, int result,
                const char *text); /* kill all, then RESTORE_FAILED */
void slot_cleared(struct slot *slot);

/* keeper_reap.c */
void keeper_reap(struct keeper *k);
const struct dead *keeper_find_dead(struct keeper *k, pid_t pid, uint64_t since_usec);
bool is_our_child(pid_t pid);
void slot_watch_main(struct slot *slot); /* pidfd; and its end when it is not our child */

/* keeper_stream.c */
int slot_streams_open(struct slot *slot, const struct spawn_view *view, bool from_start);
int slot_streams_for_child(struct slot *slot, int ret_fds[STREAM_COUNT]);
void slot_streams_drain(struct slot *slot, int wait_ms);
void slot_streams_adopt(struct slot *slot);
void slot_streams_mark(struct slot *slot, const char *text);

/* keeper_adopt.c */
void keeper_end_orphans(const struct table_header *previous);
void keeper_adopt(struct keeper *k);
