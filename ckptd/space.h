/* space.h - how much a dump needs, and making room for it without filling the disk. */
#pragma once

#include "ckptd/store.h"
#include "common/ckpt_spec.h"
#include "common/reason.h"

struct space_limits {
    uint64_t reserve;         /* stays free; 0: a twentieth of the file system */
    uint64_t max_bytes;       /* of one service's checkpoints; 0: a third of the file system */
    uint64_t store_max_bytes; /* of all services' checkpoints; 0: no limit */
};

/* About what the next image of this tree takes: its memory now, but at least what the newest image
 * took; with a twentieth on top. 0 when nothing is known. */
uint64_t space_estimate(const struct store *store, const struct ckpt_spec *spec);

/* Bytes that may be written without touching the reserve (0: the default one). */
int space_free(const struct store *store, uint64_t reserve, uint64_t *ret_free);

/* What a dump takes: on the disk for a moment, and in the end. */
struct space_need {
    uint64_t free;   /* the whole image, whatever of it is stored */
    uint64_t stored; /* that counts against MaxBytes= */
};

/* Of the next dump: a delta is stored in about twice the bytes of the last one. */
struct space_need space_need_of(const struct store *store, const struct ckpt_spec *spec,
                                bool delta);

/* Removes old checkpoints until one of `need` fits: of the service, and when the whole store
 * is over its limit, of whoever has the oldest. Never a pinned one, the newest whole one of a
 * service, one that such a one needs, or one that somebody reads. SPACE_SHORT: it does not fit, and
 * `reason` says why. With need {}: brings them below both MaxBytes=. */
enum { SPACE_SHORT = 1 };
int space_make_room(struct store *store, const char *name, const struct space_limits *limits,
                    struct space_need need, struct reason *reason);
