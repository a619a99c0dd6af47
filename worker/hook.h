/* hook.h - runs a hook of the policy: a shell command with a time limit. */
#pragma once

#include "common/ckpt_spec.h"

#include <stddef.h>

#define HOOK_TIMEOUT_USEC (30 * 1000000ULL)

/* Runs `command` by /bin/sh -c in a process group of its own, with PERDURE_CHECKPOINT or
 * PERDURE_RESTORED
 * (`variable`) set to `id` and PERDURE_PID to `pid`; its output goes to our stderr. Kills its
 * process group at the time limit. 0: exit status 0; > 0: it failed and `ret_why` says how. */
int hook_run(const char *command, const char *variable, const char *id, pid_t pid, char *ret_why,
             size_t size);
