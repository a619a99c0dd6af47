/* run.h - one `perdure run`: what it runs, and the instance of its own that is made for it. */
#pragma once

#include "ctl/ctl.h"

struct run {
    char **argv;   /* the command, argv[0] made absolute; NULL: of --policy */
    char *program; /* argv[0] as resolved */
    char *name, *state, *runtime, *config;
    bool runtime_made; /* and so ours to remove */
    uint64_t interval;
};

/* Makes the state and runtime folders; name must be set. EXIT_OK or a reported exit code. */
int run_make_folders(const struct ctl *ctl, struct run *run);

/* Writes the policy and settings below run->config and reads them back. EXIT_OK or a reported code.
 */
int run_make_policy(const struct ctl *ctl, const struct run *run);

/* Removes what was made but the state, and frees. */
void run_done(struct run *run);
