/* keeper.h - the one process that must not die: parent of engine, ckptd and every service. */
#pragma once

#include "common/dirs.h"

#include <stdbool.h>
#include <sys/types.h>

struct keeper_config {
    const struct dirs *dirs;
    char *const *engine_argv; /* NULL-terminated; [0] is the program's path. See keeper_fds.h */
    char *const *ckptd_argv;  /* the same, see common/handoff.h; NULL: run without ckptd */
    const char *init_path;    /* perdure-init; NULL: PidNamespace= is refused with -ENOENT */
    mode_t control_mode;      /* of RUNTIME/control.sock */
    gid_t control_group;      /* owner group of it; (gid_t)-1: unchanged */
    bool run_mode;            /* `perdure run`: hang-up and quit end it like SIGTERM does */
};

/* Runs until the engine sends KEEPER_QUIT; returns the exit status for main(): QUIT's value, or 1
 * when it could not start (logged). Everything in `config` is borrowed. */
int keeper_run(const struct keeper_config *config);
