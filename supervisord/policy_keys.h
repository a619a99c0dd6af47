/* policy_keys.h - the tables of keys: what each is called, how its value is read, where it goes.
 * Private to the policy_*.c files. */
#pragma once

#include "supervisord/policy.h"

struct assignment;

/* Reads `text` into `field`; "" resets a list, a string or a path. 0, POLICY_INVALID (reported),
 * <0. */
typedef int (*value_parse_t)(const struct assignment *a, const char *text, void *field);

struct policy_key {
    const char *section, *name;
    value_parse_t parse;
    size_t offset;        /* of the field in struct policy or struct settings */
    const char *fallback; /* the default as text, also for an empty assignment; NULL: "" */
    const void *detail;   /* what the parser needs more: names of an enum, a range, a limit */
    bool list;            /* a further assignment adds to the value */
};

/* One value on its way into a struct. */
struct assignment {
    const struct policy_key *key;
    const char *file;
    unsigned line;
    const char *service; /* for %-specifiers; NULL: none in this file */
    struct policy_errors *errors;
};

/* Adds "FILE:LINE Key=: ..." and returns POLICY_INVALID (or -ENOMEM). */
int assignment_error(const struct assignment *a, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

extern const struct policy_key policy_keys[], settings_keys[]; /* ended by a NULL name */
size_t policy_key_count(void);

/* The key's place in `keys`, or reports why there is none: unknown, refused, not there yet. A key
 * that is only for other readers of a unit (Documentation=) gives POLICY_KEY_IGNORED. */
enum { POLICY_KEY_IGNORED = 2 };
int policy_key_find(const struct policy_key *keys, const char *section, const char *name,
                    const char *file, unsigned line, struct policy_errors *errors,
                    const struct policy_key **ret);

/* Sets the field of `key` in `base`, the default when text is empty. */
int policy_key_assign(void *base, const struct assignment *a, const char *text);

/* An empty assignment of every key gives every default. */
int policy_key_defaults(void *base, const struct policy_key *keys, const char *service);

/* ---- policy_values.c: one word ---- */
struct value_range {
    int64_t min, max;
    int base;          /* of the number: 8 or 10 */
    size_t value, set; /* value_optional_int(): the fields' places in struct policy */
};
struct value_names {
    const char *const *names; /* NULL-terminated, in the order of the enum */
    const char *const *later; /* known to systemd, not supported yet */
};
int value_bool(const struct assignment *a, const char *text, void *field);
int value_int(const struct assignment *a, const char *text, void *field); /* detail: value_range */
int value_optional_int(const struct assignment *a, const char *text, void *policy);
int value_enum(const struct assignment *a, const char *text, void *field); /* detail: value_names */
int value_span(const struct assignment *a, const char *text, void *field);
int value_timeout(const struct assignment *a, const char *text, void *field); /* 0 is never, too */
int value_timeouts(const struct assignment *a, const char *text, void *policy); /* both */
int value_size(const struct assignment *a, const char *text, void *field);
int value_signal(const struct assignment *a, const char *text, void *field);
int value_string(const struct assignment *a, const char *text, void *field);
int value_path(const struct assignment *a, const char *text, void *field);
int value_pid_file(const struct assignment *a, const char *text, void *field);
int value_account(const struct assignment *a, const char *text, void *field);
int value_log_level(const struct assignment *a, const char *text, void *field);
int value_compress(const struct assignment *a, const char *text, void *field);
int value_drill(const struct assignment *a, const char *text, void *field);

/* ---- policy_exec.c: commands ---- */
int value_exec_start(const struct assignment *a, const char *text, void *policy);
int value_exec_stop(const struct assignment *a, const char *text, void *policy);
int value_command(const struct assignment *a, const char *text, void *field); /* char *, one line */
int value_post_restore(const struct assignment *a, const char *text, void *policy);

/* ---- policy_lists.c: several words, or a form of their own ---- */
/* The next word with its specifiers resolved; *ret is NULL after the last one. */
int value_next_word(const struct assignment *a, const char **cursor, char **ret);
int value_working_directory(const struct assignment *a, const char *text, void *policy);
int value_accounts(const struct assignment *a, const char *text, void *field);
int value_environment(const struct assignment *a, const char *text, void *field);
int value_environment_file(const struct assignment *a, const char *text, void *field);
int value_ladder(const struct assignment *a, const char *text, void *policy);
int value_snapshot_paths(const struct assignment *a, const char *text, void *field);
int value_stdin(const struct assignment *a, const char *text, void *policy);
int value_stream(const struct assignment *a, const char *text, void *field);

/* ---- policy_limits.c, policy_exit.c ---- */
struct limit_kind {
    int resource; /* RLIMIT_* */
    enum { LIMIT_COUNT, LIMIT_SIZE, LIMIT_SECONDS, LIMIT_USEC, LIMIT_NICE } unit;
};
int value_limit(const struct assignment *a, const char *text,
                void *policy); /* detail: limit_kind */
int value_exit_set(const struct assignment *a, const char *text,
                   void *field);             /* detail: the default */
extern const struct exit_set exit_set_clean; /* code 0, HUP INT TERM PIPE: systemd.service(5) */

/* ---- policy_specifier.c ---- */
/* Resolves %i and the like, systemd.unit(5) "Specifiers"; reported when unknown. a->service NULL:
 * none. */
int specifiers_expand(const struct assignment *a, const char *text, char **ret);

/* ---- policy_env.c ---- */
bool env_name_is_valid(const char *name, size_t len);
/* Adds "K=V", replacing an earlier one of the name. */
int env_set(char ***env, const char *assignment);
