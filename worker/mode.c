/* mode.c - reads the command line of a worker program and runs the mode that it names. */
#include "worker/mode.h"

#include "common/cleanup.h"
#include "common/log.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <string.h>

#define USAGE 2

enum option_value {
    OPTION_CRIU = 1,
    OPTION_STORE,
    OPTION_NAME,
    OPTION_NUMBER,
    OPTION_OTHER_NAME,
    OPTION_OTHER_NUMBER,
    OPTION_PARENT,
    OPTION_KEYS,
    OPTION_ZSTD,
    OPTION_ENCRYPT,
    OPTION_DIR,
    OPTION_SPEC_FD,
    OPTION_REPORT_FD,
    OPTION_FILE_FD,
    OPTION_TRUST,
    OPTION_UID,
    OPTION_MAX_BYTES,
    OPTION_NICE,
    OPTION_POST_RESTORE,
    OPTION_POST_RESTORE_SIGNAL,
    OPTION_TCP_ESTABLISHED,
    OPTION_VERIFY_ALWAYS,
    OPTION_FILES,
};

static const struct option options[] = {
    {"criu", required_argument, NULL, OPTION_CRIU},
    {"store", required_argument, NULL, OPTION_STORE},
    {"name", required_argument, NULL, OPTION_NAME},
    {"number", required_argument, NULL, OPTION_NUMBER},
    {"other-name", required_argument, NULL, OPTION_OTHER_NAME},
    {"other-number", required_argument, NULL, OPTION_OTHER_NUMBER},
    {"parent", required_argument, NULL, OPTION_PARENT},
    {"keys", required_argument, NULL, OPTION_KEYS},
    {"zstd", required_argument, NULL, OPTION_ZSTD},
    {"encrypt", no_argument, NULL, OPTION_ENCRYPT},
    {"dir", required_argument, NULL, OPTION_DIR},
    {"spec-fd", required_argument, NULL, OPTION_SPEC_FD},
    {"report-fd", required_argument, NULL, OPTION_REPORT_FD},
    {"file-fd", required_argument, NULL, OPTION_FILE_FD},
    {"trust", no_argument, NULL, OPTION_TRUST},
    {"uid", required_argument, NULL, OPTION_UID},
    {"max-bytes", required_argument, NULL, OPTION_MAX_BYTES},
    {"nice", required_argument, NULL, OPTION_NICE},
    {"post-restore", required_argument, NULL, OPTION_POST_RESTORE},
    {"post-restore-signal", required_argument, NULL, OPTION_POST_RESTORE_SIGNAL},
    {"tcp-established", no_argument, NULL, OPTION_TCP_ESTABLISHED},
    {"verify-always", no_argument, NULL, OPTION_VERIFY_ALWAYS},
    {"files", required_argument, NULL, OPTION_FILES},
    {},
};

/* Our own daemons wrote these numbers. */
static uint64_t number(const char *text)
{
    return strtoull(text, NULL, 10);
}

static int parse_files_mode(const char *word, enum files_mode *ret)
{
    static const char *const words[] = {[FILES_IGNORE] = "ignore",
                                        [FILES_REFUSE] = "refuse",
                                        [FILES_TRUNCATE] = "truncate",
                                        [FILES_SNAPSHOT] = "snapshot"};

    for (size_t i = 0; i < ELEMENTS(words); i++)
        if (strcmp(words[i], word) == 0) {
            *ret = (enum files_mode)i;
            return 0;
        }
    return -EINVAL;
}

static int take_option(int option, const char *value, struct worker_args *args)
{
    switch ((enum option_value)option) {
    case OPTION_CRIU:
        args->criu = value;
        return 0;
    case OPTION_STORE:
        args->store = value;
        return 0;
    case OPTION_NAME:
        args->name = value;
        return 0;
    case OPTION_NUMBER:
        args->number = number(value);
        return 0;
    case OPTION_OTHER_NAME:
        args->other_name = value;
        return 0;
    case OPTION_OTHER_NUMBER:
        args->other_number = number(value);
        return 0;
    case OPTION_PARENT:
        args->parent = number(value);
        return 0;
    case OPTION_KEYS:
        args->keys = value;
        return 0;
    case OPTION_ZSTD:
        args->zstd = (uint32_t)number(value);
        return 0;
    case OPTION_ENCRYPT:
        args->encrypt = true;
        return 0;
    case OPTION_DIR:
        args->dir = value;
        return 0;
    case OPTION_SPEC_FD:
        args->spec_fd = atoi(value);
        return 0;
    case OPTION_REPORT_FD:
        args->report_fd = atoi(value);
        return 0;
    case OPTION_FILE_FD:
        args->file_fd = atoi(value);
        return 0;
    case OPTION_TRUST:
        args->trust = true;
        return 0;
    case OPTION_UID:
        args->uid = (int64_t)number(value);
        return 0;
    case OPTION_MAX_BYTES:
        args->max_bytes = number(value);
        return 0;
    case OPTION_NICE:
        args->nice = atoi(value);
        return 0;
    case OPTION_POST_RESTORE:
        args->post_restore = value;
        return 0;
    case OPTION_POST_RESTORE_SIGNAL:
        args->post_restore_signal = atoi(value);
        return 0;
    case OPTION_TCP_ESTABLISHED:
        args->tcp_established = true;
        return 0;
    case OPTION_VERIFY_ALWAYS:
        args->verify_always = true;
        return 0;
    case OPTION_FILES:
        return parse_files_mode(value, &args->files);
    }
    return -EINVAL;
}

static int parse(int argc, char *argv[], struct worker_args *args)
{
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
        if (take_option(c, optarg, args) < 0)
            return -EINVAL;
    return optind == argc ? 0 : -EINVAL;
}

static unsigned given(const struct worker_args *args)
{
    return (args->criu ? NEED_CRIU : 0) | (args->store ? NEED_STORE : 0) |
           (args->name ? NEED_NAME : 0) | (args->number ? NEED_NUMBER : 0) |
           (args->spec_fd >= 0 ? NEED_SPEC : 0) | (args->report_fd >= 0 ? NEED_REPORT : 0) |
           (args->dir ? NEED_DIR : 0) | (args->other_name && args->other_number ? NEED_OTHER : 0) |
           (args->file_fd >= 0 ? NEED_FILE : 0) | (args->keys ? NEED_KEYS : 0) |
           (args->uid >= 0 ? NEED_UID : 0);
}

/* Nobody's CRIU settings but ours: both of these name files that count under libcriu, too
 * (criu/config.c). */
static void set_environment(void)
{
    unsetenv("HOME");
    unsetenv("CRIU_CONFIG_FILE");
    setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 0);
}

static int usage(const char *program)
{
    log_error("usage: %s MODE OPTIONS (run by ckptd and supervisord, see worker/mode.h)", program);
    return USAGE;
}

int mode_main(const char *program, const struct mode *modes, int argc, char *argv[])
{
    struct worker_args args = {.spec_fd = -1, .report_fd = -1, .file_fd = -1, .uid = -1};

    log_init(program, LOG_INFO);
    signal(SIGPIPE, SIG_IGN); /* ckptd may be gone; what was begun is finished all the same */
    signal(SIGCHLD, SIG_DFL); /* libcriu cannot work where it is ignored */
    set_environment();
    if (argc < 2 || parse(argc - 1, argv + 1, &args) < 0)
        return usage(program);
    for (; modes->name; modes++)
        if (strcmp(modes->name, argv[1]) == 0 && (modes->needs & ~given(&args)) == 0)
            return modes->run(&args);
    return usage(program);
}
