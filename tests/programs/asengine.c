/* asengine.c - stands in for ckptd before a dump worker, or for the engine before a ckptd.
 *
 * usage: asengine dump NAME PID STAGING ENCRYPT PROGRAM [ARGUMENT]...
 *
 * Executes the program with the request to dump this process on descriptor 3; STAGING is disk or
 * tmpfs, ENCRYPT 0 or 1.
 *
 * usage: asengine call METHOD [WORD]... -- PROGRAM [ARGUMENT]...
 *
 * Starts the program, a ckptd, configures it, calls it once, prints the answer, and lets it end.
 * Methods and their words:
 * - List NAME, Verify NAME, Pin ID 0|1, Poison ID WHY, Corrupt ID WHY, RotateKey;
 * - Import FILE NAME UID;
 * - Checkpoint NAME PID CRIU, which watches that process before;
 * - Prune NAME KEEP, which watches asengine itself with Keep=;
 * - Upkeep NAME COUNT, watched with Compress=: until so many are packed and no worker runs.
 *
 * Exit status: 0; 1 when the call failed or ckptd has died. */
#include "common/ckpt_spec_bus.h"
#include "common/cleanup.h"
#include "common/dump_request.h"
#include "common/handoff.h"
#include "common/peer.h"
#include "common/proc.h"
#include "common/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define PATIENCE_USEC (30 * USEC_PER_SEC)
#define SPEC_FD       3
#define UPKEEP        "Upkeep" /* no method of the bus */
#define ZSTD_LEVEL    3
#define POLL_USEC     (10 * USEC_PER_MSEC)
#define CALM_POLLS    10

static void die(const char *what, int error)
{
    fprintf(stderr, "asengine: %s: %s\n", what, strerror(error));
    exit(1);
}

static struct ckpt_spec spec_of(char *name, pid_t pid)
{
    struct ckpt_spec spec = {.name = name,
                             .pid = pid,
                             .retention = {.keep = 16},
                             .max_chain = 16,
                             .staging_max = 1 << 30,
                             .ghost_limit = 1 << 20};

    if (proc_stat(pid, &spec.start_time, NULL, NULL) < 0)
        die(name, ESRCH);
    return spec;
}

static int run_dump(char **words)
{
    struct ckpt_spec spec = spec_of(words[0], atoi(words[1]));
    int fd, r;

    spec.staging = strcmp(words[2], "disk") == 0 ? STAGING_DISK : STAGING_TMPFS;
    spec.encrypt = words[3][0] == '1';
    spec.cgroup = spec.snapshot_paths = spec.pre_checkpoint = spec.post_checkpoint =
        spec.restored_from = (char *)"";
    r = dump_request_pack(&spec, &fd);
    if (r < 0)
        die("the request", -r);
    if ((fd == SPEC_FD ? fcntl(fd, F_SETFD, 0) : dup2(fd, SPEC_FD)) < 0)
        die("dup2", errno);
    execv(words[4], words + 4);
    die(words[4], errno);
    return 1;
}

/* ---- ckptd ---- */

static pid_t start(char **argv, sd_bus **ret_bus, int *ret_keeper)
{
    int keeper[2], engine[2];
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, keeper) < 0 ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, engine) < 0)
        die("socketpair", errno);
    pid = fork();
    if (pid == 0) {
        if ((keeper[1] == HANDOFF_FD ? fcntl(HANDOFF_FD, F_SETFD, 0)
                                     : dup2(keeper[1], HANDOFF_FD)) < 0)
            _exit(126);
        execv(argv[0], argv);
        _exit(127);
    }
    close(keeper[1]);
    if (handoff_send(keeper[0], HANDOFF_PEER, engine[0]) < 0 ||
        peer_new_client(engine[1], ret_bus) < 0 || sd_bus_start(*ret_bus) < 0)
        die("ckptd", EPIPE);
    close(engine[0]);
    *ret_keeper = keeper[0];
    return pid;
}

static sd_bus_message *new_call(sd_bus *bus, const char *method)
{
    sd_bus_message *m = NULL;

    if (sd_bus_message_new_method_call(bus, &m, NULL, CKPT_PATH, CKPT_IFACE, method) < 0)
        die(method, ENOMEM);
    return m;
}

static int count_packed(const char *json)
{
    int count = 0;

    for (const char *p = json; (p = strstr(p, "\"packed\":true")); p++)
        count++;
    return count;
}

/* 0: it has none. */
static pid_t first_child(pid_t pid)
{
    char path[64];
    int child = 0;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
    file = fopen(path, "re");
    if (file && fscanf(file, "%d", &child) != 1)
        child = 0;
    if (file)
        fclose(file);
    return child;
}

/* There may be a stepfail between us and it. */
static pid_t find_ckptd(pid_t started)
{
    char path[64], name[16] = "";
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/comm", (int)started);
    file = fopen(path, "re");
    if (file && fscanf(file, "%15s", name) != 1)
        name[0] = '\0';
    if (file)
        fclose(file);
    return strcmp(name, "ckptd") == 0 ? started : first_child(started);
}

/* How many are packed, or < 0. */
static int ask_packed(sd_bus *bus, const char *name)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    const char *text;
    int r =
        sd_bus_call_method(bus, NULL, CKPT_PATH, CKPT_IFACE, CKPT_LIST, NULL, &reply, "s", name);

    if (r < 0 || (r = sd_bus_message_read(reply, "s", &text)) < 0)
        return r;
    return count_packed(text);
}

static int wait_for_upkeep(sd_bus *bus, pid_t pid, const char *name, int wanted)
{
    uint64_t end = now_boottime_usec() + PATIENCE_USEC;
    pid_t ckptd = find_ckptd(pid);
    int calm = 0;

    while (calm < CALM_POLLS) {
        int packed = ask_packed(bus, name);

        if (packed < 0)
            return packed;
        calm = packed < wanted || first_child(ckptd) ? 0 : calm + 1;
        if (now_boottime_usec() > end) {
            fprintf(stderr, "asengine: ckptd finds no end\n");
            return -ETIMEDOUT;
        }
        usleep(POLL_USEC);
    }
    return 0;
}

/* Takes the message. */
static int call(sd_bus *bus, sd_bus_message *m)
{
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    const char *text = "";
    int r = sd_bus_call(bus, m, PATIENCE_USEC, &error, &reply);

    sd_bus_message_unref(m);
    if (r >= 0 && !sd_bus_message_is_empty(reply))
        r = sd_bus_message_read(reply, "s", &text);
    if (r >= 0 && text[0])
        puts(text);
    if (r < 0)
        fprintf(stderr, "asengine: %s\n", error.message ? error.message : strerror(-r));
    return r;
}

static int configure(sd_bus *bus, const char *criu)
{
    sd_bus_message *m = new_call(bus, CKPT_CONFIGURE);

    if (sd_bus_message_append(m, "ststt", criu, (uint64_t)1, "", (uint64_t)0, (uint64_t)0) < 0)
        die(CKPT_CONFIGURE, ENOMEM);
    return call(bus, m);
}

static int watch(sd_bus *bus, char *name, pid_t pid, uint32_t keep, uint32_t compress)
{
    sd_bus_message *m = new_call(bus, CKPT_WATCH);
    struct ckpt_spec spec = spec_of(name, pid);

    spec.retention.keep = keep;
    spec.compress = compress;
    if (ckpt_spec_append(m, &spec) < 0)
        die(CKPT_WATCH, ENOMEM);
    return call(bus, m);
}

/* What has to be said before the call itself. */
static int prepare(sd_bus *bus, const char *method, char **words)
{
    bool dumps = strcmp(method, CKPT_CHECKPOINT) == 0;
    int r = configure(bus, dumps ? words[2] : "/bin/true");

    if (r >= 0 && dumps)
        r = watch(bus, words[0], atoi(words[1]), 16, 0);
    if (r >= 0 && strcmp(method, CKPT_PRUNE) == 0)
        r = watch(bus, words[0], getpid(), (uint32_t)atoi(words[1]), 0);
    if (r >= 0 && strcmp(method, UPKEEP) == 0)
        r = watch(bus, words[0], getpid(), 16, ZSTD_LEVEL);
    return r;
}

static int append(sd_bus_message *m, const char *method, char **words)
{
    if (strcmp(method, CKPT_PIN) == 0)
        return sd_bus_message_append(m, "sb", words[0], atoi(words[1]));
    if (strcmp(method, CKPT_POISON) == 0 || strcmp(method, CKPT_CORRUPT) == 0)
        return sd_bus_message_append(m, "ss", words[0], words[1]);
    if (strcmp(method, CKPT_PRUNE) == 0)
        return sd_bus_message_append(m, "sb", words[0], 0);
    if (strcmp(method, CKPT_IMPORT) == 0)
        return sd_bus_message_append(m, "hsbub", open(words[0], O_RDONLY | O_CLOEXEC), words[1], 0,
                                     (uint32_t)atoi(words[2]), 0);
    if (strcmp(method, CKPT_ROTATE_KEY) == 0)
        return 0;
    return sd_bus_message_append(m, "s", words[0]);
}

static int run_call(char **words)
{
    const char *method = words[0];
    char **argv = words + 1;
    sd_bus_message *m;
    int keeper, r;
    sd_bus *bus;
    pid_t pid;

    while (*argv && strcmp(*argv, "--") != 0)
        argv++;
    if (!*argv)
        return 2;
    pid = start(argv + 1, &bus, &keeper);
    r = prepare(bus, method, words + 1);
    if (r >= 0 && strcmp(method, UPKEEP) == 0) {
        r = wait_for_upkeep(bus, pid, words[1], atoi(words[2]));
    } else if (r >= 0) {
        m = new_call(bus, method);
        r = append(m, method, words + 1);
        if (r < 0)
            die(method, -r);
        r = call(bus, m);
    }
    peer_close(bus);
    close(keeper);
    waitpid(pid, NULL, 0);
    return r < 0;
}

int main(int argc, char **argv)
{
    if (argc > 6 && strcmp(argv[1], "dump") == 0)
        return run_dump(argv + 2);
    if (argc > 3 && strcmp(argv[1], "call") == 0)
        return run_call(argv + 2);
    return 2;
}
