/* ladder.h - which way a service comes back next: a proven image, the newest one, an older one,
 * cold. Pure. */
#pragma once

#include "supervisord/policy.h"

#define LADDER_ANY UINT64_MAX

struct ladder {
    uint32_t position; /* in policy->ladder */
    uint32_t skip;     /* the rung is "older" and the newest was not tried: pass over one image */
    uint64_t below;    /* only images with a smaller number are tried; LADDER_ANY: all */
    uint64_t above;    /* on the newest rung: only images with a greater number; 0: all */
    uint64_t tried;    /* failed on the proven rung, which leaves `below` alone; 0: none */
};

/* LADDER_USED_UP: nothing is left to try. */
enum { LADDER_USED_UP = 1 };

/* Back to the first rung. */
void ladder_reset(struct ladder *ladder, const struct policy *policy);

/* Back to the first rung, but what is newest must be newer than image `number`. */
void ladder_reset_above(struct ladder *ladder, const struct policy *policy, uint64_t number);

/* The rung to try now. */
int ladder_current(const struct ladder *ladder, const struct policy *policy,
                   enum ladder_rung *ret_rung);

/* Image `number` was passed over (its rung asked for an older one, or it was `tried`); ask again
 * with the new `below`. */
void ladder_skip(struct ladder *ladder, uint64_t number);

/* Image `number` did not come back to life: never again on this climb. */
void ladder_image_failed(struct ladder *ladder, const struct policy *policy, uint64_t number);

/* Image `number` came to life but died, and so would those taken since: only what is below it. */
void ladder_distrust(struct ladder *ladder, const struct policy *policy, uint64_t number);

/* Are only proven images wanted? */
bool ladder_wants_proven(const struct ladder *ladder, const struct policy *policy);

/* The rung has nothing (more) to offer, or was the cold one and failed. */
void ladder_next(struct ladder *ladder, const struct policy *policy);
