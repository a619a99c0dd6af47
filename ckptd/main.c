/* main.c - ckptd: the checkpoint store of one instance. Started by the keeper only. */
#include "ckptd/bus.h"
#include "ckptd/job.h"
#include "ckptd/manager.h"
#include "common/bytesize.h"
#include "common/cleanup.h"
#include "common/dirs.h"
#include "common/handoff.h"
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#define STALL_VARIABLE "PERDURE_DUMP_STALL_SEC" /* shortens the no-progress watchdog, for tests */

struct arguments {
    const char *config_dir, *state_dir, *runtime_dir, *criu;
    uint64_t reserve;
    int log_level;
};

struct daemon {
    sd_event *event;
    struct manager *manager;
    struct bus_server *server;
};

static void daemon_done(struct daemon *daemon)
{
    daemon->manager = manager_free(daemon->manager);
    daemon->server = bus_server_free(daemon->server);
    daemon->event = sd_event_unref(daemon->event);
}

static const char usage[] =
    "Usage: ckptd [OPTION]...\n"
    "Keeps the checkpoints of an instance. supervisord starts it.\n"
    "\n"
    "  --config-dir DIR   --state-dir DIR   --runtime-dir DIR\n"
    "  --criu PATH        the criu program (found by itself)\n"
    "  --reserve SIZE     what stays free on the store's file system (5 %)\n"
    "  --log-level N      0 to 7, as syslog(3) counts (6)\n"
    "  --help, --version\n";

enum { EXIT_USAGE = 2, PARSE_DONE = 1 };

static int parse(int argc, char *argv[], struct arguments *a)
{
    static const struct option options[] = {
        {"config-dir", required_argument, NULL, 'c'},
        {"state-dir", required_argument, NULL, 's'},
        {"runtime-dir", required_argument, NULL, 'r'},
        {"criu", required_argument, NULL, 'u'},
        {"reserve", required_argument, NULL, 'R'},
        {"log-level", required_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},
        {},
    };
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 'c':
            a->config_dir = optarg;
            break;
        case 's':
            a->state_dir = optarg;
            break;
        case 'r':
            a->runtime_dir = optarg;
            break;
        case 'u':
            a->criu = optarg;
            break;
        case 'R':
            if (bytesize_parse(optarg, &a->reserve) < 0) {
                log_error("--reserve=%s is not a size; write it as 500M or 2G", optarg);
                return -EINVAL;
            }
            break;
        case 'l':
            a->log_level = atoi(optarg);
            break;
        case 'h':
            fputs(usage, stdout);
            return PARSE_DONE;
        case 'v':
            puts("ckptd " PERDURE_VERSION);
            return PARSE_DONE;
        default:
            return -EINVAL;
        }
    }
    if (optind == argc)
        return 0;
    log_error("%s: ckptd takes options only; see ckptd --help", argv[optind]);
    return -EINVAL;
}

static uint64_t stall_usec(void)
{
    const char *text = getenv(STALL_VARIABLE);
    unsigned long seconds = text ? strtoul(text, NULL, 10) : 0;

    return seconds > 0 && seconds < 1000000 ? seconds * 1000000ULL : JOB_STALL_USEC;
}

/* ---- the keeper ---- */

static void take_handoff(struct daemon *daemon, enum handoff_type type, int fd)
{
    int r;

    if (type == HANDOFF_TERMINATE) {
        fd_close(fd);
        manager_stop(daemon->manager);
        return;
    }
    r = fd < 0 ? -EBADF : bus_server_connect(daemon->server, fd);
    if (r < 0)
        log_error("cannot talk to the engine: %s", strerror(-r));
}

/* Its end means that the instance is over: workers go on by themselves, the next ckptd finds them.
 */
static int on_keeper(sd_event_source *source, int sock, uint32_t events, void *userdata)
{
    struct daemon *daemon = userdata;
    enum handoff_type type;
    int r, fd;

    r = handoff_receive(sock, &type, &fd);
    if (r == HANDOFF_GONE)
        return sd_event_exit(daemon->event, EXIT_SUCCESS);
    if (r == 0)
        take_handoff(daemon, type, fd);
    else if (r != -EAGAIN)
        log_error("a message of the keeper makes no sense: %s", strerror(-r));
    return 0;
}

static int set_up(struct daemon *daemon, const struct arguments *a, const char *state_dir)
{
    const struct manager_options options = {
        .state_dir = state_dir,
        .stall_usec = stall_usec(),
    };
    struct manager_events events;
    int r;

    r = sd_event_new(&daemon->event);
    if (r < 0 || (r = bus_server_new(daemon->event, &daemon->server)) < 0)
        return r;
    events = bus_server_events(daemon->server);
    r = manager_new(daemon->event, &options, &events, &daemon->manager);
    if (r < 0)
        return r;
    bus_server_set_manager(daemon->server, daemon->manager);
    /* Without it the engine's Configure says it all. */
    if (a->criu) {
        const struct manager_settings settings = {.criu = a->criu, .reserve = a->reserve};

        r = manager_configure(daemon->manager, &settings);
        if (r < 0)
            return r;
    }
    return sd_event_add_io(daemon->event, NULL, HANDOFF_FD, EPOLLIN, on_keeper, daemon);
}

/* The terminal's Ctrl-C reaches the whole group, but ending is the keeper's decision. */
static void set_signals(void)
{
    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    signal(SIGCHLD, SIG_DFL);
}

static bool started_by_keeper(void)
{
    struct stat st;

    return fstat(HANDOFF_FD, &st) == 0 && S_ISSOCK(st.st_mode);
}

static int run(const struct arguments *a)
{
    _cleanup_(daemon_done) struct daemon daemon = {};
    _cleanup_(dirs_done) struct dirs dirs = {};
    int r;

    r = dirs_init(&dirs, a->config_dir, a->state_dir, a->runtime_dir);
    if (r >= 0)
        r = set_up(&daemon, a, dirs.state);
    if (r < 0) {
        log_error("cannot open the checkpoints in %s: %s; see that it can be written to",
                  dirs.state ? dirs.state : "the state folder", strerror(-r));
        return EXIT_FAILURE;
    }
    malloc_trim(0); /* reading the manifests took more than what stays */
    r = sd_event_loop(daemon.event);
    if (r < 0)
        log_error("the event loop broke: %s", strerror(-r));
    return r < 0 ? EXIT_FAILURE : r;
}

int main(int argc, char *argv[])
{
    struct arguments a = {.log_level = LOG_INFO};
    int r;

    log_init("ckptd", LOG_INFO);
    r = parse(argc, argv, &a);
    if (r != 0)
        return r < 0 ? EXIT_USAGE : EXIT_SUCCESS;
    log_init("ckptd", a.log_level);
    if (!started_by_keeper()) {
        log_error("ckptd is started by supervisord; start that instead");
        return EXIT_USAGE;
    }
    (void)close_range(HANDOFF_FD + 1, ~0U, 0);
    (void)fcntl(HANDOFF_FD, F_SETFD, FD_CLOEXEC);
    set_signals();
    return run(&a);
}
