/* stand_in.h - files, FIFOs, folders and sockets of a drill in the place of the host's. */
#pragma once

#include "common/reason.h"
#include "worker/survey.h"

/* Puts all of the survey into the world that is "/" now; `host_fd` is the host's "/". The sockets
 * stay open for as long as the caller lives. WORLD_IMPOSSIBLE (world.h) and < 0: `reason` is set.
 */
int stand_in_all(const struct survey *survey, int host_fd, struct reason *reason);
