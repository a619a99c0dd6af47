/* select.h - which checkpoint to restore: the newest that is whole and that this host can restore.
 */
#pragma once

#include "ckptd/probe.h"
#include "ckptd/store.h"
#include "image/host.h"

#include <stdbool.h>

struct selection {
    uint64_t number;
    uint64_t time_realtime, time_boot; /* usec; time_boot is 0 when of an earlier boot */
    char **argv;                       /* of the restore worker, see layout.h */
};
void selection_done(struct selection *selection);

/* What an image is held against. */
struct select_context {
    struct store *store;
    const struct host *host;
    const struct criu_facts *criu;
    const char *worker, *key_file; /* paths */
};

struct select_wish {
    const char *name;
    uint64_t below;   /* a number smaller than this */
    uint64_t only;    /* 0, or exactly this one, poisoned or not */
    bool proven_only; /* a drill has restored it */
};

/* The newest that is wished for. SELECT_NONE: there is none, and `reason` tells for each candidate
 * why. Marks one as corrupt when a file of it is missing or cut. */
enum { SELECT_NONE = 1 };
int select_image(const struct select_context *context, const struct select_wish *wish,
                 struct selection *ret, struct reason *reason);

/* Why this one cannot be restored here: NULL when it can. A new string. */
int select_why_not(const struct select_context *context, const char *name, uint64_t number,
                   char **ret_why);
