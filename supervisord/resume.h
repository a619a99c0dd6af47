/* resume.h - what a new engine makes of a service: what its predecessor wrote down, held against
 * what the keeper says is true now. Pure. */
#pragma once

#include "supervisord/keeper_proto.h"
#include "supervisord/service.h"

/* What is to be done once the whole table is known. */
enum resume {
    RESUME_NOTHING,  /* it runs, waits for a timer, or the keeper's next record says how it goes on
                      */
    RESUME_BEGIN,    /* as at a first start: up if it is wanted */
    RESUME_STARTED,  /* EV_SPAWNED has been missed */
    RESUME_RESTORED, /* EV_RESTORED has been missed */
    RESUME_EMPTIED,  /* EV_EMPTIED has been missed */
    RESUME_PID_FILE, /* Type=forking: the parent has ended, PIDFile= is still awaited */
    RESUME_SPAWN,    /* ACT_SPAWN was not carried out, or nobody knows; the same for the others */
    RESUME_RESTORE,
    RESUME_STOP,
    RESUME_KILL,
};

/* `recorded` is the state of the last record of this boot, SERVICE_STATE_COUNT without one; `slot`
 * is NULL when the keeper does not know the service; `seen_usec` is when the last outcome happened
 * that is part of the record. Sets state, deadline and occupied. */
enum resume service_resume(struct service *svc, enum service_state recorded,
                           const struct keeper_record *slot, uint64_t seen_usec, uint64_t now);

/* Does the slot tell of an end or a failure that is not part of the record? The keeper's record of
 * it follows. */
bool slot_has_news(const struct keeper_record *slot, uint64_t seen_usec);
