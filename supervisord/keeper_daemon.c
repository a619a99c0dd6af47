/* keeper_daemon.c - engine and ckptd: started, respawned at once, connected with each other. */
#include "supervisord/keeper_state.h"

#include "common/cleanup.h"
#include "common/handoff.h"
#include "common/log.h"
#include "supervisord/keeper_fds.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

_Static_assert(ENGINE_FD_KEEPER == 3 && ENGINE_FD_CONTROL == 4 && ENGINE_FD_NOTIFY == 5 &&
                   HANDOFF_FD == 3,
               "child_start_daemon() numbers from 3");

/* A bus socket for each of the two, whenever either is new. */
static void connect_daemons(struct keeper *k)
{
    int ends[2], r;

    k->engine.peer_fd = fd_close(k->engine.peer_fd);
    if (k->engine.id.pid <= 0 || k->ckptd.id.pid <= 0)
        return;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0) {
        log_error("cannot connect engine and ckptd: %s", strerror(errno));
        return;
    }
    r = handoff_send(k->ckptd.sock, HANDOFF_PEER, ends[0]);
    if (r < 0)
        log_error("cannot hand a socket to ckptd: %s", strerror(-r));
    close(ends[0]);
    k->engine.peer_fd = ends[1];
    k->pending |= PENDING_PEER;
}

static int start(struct keeper *k, struct daemon *d)
{
    _cleanup_close_ int ours = -1, theirs = -1;
    int ends[2], r;
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
        return -errno;
    ours = ends[0];
    theirs = ends[1];
    {
        const int fds[] = {theirs, k->control_fd, k->notify_fd};

        r = child_start_daemon(d->argv, fds, d == &k->engine ? 3 : 1, &pid);
    }
    if (r < 0)
        return r;
    d->id = (struct proc_id){.pid = pid};
    (void)proc_stat(pid, &d->id.start_time, NULL, NULL);
    d->sock = TAKE_FD(ours);
    return 0;
}

static void note_ids(struct keeper *k)
{
    k->table.header.engine = k->engine.id;
    k->table.header.ckptd = k->ckptd.id;
    if (table_save_header(&k->table) < 0)
        log_error("cannot write the header of the keeper's table");
}

static int on_respawn(sd_event_source *s, uint64_t usec, void *userdata)
{
    struct keeper *k = userdata;
    struct daemon *d = s == k->engine.respawn ? &k->engine : &k->ckptd;

    d->respawn = sd_event_source_disable_unref(d->respawn);
    daemon_start(k, d);
    return 0;
}

static void start_later(struct keeper *k, struct daemon *d)
{
    int r = sd_event_add_time_relative(k->event, &d->respawn, CLOCK_MONOTONIC, USEC_PER_SEC, 0,
                                       on_respawn, k);

    if (r < 0)
        log_error("cannot arm the timer that starts %s: %s", d->what, strerror(-r));
}

void daemon_start(struct keeper *k, struct daemon *d)
{
    int r;

    if (!d->argv)
        return;
    d->started_usec[d->starts++ % DAEMON_BURST] = now_boottime_usec();
    r = start(k, d);
    if (r < 0) {
        log_error("cannot start %s (%s): %s; trying again", d->what, d->argv[0], strerror(-r));
        start_later(k, d);
        return;
    }
    note_ids(k);
    connect_daemons(k);
    if (d == &k->engine && (r = engine_attach(k)) < 0)
        log_error("cannot listen to the engine: %s", strerror(-r));
    engine_flush(k);
}

/* One that somebody kills is back at once, however often; one that cannot start must not eat the
 * machine. */
static bool dies_too_often(const struct daemon *d)
{
    uint64_t oldest = d->started_usec[d->starts % DAEMON_BURST];

    return d->starts >= DAEMON_BURST &&
           now_boottime_usec() - oldest < DAEMON_BURST_MSEC * USEC_PER_MSEC;
}

void daemon_gone(struct keeper *k, struct daemon *d, int code, int status)
{
    d->id = (struct proc_id){0};
    if (d == &k->engine)
        engine_detach(k);
    else
        d->sock = fd_close(d->sock);
    note_ids(k);
    if (k->quitting) {
        keeper_daemon_ended(k);
        return;
    }
    log_warning("%s died (%s %d): starting it again", d->what,
                code == CLD_EXITED ? "exit status" : "signal", status);
    if (dies_too_often(d))
        start_later(k, d);
    else
        daemon_start(k, d);
}
