/* keeper_proto.h - the fixed records between engine and keeper, one per SOCK_SEQPACKET message.
 *
 * Every request carries a number that only grows (the engine goes on above the highest number of
 * the table it was handed) and the keeper remembers the last one per slot: repeating a request is
 * harmless and is answered with what became of the first. Descriptors travel by SCM_RIGHTS beside
 * the record. The same structs with the same numbers stand in STATE/keeper.table. */
#pragma once

#include "common/ckpt_spec.h" /* STREAM_* */
#include "common/dirs.h"      /* SERVICE_NAME_MAX */

#include <stdint.h>

enum keeper_type {
    /* engine -> keeper */
    KEEPER_SPAWN = 1, /* + sealed memfd with a spawn_spec: fork and execute it */
    KEEPER_RESTORE,   /* + sealed memfd with a spawn_spec of the restore worker */
    KEEPER_SIGNAL,    /* value: signal; flags: KEEPER_TO_GROUP or the main process only */
    KEEPER_KILL,      /* cgroup.kill of everything. EXITED and, when that was without flag EMPTY,
                         EMPTIED follow; EMPTIED at once when nothing runs; in a restore it is
                         RESTORE_FAILED */
    KEEPER_MAIN,      /* pid: main process is now this one (PIDFile=, MAINPID=) */
    KEEPER_ACK,       /* the reported `outcome` (exit status or failure) is recorded by the engine:
                         drop it */
    KEEPER_FORGET, /* the service is gone from the policies: drop slot and pipes (must be empty) */
    KEEPER_MARK,   /* text: append a line of our own to the service's log */
    KEEPER_QUIT,   /* the engine is done and exits by itself (after 2 s it is killed); value: exit
                      status of supervisord. flags:
                      KEEPER_LEAVE_RUNNING: services go on without us (the engine does not exit
                      but pumps their output, orphan.h, until the next keeper ends it) */
    KEEPER_READY,  /* the engine has loaded its policies: tell systemd READY=1 */
    /* keeper -> engine */
    KEEPER_SLOT = 64, /* at start, one per slot: the table */
    KEEPER_TABLE_END, /* request: highest number seen so far; value: 1 when this is a first start of
                         the keeper (not a respawn of the engine) */
    KEEPER_SPAWNED,   /* exec has happened; pid, start_time, pipe_inode */
    KEEPER_SPAWN_FAILED,   /* value: errno; stage: enum spawn_stage */
    KEEPER_RESTORED,       /* pid, start_time, pipe_inode; when_usec */
    KEEPER_RESTORE_FAILED, /* value: enum worker_result; text: message\ncure. Nothing is left. */
    KEEPER_EXITED,    /* pid, code, value: status; flags: KEEPER_EMPTY when nothing else is left */
    KEEPER_EMPTIED,   /* the service's cgroup has become empty after its main process ended */
    KEEPER_REFUSED,   /* request was not done; value: errno (EBUSY: processes of it are alive) */
    KEEPER_PEER,      /* + bus socket to a new ckptd */
    KEEPER_TERMINATE, /* SIGTERM/SIGINT came: stop everything, then QUIT.
                         flags KEEPER_LEAVE_RUNNING: SIGQUIT came: QUIT at once */
    KEEPER_RELOAD,    /* SIGHUP came */
    KEEPER_STREAM, /* + descriptor; value: STREAM_*, pipe_inode[value], text: path of the log ("" is
                      supervisord's own output). One record with the pipe's read end and one with
                      flag KEEPER_STREAM_LOG and the log file, for orphan_note() (orphan.h) */
};

enum { /* flags */
       KEEPER_TO_GROUP = 1 << 0,
       KEEPER_EMPTY = 1 << 1,
       KEEPER_STATUS_UNKNOWN = 1 << 2, /* code and value are not known (never shown as 0) */
       KEEPER_ADOPTED = 1 << 3,        /* not our child: taken over after a keeper's death */
       KEEPER_LEAVE_RUNNING = 1 << 4,
       KEEPER_NO_CGROUP = 1 << 5,     /* process group + subreaper only */
       KEEPER_STREAM_LOG = 1 << 6,    /* in STREAM: the descriptor is the log file */
       KEEPER_PID_NAMESPACE = 1 << 7, /* pid is our tiny init of a pid namespace */
};

enum slot_state {
    SLOT_FREE = 0,
    SLOT_DOWN,      /* known, nothing runs */
    SLOT_SPAWNING,  /* forked, exec not yet confirmed */
    SLOT_RESTORING, /* a restore worker runs; whatever is in the cgroup is not the service yet */
    SLOT_RUNNING,
    SLOT_EXITED,   /* main process ended; exit not acknowledged, or processes of it remain */
    SLOT_CLEARING, /* killed, waiting for the cgroup to become empty */
};

#define KEEPER_MAGIC 0x70726431u /* "prd1": layout version */

struct keeper_record {
    uint32_t magic;
    uint32_t type;
    uint64_t request;
    char name[SERVICE_NAME_MAX + 4]; /* NUL-terminated */
    int32_t pid;
    uint32_t state; /* enum slot_state, in SLOT */
    int32_t code;   /* CLD_EXITED, CLD_KILLED, CLD_DUMPED */
    int32_t value;
    uint32_t stage; /* enum spawn_stage */
    uint32_t flags;
    uint64_t start_time;
    uint64_t when_usec;    /* CLOCK_BOOTTIME of the event */
    uint64_t restore_usec; /* in RESTORED */
    uint64_t pipe_inode[STREAM_COUNT];
    uint32_t outcome; /* in SLOT: the last event of this slot that no ACK has been seen for: EXITED,
                         SPAWN_FAILED or RESTORE_FAILED, else 0. The slot is then shown as it was
                         before that event (EXITED, SPAWNING, RESTORING) and the event itself
                         follows after TABLE_END. An ACK or a new request for the slot ends it. */
    uint32_t unused;
    char text[1024];
    char cgroup[512]; /* in SLOT, SPAWNED, RESTORED: absolute folder of the service, "" none */
};

/* Sends one record (+ fd unless -1); blocking is not an error worth waiting for: -EAGAIN. */
int keeper_send(int sock, const struct keeper_record *record, int fd);

/* Receives one record; *ret_fd is -1 or a new descriptor. KEEPER_GONE at end of file; -EBADMSG for
 * a record of a wrong shape. */
enum { KEEPER_GONE = 1 };
int keeper_receive(int sock, struct keeper_record *ret_record, int *ret_fd);

struct keeper_record keeper_record(enum keeper_type type, uint64_t request, const char *name);
