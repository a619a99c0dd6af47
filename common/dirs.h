/* dirs.h - where an instance lives: its three folders, the fixed places in them, and valid names.
 */
#pragma once

#include <stdbool.h>

struct dirs {
    char *config;  /* perdure.ini, policies/NAME.ini */
    char *state;   /* checkpoints/NAME/N/, logs/NAME.log, services/NAME.state */
    char *runtime; /* control.sock, notify.sock, supervisord.lock */
};

/* Fills what is NULL: root gets /etc/perdure, /var/lib/perdure, /run/perdure; others the XDG
 * folders (basedir-spec). PERDURE_RUNTIME_DIR overrides the runtime folder. Paths are made
 * absolute. */
int dirs_init(struct dirs *d, const char *config, const char *state, const char *runtime);
void dirs_done(struct dirs *d);

#define DIRS_LOCK         "supervisord.lock" /* in state: flock held by the keeper */
#define DIRS_CONTROL_SOCK "control.sock"     /* in runtime */
#define DIRS_NOTIFY_SOCK  "notify.sock"      /* in runtime */
#define DIRS_TABLE        "keeper.table"     /* in state: the keeper's slots */
#define DIRS_POLICIES     "policies"         /* in config */
#define DIRS_CHECKPOINTS  "checkpoints"      /* in state */
#define DIRS_LOGS         "logs"             /* in state */
#define DIRS_SERVICES     "services"         /* in state */
#define DIRS_KEYS         "store.keys"       /* in state, unless KeyFile= names another */

/* A service's name is a file name, a cgroup name and part of a bus path: letters, digits and
 * "_.:@\-", not starting with '.', at most SERVICE_NAME_MAX bytes. */
#define SERVICE_NAME_MAX 100
bool service_name_is_valid(const char *name);

/* Path of a program of ours, new string: beside our own when it is there (a build tree), else in
 * ../libexec/perdure, else in the libexec of the build. NULL when out of memory. */
char *find_program(const char *name);
