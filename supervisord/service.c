/* service.c - the state machine of a service: a table of every state and every event. */
#include "supervisord/service.h"

#include "supervisord/service_judge.h"

#include <string.h>

/* A killed tree that is not gone after this long is stuck in the kernel (D state). */
#define CLEAR_STUCK_USEC (10 * USEC_PER_SEC)

/* So often in a row an image is tried again whose restore somebody killed. */
#define INTERRUPTIONS_MAX 3

typedef enum service_action transition(struct service *svc, uint64_t now);

void service_init(struct service *svc, const struct policy *policy)
{
    *svc = (struct service){.policy = policy, .state = SERVICE_STOPPED};
    ladder_reset(&svc->ladder, policy);
}

void service_set_policy(struct service *svc, const struct policy *policy)
{
    svc->policy = policy;
    if (svc->state != SERVICE_RESTORING && svc->state != SERVICE_CLEARING)
        ladder_reset(&svc->ladder, policy);
}

static void enter(struct service *svc, enum service_state state, uint64_t now, uint64_t timeout)
{
    svc->state = state;
    svc->state_since = now;
    svc->deadline = timeout && timeout != USEC_INFINITY ? now + timeout : 0;
}

static void forget_failures(struct service *svc)
{
    memset(svc->start_times, 0, sizeof(svc->start_times));
    svc->early_deaths = 0;
    svc->early_first = 0;
    svc->reason = NULL;
    ladder_reset(&svc->ladder, svc->policy);
}

static enum service_action go_failed(struct service *svc, uint64_t now, const char *reason)
{
    svc->reason = reason;
    enter(svc, SERVICE_FAILED, now, 0);
    return ACT_NONE;
}

static enum service_action spawn_now(struct service *svc, uint64_t now)
{
    svc->restored_number = 0;
    svc->occupied = true; /* from now on it may be there at any moment */
    enter(svc, SERVICE_STARTING, now, svc->policy->timeout_start_usec);
    return ACT_SPAWN;
}

/* Waits out RestartSec=. By a timer even when that is 0: a start that cannot work would otherwise
 * try again inside its own step. */
static enum service_action back_off(struct service *svc, uint64_t now)
{
    uint64_t wait = svc->policy->restart_usec;

    enter(svc, SERVICE_BACKOFF, now, wait ? wait : 1);
    return ACT_NONE;
}

/* One step on the ladder: images at once, a cold start after RestartSec=. */
static enum service_action climb(struct service *svc, uint64_t now)
{
    enum ladder_rung rung;

    if (ladder_current(&svc->ladder, svc->policy, &rung) == LADDER_USED_UP)
        return go_failed(svc, now, "every rung of Ladder= was tried");
    if (rung == RUNG_COLD)
        return back_off(svc, now);
    enter(svc, SERVICE_RESTORING, now, 0);
    return ACT_RESTORE;
}

/* Nothing of the service is left: on to its goal. */
static enum service_action proceed(struct service *svc, uint64_t now)
{
    svc->pid = 0;
    svc->occupied = false;
    switch (svc->goal) {
    case GOAL_DOWN:
        enter(svc, SERVICE_STOPPED, now, 0);
        return ACT_NONE;
    case GOAL_FAILED:
        return go_failed(svc, now, svc->reason);
    case GOAL_COLD:
        return svc->automatic ? back_off(svc, now) : spawn_now(svc, now);
    case GOAL_RECOVER:
        return climb(svc, now);
    case GOAL_MANUAL:
        enter(svc, SERVICE_RESTORING, now, 0);
        return ACT_RESTORE;
    }
    return ACT_NONE;
}

/* To a goal that needs an empty house: clear it first if need be. */
static enum service_action toward(struct service *svc, enum service_goal goal, uint64_t now)
{
    svc->goal = goal;
    if (!svc->occupied)
        return proceed(svc, now);
    enter(svc, SERVICE_CLEARING, now, CLEAR_STUCK_USEC);
    return ACT_KILL;
}

static bool waits_for_ready(const struct service *svc)
{
    return svc->policy->type == TYPE_NOTIFY || svc->policy->type == TYPE_FORKING;
}

/* The main process ended without having been asked to. */
static enum service_action ended(struct service *svc, uint64_t now)
{
    bool ready = svc->state == SERVICE_UP || !waits_for_ready(svc);
    bool clean = ready && service_exit_is_clean(svc);
    bool early = svc->automatic && (!ready || now - svc->up_since < svc->policy->min_uptime_usec);

    if (!service_restart_wanted(svc, clean)) {
        svc->reason = clean   ? NULL
                      : ready ? "it ended and Restart= does not bring it back"
                              : "it ended before it was ready";
        return toward(svc, clean ? GOAL_DOWN : GOAL_FAILED, now);
    }
    if (!service_start_limit_allows(svc, now)) {
        if (early && svc->restored_number && !clean)
            svc->poison_number = svc->restored_number;
        svc->reason = "it ended too often (StartLimitBurst= within StartLimitIntervalSec=)";
        return toward(svc, GOAL_FAILED, now);
    }
    svc->restarts++;
    if (clean) {
        svc->automatic = true;
        return toward(svc, GOAL_COLD, now);
    }
    if (early)
        service_count_early_death(svc);
    else {
        svc->early_deaths = 0;
        ladder_reset(&svc->ladder, svc->policy);
    }
    svc->automatic = true;
    return toward(svc, GOAL_RECOVER, now);
}

/* ---- the transitions the table names ---- */

static enum service_action ignore(struct service *svc, uint64_t now)
{
    (void)svc, (void)now;
    return ACT_NONE;
}

static enum service_action start(struct service *svc, uint64_t now)
{
    forget_failures(svc);
    svc->desired_up = true;
    svc->automatic = false;
    return toward(svc, GOAL_COLD, now);
}

/* Already on its way up; being asked makes it wanted. */
static enum service_action start_goes_on(struct service *svc, uint64_t now)
{
    (void)now;
    svc->desired_up = true;
    return ACT_NONE;
}

static enum service_action start_after(struct service *svc, uint64_t now)
{
    (void)now;
    forget_failures(svc);
    svc->desired_up = true;
    svc->automatic = false;
    svc->goal = GOAL_COLD;
    return ACT_NONE;
}

static enum service_action boot(struct service *svc, uint64_t now)
{
    svc->desired_up = true;
    svc->automatic = true;
    ladder_reset(&svc->ladder, svc->policy);
    return toward(svc, GOAL_RECOVER, now);
}

static enum service_action stop(struct service *svc, uint64_t now)
{
    svc->desired_up = false;
    svc->goal = GOAL_DOWN;
    enter(svc, SERVICE_STOPPING, now, svc->policy->timeout_stop_usec);
    return ACT_STOP;
}

static enum service_action stop_now(struct service *svc, uint64_t now)
{
    svc->desired_up = false;
    svc->goal = GOAL_DOWN;
    svc->reason = NULL;
    enter(svc, SERVICE_STOPPED, now, 0);
    return ACT_NONE;
}

static enum service_action stop_after(struct service *svc, uint64_t now)
{
    (void)now;
    svc->desired_up = false;
    svc->goal = GOAL_DOWN;
    return ACT_NONE;
}

/* A restore under way holds nothing worth a gentle end: the image is untouched. */
static enum service_action stop_restore(struct service *svc, uint64_t now)
{
    svc->desired_up = false;
    svc->occupied = true;
    return toward(svc, GOAL_DOWN, now);
}

static enum service_action restart(struct service *svc, uint64_t now)
{
    stop(svc, now);
    start_after(svc, now);
    return ACT_STOP;
}

static enum service_action restart_restore(struct service *svc, uint64_t now)
{
    stop_restore(svc, now);
    start_after(svc, now);
    return ACT_KILL;
}

/* What runs is given up for an earlier memory: a gentle end could still write files of the later
 * one. */
static enum service_action restore(struct service *svc, uint64_t now)
{
    forget_failures(svc);
    svc->fall_back = svc->state == SERVICE_UP;
    svc->desired_up = true;
    svc->automatic = false;
    return toward(svc, GOAL_MANUAL, now);
}

static enum service_action restore_after(struct service *svc, uint64_t now)
{
    forget_failures(svc);
    svc->desired_up = true;
    svc->automatic = false;
    svc->occupied = true;
    return toward(svc, GOAL_MANUAL, now);
}

static enum service_action ready(struct service *svc, uint64_t now)
{
    svc->up_since = now;
    svc->reason = NULL;
    enter(svc, SERVICE_UP, now, 0);
    return ACT_NONE;
}

static enum service_action spawned(struct service *svc, uint64_t now)
{
    svc->occupied = true;
    return waits_for_ready(svc) ? ACT_NONE : ready(svc, now);
}

/* The process never came to be: like an unclean end, but there is no status. */
static enum service_action spawn_failed(struct service *svc, uint64_t now)
{
    svc->occupied = false;
    svc->pid = 0;
    if (svc->policy->restart == RESTART_NO || svc->policy->restart == RESTART_ON_SUCCESS)
        return go_failed(svc, now, NULL);
    if (!service_start_limit_allows(svc, now))
        return go_failed(svc, now, NULL);
    svc->restarts++;
    svc->automatic = true;
    return back_off(svc, now);
}

static enum service_action start_timeout(struct service *svc, uint64_t now)
{
    svc->exit = (struct service_exit){.known = false};
    svc->reason = "it was not ready within TimeoutStartSec=";
    /* systemd.service(5), Restart=: a timeout is no abort. */
    if (svc->policy->restart == RESTART_ON_ABORT || !service_restart_wanted(svc, false) ||
        !service_start_limit_allows(svc, now))
        return toward(svc, GOAL_FAILED, now);
    svc->restarts++;
    svc->automatic = true;
    return toward(svc, GOAL_COLD, now);
}

static enum service_action restored(struct service *svc, uint64_t now)
{
    svc->occupied = true;
    svc->restored_number = svc->attempt_number;
    svc->interruptions = 0;
    return ready(svc, now);
}

static enum service_action restore_failed(struct service *svc, uint64_t now)
{
    svc->occupied = false;
    if (svc->interrupted && svc->interruptions++ < INTERRUPTIONS_MAX)
        return ACT_RESTORE;
    svc->interruptions = 0;
    if (svc->goal == GOAL_MANUAL && !svc->fall_back)
        return go_failed(svc, now, NULL);
    svc->goal = GOAL_RECOVER;
    ladder_image_failed(&svc->ladder, svc->policy, svc->attempt_number);
    return climb(svc, now);
}

static enum service_action no_image(struct service *svc, uint64_t now)
{
    if (svc->goal == GOAL_MANUAL && !svc->fall_back)
        return go_failed(svc, now, NULL);
    if (svc->goal == GOAL_RECOVER)
        ladder_next(&svc->ladder, svc->policy);
    svc->goal = GOAL_RECOVER;
    return climb(svc, now);
}

static enum service_action backoff_over(struct service *svc, uint64_t now)
{
    return spawn_now(svc, now);
}

/* KillMode= wants what is left to be left alone, unless the next start needs an empty house. */
static enum service_action leave_rest(struct service *svc, uint64_t now)
{
    svc->occupied = true;
    if (svc->goal != GOAL_DOWN)
        return toward(svc, svc->goal, now);
    svc->pid = 0;
    enter(svc, SERVICE_STOPPED, now, 0);
    return ACT_NONE;
}

/* The main process has ended as asked; KillMode= says what of the rest. */
static enum service_action stop_exited(struct service *svc, uint64_t now)
{
    if (!svc->occupied)
        return proceed(svc, now);
    if (svc->policy->kill_mode == KILL_MIXED)
        return toward(svc, svc->goal, now);
    if (svc->policy->kill_mode == KILL_CONTROL_GROUP)
        return ACT_NONE; /* the rest got the signal too: EMPTIED or the timeout follows */
    return leave_rest(svc, now);
}

static enum service_action stop_timeout(struct service *svc, uint64_t now)
{
    if (svc->policy->kill_mode == KILL_NONE)
        return leave_rest(svc, now);
    svc->occupied = true;
    return toward(svc, svc->goal, now);
}

/* Somebody of an earlier life is still there: clear, then go on to what was meant. */
static enum service_action blocked(struct service *svc, uint64_t now)
{
    svc->occupied = true;
    return toward(svc, svc->state == SERVICE_STARTING ? GOAL_COLD : svc->goal, now);
}

static enum service_action emptied(struct service *svc, uint64_t now)
{
    return proceed(svc, now);
}

/* Killed, and this was the last of it: nothing further is announced. */
static enum service_action cleared_exit(struct service *svc, uint64_t now)
{
    return svc->occupied ? ACT_NONE : proceed(svc, now);
}

/* Nothing is left of it, and the keeper never had a main process whose end it could tell: a daemon
 * that died between writing its PID file and being taken over, or without writing one. */
static enum service_action vanished(struct service *svc, uint64_t now)
{
    svc->occupied = false;
    svc->pid = 0;
    svc->exit = (struct service_exit){.known = false};
    return ended(svc, now);
}

static enum service_action note_empty(struct service *svc, uint64_t now)
{
    (void)now;
    svc->occupied = false;
    return ACT_NONE;
}

static enum service_action stuck(struct service *svc, uint64_t now)
{
    svc->reason = "killed, but the kernel does not let it go (state D); waiting";
    enter(svc, SERVICE_CLEARING, now, CLEAR_STUCK_USEC);
    return ACT_KILL;
}

/* clang-format off */
static transition *const table[SERVICE_STATE_COUNT][SERVICE_EVENT_COUNT] = {
    [SERVICE_STOPPED] = {
        [EV_START] = start, [EV_BOOT] = boot, [EV_STOP] = stop_now, [EV_RESTART] = start,
        [EV_RESTORE] = restore, [EV_SPAWNED] = ignore, [EV_READY] = ignore,
        [EV_SPAWN_FAILED] = ignore, [EV_RESTORED] = ignore, [EV_RESTORE_FAILED] = note_empty,
        [EV_NO_IMAGE] = ignore, [EV_EXITED] = ignore, [EV_EMPTIED] = note_empty,
        [EV_REFUSED] = ignore, [EV_TIMEOUT] = ignore,
    },
    [SERVICE_STARTING] = {
        [EV_START] = start_goes_on, [EV_BOOT] = ignore, [EV_STOP] = stop, [EV_RESTART] = restart,
        [EV_RESTORE] = restore_after, [EV_SPAWNED] = spawned, [EV_READY] = ready,
        [EV_SPAWN_FAILED] = spawn_failed, [EV_RESTORED] = ignore, [EV_RESTORE_FAILED] = ignore,
        [EV_NO_IMAGE] = ignore, [EV_EXITED] = ended, [EV_EMPTIED] = vanished,
        [EV_REFUSED] = blocked, [EV_TIMEOUT] = start_timeout,
    },
    [SERVICE_UP] = {
        [EV_START] = start_goes_on, [EV_BOOT] = ignore, [EV_STOP] = stop, [EV_RESTART] = restart,
        [EV_RESTORE] = restore, [EV_SPAWNED] = ignore, [EV_READY] = ignore,
        [EV_SPAWN_FAILED] = ignore, [EV_RESTORED] = ignore, [EV_RESTORE_FAILED] = ignore,
        [EV_NO_IMAGE] = ignore, [EV_EXITED] = ended, [EV_EMPTIED] = vanished,
        [EV_REFUSED] = ignore, [EV_TIMEOUT] = ignore,
    },
    [SERVICE_RESTORING] = {
        [EV_START] = start_goes_on, [EV_BOOT] = ignore, [EV_STOP] = stop_restore,
        [EV_RESTART] = restart_restore, [EV_RESTORE] = restore_after, [EV_SPAWNED] = ignore,
        [EV_READY] = ignore, [EV_SPAWN_FAILED] = ignore, [EV_RESTORED] = restored,
        [EV_RESTORE_FAILED] = restore_failed, [EV_NO_IMAGE] = no_image, [EV_EXITED] = ignore,
        [EV_REFUSED] = blocked, [EV_EMPTIED] = ignore, [EV_TIMEOUT] = ignore,
    },
    [SERVICE_CLEARING] = {
        [EV_START] = start_after, [EV_BOOT] = ignore, [EV_STOP] = stop_after,
        [EV_RESTART] = start_after, [EV_RESTORE] = restore_after, [EV_SPAWNED] = ignore,
        [EV_READY] = ignore, [EV_SPAWN_FAILED] = emptied, [EV_RESTORED] = ignore,
        [EV_RESTORE_FAILED] = emptied, [EV_NO_IMAGE] = emptied, [EV_EXITED] = cleared_exit,
        [EV_REFUSED] = ignore, [EV_EMPTIED] = emptied,
        [EV_TIMEOUT] = stuck,
    },
    [SERVICE_BACKOFF] = {
        [EV_START] = start, [EV_BOOT] = ignore, [EV_STOP] = stop_now, [EV_RESTART] = start,
        [EV_RESTORE] = restore, [EV_SPAWNED] = ignore, [EV_READY] = ignore,
        [EV_SPAWN_FAILED] = ignore, [EV_RESTORED] = ignore, [EV_RESTORE_FAILED] = ignore,
        [EV_NO_IMAGE] = ignore, [EV_EXITED] = ignore, [EV_EMPTIED] = note_empty,
        [EV_REFUSED] = ignore, [EV_TIMEOUT] = backoff_over,
    },
    [SERVICE_STOPPING] = {
        [EV_START] = start_after, [EV_BOOT] = ignore, [EV_STOP] = stop_after,
        [EV_RESTART] = start_after, [EV_RESTORE] = restore_after, [EV_SPAWNED] = ignore,
        [EV_READY] = ignore, [EV_SPAWN_FAILED] = emptied, [EV_RESTORED] = ignore,
        [EV_RESTORE_FAILED] = emptied, [EV_NO_IMAGE] = emptied, [EV_EXITED] = stop_exited,
        [EV_REFUSED] = ignore, [EV_EMPTIED] = emptied,
        [EV_TIMEOUT] = stop_timeout,
    },
    [SERVICE_FAILED] = {
        [EV_START] = start, [EV_BOOT] = boot, [EV_STOP] = stop_now, [EV_RESTART] = start,
        [EV_RESTORE] = restore, [EV_SPAWNED] = ignore, [EV_READY] = ignore,
        [EV_SPAWN_FAILED] = ignore, [EV_RESTORED] = ignore, [EV_RESTORE_FAILED] = note_empty,
        [EV_NO_IMAGE] = ignore, [EV_EXITED] = ignore, [EV_EMPTIED] = note_empty,
        [EV_REFUSED] = ignore, [EV_TIMEOUT] = ignore,
    },
};
/* clang-format on */

enum service_action service_step(struct service *svc, enum service_event event, uint64_t now)
{
    return table[svc->state][event](svc, now);
}

const char *service_state_name(const struct service *svc)
{
    switch (svc->state) {
    case SERVICE_STOPPED:
        return "stopped";
    case SERVICE_STARTING:
        return "starting";
    case SERVICE_UP:
        return "up";
    case SERVICE_RESTORING:
        return "restoring";
    case SERVICE_BACKOFF:
        return "backoff";
    case SERVICE_STOPPING:
        return "stopping";
    case SERVICE_FAILED:
        return "failed";
    case SERVICE_CLEARING:
        return svc->goal == GOAL_RECOVER || svc->goal == GOAL_MANUAL ? "restoring" : "stopping";
    case SERVICE_STATE_COUNT:
        break;
    }
    return "unknown";
}
