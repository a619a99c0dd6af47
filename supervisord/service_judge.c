/* service_judge.c - what an end means: was it clean, does the policy want the service back, how
 * often. */
#include "supervisord/service_judge.h"

#include <signal.h>

bool service_exit_is_clean(const struct service *svc)
{
    return svc->policy->exec_start_ignore_failure ||
           (svc->exit.known &&
            exit_set_has(&svc->policy->success, svc->exit.code, svc->exit.status));
}

/* systemd.service(5), table 1 of Restart=. */
bool service_restart_wanted(const struct service *svc, bool clean)
{
    const struct policy *policy = svc->policy;
    bool by_signal = !svc->exit.known || svc->exit.code != CLD_EXITED;

    if (svc->exit.known && exit_set_has(&policy->restart_prevent, svc->exit.code, svc->exit.status))
        return false;
    switch (policy->restart) {
    case RESTART_NO:
    case RESTART_ON_WATCHDOG:
        return false;
    case RESTART_ON_SUCCESS:
        return clean;
    case RESTART_ON_FAILURE:
        return !clean;
    case RESTART_ON_ABNORMAL:
    case RESTART_ON_ABORT:
        return !clean && by_signal;
    case RESTART_ALWAYS:
        return true;
    }
    return false;
}

bool service_start_limit_allows(struct service *svc, uint64_t now)
{
    const struct policy *policy = svc->policy;
    unsigned recent = 0;

    if (policy->start_limit_interval_usec == 0 || policy->start_limit_burst == 0)
        return true;
    for (unsigned i = 0; i < START_TIMES_MAX; i++)
        if (svc->start_times[i] && now - svc->start_times[i] < policy->start_limit_interval_usec)
            recent++;
    if (recent >= policy->start_limit_burst || recent >= START_TIMES_MAX)
        return false;
    svc->start_times[svc->start_next++ % START_TIMES_MAX] = now;
    return true;
}

/* The process died early after a recovery: where does the ladder go on? One early death may have
 * been an accident, so images taken since are tried once; from the second on they are as suspect as
 * the one they came from. */
void service_count_early_death(struct service *svc)
{
    if (svc->restored_number)
        svc->poison_number = svc->restored_number;
    if (svc->early_deaths++ == 0)
        svc->early_first = svc->restored_number;
    if (svc->restored_number == 0) { /* it stays on the cold rung until StartLimitBurst= ends it */
        return;
    }
    if (svc->early_deaths == 1) {
        ladder_reset_above(&svc->ladder, svc->policy, svc->restored_number);
        return;
    }
    if (svc->early_first && svc->early_first < svc->restored_number)
        ladder_distrust(&svc->ladder, svc->policy, svc->early_first);
    else
        ladder_distrust(&svc->ladder, svc->policy, svc->restored_number);
}
