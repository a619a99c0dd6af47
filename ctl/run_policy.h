/* run_policy.h - the policy that `perdure run` makes of a command line, as text; pure. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

struct run_policy {
    char *const *argv;  /* the command, argv[0] absolute; NULL: that of the user's own policy */
    const char *folder; /* where it runs; NULL: as the user's own policy says, with its umask */
    mode_t umask;
    const char *env_file;          /* path of the file that run_environment() wrote */
    const uint64_t *interval_usec; /* NULL: the default */
};

/* RUN_POLICY_FOLDER, RUN_POLICY_PROGRAM: a path that no policy can hold (too long, " ;", line
 * ends). */
enum { RUN_POLICY_FOLDER = 1, RUN_POLICY_PROGRAM };
int run_policy_write(FILE *out, const struct run_policy *run);

/* The variables of `env` (NULL: none) and the arguments that are too long for a policy's line, in
 * the syntax of EnvironmentFile=, systemd.exec(5). */
int run_environment_write(FILE *out, char *const *env, char *const *argv);

/* A service name made of a command's, new string: the part behind its last slash, other letters
 * than names may have replaced by '_'. NULL when out of memory. */
char *run_name(const char *command);
