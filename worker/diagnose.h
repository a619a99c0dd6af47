/* diagnose.h - why a run of criu failed: its own first error line, and the cure for it. */
#pragma once

#include "common/reason.h"
#include "worker/criu.h"

#include <stdbool.h>

/* Reads the run's log. False when that names no error: `reason` then says how criu ended, and a run
 * at a higher log level may tell more. */
bool diagnose(const struct criu_run *run, const struct criu_result *result, struct reason *reason);
