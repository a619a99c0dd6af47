/* run_files.c - the configuration of `perdure run`: CONFIG/policies/NAME.ini, its drop-in, its
 * environment. */
#include "common/cleanup.h"
#include "common/fs.h"
#include "ctl/run.h"
#include "ctl/run_policy.h"
#include "supervisord/policy.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static FILE *create(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FILE *out = fd < 0 ? NULL : fdopen(fd, "we");

    if (!out)
        fd_close(fd);
    return out;
}

/* The first fault of what was written; our copy is called by the user's name for it. */
static int lint(const struct ctl *ctl, const char *path)
{
    _cleanup_(policy_errors_done) struct policy_errors errors = {0};
    const struct policy_error *first;
    struct policy *policy = NULL;
    int r = policy_load(path, NULL, &errors, &policy);

    policy_free(policy);
    if (r < 0)
        return report_errno(ctl, r, path);
    if (errors.count == 0)
        return EXIT_OK;
    first = &errors.items[0];
    return report(ctl, EXIT_FAILED, ctl->policy ? "`perdure check FILE` shows all faults" : NULL,
                  "%s:%u: %s",
                  ctl->policy && strcmp(first->file, path) == 0 ? ctl->policy : first->file,
                  first->line, first->message);
}

/* CONFIG/policies/NAME.ini is a copy of --policy or empty; what `run` sets is a drop-in of it. */
static int copy_policy(const struct ctl *ctl, const char *to)
{
    _cleanup_free_ char *text = NULL;
    size_t size = 0;
    int r;

    if (ctl->policy && (r = fs_read(AT_FDCWD, ctl->policy, 1 << 20, &text, &size)) < 0)
        return r;
    return fs_replace(AT_FDCWD, to, text ? text : "", size, 0600);
}

/* The daemon's own settings come from --config-dir, if at all. */
static int copy_settings(const struct ctl *ctl, const struct run *run)
{
    _cleanup_free_ char *from = NULL, *to = NULL, *text = NULL;
    size_t size;
    int r;

    if (!ctl->config_dir)
        return 0;
    from = fs_join(ctl->dirs.config, "perdure.ini");
    to = fs_join(run->config, "perdure.ini");
    if (!from || !to)
        return -ENOMEM;
    r = fs_read(AT_FDCWD, from, 1 << 20, &text, &size);
    if (r < 0)
        return r == -ENOENT ? 0 : r;
    return fs_replace(AT_FDCWD, to, text, size, 0600);
}

static int write_files(const struct ctl *ctl, const struct run *run, const char *policy)
{
    _cleanup_free_ char *folder = NULL, *drop_in = NULL, *env_file = NULL;
    _cleanup_free_ char *cwd = getcwd(NULL, 0);
    _cleanup_fclose_ FILE *out = NULL, *env = NULL;
    mode_t mask = umask(0);
    struct run_policy own = {
        .argv = run->argv,
        .folder = ctl->policy ? NULL : cwd,
        .umask = mask,
        .interval_usec = ctl->interval ? &run->interval : NULL,
    };
    int r;

    umask(mask);
    if (asprintf(&folder, "%s.d", policy) < 0 || asprintf(&drop_in, "%s/run.ini", folder) < 0 ||
        asprintf(&env_file, "%s/environment", run->config) < 0)
        return -ENOMEM;
    own.env_file = env_file;
    if ((r = fs_mkdir_all(folder, 0700)) < 0 || (r = copy_policy(ctl, policy)) < 0 ||
        (r = copy_settings(ctl, run)) < 0)
        return r;
    if (!(out = create(drop_in)) || !(env = create(env_file)))
        return -errno;
    r = run_policy_write(out, &own);
    if (r == 0)
        r = run_environment_write(env, ctl->policy ? NULL : environ, run->argv);
    return r != 0 ? r : fflush(out) != 0 || fflush(env) != 0 ? -errno : 0;
}

int run_make_policy(const struct ctl *ctl, const struct run *run)
{
    _cleanup_free_ char *policy = NULL;
    int r;

    if (asprintf(&policy, "%s/" DIRS_POLICIES "/%s.ini", run->config, run->name) < 0)
        return report_errno(ctl, -ENOMEM, "run");
    r = write_files(ctl, run, policy);
    if (r == RUN_POLICY_FOLDER)
        return report(ctl, EXIT_FAILED, "start it from a folder with a short and plain path",
                      "the path of the current folder cannot be written into a policy");
    if (r == RUN_POLICY_PROGRAM)
        return report(ctl, EXIT_FAILED, "give it a shorter path, by a symbolic link for example",
                      "the path of the command is too long for a policy: %s", run->argv[0]);
    if (r < 0 && ctl->policy)
        return report_errno(ctl, r, ctl->policy);
    return r < 0 ? report_errno(ctl, r, "cannot write the policy") : lint(ctl, policy);
}
