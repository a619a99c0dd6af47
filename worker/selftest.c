/* selftest.c - can CRIU checkpoint and restore here? Tried on a child of our own, one with a
 * network socket and one of another user; the answer is a line of JSON. */
#include "common/cleanup.h"
#include "common/fs.h"
#include "common/proc.h"
#include "worker/diagnose.h"
#include "worker/kdat.h"
#include "worker/real_ids.h"
#include "worker/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <jansson.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define OTHER_UID    65534 /* nobody; only its being another one matters */
#define WALL_USEC    (10 * USEC_PER_SEC)
#define CRIU_CONFIG  "/etc/criu/default.conf"
#define INSTALL_CURE "install CRIU 4.0 or newer, or run 'make deps'"

struct answer {
    int version;
    bool usable, sockets, other_uid, cached;
    struct reason reason; /* of the first that is false */
};

/* In the child: closing the last descriptors, `ready` among them, says that it is set up. */
_Noreturn static void sleeper(uid_t uid, int domain)
{
    int null = open("/dev/null", O_RDWR);
    int last = domain != AF_UNSPEC ? socket(domain, SOCK_STREAM, 0) : null;

    setsid();
    if (uid != 0 &&
        (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0))
        _exit(1);
    prctl(PR_SET_NAME, "perdure-probe");
    for (int i = 0; i < 3; i++)
        dup2(i < 2 ? null : last, i);
    syscall(SYS_close_range, 3, ~0U, 0);
    for (;;)
        pause();
}

static pid_t start_sleeper(uid_t uid, int domain)
{
    int ready[2];
    pid_t pid;
    char none;

    if (pipe2(ready, O_CLOEXEC) < 0)
        return -1;
    pid = fork();
    if (pid == 0)
        sleeper(uid, domain);
    close(ready[1]);
    (void)!read(ready[0], &none, 1); /* its end */
    close(ready[0]);
    return pid;
}

static void end_child(pid_t pid)
{
    if (pid <= 0)
        return;
    (void)kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

static bool dump(struct criu_run *run, struct reason *reason)
{
    struct criu_result result;
    struct real_ids ids;

    run->log_name = "dump.log";
    real_ids_borrow(run->pid, &ids);
    criu_run_dump(run, &result);
    real_ids_return(&ids);
    if (result.error == 0)
        return true;
    (void)diagnose(run, &result, reason);
    return false;
}

static bool restore(struct criu_run *run, struct reason *reason)
{
    struct criu_result result;

    run->log_name = "restore.log";
    criu_run_restore(run, &result);
    if (result.error < 0) {
        (void)diagnose(run, &result, reason);
        return false;
    }
    end_child(result.pid); /* ours: we are the subreaper */
    return true;
}

/* Dump and restore in the scratch folder: of a child of `uid`, with a socket if `domain` is one's.
 */
static bool try_child(const char *criu, int scratch_fd, uid_t uid, int domain,
                      struct reason *reason)
{
    struct criu_run run = {
        .binary = criu,
        .images_fd = scratch_fd,
        .work_fd = scratch_fd,
        .log_level = 1,
        .wall_usec = WALL_USEC,
    };
    bool dumped;

    run.pid = start_sleeper(uid, domain);
    if (run.pid < 0) {
        reason_set(reason, "", "starting a process: %s", strerror(errno));
        return false;
    }
    dumped = dump(&run, reason);
    end_child(run.pid);
    return dumped && restore(&run, reason);
}

static bool works(const struct worker_args *args, int dir_fd, uid_t uid, int domain,
                  struct reason *reason)
{
    _cleanup_close_ int scratch_fd = -1;
    char name[32];
    bool ok;

    snprintf(name, sizeof(name), "selftest-%d", (int)getpid());
    if (fs_remove_all(dir_fd, name) < 0 || mkdirat(dir_fd, name, 0700) < 0 ||
        (scratch_fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) {
        reason_set(reason, "see that the state folder can be written to", "%s/%s: %s", args->dir,
                   name, strerror(errno));
        return false;
    }
    ok = try_child(args->criu, scratch_fd, uid, domain, reason);
    (void)fs_remove_all(dir_fd, name);
    return ok;
}

static bool check_version(const struct worker_args *args, struct answer *a)
{
    int v = a->version;

    if (v < 0)
        reason_set(&a->reason, INSTALL_CURE, "%s cannot be run", args->criu);
    else if (v < CRIU_VERSION_MIN)
        reason_set(&a->reason, INSTALL_CURE, "%s is CRIU %d.%d.%d, too old", args->criu, v / 10000,
                   v / 100 % 100, v % 100);
    else
        return true;
    return false;
}

static void find_out(const struct worker_args *args, struct answer *a)
{
    _cleanup_close_ int dir_fd = -1;

    if (geteuid() != 0) {
        reason_set(&a->reason, "run supervisord as root", "checkpoints need root");
        return;
    }
    dir_fd = open(args->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0) {
        reason_set(&a->reason, "see that the state folder can be written to", "%s: %s", args->dir,
                   strerror(errno));
        return;
    }
    kdat_prepare(args->criu, &a->version, &a->cached);
    if (!check_version(args, a))
        return;
    /* Restored children become ours to reap. */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    a->usable = works(args, dir_fd, 0, AF_UNSPEC, &a->reason);
    a->sockets = a->usable && works(args, dir_fd, 0, AF_INET, &a->reason);
    a->other_uid = a->sockets && works(args, dir_fd, OTHER_UID, AF_UNSPEC, &a->reason);
}

int worker_selftest(const struct worker_args *args)
{
    struct answer a = {.version = -1};
    const char *warning = "";
    json_t *json;

    find_out(args, &a);
    if (access(CRIU_CONFIG, F_OK) == 0)
        warning = CRIU_CONFIG " changes how CRIU works; remove it";
    json = json_pack("{s:i, s:s, s:b, s:s, s:s, s:b, s:b, s:b, s:s}", "criu", a.version,
                     "criu_path", args->criu, "usable", a.usable, "why",
                     a.reason.why ? a.reason.why : "", "cure", reason_cure(&a.reason), "sockets",
                     a.sockets, "other_uid", a.other_uid, "kdat", a.cached, "warning", warning);
    reason_done(&a.reason);
    if (!json || json_dumpf(json, stdout, JSON_COMPACT) < 0)
        return EXIT_FAILURE;
    putchar('\n');
    json_decref(json);
    return EXIT_SUCCESS;
}
