/* service.h - one supervised service: what it is doing and what it should do next. Pure: no system
 * calls, no clock, no bus.
 *
 * Handlers record what happened in the struct (exit status, pid, emptiness) and call
 * service_step(), the only place where the state changes; it answers with the one action to carry
 * out. The machine is the table in service.c: every state x every event. */
#pragma once

#include "supervisord/ladder.h"
#include "supervisord/policy.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum service_state {
    SERVICE_STOPPED,
    SERVICE_STARTING, /* spawned, not ready yet */
    SERVICE_UP,
    SERVICE_RESTORING, /* an image is being chosen or restored */
    SERVICE_CLEARING,  /* everything of it was killed; when nothing is left, `goal` follows */
    SERVICE_BACKOFF,   /* waits for its next start */
    SERVICE_STOPPING,  /* asked to end; when nothing is left, `goal` follows */
    SERVICE_FAILED,
    SERVICE_STATE_COUNT,
};

enum service_event {
    EV_START, /* by hand, or at our start: begin cold */
    EV_BOOT,  /* at our start: should be up and is gone without having been stopped */
    EV_STOP,
    EV_RESTART,
    EV_RESTORE, /* by hand: svc->manual_number (0: newest) */
    EV_SPAWNED, /* exec done */
    EV_READY,   /* READY=1, or the daemon's PID file is there */
    EV_SPAWN_FAILED,
    EV_RESTORED,       /* svc->restored_number */
    EV_RESTORE_FAILED, /* svc->attempt_number; nothing of it is left */
    EV_NO_IMAGE,       /* the rung has no (further) image */
    EV_REFUSED,        /* a start was refused: processes of it are still alive */
    EV_EXITED,         /* svc->exit, svc->occupied */
    EV_EMPTIED,        /* nothing of it is left */
    EV_TIMEOUT,        /* svc->deadline has passed */
    SERVICE_EVENT_COUNT,
};

enum service_action {
    ACT_NONE,
    ACT_SPAWN,   /* start it cold */
    ACT_RESTORE, /* choose an image by svc->ladder (or manual_number) and restore it */
    ACT_STOP,    /* ExecStop=, KillSignal= */
    ACT_KILL,    /* SIGKILL to all of it */
};

/* What follows when nothing of the service is left. */
enum service_goal { GOAL_DOWN, GOAL_FAILED, GOAL_COLD, GOAL_RECOVER, GOAL_MANUAL };

struct service_exit {
    bool known; /* false: nobody could tell (adopted, old kernel) */
    int code;   /* CLD_* */
    int status;
};

#define START_TIMES_MAX 64

struct service {
    const struct policy *policy; /* borrowed; replaced by service_set_policy() only */

    enum service_state state;
    enum service_goal goal;
    bool desired_up;
    bool occupied;     /* processes of it are (or may be) alive */
    bool automatic;    /* the start under way was not asked for by a person */
    bool fall_back;    /* a manual restore that fails must not leave a service down that was up */
    uint64_t deadline; /* CLOCK_BOOTTIME usec; 0 none */
    uint64_t state_since; /* CLOCK_BOOTTIME usec */
    uint64_t up_since;    /* CLOCK_BOOTTIME usec of the last change to UP */

    /* recorded by handlers */
    pid_t pid; /* 0 none */
    uint64_t start_time;
    struct service_exit exit;
    bool ever_exited;
    uint64_t exited_at; /* CLOCK_BOOTTIME usec */

    /* recovery */
    struct ladder ladder;
    uint64_t manual_number;
    uint64_t attempt_number;  /* image being restored */
    uint64_t restored_number; /* image the running process came from; 0: a cold start */
    bool interrupted;         /* recorded before RESTORE_FAILED: the image is not to blame */
    unsigned interruptions;   /* in a row */
    uint64_t poison_number;   /* to be marked poisoned by the caller, who zeroes it */
    unsigned early_deaths;    /* in a row, each within MinUptime of a recovery */
    uint64_t early_first;     /* image of the first of them */

    unsigned restarts;                     /* automatic ones */
    uint64_t start_times[START_TIMES_MAX]; /* of automatic restarts, for StartLimit */
    unsigned start_next;
    const char *reason; /* static text: why it is failed or waits; NULL none */
};

void service_init(struct service *svc, const struct policy *policy);

/* The new policy counts from the next decision on. */
void service_set_policy(struct service *svc, const struct policy *policy);

enum service_action service_step(struct service *svc, enum service_event event, uint64_t now);

/* Did it end as its policy calls success? An unknown status is not. */
bool service_exit_is_clean(const struct service *svc);

/* "up", "backoff", ... as status shows it; CLEARING is shown as what it leads to. */
const char *service_state_name(const struct service *svc);
