/* sandbox.h - restores an image where it can do nothing: in pid, mount, network, IPC and UTS
 * namespaces of its own, up to the moment before the first instruction of the program. */
#pragma once

#include "common/reason.h"
#include "worker/criu.h"
#include "worker/survey.h"

enum sandbox_verdict {
    SANDBOX_RESTORED = 1, /* every task was there, held where it would go on */
    SANDBOX_REFUSED,      /* CRIU could not: its reason */
    SANDBOX_IMPOSSIBLE,   /* this image cannot be had in a sandbox: what is in the way */
};

struct sandbox {
    const struct survey *survey;
    struct criu_run run; /* of a restore; streams and what is called back are set here */
    uint64_t bytes;      /* that files may take in memory */
};

/* Returns the verdict when nothing of it is left, also none of its processes; they end with the
 * caller, too, however that ends. `reason` is set but for SANDBOX_RESTORED. < 0: the try could not
 * be made. */
int sandbox_try(const struct sandbox *sandbox, struct reason *reason);
