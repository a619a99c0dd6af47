/* resume.c - recorded intention and present truth make the state that the dead engine would be in.
 */
#include "supervisord/resume.h"

#define RESUME_CLEAR_USEC (10 * USEC_PER_SEC) /* then it is killed once more */

bool slot_has_news(const struct keeper_record *slot, uint64_t seen_usec)
{
    return slot && slot->outcome && slot->when_usec != seen_usec;
}

/* The keeper shows a slot as it was before an outcome that nobody has acknowledged. One that our
 * predecessor wrote down and did not live to acknowledge is history. */
static enum slot_state present(const struct keeper_record *slot, bool news)
{
    if (!slot || slot->state == SLOT_FREE)
        return SLOT_DOWN;
    if (slot->outcome && !news && slot->state != SLOT_EXITED)
        return SLOT_DOWN;
    if (slot->state == SLOT_EXITED && (slot->flags & KEEPER_EMPTY) && !news)
        return SLOT_DOWN;
    return (enum slot_state)slot->state;
}

static void set_state(struct service *svc, enum service_state state, uint64_t now, uint64_t timeout)
{
    svc->state = state;
    svc->state_since = now;
    svc->deadline = timeout && timeout != USEC_INFINITY ? now + timeout : 0;
}

static enum resume resume_starting(struct service *svc, enum slot_state slot, bool news,
                                   uint64_t now)
{
    set_state(svc, SERVICE_STARTING, now, svc->policy->timeout_start_usec);
    if (slot == SLOT_RUNNING)
        return RESUME_STARTED;
    if (news || slot == SLOT_SPAWNING)
        return RESUME_NOTHING;
    return slot == SLOT_EXITED && svc->policy->type == TYPE_FORKING ? RESUME_PID_FILE
                                                                    : RESUME_SPAWN;
}

static enum resume resume_restoring(struct service *svc, enum slot_state slot, bool news,
                                    uint64_t now)
{
    set_state(svc, SERVICE_RESTORING, now, 0);
    if (slot == SLOT_RUNNING || (slot == SLOT_EXITED && news))
        return RESUME_RESTORED;
    return slot == SLOT_RESTORING || slot == SLOT_CLEARING ? RESUME_NOTHING : RESUME_RESTORE;
}

/* It was up, or nobody knows what it was: what is there now counts. */
static enum resume resume_by_slot(struct service *svc, enum slot_state slot, bool news,
                                  uint64_t now)
{
    switch (slot) {
    case SLOT_SPAWNING:
        return resume_starting(svc, slot, news, now);
    case SLOT_RESTORING:
    case SLOT_CLEARING:
        return resume_restoring(svc, slot, news, now);
    case SLOT_RUNNING:
        set_state(svc, SERVICE_UP, now, 0);
        return RESUME_NOTHING;
    case SLOT_EXITED:
        if (!news)
            break;
        set_state(svc, SERVICE_UP, now, 0);
        return RESUME_NOTHING;
    case SLOT_FREE:
    case SLOT_DOWN:
        break;
    }
    set_state(svc, SERVICE_STOPPED, now, 0);
    return RESUME_BEGIN;
}

enum resume service_resume(struct service *svc, enum service_state recorded,
                           const struct keeper_record *slot_record, uint64_t seen_usec,
                           uint64_t now)
{
    bool news = slot_has_news(slot_record, seen_usec);
    enum slot_state slot = present(slot_record, news);
    bool runs = slot == SLOT_SPAWNING || slot == SLOT_RESTORING || slot == SLOT_RUNNING;

    svc->occupied =
        slot != SLOT_DOWN && !(slot == SLOT_EXITED && slot_record->flags & KEEPER_EMPTY);
    switch (recorded) {
    case SERVICE_CLEARING:
        set_state(svc, SERVICE_CLEARING, now, RESUME_CLEAR_USEC);
        return svc->occupied ? RESUME_KILL : news ? RESUME_NOTHING : RESUME_EMPTIED;
    case SERVICE_STOPPING:
        set_state(svc, SERVICE_STOPPING, now, svc->policy->timeout_stop_usec);
        return svc->occupied ? RESUME_STOP : news ? RESUME_NOTHING : RESUME_EMPTIED;
    case SERVICE_STARTING:
        return resume_starting(svc, slot, news, now);
    case SERVICE_RESTORING:
        return resume_restoring(svc, slot, news, now);
    case SERVICE_BACKOFF:
    case SERVICE_FAILED:
        if (runs)
            break;
        set_state(svc, recorded, now, recorded == SERVICE_BACKOFF ? svc->policy->restart_usec : 0);
        if (recorded == SERVICE_BACKOFF && svc->deadline == 0 && svc->policy->restart_usec == 0)
            svc->deadline = now;
        return RESUME_NOTHING;
    case SERVICE_STOPPED:
        if (svc->desired_up)
            break;
        set_state(svc, SERVICE_STOPPED, now, 0); /* KillMode= may have left something running */
        return RESUME_NOTHING;
    case SERVICE_UP: /* the daemon named in PIDFile= was taken over, but the keeper never heard */
        if (slot == SLOT_EXITED && !news && svc->policy->type == TYPE_FORKING)
            return resume_starting(svc, slot, news, now);
        break;
    case SERVICE_STATE_COUNT:
        break;
    }
    return resume_by_slot(svc, slot, news, now);
}
