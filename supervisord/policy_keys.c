/* policy_keys.c - the table of every key, its default, and the keys that are refused with a reason.
 */
#include "supervisord/policy_keys.h"

#include "common/cleanup.h"
#include "common/nearest.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>

static const struct value_names types = {
    .names = (const char *const[]){"simple", "exec", "notify", "forking", NULL},
    .later = (const char *const[]){"oneshot", "dbus", "notify-reload", "idle", NULL},
};
static const struct value_names restarts = {
    .names = (const char *const[]){"no", "on-success", "on-failure", "on-abnormal", "on-watchdog",
                                   "on-abort", "always", NULL},
};
static const struct value_names kill_modes = {
    .names = (const char *const[]){"control-group", "mixed", "process", "none", NULL},
};
static const struct value_names verify_modes = {
    .names = (const char *const[]){"changed", "always", NULL},
};
static const struct value_names files_modes = {
    .names = (const char *const[]){"ignore", "refuse", "truncate", "snapshot", NULL},
};
static const struct value_names staging_modes = {
    .names = (const char *const[]){"auto", "tmpfs", "disk", NULL},
};

const char *service_type_name(enum service_type type)
{
    return types.names[type];
}

const char *restart_mode_name(enum restart_mode mode)
{
    return restarts.names[mode];
}

const char *files_mode_name(enum files_mode mode)
{
    return files_modes.names[mode];
}

#define RANGE(min_, max_, base_)                \
    &(const struct value_range)                 \
    {                                           \
        .min = min_, .max = max_, .base = base_ \
    }
#define OPTIONAL(min_, max_, field_)                                                    \
    &(const struct value_range)                                                         \
    {                                                                                   \
        .min = min_, .max = max_, .base = 10, .value = offsetof(struct policy, field_), \
        .set = offsetof(struct policy, SET_##field_)                                    \
    }
#define SET_nice          nice_set
#define SET_oom_score_adj oom_set
#define AT(field)         offsetof(struct policy, field)
#define KEY(section_, name_, parse_, ...)                                          \
    {                                                                              \
        .section = section_, .name = name_, .parse = parse_, .offset = __VA_ARGS__ \
    }
#define LIMIT(name_, resource_, unit_)            \
    KEY("Service", "Limit" name_, value_limit, 0, \
        .detail = &(const struct limit_kind){.resource = resource_, .unit = unit_})

const struct policy_key policy_keys[] = {
    KEY("Unit", "Description", value_string, AT(description), .fallback = ""),
    KEY("Unit", "StartLimitIntervalSec", value_span, AT(start_limit_interval_usec),
        .fallback = "10s"),
    KEY("Unit", "StartLimitBurst", value_int, AT(start_limit_burst), .fallback = "5",
        .detail = RANGE(0, INT_MAX, 10)),

    KEY("Service", "Type", value_enum, AT(type), .fallback = "exec", .detail = &types),
    KEY("Service", "ExecStart", value_exec_start, 0, .list = true),
    KEY("Service", "ExecStop", value_exec_stop, 0, .list = true),
    KEY("Service", "PIDFile", value_pid_file, AT(pid_file)),
    KEY("Service", "User", value_account, AT(user)),
    KEY("Service", "Group", value_account, AT(group)),
    KEY("Service", "SupplementaryGroups", value_accounts, AT(supplementary_groups), .list = true),
    KEY("Service", "WorkingDirectory", value_working_directory, 0),
    KEY("Service", "Environment", value_environment, AT(environment), .list = true),
    KEY("Service", "EnvironmentFile", value_environment_file, AT(environment_files), .list = true),
    KEY("Service", "UMask", value_int, AT(umask), .fallback = "0022", .detail = RANGE(0, 0777, 8)),
    KEY("Service", "Nice", value_optional_int, 0, .detail = OPTIONAL(-20, 19, nice)),
    KEY("Service", "OOMScoreAdjust", value_optional_int, 0,
        .detail = OPTIONAL(-1000, 1000, oom_score_adj)),
    KEY("Service", "NoNewPrivileges", value_bool, AT(no_new_privs), .fallback = "no"),
    KEY("Service", "Restart", value_enum, AT(restart), .fallback = "on-failure",
        .detail = &restarts),
    KEY("Service", "RestartSec", value_span, AT(restart_usec), .fallback = "100ms"),
    KEY("Service", "SuccessExitStatus", value_exit_set, AT(success), .detail = &exit_set_clean,
        .list = true),
    KEY("Service", "RestartPreventExitStatus", value_exit_set, AT(restart_prevent), .list = true),
    KEY("Service", "TimeoutStartSec", value_timeout, AT(timeout_start_usec), .fallback = "90s"),
    KEY("Service", "TimeoutStopSec", value_timeout, AT(timeout_stop_usec), .fallback = "90s"),
    KEY("Service", "TimeoutSec", value_timeouts, 0),
    KEY("Service", "KillSignal", value_signal, AT(kill_signal), .fallback = "SIGTERM"),
    KEY("Service", "KillMode", value_enum, AT(kill_mode), .fallback = "control-group",
        .detail = &kill_modes),
    /* where systemd had them before v230 */
    KEY("Service", "StartLimitIntervalSec", value_span, AT(start_limit_interval_usec),
        .fallback = "10s"),
    KEY("Service", "StartLimitInterval", value_span, AT(start_limit_interval_usec),
        .fallback = "10s"),
    KEY("Service", "StartLimitBurst", value_int, AT(start_limit_burst), .fallback = "5",
        .detail = RANGE(0, INT_MAX, 10)),
    KEY("Service", "StandardInput", value_stdin, 0),
    KEY("Service", "StandardOutput", value_stream, AT(stream[STREAM_STDOUT])),
    KEY("Service", "StandardError", value_stream, AT(stream[STREAM_STDERR]), .detail = "stderr"),
    LIMIT("CPU", RLIMIT_CPU, LIMIT_SECONDS),
    LIMIT("FSIZE", RLIMIT_FSIZE, LIMIT_SIZE),
    LIMIT("DATA", RLIMIT_DATA, LIMIT_SIZE),
    LIMIT("STACK", RLIMIT_STACK, LIMIT_SIZE),
    LIMIT("CORE", RLIMIT_CORE, LIMIT_SIZE),
    LIMIT("RSS", RLIMIT_RSS, LIMIT_SIZE),
    LIMIT("NOFILE", RLIMIT_NOFILE, LIMIT_COUNT),
    LIMIT("AS", RLIMIT_AS, LIMIT_SIZE),
    LIMIT("NPROC", RLIMIT_NPROC, LIMIT_COUNT),
    LIMIT("MEMLOCK", RLIMIT_MEMLOCK, LIMIT_SIZE),
    LIMIT("LOCKS", RLIMIT_LOCKS, LIMIT_COUNT),
    LIMIT("SIGPENDING", RLIMIT_SIGPENDING, LIMIT_COUNT),
    LIMIT("MSGQUEUE", RLIMIT_MSGQUEUE, LIMIT_SIZE),
    LIMIT("NICE", RLIMIT_NICE, LIMIT_NICE),
    LIMIT("RTPRIO", RLIMIT_RTPRIO, LIMIT_COUNT),
    LIMIT("RTTIME", RLIMIT_RTTIME, LIMIT_USEC),

    KEY("Checkpoint", "Enabled", value_bool, AT(checkpoint_enabled), .fallback = "yes"),
    KEY("Checkpoint", "Interval", value_span, AT(interval_usec), .fallback = "30s"),
    KEY("Checkpoint", "Keep", value_int, AT(keep), .fallback = "5", .detail = RANGE(1, 100000, 10)),
    KEY("Checkpoint", "KeepHourly", value_int, AT(keep_hourly), .fallback = "0",
        .detail = RANGE(0, 100000, 10)),
    KEY("Checkpoint", "KeepDaily", value_int, AT(keep_daily), .fallback = "0",
        .detail = RANGE(0, 100000, 10)),
    KEY("Checkpoint", "KeepWeekly", value_int, AT(keep_weekly), .fallback = "0",
        .detail = RANGE(0, 100000, 10)),
    KEY("Checkpoint", "MaxBytes", value_size, AT(max_bytes), .fallback = "0"),
    KEY("Checkpoint", "MaxChain", value_int, AT(max_chain), .fallback = "16",
        .detail = RANGE(0, 64, 10)),
    KEY("Checkpoint", "Compress", value_compress, AT(compress), .fallback = "zstd"),
    KEY("Checkpoint", "Encrypt", value_bool, AT(encrypt), .fallback = "no"),
    KEY("Checkpoint", "Verify", value_enum, AT(verify), .fallback = "changed",
        .detail = &verify_modes),
    KEY("Checkpoint", "Drill", value_drill, AT(drill_every), .fallback = "off"),
    KEY("Checkpoint", "DrillNice", value_int, AT(drill_nice), .fallback = "19",
        .detail = RANGE(0, 19, 10)),
    KEY("Checkpoint", "Files", value_enum, AT(files), .fallback = "ignore", .detail = &files_modes),
    KEY("Checkpoint", "SnapshotPaths", value_snapshot_paths, AT(snapshot_paths), .list = true),
    KEY("Checkpoint", "Staging", value_enum, AT(staging), .fallback = "auto",
        .detail = &staging_modes),
    KEY("Checkpoint", "StagingMax", value_size, AT(staging_max), .fallback = "0"),
    KEY("Checkpoint", "TcpEstablished", value_bool, AT(tcp_established), .fallback = "no"),
    KEY("Checkpoint", "FileLocks", value_bool, AT(file_locks), .fallback = "yes"),
    KEY("Checkpoint", "GhostLimit", value_size, AT(ghost_limit), .fallback = "64M"),
    KEY("Checkpoint", "PidNamespace", value_bool, AT(pid_namespace), .fallback = "no"),
    KEY("Checkpoint", "PreCheckpoint", value_command, AT(pre_checkpoint)),
    KEY("Checkpoint", "PostCheckpoint", value_command, AT(post_checkpoint)),

    KEY("Recovery", "Ladder", value_ladder, 0, .fallback = "newest older cold"),
    KEY("Recovery", "MinUptime", value_span, AT(min_uptime_usec), .fallback = "10s"),
    KEY("Recovery", "PostRestore", value_post_restore, 0),
    {.name = NULL},
};

const struct policy_key settings_keys[] = {
    KEY("Daemon", "Criu", value_path, offsetof(struct settings, criu)),
    KEY("Daemon", "ControlGroup", value_account, offsetof(struct settings, control_group)),
    KEY("Daemon", "ControlMode", value_int, offsetof(struct settings, control_mode),
        .fallback = "0660", .detail = RANGE(0, 0777, 8)),
    KEY("Daemon", "LogLevel", value_log_level, offsetof(struct settings, log_level),
        .fallback = "info"),
    KEY("Checkpoint", "Reserve", value_size, offsetof(struct settings, reserve_bytes),
        .fallback = "0"),
    KEY("Checkpoint", "MaxBytes", value_size, offsetof(struct settings, max_bytes),
        .fallback = "0"),
    KEY("Checkpoint", "KeyFile", value_path, offsetof(struct settings, key_file)),
    KEY("Checkpoint", "Scrub", value_span, offsetof(struct settings, scrub_usec), .fallback = "7d"),
    {.name = NULL},
};

/* Keys that only other readers of a unit need, or that change nothing here. */
static const char *const ignored[] = {"Documentation", "SourcePath", NULL};

#define NAMESPACE "a mount namespace of the service's own cannot be restored"

/* Prefixes of systemd keys that cannot keep their meaning; the first that fits counts. */
static const struct {
    const char *prefix, *why;
} refused[] = {
    {"PrivatePIDs",
     "its namespace would not come back from a checkpoint; write PidNamespace=yes in [Checkpoint]"},
    {"DynamicUser",
     "the account would be gone when a checkpoint is restored; create one and write User="},
    {"PrivateTmp",
     NAMESPACE "; give the service a folder of its own and set TMPDIR= in Environment="},
    {"PrivateDevices", NAMESPACE "; run it under a User= that may not open devices"},
    {"PrivateNetwork",
     "a network namespace of its own cannot be restored yet; bind it to 127.0.0.1"},
    {"PrivateUsers", "a user namespace cannot be restored; write User="},
    {"PrivateIPC", "an IPC namespace of its own cannot be restored yet; leave it out"},
    {"Private", NAMESPACE "; leave it out"},
    {"ProtectSystem", NAMESPACE "; run it under a User= that may not write there"},
    {"Protect", NAMESPACE "; run it under a User= without those rights"},
    {"NetworkNamespacePath", "a network namespace of its own cannot be restored yet; leave it out"},
    {"ReadOnlyPaths", NAMESPACE "; use the files' permissions and User="},
    {"ReadWritePaths", NAMESPACE "; use the files' permissions and User="},
    {"InaccessiblePaths", NAMESPACE "; use the files' permissions and User="},
    {"ExecPaths", NAMESPACE "; leave it out"},
    {"NoExecPaths", NAMESPACE "; leave it out"},
    {"BindPaths", NAMESPACE "; mount it for the whole host"},
    {"BindReadOnlyPaths", NAMESPACE "; mount it for the whole host"},
    {"TemporaryFileSystem", NAMESPACE "; mount it for the whole host"},
    {"RootDirectory",
     NAMESPACE "; start it by a program that does chroot(2) itself, or leave it out"},
    {"RootImage", NAMESPACE "; leave it out"},
    {"Mount", NAMESPACE "; leave it out"},
    {"TTY", "a terminal cannot be restored; leave it out"},
};

/* clang-format off */
/* Known to systemd, without a counterpart here so far; a '*' at the end stands for any rest. */
static const char *const later[] = {
    /* systemd.unit(5) */
    "After", "Before", "Requires", "Requisite", "Wants", "BindsTo", "PartOf", "Upholds",
    "Conflicts", "OnFailure*", "OnSuccess*", "PropagatesReloadTo", "PropagatesStopTo",
    "ReloadPropagatedFrom", "StopPropagatedFrom", "JoinsNamespaceOf", "RequiresMountsFor",
    "WantsMountsFor", "IgnoreOnIsolate", "StopWhenUnneeded", "RefuseManualStart",
    "RefuseManualStop", "AllowIsolate", "DefaultDependencies", "SurviveFinalKillSignal",
    "CollectMode", "FailureAction*", "SuccessAction*", "Job*", "StartLimitAction",
    "RebootArgument", "Condition*", "Assert*",
    /* systemd.service(5) */
    "ExecStartPre", "ExecStartPost", "ExecCondition", "ExecReload", "ExecStopPost", "WatchdogSec",
    "RestartSteps", "RestartMaxDelaySec", "RestartMode", "RestartForceExitStatus",
    "RemainAfterExit", "GuessMainPID", "BusName", "NotifyAccess", "Sockets",
    "FileDescriptorStore*", "USBFunction*", "TimeoutAbortSec", "TimeoutStartFailureMode",
    "TimeoutStopFailureMode", "RuntimeMaxSec", "RuntimeRandomizedExtraSec",
    "RootDirectoryStartOnly", "NonBlocking", "OOMPolicy", "OpenFile", "ReloadSignal",
    "PermissionsStartOnly",
    /* systemd.exec(5), systemd.kill(5) */
    "ExecSearchPath", "PassEnvironment", "UnsetEnvironment", "SetLoginEnvironment", "PAMName",
    "CapabilityBoundingSet", "AmbientCapabilities", "SecureBits", "SELinuxContext",
    "AppArmorProfile", "SmackProcessLabel", "KeyringMode", "TimerSlackNSec", "Personality",
    "IgnoreSIGPIPE", "CPUSchedulingPolicy", "CPUSchedulingPriority", "CPUSchedulingResetOnFork",
    "CPUAffinity", "NUMA*", "IOSchedulingClass", "IOSchedulingPriority", "RuntimeDirectory*",
    "StateDirectory*", "CacheDirectory*", "LogsDirectory*", "ConfigurationDirectory*",
    "CoredumpFilter", "MemoryKSM", "Restrict*", "LockPersonality", "SystemCall*", "Syslog*",
    "LogLevelMax", "LogExtraFields", "LogRateLimit*", "LogFilterPatterns", "LogNamespace",
    "StandardInputText", "StandardInputData", "LoadCredential*", "SetCredential*",
    "ImportCredential", "Utmp*", "IPCNamespacePath", "ProcSubset", "ExtensionImages",
    "ExtensionDirectories", "RemoveIPC", "RestartKillSignal", "SendSIGHUP", "SendSIGKILL",
    "FinalKillSignal", "WatchdogSignal",
    /* systemd.resource-control(5) */
    "CPUAccounting", "CPUWeight", "StartupCPU*", "CPUQuota*", "CPUShares", "AllowedCPUs",
    "AllowedMemoryNodes", "StartupAllowed*", "MemoryAccounting", "MemoryMin", "MemoryLow",
    "MemoryHigh", "MemoryMax", "MemorySwapMax", "MemoryZSwap*", "MemoryLimit", "MemoryPressure*",
    "StartupMemory*", "TasksAccounting", "TasksMax", "IO*", "StartupIO*", "BlockIO*",
    "IPAccounting", "IPAddress*", "SocketBind*", "IPIngressFilterPath", "IPEgressFilterPath",
    "BPFProgram", "DeviceAllow", "DevicePolicy", "Slice", "Delegate*", "DisableControllers",
    "ManagedOOM*", "NFTSet", "DefaultMemory*", "CoredumpReceive",
    NULL,
};
/* clang-format on */

size_t policy_key_count(void)
{
    return ELEMENTS(policy_keys) - 1;
}

int assignment_error(const struct assignment *a, const char *format, ...)
{
    _cleanup_free_ char *message = NULL;
    va_list args;
    int r;

    va_start(args, format);
    r = vasprintf(&message, format, args);
    va_end(args);
    if (r < 0) {
        message = NULL;
        return -ENOMEM;
    }
    return policy_errors_add(a->errors, a->file, a->line, "%s=: %s", a->key->name, message);
}

static bool is_listed(const char *const *patterns, const char *name)
{
    for (; *patterns; patterns++) {
        size_t len = strcspn(*patterns, "*");

        if (strncmp(*patterns, name, len) == 0 && ((*patterns)[len] == '*' || !name[len]))
            return true;
    }
    return false;
}

/* Says why a key of that name is not in the table. */
static int report_unknown(const struct policy_key *keys, const char *section, const char *name,
                          const char *file, unsigned line, struct policy_errors *errors)
{
    const char *near[ELEMENTS(policy_keys)], *meant;
    size_t n = 0;

    for (const struct policy_key *key = keys; key->name; key++)
        if (strcmp(key->name, name) == 0)
            return policy_errors_add(errors, file, line, "%s= belongs into [%s], not into [%s]",
                                     name, key->section, section);
    for (size_t i = 0; keys == policy_keys && i < ELEMENTS(refused); i++)
        if (strncmp(name, refused[i].prefix, strlen(refused[i].prefix)) == 0)
            return policy_errors_add(errors, file, line, "%s= is refused: %s", name,
                                     refused[i].why);
    if (keys == policy_keys && is_listed(later, name))
        return policy_errors_add(
            errors, file, line,
            "%s= is known to systemd but not supported by perdure yet; remove it "
            "or write X-%s= to keep it as a note",
            name, name);
    for (const struct policy_key *key = keys; key->name; key++)
        if (strcmp(key->section, section) == 0)
            near[n++] = key->name;
    near[n] = NULL;
    meant = nearest_word(name, near);
    if (meant)
        return policy_errors_add(errors, file, line, "unknown key %s= in [%s]; did you mean %s=?",
                                 name, section, meant);
    return policy_errors_add(errors, file, line, "unknown key %s= in [%s]; remove it", name,
                             section);
}

int policy_key_find(const struct policy_key *keys, const char *section, const char *name,
                    const char *file, unsigned line, struct policy_errors *errors,
                    const struct policy_key **ret)
{
    /* [Install] is for "systemctl enable"; X- is systemd.syntax(7)'s room for others */
    if (strcmp(section, "Install") == 0 || strncmp(name, "X-", 2) == 0 || is_listed(ignored, name))
        return POLICY_KEY_IGNORED;
    for (const struct policy_key *key = keys; key->name; key++)
        if (strcmp(key->section, section) == 0 && strcmp(key->name, name) == 0) {
            *ret = key;
            return 0;
        }
    return report_unknown(keys, section, name, file, line, errors);
}

int policy_key_assign(void *base, const struct assignment *a, const char *text)
{
    const struct policy_key *key = a->key;

    return key->parse(a, *text || !key->fallback ? text : key->fallback,
                      (char *)base + key->offset);
}

int policy_key_defaults(void *base, const struct policy_key *keys, const char *service)
{
    struct policy_errors none = {0};
    int r = 0;

    for (const struct policy_key *key = keys; key->name && r == 0; key++)
        r = policy_key_assign(
            base, &(struct assignment){.key = key, .file = "", .service = service, .errors = &none},
            "");
    policy_errors_done(&none);
    return r > 0 ? -EINVAL : r;
}
