/* ctl.h - one invocation of `perdure`: its options, its exit codes, how it reports, its verbs. */
#pragma once

#include "common/dirs.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

/* What systemctl and LSB init scripts taught people to expect; the table is in perdure(1). */
enum exit_code {
    EXIT_OK = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_NOT_RUNNING = 3, /* the service, or the daemon itself */
    EXIT_UNKNOWN = 4,     /* no such service */
    EXIT_DENIED = 5,
    EXIT_NOT_EXECUTABLE = 126, /* `run` only, as shells do */
    EXIT_NOT_FOUND = 127,
};

struct ctl {
    const struct verb *verb;
    struct dirs dirs;
    const char *config_dir, *state_dir, *runtime_dir; /* as given, or NULL */
    char *socket;                                     /* path of the control socket */
    bool json;
    sd_bus *bus; /* see client.h */

    /* options of single verbs, see `letters` */
    unsigned lines;
    bool lines_given, follow;
    const char *policy, *name, *interval;
    bool resume;
    bool leave_running;
    bool all, dry_run;
    bool force, trust;
};

struct verb {
    const char *name;
    const char *arguments; /* synopsis, "" none */
    const char *letters; /* of its own options, see main.c; a leading '+' stops at the first word */
    int min_words, max_words;                           /* -1: any number */
    const char *summary;                                /* one line of `perdure help` */
    const char *help;                                   /* rest of `perdure VERB --help`, or NULL */
    int (*run)(struct ctl *ctl, int argc, char **argv); /* -> enum exit_code */
};

int verb_status(struct ctl *ctl, int argc, char **argv);
int verb_start(struct ctl *ctl, int argc, char **argv);
int verb_stop(struct ctl *ctl, int argc, char **argv);
int verb_restart(struct ctl *ctl, int argc, char **argv);
int verb_reload(struct ctl *ctl, int argc, char **argv);
int verb_shutdown(struct ctl *ctl, int argc, char **argv);
int verb_version(struct ctl *ctl, int argc, char **argv);
int verb_checkpoint(struct ctl *ctl, int argc, char **argv);
int verb_list(struct ctl *ctl, int argc, char **argv);
int verb_show(struct ctl *ctl, int argc, char **argv);
int verb_restore(struct ctl *ctl, int argc, char **argv);
int verb_diff(struct ctl *ctl, int argc, char **argv);
int verb_verify(struct ctl *ctl, int argc, char **argv);
int verb_drill(struct ctl *ctl, int argc, char **argv);
int verb_pin(struct ctl *ctl, int argc, char **argv);
int verb_unpin(struct ctl *ctl, int argc, char **argv);
int verb_prune(struct ctl *ctl, int argc, char **argv);
int verb_key(struct ctl *ctl, int argc, char **argv);
int verb_export(struct ctl *ctl, int argc, char **argv);
int verb_import(struct ctl *ctl, int argc, char **argv);
int verb_unpack(struct ctl *ctl, int argc, char **argv);
int verb_logs(struct ctl *ctl, int argc, char **argv);
int verb_check(struct ctl *ctl, int argc, char **argv);
int verb_run(struct ctl *ctl, int argc, char **argv);

/* Every failure leaves through here: text on stderr, or the error object on stdout with --json.
 * `cure` says what to do, or is NULL. Returns `code`. */
int report(const struct ctl *ctl, int code, const char *cure, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The same for -errno of something that has no cure of its own. */
int report_errno(const struct ctl *ctl, int error, const char *what);

/* Prints one JSON value and drops it; NULL means out of memory. */
int print_json(const struct ctl *ctl, json_t *value);

/* Checks words that must be service names; EXIT_OK or a reported EXIT_USAGE. */
int check_names(const struct ctl *ctl, int count, char **names);

/* The same for the id of a checkpoint, NAME@N. */
int check_id(const struct ctl *ctl, const char *word);
