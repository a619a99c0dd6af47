/* space.h - how much a dump needs, and making room for it without filling the disk. */
#pragma once

#include "ckptd/store.h"
#include "common/ckpt_spec.h"
#include "common/reason.h"

/* What stays free on the store's file system. 0: a twentieth of it. */
struct space_limits {
    uint64_t reserve;   /* bytes */
    uint64_t max_bytes; /* of one service's checkpoints; 0: a third of the file system */
};

/* About what the next image of this tree takes: its memory now, but at least what the newest image
 * took; with a twentieth on top. 0 when nothing is known. */
uint64_t space_estimate(const struct store *store, const struct ckpt_spec *spec);

/* Removes old checkpoints of the service until one of `need` bytes fits, never its newest whole
 * one. SPACE_SHORT: it does not fit, and `reason` says why. With need 0: brings them below
 * MaxBytes=. */
enum { SPACE_SHORT = 1 };
int space_make_room(struct store *store, const char *name, const struct space_limits *limits,
                    uint64_t need, struct reason *reason);
