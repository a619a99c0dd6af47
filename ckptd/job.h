/* job.h - one dump worker: started or found running, watched until it ends.
 *
 * Workers outlive ckptd: they have a session of their own and no parent-death signal. Nobody but
 * the no-progress watchdog here ever kills a criu: one killed in mid-dump can take the service
 * along. */
#pragma once

#include "ckptd/store.h"
#include "common/ckpt_spec.h"
#include "common/reason.h"

#include <stdbool.h>
#include <systemd/sd-event.h>

#define JOB_STALL_USEC (60 * 1000000ULL) /* no progress for so long: killed */

struct job;

/* Called once, when no process of the worker's session runs any more; the callee frees the job. */
typedef void (*job_done_t)(struct job *job, void *userdata);

struct job_context {
    sd_event *event;
    const struct store *store;
    uint64_t stall_usec;
    job_done_t done;
    void *userdata;
};

struct job_dump {
    const char *worker, *criu, *key_file; /* paths */
    const struct ckpt_spec *spec;
    uint64_t number, parent; /* parent 0: a full image */
};

int job_start(const struct job_context *context, const struct job_dump *dump, struct job **ret);

/* Takes over a worker that an earlier ckptd started and that holds NAME/staging-N. */
int job_adopt(const struct job_context *context, const char *name, uint64_t number,
              struct job **ret);

/* Forgets a job; a worker that still runs goes on by itself. */
struct job *job_free(struct job *job);

const char *job_name(const struct job *job);
uint64_t job_number(const struct job *job);
uint64_t job_began(const struct job *job); /* usec, CLOCK_BOOTTIME */

/* In `done`: what went wrong, for a dump that is not in the store. */
const struct reason *job_reason(const struct job *job);
/* In `done`: the worker or its criu was killed, so the service may be left stopped. */
bool job_was_killed(const struct job *job);
