/* policy.c - one service's policy from its file and drop-ins. */
#include "supervisord/policy.h"

#include "common/cleanup.h"
#include "common/strv.h"
#include "common/words.h"
#include "supervisord/policy_file.h"
#include "supervisord/policy_keys.h"
#include "supervisord/policy_set.h"

#include <errno.h>
#include <pwd.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

/* ---- errors ---- */

void policy_errors_done(struct policy_errors *errors)
{
    for (size_t i = 0; i < errors->count; i++) {
        free(errors->items[i].file);
        free(errors->items[i].message);
    }
    free(errors->items);
    *errors = (struct policy_errors){0};
}

int policy_errors_add(struct policy_errors *errors, const char *file, unsigned line,
                      const char *format, ...)
{
    _cleanup_free_ char *name = strdup(file), *message = NULL;
    struct policy_error *grown;
    va_list args;
    int r;

    va_start(args, format);
    r = vasprintf(&message, format, args);
    va_end(args);
    if (r < 0)
        message = NULL;
    grown = reallocarray(errors->items, errors->count + 1, sizeof(*grown));
    if (grown)
        errors->items = grown;
    if (!grown || !name || !message)
        return -ENOMEM;
    grown[errors->count++] = (struct policy_error){
        .file = TAKE_PTR(name),
        .line = line,
        .message = TAKE_PTR(message),
    };
    return POLICY_INVALID;
}

/* ---- life of a policy ---- */

struct policy *policy_free(struct policy *p)
{
    if (!p)
        return NULL;
    free(p->name);
    free(p->path);
    free(p->description);
    strv_free(p->exec_start);
    free(p->exec_start_line);
    for (char ***argv = p->exec_stop; argv && *argv; argv++)
        strv_free(*argv);
    free(p->exec_stop);
    free(p->pid_file);
    free(p->user);
    free(p->group);
    strv_free(p->supplementary_groups);
    free(p->working_directory);
    strv_free(p->environment);
    strv_free(p->environment_files);
    for (size_t i = 0; i < STREAM_COUNT; i++)
        free(p->stream[i].path);
    strv_free(p->snapshot_paths);
    free(p->pre_checkpoint);
    free(p->post_checkpoint);
    free(p->post_restore);
    for (size_t i = 0; p->texts && i < policy_key_count(); i++)
        free(p->texts[i]);
    free(p->texts);
    free(p);
    return NULL;
}

static void policy_freep(struct policy **p)
{
    policy_free(*p);
}

/* All defaults; no command yet. */
static int policy_empty(const char *name, const char *path, struct policy **ret)
{
    _cleanup_(policy_freep) struct policy *p = calloc(1, sizeof(*p));
    int r;

    if (!p)
        return -ENOMEM;
    p->name = strdup(name);
    p->path = strdup(path);
    p->texts = calloc(policy_key_count(), sizeof(char *));
    if (!p->name || !p->path || !p->texts)
        return -ENOMEM;
    r = policy_key_defaults(p, policy_keys, name);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(p);
    return 0;
}

/* "$" is "$$" in what policy_expand_argv() reads. */
static char *escape_dollars(const char *word)
{
    char *escaped = malloc(2 * strlen(word) + 1), *out = escaped;

    for (; escaped && *word; word++) {
        if (*word == '$')
            *out++ = '$';
        *out++ = *word;
    }
    if (escaped)
        *out = '\0';
    return escaped;
}

int policy_new(const char *name, char *const *argv, struct policy **ret)
{
    _cleanup_(policy_freep) struct policy *p = NULL;
    int r = policy_empty(name, "", &p);

    if (r < 0)
        return r;
    p->exec_start_line = words_join(argv);
    if (!p->exec_start_line)
        return -ENOMEM;
    for (char *const *word = argv; *word; word++) {
        _cleanup_free_ char *escaped = word == argv ? strdup(*word) : escape_dollars(*word);

        r = escaped ? strv_push(&p->exec_start, escaped) : -ENOMEM;
        if (r < 0)
            return r;
        escaped = NULL;
    }
    *ret = TAKE_PTR(p);
    return 0;
}

/* ---- reading ---- */

struct loader {
    struct policy *policy;
    struct policy_errors *errors;
    bool invalid;
    bool has_values;  /* at least one key was read */
    bool has_command; /* an ExecStart= was there, good or bad */
};

/* Keeps what was assigned, so that two policies can be compared key by key. */
static int remember(struct policy *p, const struct policy_key *key, const char *text)
{
    char **slot = &p->texts[key - policy_keys], *joined = NULL;

    if (*text && asprintf(&joined, "%s%s%s", key->list && *slot ? *slot : "",
                          key->list && *slot ? "\n" : "", text) < 0)
        return -ENOMEM;
    free(*slot);
    *slot = joined;
    return 0;
}

static int on_policy_value(void *userdata, const char *section, const char *name, const char *value,
                           const char *file, unsigned line)
{
    struct loader *loader = userdata;
    struct policy *p = loader->policy;
    const struct policy_key *key;
    int r;

    loader->has_values = true;
    r = policy_key_find(policy_keys, section, name, file, line, loader->errors, &key);

    if (r != 0)
        return r == POLICY_KEY_IGNORED ? 0 : r;
    loader->has_command |= strcmp(name, "ExecStart") == 0 && *value;
    r = policy_key_assign(p,
                          &(struct assignment){
                              .key = key,
                              .file = file,
                              .line = line,
                              .service = p->name,
                              .errors = loader->errors,
                          },
                          value);
    return r == 0 ? remember(p, key, value) : r;
}

static int resolve_home(struct policy *p, struct policy_errors *errors)
{
    const struct passwd *pw = p->user ? getpwnam(p->user) : getpwuid(geteuid());
    char *home;

    if (!pw || !pw->pw_dir)
        return policy_errors_add(
            errors, p->path, 0,
            "WorkingDirectory=~: the home folder of \"%s\" is unknown; write its path",
            p->user ? p->user : "this user");
    home = strdup(pw->pw_dir);
    if (!home)
        return -ENOMEM;
    free(p->working_directory);
    p->working_directory = home;
    return 0;
}

/* Remembers that something was invalid and goes on. */
static int note(struct loader *loader, int r)
{
    loader->invalid |= r > 0;
    return r < 0 ? r : 0;
}

/* What only shows when all keys are known. */
static int check_whole(struct loader *loader)
{
    struct policy *p = loader->policy;
    struct policy_stream *out = &p->stream[STREAM_STDOUT], *err = &p->stream[STREAM_STDERR];
    int r = 0;

    if (!loader->has_command && (loader->has_values || !loader->invalid))
        r = note(loader, policy_errors_add(loader->errors, p->path, 0,
                                           "ExecStart= is missing; write the command to run in "
                                           "[Service]"));
    if (r == 0 && p->type == TYPE_FORKING && !p->pid_file)
        r = note(loader, policy_errors_add(loader->errors, p->path, 0,
                                           "Type=forking needs PIDFile= to know the main process; "
                                           "write it, or run the program in the foreground with "
                                           "Type=exec"));
    if (r == 0 && p->type == TYPE_FORKING && p->pid_namespace)
        r = note(loader, policy_errors_add(loader->errors, p->path, 0,
                                           "Type=forking ends a pid namespace when the first "
                                           "process leaves; run the program in the foreground with "
                                           "Type=exec, or without PidNamespace=yes"));
    if (r == 0 && p->snapshot_paths && p->files != FILES_SNAPSHOT)
        r = note(loader, policy_errors_add(loader->errors, p->path, 0,
                                           "SnapshotPaths= is only for Files=snapshot; write that "
                                           "too, or remove SnapshotPaths="));
    if (r == 0 && p->working_directory && strcmp(p->working_directory, "~") == 0)
        r = note(loader, resolve_home(p, loader->errors));
    if (r == 0 && out->path && err->path && strcmp(out->path, err->path) == 0) {
        err->kind =
            STREAM_SAME; /* two writers with offsets of their own would overwrite each other */
        free(TAKE_PTR(err->path));
    }
    return r;
}

static int read_one(struct loader *loader, const char *path)
{
    static const char *const sections[] = {"Unit",     "Service", "Checkpoint",
                                           "Recovery", "Install", NULL};

    return note(loader, policy_file_read(path, sections, on_policy_value, loader, loader->errors));
}

/* NAME@X.ini that is empty stands for the template NAME@.ini beside it. */
static int main_file(const char *path, const char *name, char **ret)
{
    const char *slash = strrchr(path, '/'), *at = strchr(name, '@');
    struct stat st;
    char *file;

    if (!at || !at[1] || stat(path, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > 0)
        file = strdup(path);
    else if (asprintf(&file, "%.*s%.*s@.ini", slash ? (int)(slash - path) + 1 : 0, path,
                      (int)(at - name), name) < 0)
        return -ENOMEM;
    if (!file)
        return -ENOMEM;
    *ret = file;
    return 0;
}

int policy_load(const char *path, const char *instance, struct policy_errors *errors,
                struct policy **ret)
{
    _cleanup_(policy_freep) struct policy *p = NULL;
    _cleanup_free_ char *name = NULL, *file = NULL;
    _cleanup_strv_ char **drop_ins = NULL;
    struct loader loader = {.errors = errors};
    int r;

    r = policy_name_from_path(path, instance, errors, &name);
    if (r == 0)
        r = policy_empty(name, path, &p);
    if (r == 0)
        r = main_file(path, name, &file);
    if (r != 0)
        return r;
    loader.policy = p;
    r = read_one(&loader, file);
    if (r >= 0)
        r = note(&loader, policy_list_drop_ins(path, name, errors, &drop_ins));
    for (char **d = drop_ins; d && *d && r >= 0; d++)
        r = read_one(&loader, *d);
    if (r >= 0)
        r = check_whole(&loader);
    if (r < 0 || loader.invalid)
        return r < 0 ? r : POLICY_INVALID;
    *ret = TAKE_PTR(p);
    return 0;
}

int policy_diff(const struct policy *a, const struct policy *b, char ***ret_keys)
{
    _cleanup_strv_ char **keys = NULL;

    for (size_t i = 0; i < policy_key_count(); i++) {
        const char *x = a->texts[i], *y = b->texts[i];
        char *key;
        int r;

        if (strcmp(x ? x : "", y ? y : "") == 0)
            continue;
        if (asprintf(&key, "%s.%s", policy_keys[i].section, policy_keys[i].name) < 0)
            return -ENOMEM;
        r = strv_push(&keys, key);
        if (r < 0) {
            free(key);
            return r;
        }
    }
    *ret_keys = TAKE_PTR(keys);
    return 0;
}
