/* record.h - what the engine must still know of a service after its own death, a keeper's death or
 * a power loss: STATE/services/NAME.state, a fixed struct replaced whole. */
#pragma once

#include "common/dirs.h" /* SERVICE_NAME_MAX */
#include "supervisord/service.h"

#define RECORD_MAGIC 0x73747433u

struct record {
    uint32_t magic, size;
    char boot_id[BOOT_ID_LEN + 1]; /* CLOCK_BOOTTIME values count only in this boot */
    uint8_t desired_up;
    uint8_t stopped_cleanly; /* our own shutdown ended it: the next start is cold */
    uint8_t automatic, fall_back;
    uint32_t state, goal;
    struct ladder ladder;
    uint64_t manual_number, attempt_number, restored_number, early_first;
    uint32_t early_deaths, restarts;
    uint64_t up_since, exited_at, start_times[START_TIMES_MAX];
    uint8_t ever_exited, exit_known;
    int32_t exit_code, exit_status;
    uint64_t attempt_time_realtime;        /* of the image being restored, usec */
    uint64_t floor_boot, floor_realtime;   /* last deliberate cold start, usec; 0 none */
    uint64_t branch_number;                /* a person went back to this image ... */
    uint64_t branch_boot, branch_realtime; /* ... then, usec: later images of before are given up */
    uint64_t poison_number; /* image that ckptd has not yet confirmed to be poisoned; 0 none */
    uint64_t outcome_usec;  /* when the last outcome happened that is part of this record */
    uint32_t stop_next;     /* STOPPING: index of the ExecStop= command that runs */
    uint64_t work_lost_usec;
    uint8_t work_lost_known;
    char recovered_from[SERVICE_NAME_MAX + 24]; /* id, "cold", or "" */
    char error[512];
};

/* RECORD_NONE: there is none, or it is of another layout. */
enum { RECORD_NONE = 1 };
int record_read(int dirfd, const char *name, struct record *ret);

/* `durable`: survives power loss too (fsync); else only our death, which costs no disk wait. Either
 * way a power loss leaves the last durable wish. */
int record_write(int dirfd, const char *name, const struct record *record, bool durable);
int record_remove(int dirfd, const char *name);

/* Is the image of before the last deliberate cold start? Its memory is then not for automatic
 * recovery. `boot` is 0 for an image of an earlier boot. */
bool record_forbids_image(const struct record *record, uint64_t realtime, uint64_t boot);

/* A person has just restored the image that was tried last: recovery goes on from there, even
 * behind an earlier cold start. */
void record_note_branch(struct record *record, uint64_t now_boot, uint64_t now_realtime);
/* Is the image of the past that was given up then? Times as in record_forbids_image(). */
bool record_gave_up_image(const struct record *record, uint64_t number, uint64_t realtime,
                          uint64_t boot);

/* Between record and state machine; times of another boot are dropped. */
void record_from_service(struct record *record, const struct service *svc);
void record_to_service(const struct record *record, bool same_boot, struct service *svc);
