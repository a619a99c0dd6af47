/* keeper_client.c - the engine's side of the channel to the keeper: requests, and a queue for those
 * the socket has no room for. */
#include "supervisord/manager.h"

#include "common/cleanup.h"
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* A request that is lost is a service that is stuck, so none is: what does not fit into the socket
 * waits here, in order, until the keeper has read. */
struct queued {
    struct queued *next;
    struct keeper_record record;
    int fd;
};

static struct queued *queued_free(struct queued *queued)
{
    fd_close(queued->fd);
    free(queued);
    return NULL;
}

static void wait_for_room(struct manager *m, bool wanted)
{
    int r = sd_event_source_set_io_events(m->keeper_source, wanted ? EPOLLIN | EPOLLOUT : EPOLLIN);

    if (r < 0)
        log_error("cannot wait for the keeper: %s", strerror(-r));
}

/* Takes nothing: `fd` is duplicated when it must wait. */
static int enqueue(struct manager *m, const struct keeper_record *record, int fd)
{
    struct queued *queued = calloc(1, sizeof(*queued)), **last = &m->queue;

    if (!queued)
        return -ENOMEM;
    queued->record = *record;
    queued->fd = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (fd >= 0 && queued->fd < 0) {
        free(queued);
        return -errno;
    }
    while (*last)
        last = &(*last)->next;
    *last = queued;
    wait_for_room(m, true);
    return 0;
}

static int send_or_queue(struct manager *m, struct keeper_record *record, int fd)
{
    int r = -EAGAIN;

    record->request = ++m->next_request;
    if (!m->queue)
        r = keeper_send(m->keeper_fd, record, fd);
    return r == -EAGAIN ? enqueue(m, record, fd) : r;
}

void keeper_client_flush(struct manager *m)
{
    if (!m->queue)
        return;
    while (m->queue) {
        struct queued *first = m->queue;

        /* any other error: the keeper has gone, which its end of file will say */
        if (keeper_send(m->keeper_fd, &first->record, first->fd) == -EAGAIN)
            return;
        m->queue = first->next;
        queued_free(first);
    }
    wait_for_room(m, false);
}

void keeper_client_close(struct manager *m)
{
    while (m->queue) {
        struct queued *first = m->queue;

        m->queue = first->next;
        queued_free(first);
    }
    m->keeper_source = sd_event_source_disable_unref(m->keeper_source);
}

static void send_about(struct unit *unit, struct keeper_record *record, int fd)
{
    int r = send_or_queue(unit->manager, record, fd);

    unit->request = record->request;
    if (r < 0)
        log_error("%s: cannot ask the keeper (request %u): %s", unit->policy->name, record->type,
                  strerror(-r));
}

static void request(struct unit *unit, enum keeper_type type, int fd, int value, uint32_t flags,
                    const char *text)
{
    struct keeper_record record = keeper_record(type, 0, unit->policy->name);

    record.value = value;
    record.flags = flags;
    if (text)
        (void)snprintf(record.text, sizeof(record.text), "%s", text);
    send_about(unit, &record, fd);
}

static void spawn_impossible(struct unit *unit, const char *why)
{
    unit_set_error(unit, "%s", why);
    log_error("%s: cannot start: %s", unit->policy->name, why);
    unit_step(unit, EV_SPAWN_FAILED);
}

void ask_spawn(struct unit *unit)
{
    _cleanup_free_ char *why = NULL;
    _cleanup_close_ int memfd = -1;

    if (spawn_service(unit, &memfd, &why) < 0) {
        spawn_impossible(unit, why ? why : "out of memory");
        return;
    }
    (void)snprintf(unit->record.recovered_from, sizeof(unit->record.recovered_from), "%s",
                   unit->svc.automatic ? "cold" : "");
    unit->record.work_lost_known = 0;
    request(unit, KEEPER_SPAWN, memfd, 0, 0, NULL);
    unit->life = unit->request;
}

void ask_restore(struct unit *unit, char *const *worker_argv)
{
    _cleanup_free_ char *why = NULL;
    _cleanup_close_ int memfd = -1;

    if (spawn_worker(unit, worker_argv, &memfd, &why) < 0) {
        unit_set_error(unit, "%s", why ? why : "out of memory");
        unit_step(unit, EV_RESTORE_FAILED);
        return;
    }
    request(unit, KEEPER_RESTORE, memfd, 0, 0, NULL);
    unit->life = unit->request;
}

void ask_signal(struct unit *unit, int signal, bool group)
{
    request(unit, KEEPER_SIGNAL, -1, signal, group ? KEEPER_TO_GROUP : 0, NULL);
}

void ask_kill(struct unit *unit)
{
    request(unit, KEEPER_KILL, -1, 0, 0, NULL);
}

void ask_set_main(struct unit *unit, pid_t pid, uint64_t start_time)
{
    struct keeper_record record = keeper_record(KEEPER_MAIN, 0, unit->policy->name);

    record.pid = pid;
    record.start_time = start_time;
    unit->svc.pid = pid;
    unit->svc.start_time = start_time;
    send_about(unit, &record, -1);
}

void ask_mark(struct unit *unit, const char *text)
{
    request(unit, KEEPER_MARK, -1, 0, 0, text);
}

void ask_acknowledge(struct unit *unit)
{
    struct keeper_record record = keeper_record(KEEPER_ACK, 0, unit->policy->name);
    int r = send_or_queue(unit->manager, &record, -1); /* not unit->request: nothing answers it */

    if (r < 0 && !unit->manager->quit) /* after QUIT nobody listens any more */
        log_error("%s: cannot acknowledge to the keeper: %s", unit->policy->name, strerror(-r));
}

void ask_forget(struct unit *unit)
{
    request(unit, KEEPER_FORGET, -1, 0, 0, NULL);
}

static void plain_request(struct manager *m, enum keeper_type type, int value, uint32_t flags)
{
    struct keeper_record record = keeper_record(type, 0, "");
    int r;

    record.value = value;
    record.flags = flags;
    r = send_or_queue(m, &record, -1);
    if (r < 0)
        log_error("cannot ask the keeper (request %d): %s", (int)type, strerror(-r));
}

void ask_ready(struct manager *m)
{
    plain_request(m, KEEPER_READY, 0, 0);
}

void ask_quit(struct manager *m)
{
    if (m->cgroup_root && !m->leave_running)
        cgroup_root_remove(m->cgroup_root);
    plain_request(m, KEEPER_QUIT, m->exit_status, m->leave_running ? KEEPER_LEAVE_RUNNING : 0);
    m->quit = !m->leave_running;
}
