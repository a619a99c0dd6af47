/* select.h - which checkpoint to restore: the newest that is whole and that this host can restore.
 */
#pragma once

#include "ckptd/probe.h"
#include "ckptd/store.h"

struct selection {
    uint64_t number;
    uint64_t time_realtime, time_boot; /* usec; time_boot is 0 when of an earlier boot */
    char **argv;                       /* of the restore worker, see layout.h */
};
void selection_done(struct selection *selection);

/* The newest with a number < `below`; with `only` != 0 exactly that one, poisoned or not.
 * SELECT_NONE: there is none, and `reason` tells for each candidate why. Marks one as corrupt when
 * a file of it is missing or cut. */
enum { SELECT_NONE = 1 };
int select_image(struct store *store, const char *name, uint64_t below, uint64_t only,
                 const struct host *host, const struct criu_facts *criu, const char *worker,
                 struct selection *ret, struct reason *reason);

/* Why this one cannot be restored here: NULL when it can. A new string. */
int select_why_not(const struct store *store, const char *name, uint64_t number,
                   const struct host *host, const struct criu_facts *criu, char **ret_why);
