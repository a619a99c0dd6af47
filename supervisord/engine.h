/* engine.h - the thinking half of supervisord, a child of the keeper. */
#pragma once

#include "common/dirs.h"

struct engine_config {
    const struct dirs *dirs;
    bool run_mode; /* `perdure run`: end with the one service, and when the owner's end of stdin
                      closes */
    bool cold;     /* forget recorded state and images at start */
};

/* Runs until the keeper ends it, or, when the keeper was killed, until the next one takes over.
 * Returns the exit status for main(). The descriptors of keeper_fds.h are open. */
int engine_run(const struct engine_config *config);
