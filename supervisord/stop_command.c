/* stop_command.c - ends a service as asked: ExecStop= commands one after the other, then
 * KillSignal= to what KillMode= names. */
#include "supervisord/manager.h"

#include "common/cleanup.h"
#include "common/fs.h"
#include "common/log.h"
#include "common/strv.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { STOP_NO_MORE = INT32_MAX };

static void run_next(struct unit *unit);

static void signal_service(struct unit *unit)
{
    const struct policy *policy = unit->policy;

    if (policy->kill_mode == KILL_NONE) { /* nothing more is done to it */
        unit_step(unit, EV_TIMEOUT);
        return;
    }
    ask_signal(unit, policy->kill_signal, policy->kill_mode == KILL_CONTROL_GROUP);
    /* A stopped (SIGSTOP) process would never see it, systemd.kill(5). */
    ask_signal(unit, SIGCONT, policy->kill_mode == KILL_CONTROL_GROUP);
}

static int on_ended(sd_event_source *source, const siginfo_t *info, void *userdata)
{
    struct unit *unit = userdata;

    if (info->si_code != CLD_EXITED || info->si_status != 0)
        log_warning("%s: an ExecStop= command failed with status %d, ignoring", unit->policy->name,
                    info->si_status);
    unit->stop_command = sd_event_source_disable_unref(unit->stop_command);
    unit->record.stop_next++;
    if (unit->svc.state == SERVICE_STOPPING)
        run_next(unit);
    return 0;
}

/* A new engine begins the command anew; beside it there must not be one of a dead engine. */
static void end_with_engine(pid_t engine)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != engine)
        _exit(1);
}

/* In the child: the service's cgroup and user, as systemd runs control processes. */
static void child(const struct unit *unit, pid_t engine, char *const *argv, char *const *env)
{
    const struct policy *policy = unit->policy;
    sigset_t none;

    end_with_engine(engine);
    setsid();
    (void)signal(SIGPIPE, SIG_DFL); /* ignored by us, and it would stay so across execve(2) */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (unit->cgroup) {
        _cleanup_free_ char *procs = fs_join(unit->cgroup, "cgroup.procs");

        if (procs)
            (void)fs_write(AT_FDCWD, procs, "0");
    }
    if (policy->user) {
        const struct passwd *user = getpwnam(policy->user);

        if (!user || initgroups(user->pw_name, user->pw_gid) < 0 || setgid(user->pw_gid) < 0 ||
            setuid(user->pw_uid) < 0)
            _exit(217);          /* systemd.exec(5): EXIT_USER */
        end_with_engine(engine); /* setuid(2) has cleared it */
    }
    if (close_range(3, ~0u, 0) < 0)
        _exit(1);
    execvpe(argv[0], argv, env);
    _exit(203); /* EXIT_EXEC */
}

static int start(struct unit *unit, char *const *line)
{
    _cleanup_(strv_freep) char **env = NULL, **argv = NULL;
    _cleanup_free_ char *why = NULL;
    pid_t engine = getpid(), pid;
    int r;

    if ((r = spawn_environment(unit, &env, &why)) < 0 ||
        (r = policy_expand_argv(line, env, &argv)) < 0)
        return r;
    pid = fork();
    if (pid < 0)
        return -errno;
    if (pid == 0)
        child(unit, engine, argv, env);
    unit->stop_pid = pid;
    return sd_event_add_child(unit->manager->event, &unit->stop_command, pid, WEXITED, on_ended,
                              unit);
}

/* systemd.service(5), TimeoutStopSec=: each command has it, and then the service itself. */
static void time_anew(struct unit *unit)
{
    uint64_t timeout = unit->policy->timeout_stop_usec;

    unit->svc.deadline = timeout && timeout != USEC_INFINITY ? now_boottime_usec() + timeout : 0;
    unit_arm_deadline(unit);
}

/* The policy can have been read again since, with fewer commands. */
static char **nth_command(const struct unit *unit)
{
    char ***lines = unit->policy->exec_stop;

    for (uint32_t i = 0; lines && lines[i]; i++)
        if (i == unit->record.stop_next)
            return lines[i];
    return NULL;
}

/* KillMode= says what is left to do. */
static void commands_done(struct unit *unit)
{
    const struct service *svc = &unit->svc;
    bool ended = svc->ever_exited && svc->exited_at >= svc->state_since; /* by a command */

    if (ended && (!svc->occupied || unit->policy->kill_mode != KILL_CONTROL_GROUP)) {
        unit_step(unit, EV_EXITED);
        return;
    }
    time_anew(unit);
    signal_service(unit);
}

static void run_next(struct unit *unit)
{
    char **line;

    while ((line = nth_command(unit))) {
        int r;

        (void)unit_save(unit, false); /* a new engine begins with this command */
        time_anew(unit);
        r = start(unit, line);
        if (r >= 0)
            return;
        log_warning("%s: cannot run an ExecStop= command: %s, ignoring", unit->policy->name,
                    strerror(-r));
        unit->record.stop_next++;
    }
    commands_done(unit);
}

void stop_command_start(struct unit *unit)
{
    if (!unit->stop_command)
        run_next(unit);
}

bool stop_command_timeout(struct unit *unit)
{
    if (!unit->stop_command || unit->record.stop_next == STOP_NO_MORE)
        return false;
    log_warning("%s: an ExecStop= command has not ended within TimeoutStopSec=: killing it, and "
                "signalling the service",
                unit->policy->name);
    (void)kill(-unit->stop_pid, SIGKILL);
    unit->record.stop_next = STOP_NO_MORE; /* the others are passed over, systemd.service(5) */
    time_anew(unit);
    return true;
}
