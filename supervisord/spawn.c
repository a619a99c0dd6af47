/* spawn.c - from a policy to a sealed request that the keeper's child executes: every look-up
 * (users, environment files, folders) happens here, none in the keeper. */
#include "supervisord/manager.h"

#include "common/cleanup.h"
#include "common/fs.h"
#include "common/log.h"
#include "common/strv.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

static int refuse(char **ret_why, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int refuse(char **ret_why, int error, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    if (vasprintf(ret_why, format, ap) < 0)
        *ret_why = NULL;
    va_end(ap);
    return error;
}

static bool is_number(const char *text)
{
    return *text && text[strspn(text, "0123456789")] == '\0';
}

/* getpwnam(3) and friends answer NULL for "unknown" and for "failed" alike; both mean: not this
 * user. */
static int find_user(const struct policy *policy, struct passwd **ret, char **ret_why)
{
    struct passwd *entry;

    entry = getpwnam(policy->user);
    if (!entry && is_number(policy->user))
        entry = getpwuid((uid_t)strtoul(policy->user, NULL, 10));
    if (!entry)
        return refuse(ret_why, -ENOENT, "User=%s does not exist here; create it or mend %s",
                      policy->user, policy->path ? policy->path : "the policy");
    *ret = entry;
    return 0;
}

static int find_group(const char *name, gid_t *ret, char **ret_why)
{
    struct group *entry = getgrnam(name);

    if (!entry && !is_number(name))
        return refuse(ret_why, -ENOENT, "the group %s does not exist here; create it", name);
    *ret = entry ? entry->gr_gid : (gid_t)strtoul(name, NULL, 10);
    return 0;
}

/* User=, Group=, SupplementaryGroups= as systemd.exec(5): the user's own groups come too. */
static int set_credentials(const struct policy *policy, struct spawn_spec *spec, char **ret_why)
{
    gid_t groups[SPAWN_MAX_GROUPS];
    int count = 0, r;

    spec->uid = spec->gid = -1;
    if (policy->user) {
        struct passwd *user;

        if ((r = find_user(policy, &user, ret_why)) < 0)
            return r;
        spec->uid = user->pw_uid;
        spec->gid = user->pw_gid;
        count = SPAWN_MAX_GROUPS;
        if (getgrouplist(user->pw_name, user->pw_gid, groups, &count) < 0)
            return refuse(ret_why, -E2BIG, "User=%s is in more than %d groups", policy->user,
                          SPAWN_MAX_GROUPS);
    }
    if (policy->group) {
        gid_t gid;

        if ((r = find_group(policy->group, &gid, ret_why)) < 0)
            return r;
        spec->gid = gid;
    }
    for (char **name = policy->supplementary_groups; name && *name; name++) {
        if (count >= SPAWN_MAX_GROUPS)
            return refuse(ret_why, -E2BIG, "more than %d groups", SPAWN_MAX_GROUPS);
        if ((r = find_group(*name, &groups[count], ret_why)) < 0)
            return r;
        count++;
    }
    spec->group_count = (uint32_t)count;
    for (int i = 0; i < count; i++)
        spec->groups[i] = groups[i];
    return 0;
}

int spawn_environment(const struct unit *unit, char ***ret_env, char **ret_why)
{
    const struct policy *policy = unit->policy;
    const struct manager *m = unit->manager;
    _cleanup_(strv_freep) char **extra = NULL;
    int r = 0;

    if (policy->user) {
        struct passwd *user;

        if ((r = find_user(policy, &user, ret_why)) < 0)
            return r;
        if ((r = strv_extendf(&extra, "HOME=%s", user->pw_dir)) < 0 ||
            (r = strv_extendf(&extra, "USER=%s", user->pw_name)) < 0 ||
            (r = strv_extendf(&extra, "LOGNAME=%s", user->pw_name)) < 0 ||
            (r = strv_extendf(&extra, "SHELL=%s", *user->pw_shell ? user->pw_shell : "/bin/sh")) <
                0)
            return r;
    }
    if ((r = strv_extendf(&extra, "PERDURE_SERVICE=%s", policy->name)) < 0)
        return r;
    if (policy->type == TYPE_NOTIFY &&
        (r = strv_extendf(&extra, "NOTIFY_SOCKET=%s/%s", m->dirs->runtime, DIRS_NOTIFY_SOCK)) < 0)
        return r;
    if (unit->svc.pid > 0 && (r = strv_extendf(&extra, "MAINPID=%d", (int)unit->svc.pid)) < 0)
        return r;
    return policy_environment(policy, extra, ret_env, ret_why);
}

/* What both kinds of child share: where it lives and where its output goes. */
static int fill_common(const struct unit *unit, struct spawn_request *request, char **log_path,
                       char **cgroup)
{
    const struct policy *policy = unit->policy;
    const struct manager *m = unit->manager;

    request->spec.umask = -1;
    request->spec.nice = request->spec.oom_score_adj = INT32_MIN;
    request->spec.uid = request->spec.gid = -1;
    request->spec.wait_exec = 1;
    if (asprintf(log_path, "%s/%s/%s.log", m->dirs->state, DIRS_LOGS, policy->name) < 0)
        return -ENOMEM;
    for (int i = 0; i < STREAM_COUNT; i++) {
        request->spec.stream[i] = policy->stream[i].kind;
        request->target[i] = policy->stream[i].path ? policy->stream[i].path : *log_path;
    }
    /* `perdure run` is a shell's command: its two outputs stay two. */
    if (m->run_mode && policy->stream[STREAM_STDOUT].kind == STREAM_INHERIT &&
        policy->stream[STREAM_STDERR].kind == STREAM_SAME)
        request->spec.stream[STREAM_STDERR] = STREAM_INHERIT;
    request->cgroup = "";
    if (unit->cgroup) { /* where its processes are, or last were: the one place for a second look */
        request->cgroup = unit->cgroup;
    } else if (m->cgroup_root) {
        *cgroup = fs_join(m->cgroup_root, policy->name);
        if (!*cgroup)
            return -ENOMEM;
        request->cgroup = *cgroup;
    }
    request->spec.own_group_only = request->cgroup[0] == '\0';
    request->workdir = "/";
    return 0;
}

/* The child takes as much of a limit as it is allowed; nobody should have to guess that. */
static void tell_capped_limits(const struct policy *policy)
{
    struct rlimit ours;

    if (proc_have_cap(CAP_SYS_RESOURCE))
        return;
    for (unsigned i = 0; i < policy->limit_count; i++) {
        const struct spawn_limit *want = &policy->limits[i];

        if (getrlimit(want->resource, &ours) == 0 && want->hard > ours.rlim_max)
            log_notice(
                "%s: its limit on resource %d (getrlimit(2)) is capped at our own hard limit of "
                "%llu; raising it needs CAP_SYS_RESOURCE",
                policy->name, (int)want->resource, (unsigned long long)ours.rlim_max);
    }
}

int spawn_service(const struct unit *unit, int *ret_memfd, char **ret_why)
{
    const struct policy *policy = unit->policy;
    struct spawn_request request = {0};
    _cleanup_free_ char *log_path = NULL, *cgroup = NULL;
    _cleanup_(strv_freep) char **env = NULL, **argv = NULL;
    struct stat st;
    int r;

    if ((r = fill_common(unit, &request, &log_path, &cgroup)) < 0 ||
        (r = set_credentials(policy, &request.spec, ret_why)) < 0 ||
        (r = spawn_environment(unit, &env, ret_why)) < 0 ||
        (r = policy_expand_argv(policy->exec_start, env, &argv)) < 0)
        return r;
    if (policy->working_directory)
        request.workdir = policy->working_directory;
    if (stat(request.workdir, &st) < 0 || !S_ISDIR(st.st_mode)) {
        if (!policy->working_directory_missing_ok)
            return refuse(ret_why, -ENOENT, "WorkingDirectory=%s is not a folder; make it",
                          request.workdir);
        request.workdir = "/";
    }
    request.spec.umask = policy->umask;
    if (policy->nice_set)
        request.spec.nice = policy->nice;
    if (policy->oom_set)
        request.spec.oom_score_adj = policy->oom_score_adj;
    request.spec.no_new_privs = policy->no_new_privs;
    request.spec.pid_namespace = policy->pid_namespace;
    tell_capped_limits(policy);
    request.spec.limit_count = policy->limit_count;
    memcpy(request.spec.limits, policy->limits, sizeof(request.spec.limits));
    request.program = policy->exec_start[0];
    request.argv = argv;
    request.env = env;
    r = spawn_request_seal(&request, ret_memfd);
    if (r == -E2BIG)
        return refuse(ret_why, r, "arguments and environment are larger than %u MiB",
                      SPAWN_MAX_BYTES >> 20);
    return r;
}

int spawn_worker(const struct unit *unit, char *const *worker_argv, int *ret_memfd, char **ret_why)
{
    static char *const env[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                                "LANG=C.UTF-8", NULL};
    struct spawn_request request = {0};
    _cleanup_free_ char *log_path = NULL, *cgroup = NULL;
    _cleanup_(strv_freep) char **argv = NULL;
    const struct policy *policy = unit->policy;
    int r;

    if ((r = fill_common(unit, &request, &log_path, &cgroup)) < 0 ||
        (r = strv_copy(worker_argv, &argv)) < 0)
        return r;
    if (policy->post_restore_signal &&
        (r = strv_extendf(&argv, "--post-restore-signal=%d", policy->post_restore_signal)) < 0)
        return r;
    if (policy->post_restore &&
        (r = strv_extendf(&argv, "--post-restore=%s", policy->post_restore)) < 0)
        return r;
    if ((r = strv_extendf(&argv, "--files=%s", files_mode_name(policy->files))) < 0 ||
        (policy->verify == VERIFY_ALWAYS && (r = strv_extend(&argv, "--verify-always")) < 0))
        return r;
    request.program = worker_argv[0];
    request.argv = argv;
    request.env = env;
    r = spawn_request_seal(&request, ret_memfd);
    return r < 0 ? refuse(ret_why, r, "cannot build the restore request: %s", strerror(-r)) : 0;
}
