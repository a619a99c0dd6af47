/* policy_exit.c - sets of exit statuses: SuccessExitStatus= and RestartPreventExitStatus=. */
#include "common/cleanup.h"
#include "common/signame.h"
#include "common/words.h"
#include "supervisord/policy_keys.h"

#include <ctype.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#define SIGNAL_BIT(n) (UINT64_C(1) << ((n)-1))

const struct exit_set exit_set_clean = {
    .codes = {1}, /* bit 0: code 0 */
    .signals = SIGNAL_BIT(SIGHUP) | SIGNAL_BIT(SIGINT) | SIGNAL_BIT(SIGTERM) | SIGNAL_BIT(SIGPIPE),
};

/* systemd.exec(5) "Process exit codes"; a hole has no name. */
static const char *const low_names[] = {
    "SUCCESS",      "FAILURE",      "INVALIDARGUMENT", "NOTIMPLEMENTED",
    "NOPERMISSION", "NOTINSTALLED", "NOTCONFIGURED",   "NOTRUNNING",
};
static const char *const bsd_names[] = {
    /* 64, sysexits(3) */ "USAGE",
    "DATAERR",
    "NOINPUT",
    "NOUSER",
    "NOHOST",
    "UNAVAILABLE",
    "SOFTWARE",
    "OSERR",
    "OSFILE",
    "CANTCREAT",
    "IOERR",
    "TEMPFAIL",
    "PROTOCOL",
    "NOPERM",
    "CONFIG",
};
static const char *const systemd_names[] = {
    /* 200 */ "CHDIR",
    "NICE",
    "FDS",
    "EXEC",
    "MEMORY",
    "LIMITS",
    "OOM_ADJUST",
    "SIGNAL_MASK",
    "STDIN",
    "STDOUT",
    "CHROOT",
    "IOPRIO",
    "TIMERSLACK",
    "SECUREBITS",
    "SETSCHEDULER",
    "CPUAFFINITY",
    "GROUP",
    "USER",
    "CAPABILITIES",
    "CGROUP",
    "SETSID",
    "CONFIRM",
    "STDERR",
    NULL,
    "PAM",
    "NETWORK",
    "NAMESPACE",
    "NO_NEW_PRIVILEGES",
    "SECCOMP",
    "SELINUX_CONTEXT",
    "PERSONALITY",
    "APPARMOR",
    "ADDRESS_FAMILIES",
    "RUNTIME_DIRECTORY",
    NULL,
    "CHOWN",
    "SMACK_PROCESS_LABEL",
    "KEYRING",
    "STATE_DIRECTORY",
    "CACHE_DIRECTORY",
    "LOGS_DIRECTORY",
    "CONFIGURATION_DIRECTORY",
    "NUMA_POLICY",
    "CREDENTIALS",
    "BPF",
};

static int find(const char *const *names, size_t count, int first, const char *text)
{
    for (size_t i = 0; i < count; i++)
        if (names[i] && strcmp(names[i], text) == 0)
            return first + (int)i;
    return -1;
}

/* An exit code by number or name, -1 for none. */
static int code_from_text(const char *text)
{
    int code = find(low_names, ELEMENTS(low_names), 0, text);

    if (code < 0)
        code = find(bsd_names, ELEMENTS(bsd_names), 64, text);
    if (code < 0)
        code = find(systemd_names, ELEMENTS(systemd_names), 200, text);
    if (code < 0 && strcmp(text, "EXCEPTION") == 0)
        code = 255;
    if (code < 0 && isdigit((unsigned char)*text)) {
        char *end;
        long n = strtol(text, &end, 10);

        code = *end == '\0' && n <= 255 ? (int)n : -1;
    }
    return code;
}

bool exit_set_has(const struct exit_set *set, int code, int status)
{
    if (code == CLD_EXITED)
        return status >= 0 && status <= 255 && set->codes[status / 8] >> status % 8 & 1;
    if (code == CLD_KILLED || code == CLD_DUMPED)
        return status >= 1 && status <= 64 && (set->signals & SIGNAL_BIT(status));
    return false;
}

int value_exit_set(const struct assignment *a, const char *text, void *field)
{
    const struct exit_set *fallback = a->key->detail;
    struct exit_set set = *(struct exit_set *)field;

    if (!*text) {
        *(struct exit_set *)field = fallback ? *fallback : (struct exit_set){0};
        return 0;
    }
    for (;;) {
        _cleanup_free_ char *word = NULL;
        int r = words_next(&text, &word), code, signal;

        if (r == WORDS_END)
            break;
        if (r < 0)
            return assignment_error(a, "a quote is not closed; write words without quotes");
        code = code_from_text(word);
        signal = code < 0 ? signal_from_name(word) : -1;
        if (code < 0 && signal < 0)
            return assignment_error(
                a,
                "\"%s\" is no exit status; write a number up to 255, a name like "
                "TEMPFAIL, or a signal like SIGKILL",
                word);
        if (code >= 0)
            set.codes[code / 8] |= (uint8_t)(1u << code % 8);
        else
            set.signals |= SIGNAL_BIT(signal);
    }
    *(struct exit_set *)field = set;
    return 0;
}
