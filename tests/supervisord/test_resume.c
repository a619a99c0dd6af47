/* test_resume.c - a new engine, for every state its predecessor can have died in and every state
 * the keeper can show. */
#include "supervisord/resume.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define NOW  (1000 * USEC_PER_SEC)
#define SEEN 77u /* the time of the outcome that is part of the record */
#define NEW  88u

static struct policy policy = {
    .type = TYPE_EXEC,
    .restart_usec = USEC_PER_SEC,
    .timeout_start_usec = 20 * USEC_PER_SEC,
    .timeout_stop_usec = 30 * USEC_PER_SEC,
};

struct given {
    enum service_state recorded;
    enum slot_state slot; /* SLOT_FREE: the keeper does not know it */
    uint32_t outcome;
    uint64_t when;
    uint32_t flags;
};

static struct service svc;

static enum resume resumed(const struct given *given)
{
    struct keeper_record slot = {
        .state = given->slot,
        .outcome = given->outcome,
        .when_usec = given->when,
        .flags = given->flags,
    };

    svc = (struct service){.policy = &policy, .desired_up = true};
    return service_resume(&svc, given->recorded, given->slot == SLOT_FREE ? NULL : &slot, SEEN,
                          NOW);
}

/* recorded state, slot, and, where there is one, outcome, its time, flags */
#define GIVEN(...)                 GIVEN_(__VA_ARGS__, 0, 0, 0, 0)
#define GIVEN_(r, s, o, w, f, ...) (&(struct given){r, s, o, w, f})

static void expect(const struct given *given, enum service_state state, enum resume next)
{
    enum resume got = resumed(given);

    if (svc.state != state || got != next)
        fail_msg("recorded %d, slot %d: state %d next %d, want %d %d", given->recorded, given->slot,
                 svc.state, got, state, next);
}

/* Nothing had been asked of the keeper yet, or it is over and known: it is asked (again). */
static void nothing_runs(void **state)
{
    static const enum slot_state none[] = {SLOT_FREE, SLOT_DOWN};

    for (int i = 0; i < 2; i++) {
        expect(GIVEN(SERVICE_STARTING, none[i]), SERVICE_STARTING, RESUME_SPAWN);
        expect(GIVEN(SERVICE_RESTORING, none[i]), SERVICE_RESTORING, RESUME_RESTORE);
        expect(GIVEN(SERVICE_CLEARING, none[i]), SERVICE_CLEARING, RESUME_EMPTIED);
        expect(GIVEN(SERVICE_STOPPING, none[i]), SERVICE_STOPPING, RESUME_EMPTIED);
        expect(GIVEN(SERVICE_FAILED, none[i]), SERVICE_FAILED, RESUME_NOTHING);
        expect(GIVEN(SERVICE_STOPPED, none[i]), SERVICE_STOPPED, RESUME_BEGIN);
        expect(GIVEN(SERVICE_UP, none[i]), SERVICE_STOPPED, RESUME_BEGIN);
        expect(GIVEN(SERVICE_STATE_COUNT, none[i]), SERVICE_STOPPED, RESUME_BEGIN);
        expect(GIVEN(SERVICE_BACKOFF, none[i]), SERVICE_BACKOFF, RESUME_NOTHING);
        assert_int_equal(svc.deadline, NOW + USEC_PER_SEC);
        assert_false(svc.occupied);
    }
}

static void it_runs(void **state)
{
    expect(GIVEN(SERVICE_UP, SLOT_RUNNING), SERVICE_UP, RESUME_NOTHING);
    assert_true(svc.occupied);
    expect(GIVEN(SERVICE_STATE_COUNT, SLOT_RUNNING), SERVICE_UP, RESUME_NOTHING);
    expect(GIVEN(SERVICE_STARTING, SLOT_RUNNING), SERVICE_STARTING, RESUME_STARTED);
    assert_int_equal(svc.deadline, NOW + 20 * USEC_PER_SEC);
    /* restored while nobody listened: work lost and the mark in the log are still to be made */
    expect(GIVEN(SERVICE_RESTORING, SLOT_RUNNING), SERVICE_RESTORING, RESUME_RESTORED);
    /* a stop, a restart, a manual restore or a clearing that had begun goes on */
    expect(GIVEN(SERVICE_STOPPING, SLOT_RUNNING), SERVICE_STOPPING, RESUME_STOP);
    assert_int_equal(svc.deadline, NOW + 30 * USEC_PER_SEC);
    expect(GIVEN(SERVICE_CLEARING, SLOT_RUNNING), SERVICE_CLEARING, RESUME_KILL);
    assert_true(svc.deadline > NOW);
}

static void on_its_way(void **state)
{
    expect(GIVEN(SERVICE_STARTING, SLOT_SPAWNING), SERVICE_STARTING, RESUME_NOTHING);
    assert_int_equal(svc.deadline, NOW + 20 * USEC_PER_SEC);
    expect(GIVEN(SERVICE_RESTORING, SLOT_RESTORING), SERVICE_RESTORING, RESUME_NOTHING);
    /* RESTORE_FAILED follows, and only then the image counts as tried */
    expect(GIVEN(SERVICE_RESTORING, SLOT_CLEARING), SERVICE_RESTORING, RESUME_NOTHING);
    /* stopped while it started or was restored */
    expect(GIVEN(SERVICE_STOPPING, SLOT_SPAWNING), SERVICE_STOPPING, RESUME_STOP);
    expect(GIVEN(SERVICE_CLEARING, SLOT_RESTORING), SERVICE_CLEARING, RESUME_KILL);
}

/* The keeper's record of it follows and is judged then, once. */
static void news(void **state)
{
    expect(GIVEN(SERVICE_UP, SLOT_EXITED, KEEPER_EXITED, NEW), SERVICE_UP, RESUME_NOTHING);
    expect(GIVEN(SERVICE_STARTING, SLOT_EXITED, KEEPER_EXITED, NEW), SERVICE_STARTING,
           RESUME_NOTHING);
    expect(GIVEN(SERVICE_RESTORING, SLOT_EXITED, KEEPER_EXITED, NEW), SERVICE_RESTORING,
           RESUME_RESTORED);
    expect(GIVEN(SERVICE_STARTING, SLOT_SPAWNING, KEEPER_SPAWN_FAILED, NEW), SERVICE_STARTING,
           RESUME_NOTHING);
    expect(GIVEN(SERVICE_RESTORING, SLOT_RESTORING, KEEPER_RESTORE_FAILED, NEW), SERVICE_RESTORING,
           RESUME_NOTHING);
    expect(GIVEN(SERVICE_STOPPING, SLOT_EXITED, KEEPER_EXITED, NEW, KEEPER_EMPTY), SERVICE_STOPPING,
           RESUME_NOTHING);
}

/* It was judged and written down; only the acknowledgement was missing. */
static void history(void **state)
{
    expect(GIVEN(SERVICE_RESTORING, SLOT_EXITED, KEEPER_EXITED, SEEN, KEEPER_EMPTY),
           SERVICE_RESTORING, RESUME_RESTORE);
    expect(GIVEN(SERVICE_RESTORING, SLOT_RESTORING, KEEPER_RESTORE_FAILED, SEEN), SERVICE_RESTORING,
           RESUME_RESTORE);
    expect(GIVEN(SERVICE_BACKOFF, SLOT_EXITED, KEEPER_EXITED, SEEN, KEEPER_EMPTY), SERVICE_BACKOFF,
           RESUME_NOTHING);
    expect(GIVEN(SERVICE_BACKOFF, SLOT_SPAWNING, KEEPER_SPAWN_FAILED, SEEN), SERVICE_BACKOFF,
           RESUME_NOTHING);
    assert_false(svc.occupied);
    expect(GIVEN(SERVICE_FAILED, SLOT_EXITED, KEEPER_EXITED, SEEN, KEEPER_EMPTY), SERVICE_FAILED,
           RESUME_NOTHING);
    expect(GIVEN(SERVICE_CLEARING, SLOT_EXITED, KEEPER_EXITED, SEEN), SERVICE_CLEARING,
           RESUME_KILL);
}

static void forking(void **state)
{
    policy.type = TYPE_FORKING;
    expect(GIVEN(SERVICE_STARTING, SLOT_EXITED), SERVICE_STARTING, RESUME_PID_FILE);
    assert_int_equal(svc.deadline, NOW + 20 * USEC_PER_SEC);
    expect(GIVEN(SERVICE_UP, SLOT_EXITED), SERVICE_STARTING, RESUME_PID_FILE);
    policy.type = TYPE_EXEC;
}

/* KillMode=none: stopped is stopped, whatever runs. */
static void leftovers(void **state)
{
    struct keeper_record slot = {.state = SLOT_RUNNING};

    svc = (struct service){.policy = &policy};
    assert_int_equal(service_resume(&svc, SERVICE_STOPPED, &slot, SEEN, NOW), RESUME_NOTHING);
    assert_int_equal(svc.state, SERVICE_STOPPED);
    assert_true(svc.occupied);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_runs), cmocka_unit_test(it_runs), cmocka_unit_test(on_its_way),
        cmocka_unit_test(news),         cmocka_unit_test(history), cmocka_unit_test(forking),
        cmocka_unit_test(leftovers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
