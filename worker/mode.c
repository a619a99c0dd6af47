/* mode.c - reads the command line of a worker program and runs the mode that it names. */
#include "worker/mode.h"

#include "common/cleanup.h"
#include "common/log.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>

#define USAGE 2

enum kind { TEXT, FLAG, INT, NUMBER, LEVEL, UID, FILES_MODE };

/* Where each option goes. */
#define OPTION(name, kind, member)                       \
    {                                                    \
        name, kind, offsetof(struct worker_args, member) \
    }
static const struct {
    const char *name;
    enum kind kind;
    size_t offset;
} options[] = {
    OPTION("criu", TEXT, criu),
    OPTION("store", TEXT, store),
    OPTION("name", TEXT, name),
    OPTION("number", NUMBER, number),
    OPTION("other-name", TEXT, other_name),
    OPTION("other-number", NUMBER, other_number),
    OPTION("parent", NUMBER, parent),
    OPTION("keys", TEXT, keys),
    OPTION("zstd", LEVEL, zstd),
    OPTION("encrypt", FLAG, encrypt),
    OPTION("dir", TEXT, dir),
    OPTION("spec-fd", INT, spec_fd),
    OPTION("report-fd", INT, report_fd),
    OPTION("file-fd", INT, file_fd),
    OPTION("trust", FLAG, trust),
    OPTION("uid", UID, uid),
    OPTION("max-bytes", NUMBER, max_bytes),
    OPTION("nice", INT, nice),
    OPTION("post-restore", TEXT, post_restore),
    OPTION("post-restore-signal", INT, post_restore_signal),
    OPTION("tcp-established", FLAG, tcp_established),
    OPTION("verify-always", FLAG, verify_always),
    OPTION("files", FILES_MODE, files),
};

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

/* Our own daemons wrote these numbers. */
static int take_option(enum kind kind, const char *value, void *to)
{
    switch (kind) {
    case TEXT:
        *(const char **)to = value;
        return 0;
    case FLAG:
        *(bool *)to = true;
        return 0;
    case INT:
        *(int *)to = atoi(value);
        return 0;
    case NUMBER:
        *(uint64_t *)to = strtoull(value, NULL, 10);
        return 0;
    case LEVEL:
        *(uint32_t *)to = (uint32_t)strtoul(value, NULL, 10);
        return 0;
    case UID:
        *(int64_t *)to = strtoll(value, NULL, 10);
        return 0;
    case FILES_MODE:
        return parse_files_mode(value, to);
    }
    return -EINVAL;
}

static int parse(int argc, char *argv[], struct worker_args *args)
{
    struct option list[ELEMENTS(options) + 1] = {};
    int i;

    for (size_t n = 0; n < ELEMENTS(options); n++) {
        list[n].name = options[n].name;
        list[n].has_arg = options[n].kind == FLAG ? no_argument : required_argument;
    }
    for (;;) {
        int c = getopt_long(argc, argv, "", list, &i);

        if (c < 0)
            return optind == argc ? 0 : -EINVAL;
        if (c != 0 || take_option(options[i].kind, optarg, (char *)args + options[i].offset) < 0)
            return -EINVAL;
    }
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
