/* service_judge.h - the judgements that service.c decides by. Pure. */
#pragma once

#include "supervisord/service.h"

/* Does Restart= bring it back after the end that is recorded in svc->exit? `clean` is the caller's
 * judgement of that end: one before readiness never is. */
bool service_restart_wanted(const struct service *svc, bool clean);

/* StartLimitIntervalSec=, StartLimitBurst=: is one more automatic start allowed? Counts it. */
bool service_start_limit_allows(struct service *svc, uint64_t now);

/* The process died within MinUptime= of a recovery: notes which image is poisoned and where the
 * ladder goes on. */
void service_count_early_death(struct service *svc);
