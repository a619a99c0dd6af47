/* main.c - ckpt-worker: runs libcriu for one dump, one restore or the self-test; see
 * layout.h. */
#include "common/cleanup.h"
#include "common/log.h"
#include "image/layout.h"
#include "worker/netlock.h"
#include "worker/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <string.h>

#define USAGE 2

static const struct option options[] = {
    {"criu", required_argument, NULL, 'c'},
    {"store", required_argument, NULL, 's'},
    {"number", required_argument, NULL, 'n'},
    {"spec-fd", required_argument, NULL, 'f'},
    {"report-fd", required_argument, NULL, 'r'},
    {"image", required_argument, NULL, 'i'},
    {"post-restore", required_argument, NULL, 'p'},
    {"post-restore-signal", required_argument, NULL, 'g'},
    {"tcp-established", no_argument, NULL, 't'},
    {"dir", required_argument, NULL, 'd'},
    {},
};

static int parse(int argc, char *argv[], struct worker_args *args)
{
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 'c':
            args->criu = optarg;
            break;
        case 's':
            args->store = optarg;
            break;
        case 'n':
            args->number = strtoull(optarg, NULL, 10);
            break;
        case 'f':
            args->spec_fd = atoi(optarg);
            break;
        case 'r':
            args->report_fd = atoi(optarg);
            break;
        case 'i':
            args->image = optarg;
            break;
        case 'p':
            args->post_restore = optarg;
            break;
        case 'g':
            args->post_restore_signal = atoi(optarg);
            break;
        case 't':
            args->tcp_established = true;
            break;
        case 'd':
            args->dir = optarg;
            break;
        default:
            return -EINVAL;
        }
    }
    return optind == argc ? 0 : -EINVAL;
}

/* Nobody's CRIU settings but ours: both of these name files that count under libcriu, too
 * (criu/config.c). */
static void set_environment(void)
{
    unsetenv("HOME");
    unsetenv("CRIU_CONFIG_FILE");
    setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 0);
}

int worker_unlock(const struct worker_args *args)
{
    _cleanup_close_ int dir_fd = open(args->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = dir_fd < 0 ? -errno : netlock_remove_of_log(dir_fd, LAYOUT_DUMP_LOG);

    if (r < 0)
        log_error("%s: removing CRIU's network lock: %s; see 'nft list tables'", args->dir,
                  strerror(-r));
    return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int run(const char *mode, const struct worker_args *args)
{
    if (strcmp(mode, "dump") == 0 && args->criu && args->store && args->number > 0 &&
        args->spec_fd >= 0 && args->report_fd >= 0)
        return worker_dump(args);
    if (strcmp(mode, "restore") == 0 && args->criu && args->image)
        return worker_restore(args);
    if (strcmp(mode, "selftest") == 0 && args->criu && args->dir)
        return worker_selftest(args);
    if (strcmp(mode, "unlock") == 0 && args->dir)
        return worker_unlock(args);
    log_error("usage: ckpt-worker dump|restore|selftest|unlock OPTIONS (run by ckptd and "
              "supervisord, see image/layout.h)");
    return USAGE;
}

int main(int argc, char *argv[])
{
    struct worker_args args = {.spec_fd = -1, .report_fd = -1};

    log_init("ckpt-worker", LOG_INFO);
    signal(SIGPIPE, SIG_IGN); /* ckptd may be gone; the checkpoint is finished all the same */
    signal(SIGCHLD, SIG_DFL); /* libcriu cannot work where it is ignored */
    set_environment();
    if (argc < 2 || parse(argc - 1, argv + 1, &args) < 0)
        return run("", &args);
    return run(argv[1], &args);
}
