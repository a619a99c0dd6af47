/* policy_host.c - checks a policy against this host: what would fail at start, and its cure. */
#include "common/cleanup.h"
#include "common/strv.h"
#include "supervisord/policy.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>

struct check {
    const struct policy *policy;
    struct policy_errors *errors;
    bool invalid;
    int failed; /* -ENOMEM */
};

#define COMPLAIN(check_, ...)                                                                     \
    do {                                                                                          \
        int added_ = policy_errors_add((check_)->errors, (check_)->policy->path, 0, __VA_ARGS__); \
        (check_)->invalid = true;                                                                 \
        if (added_ < 0)                                                                           \
            (check_)->failed = added_;                                                            \
    } while (0)

static void check_program(struct check *c, const char *key, const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0)
        COMPLAIN(c, "%s=: %s: %s; install it or correct the path", key, path, strerror(errno));
    else if (!S_ISREG(st.st_mode))
        COMPLAIN(c, "%s=: %s is not a file; name the program itself", key, path);
    else if (access(path, X_OK) < 0)
        COMPLAIN(c, "%s=: %s is not executable; run: chmod +x %s", key, path, path);
}

static bool is_number(const char *text)
{
    return text[strspn(text, "0123456789")] == '\0';
}

static void check_group(struct check *c, const char *key, const char *name)
{
    if (!is_number(name) && !getgrnam(name))
        COMPLAIN(c, "%s=: there is no group \"%s\"; run: groupadd --system %s", key, name, name);
}

static void check_accounts(struct check *c)
{
    const struct policy *p = c->policy;

    if (p->user && !is_number(p->user) && !getpwnam(p->user))
        COMPLAIN(c, "User=: there is no user \"%s\"; run: useradd --system %s", p->user, p->user);
    if (p->group)
        check_group(c, "Group", p->group);
    for (char **g = p->supplementary_groups; g && *g; g++)
        check_group(c, "SupplementaryGroups", *g);
}

static void check_working_directory(struct check *c)
{
    const char *path = c->policy->working_directory;
    struct stat st;

    if (!path || c->policy->working_directory_missing_ok)
        return;
    if (stat(path, &st) < 0)
        COMPLAIN(c, "WorkingDirectory=: %s: %s; create it, or write \"-%s\" if it may be missing",
                 path, strerror(errno), path);
    else if (!S_ISDIR(st.st_mode))
        COMPLAIN(c, "WorkingDirectory=: %s is not a folder; name a folder", path);
}

static void check_environment(struct check *c)
{
    _cleanup_strv_ char **env = NULL;
    _cleanup_free_ char *message = NULL;
    int r = policy_environment(c->policy, NULL, &env, &message);

    if (r < 0 && message)
        COMPLAIN(c, "%s", message);
    else if (r < 0)
        c->failed = r;
}

static void check_stream(struct check *c, const char *key, const struct policy_stream *stream)
{
    _cleanup_free_ char *folder = NULL;
    struct stat st;

    if (!stream->path)
        return;
    if (stat(stream->path, &st) == 0) {
        if (S_ISDIR(st.st_mode))
            COMPLAIN(c, "%s=: %s is a folder; name a file in it", key, stream->path);
        else if (access(stream->path, W_OK) < 0)
            COMPLAIN(c, "%s=: %s cannot be written: %s; correct its permissions", key, stream->path,
                     strerror(errno));
        return;
    }
    folder = strndup(stream->path, (size_t)(strrchr(stream->path, '/') - stream->path) + 1);
    if (!folder)
        c->failed = -ENOMEM;
    else if (access(folder, W_OK | X_OK) < 0)
        COMPLAIN(c, "%s=: folder %s cannot be written: %s; create it or correct its permissions",
                 key, folder, strerror(errno));
}

int policy_check_host(const struct policy *policy, struct policy_errors *errors)
{
    struct check c = {.policy = policy, .errors = errors};

    check_program(&c, "ExecStart", policy->exec_start[0]);
    for (char ***argv = policy->exec_stop; argv && *argv; argv++)
        check_program(&c, "ExecStop", **argv);
    check_accounts(&c);
    check_working_directory(&c);
    check_environment(&c);
    check_stream(&c, "StandardOutput", &policy->stream[STREAM_STDOUT]);
    check_stream(&c, "StandardError", &policy->stream[STREAM_STDERR]);
    if (c.failed < 0)
        return c.failed;
    return c.invalid ? POLICY_INVALID : 0;
}
