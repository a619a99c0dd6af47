/* test_service.c - the state machine as its whole table, then the stories that cross several
 * states. */
#include "supervisord/service.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SEC USEC_PER_SEC

static struct policy policy_of(enum restart_mode restart)
{
    struct policy policy = {
        .type = TYPE_EXEC,
        .restart = restart,
        .restart_usec = SEC / 10,
        .timeout_start_usec = 90 * SEC,
        .timeout_stop_usec = 90 * SEC,
        .kill_mode = KILL_CONTROL_GROUP,
        .start_limit_interval_usec = 10 * SEC,
        .start_limit_burst = 5,
        .ladder = {RUNG_NEWEST, RUNG_OLDER, RUNG_COLD},
        .ladder_len = 3,
        .min_uptime_usec = 10 * SEC,
    };

    policy.success.codes[0] = 1;
    policy.success.signals = 1ull << (SIGTERM - 1);
    return policy;
}

/* What the machine must do: for each state, one "next state/action" per event in the order of enum
 * service_event. The exit recorded before EXITED is signal 11 with nothing left, and the service
 * came up by itself a minute ago. */
struct expectation {
    enum service_state state;
    enum service_action action;
};
#define X(s, a)              \
    {                        \
        SERVICE_##s, ACT_##a \
    }
static const struct expectation expected[SERVICE_STATE_COUNT][SERVICE_EVENT_COUNT] = {
    [SERVICE_STOPPED] = {X(STARTING, SPAWN), X(RESTORING, RESTORE), X(STOPPED, NONE),
                         X(STARTING, SPAWN), X(RESTORING, RESTORE), X(STOPPED, NONE),
                         X(STOPPED, NONE), X(STOPPED, NONE), X(STOPPED, NONE), X(STOPPED, NONE),
                         X(STOPPED, NONE), X(STOPPED, NONE), X(STOPPED, NONE), X(STOPPED, NONE),
                         X(STOPPED, NONE)},
    [SERVICE_STARTING] = {X(STARTING, NONE), X(STARTING, NONE), X(STOPPING, STOP),
                          X(STOPPING, STOP), X(CLEARING, KILL), X(UP, NONE), X(UP, NONE),
                          X(BACKOFF, NONE), X(STARTING, NONE), X(STARTING, NONE), X(STARTING, NONE),
                          X(CLEARING, KILL), X(RESTORING, RESTORE), X(RESTORING, RESTORE),
                          X(BACKOFF, NONE)},
    [SERVICE_UP] = {X(UP, NONE), X(UP, NONE), X(STOPPING, STOP), X(STOPPING, STOP),
                    X(RESTORING, RESTORE), X(UP, NONE), X(UP, NONE), X(UP, NONE), X(UP, NONE),
                    X(UP, NONE), X(UP, NONE), X(UP, NONE), X(RESTORING, RESTORE),
                    X(RESTORING, RESTORE), X(UP, NONE)},
    [SERVICE_RESTORING] = {X(RESTORING, NONE), X(RESTORING, NONE), X(CLEARING, KILL),
                           X(CLEARING, KILL), X(CLEARING, KILL), X(RESTORING, NONE),
                           X(RESTORING, NONE), X(RESTORING, NONE), X(UP, NONE),
                           X(RESTORING, RESTORE), X(RESTORING, RESTORE), X(CLEARING, KILL),
                           X(RESTORING, NONE), X(RESTORING, NONE), X(RESTORING, NONE)},
    [SERVICE_CLEARING] = {X(CLEARING, NONE), X(CLEARING, NONE), X(CLEARING, NONE),
                          X(CLEARING, NONE), X(CLEARING, KILL), X(CLEARING, NONE),
                          X(CLEARING, NONE), X(RESTORING, RESTORE), X(CLEARING, NONE),
                          X(RESTORING, RESTORE), X(RESTORING, RESTORE), X(CLEARING, NONE),
                          X(RESTORING, RESTORE), X(RESTORING, RESTORE), X(CLEARING, KILL)},
    [SERVICE_BACKOFF] = {X(STARTING, SPAWN), X(BACKOFF, NONE), X(STOPPED, NONE), X(STARTING, SPAWN),
                         X(RESTORING, RESTORE), X(BACKOFF, NONE), X(BACKOFF, NONE),
                         X(BACKOFF, NONE), X(BACKOFF, NONE), X(BACKOFF, NONE), X(BACKOFF, NONE),
                         X(BACKOFF, NONE), X(BACKOFF, NONE), X(BACKOFF, NONE), X(STARTING, SPAWN)},
    [SERVICE_STOPPING] = {X(STOPPING, NONE), X(STOPPING, NONE), X(STOPPING, NONE),
                          X(STOPPING, NONE), X(CLEARING, KILL), X(STOPPING, NONE),
                          X(STOPPING, NONE), X(RESTORING, RESTORE), X(STOPPING, NONE),
                          X(RESTORING, RESTORE), X(RESTORING, RESTORE), X(STOPPING, NONE),
                          X(RESTORING, RESTORE), X(RESTORING, RESTORE), X(CLEARING, KILL)},
    [SERVICE_FAILED] = {X(STARTING, SPAWN), X(RESTORING, RESTORE), X(STOPPED, NONE),
                        X(STARTING, SPAWN), X(RESTORING, RESTORE), X(FAILED, NONE), X(FAILED, NONE),
                        X(FAILED, NONE), X(FAILED, NONE), X(FAILED, NONE), X(FAILED, NONE),
                        X(FAILED, NONE), X(FAILED, NONE), X(FAILED, NONE), X(FAILED, NONE)},
};

static struct service at(const struct policy *policy, enum service_state state)
{
    struct service svc;

    service_init(&svc, policy);
    svc.state = state;
    svc.goal = GOAL_RECOVER;
    svc.automatic = true;
    svc.up_since = 1000 * SEC;
    svc.exit = (struct service_exit){true, CLD_KILLED, SIGSEGV};
    return svc;
}

static void whole_table(void **state)
{
    struct policy policy = policy_of(RESTART_ON_FAILURE);

    for (int s = 0; s < SERVICE_STATE_COUNT; s++)
        for (int e = 0; e < SERVICE_EVENT_COUNT; e++) {
            struct service svc = at(&policy, s);
            enum service_action action = service_step(&svc, e, 1060 * SEC);

            if (svc.state != expected[s][e].state || action != expected[s][e].action)
                fail_msg("state %d, event %d: got state %d action %d, want %d %d", s, e, svc.state,
                         action, expected[s][e].state, expected[s][e].action);
        }
}

static void restart_modes(void **state)
{
    static const struct {
        enum restart_mode mode;
        bool clean, failure, signal;
    } modes[] = {
        {RESTART_NO, false, false, false},          {RESTART_ON_SUCCESS, true, false, false},
        {RESTART_ON_FAILURE, false, true, true},    {RESTART_ON_ABNORMAL, false, false, true},
        {RESTART_ON_WATCHDOG, false, false, false}, {RESTART_ON_ABORT, false, false, true},
        {RESTART_ALWAYS, true, true, true},
    };
    const struct service_exit exits[] = {
        {true, CLD_EXITED, 0}, {true, CLD_EXITED, 3}, {true, CLD_KILLED, SIGKILL}};

    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
        for (int e = 0; e < 3; e++) {
            struct policy policy = policy_of(modes[i].mode);
            struct service svc = at(&policy, SERVICE_UP);
            bool back, want = e == 0 ? modes[i].clean : e == 1 ? modes[i].failure : modes[i].signal;

            svc.exit = exits[e];
            service_step(&svc, EV_EXITED, 1060 * SEC);
            back = svc.state == SERVICE_BACKOFF || svc.state == SERVICE_RESTORING;
            assert_int_equal(back, want);
            if (!back)
                assert_int_equal(svc.state, e == 0 ? SERVICE_STOPPED : SERVICE_FAILED);
        }
}

/* A clean end under Restart=always begins cold; only an unclean one wants its memory back. */
static void clean_end_starts_cold(void **state)
{
    struct policy policy = policy_of(RESTART_ALWAYS);
    struct service svc = at(&policy, SERVICE_UP);

    svc.exit = (struct service_exit){true, CLD_EXITED, 0};
    assert_int_equal(service_step(&svc, EV_EXITED, 1060 * SEC), ACT_NONE);
    assert_int_equal(svc.state, SERVICE_BACKOFF);
    assert_int_equal(svc.deadline, 1060 * SEC + SEC / 10);
    assert_int_equal(service_step(&svc, EV_TIMEOUT, svc.deadline), ACT_SPAWN);
    assert_int_equal(svc.restarts, 1);
}

static void unknown_status_is_not_success(void **state)
{
    struct policy policy = policy_of(RESTART_ON_FAILURE);
    struct service svc = at(&policy, SERVICE_UP);

    svc.exit = (struct service_exit){.known = false};
    assert_int_equal(service_step(&svc, EV_EXITED, 1060 * SEC), ACT_RESTORE);
}

static void leftovers_are_cleared_first(void **state)
{
    struct policy policy = policy_of(RESTART_ON_FAILURE);
    struct service svc = at(&policy, SERVICE_UP);

    svc.occupied = true;
    assert_int_equal(service_step(&svc, EV_EXITED, 1060 * SEC), ACT_KILL);
    assert_int_equal(svc.state, SERVICE_CLEARING);
    assert_string_equal(service_state_name(&svc), "restoring");
    assert_int_equal(service_step(&svc, EV_EMPTIED, 1060 * SEC), ACT_RESTORE);
}

/* newest fails, two older ones fail, none left, cold. */
static void whole_ladder(void **state)
{
    struct policy policy = policy_of(RESTART_ON_FAILURE);
    struct service svc = at(&policy, SERVICE_UP);
    uint64_t now = 1060 * SEC;

    assert_int_equal(service_step(&svc, EV_EXITED, now), ACT_RESTORE);
    assert_int_equal(svc.ladder.below, LADDER_ANY);
    for (uint64_t n = 9; n >= 7; n--) {
        svc.attempt_number = n;
        assert_int_equal(service_step(&svc, EV_RESTORE_FAILED, now), ACT_RESTORE);
        assert_int_equal(svc.ladder.below, n);
    }
    assert_int_equal(service_step(&svc, EV_NO_IMAGE, now), ACT_NONE);
    assert_int_equal(svc.state, SERVICE_BACKOFF);
    assert_int_equal(service_step(&svc, EV_TIMEOUT, svc.deadline), ACT_SPAWN);
    assert_int_equal(service_step(&svc, EV_SPAWNED, now), ACT_NONE);
    assert_int_equal(svc.state, SERVICE_UP);
    /* dies again at once: cold again, until StartLimitBurst= says enough */
    for (int i = 0; i < 4; i++) {
        svc.occupied = false;
        assert_int_equal(service_step(&svc, EV_EXITED, now + SEC), ACT_NONE);
        assert_int_equal(svc.state, SERVICE_BACKOFF);
        service_step(&svc, EV_TIMEOUT, now + SEC);
        service_step(&svc, EV_SPAWNED, now + SEC);
    }
    svc.occupied = false;
    assert_int_equal(service_step(&svc, EV_EXITED, now + SEC), ACT_NONE);
    assert_int_equal(svc.state, SERVICE_FAILED);
    assert_non_null(svc.reason);
}

/* The proven one fails, the newest of all fails, older ones, cold. */
static void proven_ladder(void **state)
{
    struct policy policy = policy_of(RESTART_ON_FAILURE);
    struct service svc;
    uint64_t now = 1060 * SEC;

    memcpy(policy.ladder, (enum ladder_rung[]){RUNG_PROVEN, RUNG_NEWEST, RUNG_OLDER, RUNG_COLD},
           4 * sizeof(policy.ladder[0]));
    policy.ladder_len = 4;
    svc = at(&policy, SERVICE_UP);
    assert_int_equal(service_step(&svc, EV_EXITED, now), ACT_RESTORE);
    assert_true(ladder_wants_proven(&svc.ladder, &policy));
    svc.attempt_number = 5;
    assert_int_equal(service_step(&svc, EV_RESTORE_FAILED, now), ACT_RESTORE);
    assert_false(ladder_wants_proven(&svc.ladder, &policy));
    assert_int_equal(svc.ladder.below, LADDER_ANY);
    assert_int_equal(svc.ladder.tried, 5);
    svc.attempt_number = 9;
    assert_int_equal(service_step(&svc, EV_RESTORE_FAILED, now), ACT_RESTORE);
    assert_int_equal(svc.ladder.below, 9);
    assert_int_equal(service_step(&svc, EV_NO_IMAGE, now), ACT_NONE);
    assert_int_equal(svc.state, SERVICE_BACKOFF);
}

static void die_early(struct service *svc, uint64_t image, uint64_t now)
{
    svc->attempt_number = image;
    service_step(svc, EV_RESTORED, now);
    assert_int_equal(svc->state, SERVICE_UP);
    svc->occupied = false;
    service_step(svc, EV_EXITED, now + SEC);
}

/* One early death: that image is poisoned and newer ones are tried. A second one: everything since
 * the first is suspect. */
static void poison(void **state)
{
    struct policy policy = policy_of(RESTART_ON_FAILURE);
    struct service svc = at(&policy, SERVICE_UP);
    uint64_t now = 1060 * SEC;

    policy.start_limit_burst = 100;
    service_step(&svc, EV_EXITED, now);
    die_early(&svc, 9, now);
    assert_int_equal(svc.poison_number, 9);
    assert_int_equal(svc.state, SERVICE_RESTORING);
    assert_int_equal(svc.ladder.below, LADDER_ANY);
    assert_int_equal(svc.ladder.above, 9);
    die_early(&svc, 12, now);
    assert_int_equal(svc.poison_number, 12);
    assert_int_equal(svc.ladder.below, 9);
    die_early(&svc, 8, now);
    assert_int_equal(svc.poison_number, 8);
    assert_int_equal(svc.ladder.below, 8);
    /* survives MinUptime: all is forgiven */
    svc.poison_number = 0;
    svc.attempt_number = 7;
    service_step(&svc, EV_RESTORED, now);
    svc.occupied = false;
    service_step(&svc, EV_EXITED, now + 11 * SEC);
    assert_int_equal(svc.poison_number, 0);
    assert_int_equal(svc.ladder.below, LADDER_ANY);
}

/* The same where the proven rung comes first: a proven image below the first suspect is next. */
static void poison_of_proven_ones(void **state)
{
    struct policy policy = policy_of(RESTART_ON_FAILURE);
    struct service svc;
    uint64_t now = 1060 * SEC;

    policy.start_limit_burst = 100;
    policy.ladder[0] = RUNG_PROVEN;
    svc = at(&policy, SERVICE_UP);
    service_step(&svc, EV_EXITED, now);
    die_early(&svc, 9, now);
    assert_int_equal(svc.ladder.above, 9);
    assert_true(ladder_wants_proven(&svc.ladder, &policy));
    die_early(&svc, 12, now);
    assert_true(ladder_wants_proven(&svc.ladder, &policy));
    assert_int_equal(svc.ladder.below, 9);
    assert_int_equal(svc.ladder.above, 0);
    die_early(&svc, 4, now);
    assert_int_equal(svc.ladder.below, 4);
    assert_int_equal(service_step(&svc, EV_NO_IMAGE, now), ACT_RESTORE);
    assert_false(ladder_wants_proven(&svc.ladder, &policy));
    assert_int_equal(svc.ladder.below, 4);
}

static void start_limit(void **state)
{
    struct policy policy = policy_of(RESTART_ALWAYS);
    struct service svc = at(&policy, SERVICE_UP);
    uint64_t now = 1060 * SEC;

    svc.exit = (struct service_exit){true, CLD_EXITED, 0};
    for (int i = 0; i < 5; i++) {
        service_step(&svc, EV_EXITED, now);
        service_step(&svc, EV_TIMEOUT, now);
        service_step(&svc, EV_SPAWNED, now);
        svc.occupied = false;
        assert_int_equal(svc.state, SERVICE_UP);
    }
    service_step(&svc, EV_EXITED, now);
    assert_int_equal(svc.state, SERVICE_FAILED);
    /* a person may always start it */
    assert_int_equal(service_step(&svc, EV_START, now), ACT_SPAWN);
    assert_int_equal(service_step(&svc, EV_SPAWNED, now), ACT_NONE);
    svc.occupied = false;
    service_step(&svc, EV_EXITED, now + 1);
    assert_int_equal(svc.state, SERVICE_BACKOFF);
}

static void stop_escalates(void **state)
{
    struct policy policy = policy_of(RESTART_ON_FAILURE);
    struct service svc = at(&policy, SERVICE_UP);

    svc.desired_up = true;
    assert_int_equal(service_step(&svc, EV_STOP, 1060 * SEC), ACT_STOP);
    assert_false(svc.desired_up);
    assert_int_equal(svc.deadline, 1150 * SEC);
    assert_int_equal(service_step(&svc, EV_TIMEOUT, svc.deadline), ACT_KILL);
    assert_int_equal(service_step(&svc, EV_EMPTIED, svc.deadline), ACT_NONE);
    assert_int_equal(svc.state, SERVICE_STOPPED);
}

/* KillMode=mixed: the rest is killed when the main process has ended. */
static void stop_mixed(void **state)
{
    struct policy policy = policy_of(RESTART_ON_FAILURE);
    struct service svc = at(&policy, SERVICE_UP);

    policy.kill_mode = KILL_MIXED;
    service_step(&svc, EV_STOP, 1060 * SEC);
    svc.occupied = true;
    assert_int_equal(service_step(&svc, EV_EXITED, 1060 * SEC), ACT_KILL);
    assert_int_equal(service_step(&svc, EV_EMPTIED, 1060 * SEC), ACT_NONE);
    assert_int_equal(svc.state, SERVICE_STOPPED);
}

static void restart_is_stop_then_cold(void **state)
{
    struct policy policy = policy_of(RESTART_ON_FAILURE);
    struct service svc = at(&policy, SERVICE_UP);

    assert_int_equal(service_step(&svc, EV_RESTART, 1060 * SEC), ACT_STOP);
    assert_true(svc.desired_up);
    assert_int_equal(service_step(&svc, EV_EXITED, 1060 * SEC), ACT_SPAWN);
    assert_int_equal(svc.state, SERVICE_STARTING);
    assert_int_equal(svc.restarts, 0);
}

/* A manual restore that fails brings a service that was up back by the ladder; one that was down
 * stays. */
static void manual_restore_failing(void **state)
{
    struct policy policy = policy_of(RESTART_ON_FAILURE);
    struct service svc = at(&policy, SERVICE_UP);

    service_step(&svc, EV_RESTORE, 1060 * SEC);
    assert_int_equal(svc.goal, GOAL_MANUAL);
    svc.attempt_number = 4;
    assert_int_equal(service_step(&svc, EV_RESTORE_FAILED, 1060 * SEC), ACT_RESTORE);
    assert_int_equal(svc.goal, GOAL_RECOVER);

    svc = at(&policy, SERVICE_STOPPED);
    service_step(&svc, EV_RESTORE, 1060 * SEC);
    svc.attempt_number = 4;
    assert_int_equal(service_step(&svc, EV_RESTORE_FAILED, 1060 * SEC), ACT_NONE);
    assert_int_equal(svc.state, SERVICE_FAILED);
}

static void notify_type_waits_for_ready(void **state)
{
    struct policy policy = policy_of(RESTART_ON_FAILURE);
    struct service svc = at(&policy, SERVICE_STOPPED);

    policy.type = TYPE_NOTIFY;
    service_step(&svc, EV_START, 1060 * SEC);
    service_step(&svc, EV_SPAWNED, 1060 * SEC);
    assert_int_equal(svc.state, SERVICE_STARTING);
    assert_int_equal(svc.deadline, 1150 * SEC);
    service_step(&svc, EV_READY, 1061 * SEC);
    assert_int_equal(svc.state, SERVICE_UP);
    assert_int_equal(svc.deadline, 0);
}

/* systemd.service(5): an end before readiness is a failure, even with exit status 0. */
static void clean_end_before_ready_is_a_failure(void **state)
{
    struct policy policy = policy_of(RESTART_NO);
    struct service svc = at(&policy, SERVICE_STARTING);

    policy.type = TYPE_NOTIFY;
    svc.exit = (struct service_exit){true, CLD_EXITED, 0};
    service_step(&svc, EV_EXITED, 1060 * SEC);
    assert_int_equal(svc.state, SERVICE_FAILED);
    assert_non_null(svc.reason);
}

/* A daemon that dies between writing its PID file and being taken over is not up for ever. */
static void vanished_daemon_is_noticed(void **state)
{
    struct policy policy = policy_of(RESTART_ON_FAILURE);
    struct service svc = at(&policy, SERVICE_UP);

    policy.type = TYPE_FORKING;
    svc.exit = (struct service_exit){true, CLD_EXITED, 0}; /* of the parent */
    svc.pid = 42;
    assert_int_equal(service_step(&svc, EV_EMPTIED, 1060 * SEC), ACT_RESTORE);
    assert_false(svc.exit.known);
    assert_int_equal(svc.pid, 0);
}

/* RestartSec=0 must not start again within the same step: a start that cannot work would recurse.
 */
static void back_off_is_never_within_the_step(void **state)
{
    struct policy policy = policy_of(RESTART_ALWAYS);
    struct service svc = at(&policy, SERVICE_STARTING);

    policy.restart_usec = 0;
    policy.start_limit_interval_usec = 0;
    assert_int_equal(service_step(&svc, EV_SPAWN_FAILED, 1060 * SEC), ACT_NONE);
    assert_int_equal(svc.state, SERVICE_BACKOFF);
    assert_true(svc.deadline > 0);
}

/* KillMode=none and what a stop leaves: stopped, but a restart needs an empty house. */
static void stop_leaves_what_kill_mode_says(void **state)
{
    struct policy policy = policy_of(RESTART_ON_FAILURE);
    struct service svc = at(&policy, SERVICE_UP);

    policy.kill_mode = KILL_NONE;
    service_step(&svc, EV_STOP, 1060 * SEC);
    assert_int_equal(service_step(&svc, EV_TIMEOUT, 1060 * SEC), ACT_NONE);
    assert_int_equal(svc.state, SERVICE_STOPPED);
    assert_true(svc.occupied);
    svc = at(&policy, SERVICE_UP);
    service_step(&svc, EV_RESTART, 1060 * SEC);
    assert_int_equal(service_step(&svc, EV_TIMEOUT, 1060 * SEC), ACT_KILL);
    assert_int_equal(svc.goal, GOAL_COLD);
}

/* systemd.service(5), Restart=: a start that takes too long is no abort. */
static void start_timeout_is_no_abort(void **state)
{
    struct policy policy = policy_of(RESTART_ON_ABORT);
    struct service svc = at(&policy, SERVICE_STARTING);

    service_step(&svc, EV_TIMEOUT, 1060 * SEC);
    assert_int_equal(svc.state, SERVICE_FAILED);
}

/* A stop that follows a start at once must wait for what is being spawned. */
static void a_spawn_under_way_is_not_nothing(void **state)
{
    struct policy policy = policy_of(RESTART_ON_FAILURE);
    struct service svc = at(&policy, SERVICE_STOPPED);

    assert_int_equal(service_step(&svc, EV_START, 1060 * SEC), ACT_SPAWN);
    assert_true(svc.occupied);
}

/* A killed restore says nothing of its image: the same rung again, but not for ever. */
static void interrupted_restore(void **state)
{
    struct policy policy = policy_of(RESTART_ON_FAILURE);
    struct service svc = at(&policy, SERVICE_UP);

    service_step(&svc, EV_EXITED, 1060 * SEC);
    svc.attempt_number = 9;
    svc.interrupted = true;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(service_step(&svc, EV_RESTORE_FAILED, 1060 * SEC), ACT_RESTORE);
        assert_int_equal(svc.ladder.below, LADDER_ANY);
    }
    assert_int_equal(service_step(&svc, EV_RESTORE_FAILED, 1060 * SEC), ACT_RESTORE);
    assert_int_equal(svc.ladder.below, 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_table),
        cmocka_unit_test(restart_modes),
        cmocka_unit_test(clean_end_starts_cold),
        cmocka_unit_test(unknown_status_is_not_success),
        cmocka_unit_test(leftovers_are_cleared_first),
        cmocka_unit_test(whole_ladder),
        cmocka_unit_test(proven_ladder),
        cmocka_unit_test(poison),
        cmocka_unit_test(poison_of_proven_ones),
        cmocka_unit_test(start_limit),
        cmocka_unit_test(stop_escalates),
        cmocka_unit_test(stop_mixed),
        cmocka_unit_test(restart_is_stop_then_cold),
        cmocka_unit_test(manual_restore_failing),
        cmocka_unit_test(notify_type_waits_for_ready),
        cmocka_unit_test(interrupted_restore),
        cmocka_unit_test(clean_end_before_ready_is_a_failure),
        cmocka_unit_test(vanished_daemon_is_noticed),
        cmocka_unit_test(back_off_is_never_within_the_step),
        cmocka_unit_test(stop_leaves_what_kill_mode_says),
        cmocka_unit_test(start_timeout_is_no_abort),
        cmocka_unit_test(a_spawn_under_way_is_not_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
