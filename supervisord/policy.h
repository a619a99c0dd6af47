/* policy.h - one service's policy: an INI file with its drop-ins, as a struct.
 *
 * Keys that systemd.service(5), systemd.exec(5), systemd.kill(5), systemd.unit(5) have keep their
 * name, syntax and meaning; [Checkpoint] and [Recovery] are ours. Pure but for reading files. */
#pragma once

#include "common/proc.h" /* USEC_* */
#include "supervisord/spawn_spec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum service_type { TYPE_SIMPLE, TYPE_EXEC, TYPE_NOTIFY, TYPE_FORKING };
enum restart_mode {
    RESTART_NO,
    RESTART_ON_SUCCESS,
    RESTART_ON_FAILURE,
    RESTART_ON_ABNORMAL,
    RESTART_ON_WATCHDOG,
    RESTART_ON_ABORT,
    RESTART_ALWAYS,
};
enum kill_mode { KILL_CONTROL_GROUP, KILL_MIXED, KILL_PROCESS, KILL_NONE };
enum ladder_rung { RUNG_PROVEN, RUNG_NEWEST, RUNG_OLDER, RUNG_COLD };
enum verify_mode { VERIFY_CHANGED, VERIFY_ALWAYS };
#define LADDER_MAX 8

/* SuccessExitStatus= and friends: codes and signals. */
struct exit_set {
    uint8_t codes[256 / 8];
    uint64_t signals; /* bit n-1 is signal n */
};
bool exit_set_has(const struct exit_set *set, int code /* CLD_* */, int status);

struct policy_stream {
    enum stream_kind kind;
    char *path; /* FILE and APPEND; NULL: the default STATE/logs/NAME.log */
};

struct policy {
    char *name;        /* "redis", "game@west" */
    char *path;        /* the file it was read from */
    char *description; /* never NULL */

    /* [Service] */
    enum service_type type; /* default exec: an exec failure is a start failure */
    char *
        *exec_start; /* argv; exec_start[0] is an absolute path; %-specifiers resolved, $VAR not */
    char *exec_start_line;          /* as written, for messages */
    bool exec_start_ignore_failure; /* "-" prefix: any end of the main process counts as clean */
    char ***exec_stop;              /* NULL-terminated list of argv's; NULL none */
    bool exec_stop_ignore_failure;  /* "-" prefix of the last one */
    char *pid_file;
    char *user, *group;                /* NULL unchanged; names or numbers as written */
    char **supplementary_groups;       /* NULL-terminated or NULL */
    char *working_directory;           /* NULL: "/"; "~" is resolved to a path */
    bool working_directory_missing_ok; /* "-" prefix */
    char **environment;                /* "K=V", later ones win; NULL-terminated or NULL */
    char **environment_files;          /* "-" prefix kept: missing is fine */
    int umask;                         /* default 0022 */
    struct spawn_limit limits[RLIM_NLIMITS];
    unsigned limit_count;
    bool nice_set, oom_set;
    int nice, oom_score_adj;
    bool no_new_privs;
    enum restart_mode restart; /* default on-failure */
    uint64_t restart_usec;     /* default 100ms */
    struct exit_set success, restart_prevent;
    uint64_t timeout_start_usec, timeout_stop_usec; /* default 90s; USEC_INFINITY never */
    int kill_signal;                                /* default SIGTERM */
    enum kill_mode kill_mode;
    uint64_t start_limit_interval_usec; /* default 10s; 0 off */
    unsigned start_limit_burst;         /* default 5 */
    struct policy_stream stream[STREAM_COUNT];

    /* [Checkpoint] */
    bool checkpoint_enabled;                       /* default true */
    uint64_t interval_usec;                        /* default 30s; 0 on demand only */
    unsigned keep;                                 /* default 5, at least 1 */
    unsigned keep_hourly, keep_daily, keep_weekly; /* default 0 */
    uint64_t max_bytes;                            /* 0: a third of the file system */
    unsigned max_chain;                            /* default 16; 0: every image is full */
    unsigned compress;                             /* zstd level, default 3; 0: none */
    bool encrypt;                                  /* default false */
    enum verify_mode verify;                       /* default changed */
    unsigned drill_every;                          /* default 0: off */
    int drill_nice;                                /* default 19 */
    enum files_mode files;                         /* default ignore */
    char **snapshot_paths;     /* absolute paths or glob(7) patterns; NULL-terminated or NULL */
    enum staging_mode staging; /* default auto */
    uint64_t staging_max;      /* 0: a quarter of the memory */
    bool tcp_established;      /* default false */
    bool file_locks;           /* default true: harmless where there are none */
    uint64_t ghost_limit;      /* default 64M */
    bool pid_namespace;
    char *pre_checkpoint, *post_checkpoint; /* command lines for words_split(), or NULL */

    /* [Recovery] */
    enum ladder_rung ladder[LADDER_MAX]; /* default newest older cold */
    unsigned ladder_len;
    uint64_t min_uptime_usec; /* default 10s */
    char *post_restore;       /* command line for words_split(), or NULL */
    int post_restore_signal;  /* signal:USR2, or 0 */

    char **texts; /* what was assigned to each key, for policy_diff(); NULL elements: nothing */
};

/* Daemon settings, CONFIG/perdure.ini; every key optional. */
struct settings {
    char *criu;             /* [Daemon] Criu=: path of the criu binary; NULL: found by ckptd */
    char *control_group;    /* [Daemon] ControlGroup=: its members may act; NULL: root only */
    int control_mode;       /* [Daemon] ControlMode=: of control.sock, default 0660 */
    uint64_t reserve_bytes; /* [Checkpoint] Reserve=: free space never used, default 5 % (0) */
    uint64_t max_bytes;     /* [Checkpoint] MaxBytes=: of the whole store, 0 none */
    uint64_t scrub_usec;    /* [Checkpoint] Scrub=: default 7d; 0 off */
    char *key_file;         /* [Checkpoint] KeyFile=; NULL: settings_key_file() finds it */
    int log_level;          /* [Daemon] LogLevel=: LOG_*, default LOG_INFO */
};

/* What is wrong was added to a list of errors. */
enum { POLICY_INVALID = 1 };

/* Errors of all files are collected, so that one bad file never stops the rest. */
struct policy_error {
    char *file;
    unsigned line; /* 0: the file as a whole */
    char *message; /* what, and what to do */
};
struct policy_errors {
    struct policy_error *items;
    size_t count;
};
void policy_errors_done(struct policy_errors *errors);
/* Returns POLICY_INVALID, or -ENOMEM. */
int policy_errors_add(struct policy_errors *errors, const char *file, unsigned line,
                      const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Reads one policy with its drop-ins PATH.d/NAME.ini (sorted). The service's name is the file's
 * without
 * ".ini"; `instance` non-NULL makes NAME@INSTANCE of a template NAME@.ini.
 * POLICY_INVALID: nothing returned, the reasons were added to `errors`. <0: out of memory and the
 * like. */
int policy_load(const char *path, const char *instance, struct policy_errors *errors,
                struct policy **ret);
struct policy *policy_free(struct policy *policy);

/* A policy with every default, for `perdure run` and tests. exec_start is a copy whose "$" are
 * doubled, so that policy_expand_argv() gives `argv` back. */
int policy_new(const char *name, char *const *argv, struct policy **ret);

struct policy_set {
    struct policy **items; /* sorted by name, no two of a name */
    size_t count;
};
/* Reads all DIR/NAME.ini (templates NAME@.ini only through their instances: NAME@X.ini may be a
 * symlink to the template, or an empty file). Bad ones are in `errors` and left out. A missing
 * folder is empty. */
int policy_set_load(const char *dir, struct policy_errors *errors, struct policy_set *ret);
void policy_set_done(struct policy_set *set);
struct policy *policy_set_find(const struct policy_set *set, const char *name); /* borrowed */

/* A missing file (or path NULL) is all defaults. POLICY_INVALID: *ret is untouched. */
int settings_load(const char *path, struct policy_errors *errors, struct settings *ret);
void settings_done(struct settings *settings);

/* The key file of the store: KeyFile=, else the systemd credential "perdure.keys" when there is
 * one, else one in the state folder. A new string. */
int settings_key_file(const struct settings *settings, const char *state_dir, char **ret);

/* Key names that differ between two policies of a name, as "Section.Key" list (NULL-terminated,
 * new). */
int policy_diff(const struct policy *a, const struct policy *b, char ***ret_keys);

/* The environment of a new process, later ones win: PATH and LANG, `extra` ("K=V", may be NULL),
 * Environment=, the files of EnvironmentFile= as they are now. -ENOENT (a file without "-" is
 * missing), -EBADMSG (a line in one is no assignment) and other errors of reading: *ret_message is
 * a new string that names file, line and cure; it stays as it was when memory is short. */
int policy_environment(const struct policy *policy, char *const *extra, char ***ret_env,
                       char **ret_message);

/* ExecStart= with its variables, systemd.service(5): ${X} in place, $X as a word of its own is
 * split at blanks (no word at all when empty), $$ is a dollar sign; an unset variable is empty. The
 * first word stays. */
int policy_expand_argv(char *const *argv, char *const *env, char ***ret);

/* What this host lacks to run it, each added to `errors` with its cure: executables, accounts,
 * working directory, environment files, folders of logs. POLICY_INVALID when there is something. */
int policy_check_host(const struct policy *policy, struct policy_errors *errors);

const char *service_type_name(enum service_type type);
const char *restart_mode_name(enum restart_mode mode);
const char *files_mode_name(enum files_mode mode);
