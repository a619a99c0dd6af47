/* main.c - supervisord: the keeper, or with the word `engine` last (by the keeper only) the engine.
 */
#include "common/cleanup.h"
#include "common/log.h"
#include "common/strv.h"
#include "supervisord/engine.h"
#include "supervisord/keeper.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const char usage[] =
    "Usage: supervisord [OPTION]...\n"
    "Keep the services of the policies running; bring them back with their memory.\n"
    "\n"
    "  --config-dir DIR   perdure.ini and policies/NAME.ini   (/etc/perdure)\n"
    "  --state-dir DIR    checkpoints, logs, recorded states  (/var/lib/perdure)\n"
    "  --runtime-dir DIR  sockets                             (/run/perdure)\n"
    "  --run              end with the one service, or when stdin ends (for `perdure run`)\n"
    "  --cold             forget recorded states: every service starts cold\n"
    "  --help, --version\n"
    "\n"
    "Signals: TERM and INT stop all services and end; QUIT ends and leaves them running;\n"
    "HUP reads the policies again. See supervisord(8).\n";

struct options {
    const char *config, *state, *runtime;
    bool run, cold, engine;
};

/* 0: go on; 1: done, exit 0; -EINVAL: wrong usage, said. */
static int parse(int argc, char **argv, struct options *o)
{
    static const struct option longs[] = {
        {"config-dir", required_argument, NULL, 'c'},
        {"state-dir", required_argument, NULL, 's'},
        {"runtime-dir", required_argument, NULL, 'r'},
        {"run", no_argument, NULL, 'R'},
        {"cold", no_argument, NULL, 'C'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},
        {NULL, 0, NULL, 0},
    };
    int c;

    while ((c = getopt_long(argc, argv, "h", longs, NULL)) >= 0) {
        switch (c) {
        case 'c':
            o->config = optarg;
            break;
        case 's':
            o->state = optarg;
            break;
        case 'r':
            o->runtime = optarg;
            break;
        case 'R':
            o->run = true;
            break;
        case 'C':
            o->cold = true;
            break;
        case 'h':
            fputs(usage, stdout);
            return 1;
        case 'v':
            puts("supervisord " PERDURE_VERSION);
            return 1;
        default:
            fputs("Try `supervisord --help`.\n", stderr);
            return -EINVAL;
        }
    }
    o->engine = optind == argc - 1 && strcmp(argv[optind], "engine") == 0;
    if (optind < argc && !o->engine) {
        fprintf(stderr, "supervisord: unexpected argument %s\nTry `supervisord --help`.\n",
                argv[optind]);
        return -EINVAL;
    }
    return 0;
}

static int run_engine(const struct options *o, const struct dirs *dirs)
{
    const struct engine_config config = {.dirs = dirs, .run_mode = o->run, .cold = o->cold};

    return engine_run(&config);
}

static int daemon_argv(char ***argv, const char *program, const struct dirs *dirs)
{
    int r;

    if ((r = strv_extend(argv, program)) < 0 ||
        (r = strv_extendf(argv, "--config-dir=%s", dirs->config)) < 0 ||
        (r = strv_extendf(argv, "--state-dir=%s", dirs->state)) < 0)
        return r;
    return strv_extendf(argv, "--runtime-dir=%s", dirs->runtime);
}

static int run_keeper(const struct options *o, const struct dirs *dirs)
{
    _cleanup_free_ char *ckptd = find_program("ckptd"), *init = find_program("perdure-init");
    _cleanup_free_ char *self = find_program("supervisord");
    _cleanup_strv_ char **engine_argv = NULL, **ckptd_argv = NULL;
    struct keeper_config config = {
        .dirs = dirs,
        .init_path = init,
        .control_mode = 0600, /* the engine opens it as ControlMode= says */
        .control_group = (gid_t)-1,
        .run_mode = o->run,
    };

    if (!self || !ckptd || !init || daemon_argv(&engine_argv, self, dirs) < 0 ||
        strv_extend(&engine_argv, "engine") < 0 || daemon_argv(&ckptd_argv, ckptd, dirs) < 0 ||
        (o->run && strv_extend(&engine_argv, "--run") < 0) ||
        (o->cold && strv_extend(&engine_argv, "--cold") < 0))
        return 1;
    config.engine_argv = engine_argv;
    config.ckptd_argv = ckptd_argv;
    return keeper_run(&config);
}

int main(int argc, char **argv)
{
    struct options o = {0};
    struct dirs dirs;
    int r;

    umask(0022);
    log_init("supervisord", LOG_INFO);
    r = parse(argc, argv, &o);
    if (r != 0)
        return r < 0 ? 2 : 0;
    r = dirs_init(&dirs, o.config, o.state, o.runtime);
    if (r < 0) {
        log_error("%s", strerror(-r));
        return 1;
    }
    r = o.engine ? run_engine(&o, &dirs) : run_keeper(&o, &dirs);
    dirs_done(&dirs);
    return r;
}
