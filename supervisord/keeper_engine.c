/* keeper_engine.c - the channel to the engine: requests in, and pending records out.
 *
 * Nothing is queued: what the engine has still to be told is a bit per slot, and the record is
 * built from the slot when the socket has room. So a stopped engine costs nothing and misses
 * nothing. */
#include "supervisord/keeper_state.h"

#include "common/cleanup.h"
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <systemd/sd-daemon.h>

enum { REQUESTS_PER_WAKEUP = 64 }; /* then others have their turn */

/* ---- out ---- */

static struct keeper_record event_record(const struct slot *slot, uint32_t pending)
{
    const struct slot_saved *saved = &slot->saved;
    struct keeper_record record = saved->record;

    switch (pending) {
    case PENDING_SLOT:
        record.type = KEEPER_SLOT;
        if (record.outcome == KEEPER_SPAWN_FAILED)
            record.state = SLOT_SPAWNING;
        else if (record.outcome == KEEPER_RESTORE_FAILED)
            record.state = SLOT_RESTORING;
        break;
    case PENDING_STARTED:
        record.type = saved->begun_by == KEEPER_RESTORE ? KEEPER_RESTORED : KEEPER_SPAWNED;
        record.when_usec = saved->started_usec;
        break;
    case PENDING_FAILED:
        record.type =
            saved->begun_by == KEEPER_RESTORE ? KEEPER_RESTORE_FAILED : KEEPER_SPAWN_FAILED;
        break;
    case PENDING_EXITED:
        record.type = KEEPER_EXITED;
        break;
    case PENDING_EMPTIED:
        record.type = KEEPER_EMPTIED;
        record.when_usec = now_boottime_usec();
        break;
    default:
        record.type = KEEPER_REFUSED;
        record.request = slot->refused_request;
        record.value = -slot->refused_errno;
        break;
    }
    return record;
}

/* A pipe goes out as a read end of its own, so that an orphaned engine sees its last writer leave.
 */
static int send_stream(struct keeper *k, const struct slot *slot, int stream, bool log)
{
    const struct pump *pump = slot->pump[stream];
    struct keeper_record record;
    _cleanup_close_ int fd = -1;

    if (!pump)
        return 0;
    record = keeper_record(KEEPER_STREAM, slot->saved.record.request, slot->saved.record.name);
    record.value = stream;
    record.pipe_inode[stream] = slot->saved.record.pipe_inode[stream];
    record.flags = log ? KEEPER_STREAM_LOG : 0;
    (void)snprintf(record.text, sizeof(record.text), "%s", slot->saved.target[stream]);
    if (log)
        return keeper_send(k->engine.sock, &record, pump_log_fd(pump));
    fd = pump_reopen_pipe(pump_pipe_fd(pump), O_RDONLY | O_NONBLOCK);
    return fd < 0 ? 0 : keeper_send(k->engine.sock, &record, fd);
}

static int flush_slot(struct keeper *k, struct slot *slot, uint32_t which)
{
    for (uint32_t bit = 1; bit <= PENDING_REFUSED; bit <<= 1) {
        int r;

        if (!(slot->pending & which & bit))
            continue;
        if (bit & PENDING_STREAMS) {
            int nth = __builtin_ctz(bit) - __builtin_ctz(PENDING_STREAM);

            r = send_stream(k, slot, nth / 2, nth % 2);
        } else {
            struct keeper_record record = event_record(slot, bit);

            r = keeper_send(k->engine.sock, &record, -1);
        }
        if (r < 0)
            return r;
        slot->pending &= ~bit;
    }
    return 0;
}

static int flush_slots(struct keeper *k, uint32_t which)
{
    for (unsigned i = 0; i < k->table.count; i++) {
        int r = k->table.slots[i] ? flush_slot(k, k->table.slots[i], which) : 0;

        if (r < 0)
            return r;
    }
    return 0;
}

static int flush_own(struct keeper *k, uint32_t bit, enum keeper_type type)
{
    struct keeper_record record = keeper_record(type, k->highest_request, "");
    int r;

    if (!(k->pending & bit))
        return 0;
    if (type == KEEPER_TABLE_END)
        record.value = !k->ready;
    if (type == KEEPER_TERMINATE && k->leave_running)
        record.flags = KEEPER_LEAVE_RUNNING;
    r = keeper_send(k->engine.sock, &record, type == KEEPER_PEER ? k->engine.peer_fd : -1);
    if (r < 0)
        return r;
    k->pending &= ~bit;
    if (type == KEEPER_PEER)
        k->engine.peer_fd = fd_close(k->engine.peer_fd);
    return 0;
}

static int flush_all(struct keeper *k)
{
    int r;

    if ((r = flush_slots(k, PENDING_SLOT)) < 0 ||
        (r = flush_own(k, PENDING_TABLE_END, KEEPER_TABLE_END)) < 0 ||
        (r = flush_own(k, PENDING_PEER, KEEPER_PEER)) < 0 ||
        (r = flush_slots(k, ~(uint32_t)PENDING_SLOT)) < 0 ||
        (r = flush_own(k, PENDING_TERMINATE, KEEPER_TERMINATE)) < 0 ||
        (r = flush_own(k, PENDING_RELOAD, KEEPER_RELOAD)) < 0)
        return r;
    return 0;
}

void engine_flush(struct keeper *k)
{
    bool full;

    if (k->engine.sock < 0 || !k->engine_source)
        return;
    full = flush_all(k) == -EAGAIN; /* any other error: the engine is dying, SIGCHLD follows */
    if (full != k->engine_full) {
        k->engine_full = full;
        (void)sd_event_source_set_io_events(k->engine_source, full ? EPOLLIN | EPOLLOUT : EPOLLIN);
    }
}

void slot_tell(struct slot *slot, uint32_t pending)
{
    slot->pending |= pending;
    engine_flush(slot->keeper);
}

/* ---- in ---- */

static void refuse(struct slot *slot, uint64_t request, int error)
{
    slot->refused_request = request;
    slot->refused_errno = error;
    slot_tell(slot, PENDING_REFUSED);
}

/* The engine that asked died before it got the answer, and its successor asks again. */
static void repeat_answer(struct slot *slot)
{
    const struct keeper_record *record = &slot->saved.record;

    if (record->state == SLOT_RUNNING)
        slot_tell(slot, PENDING_STARTED);
    else if (record->state == SLOT_EXITED)
        slot_tell(slot, PENDING_STARTED | PENDING_EXITED);
    else if (record->state == SLOT_DOWN && record->outcome)
        slot_tell(slot, PENDING_FAILED);
}

static int start(struct slot *slot, const struct keeper_record *request, int memfd)
{
    _cleanup_(spawn_view_done) struct spawn_view view = {0};
    int r;

    if (slot->saved.record.request == request->request && slot->saved.begun_by == request->type) {
        repeat_answer(slot);
        return 0;
    }
    if (request->request < slot->saved.record.request)
        return -ESTALE;
    r = spawn_view_open(memfd, &view);
    if (r < 0)
        return r;
    if (strlen(view.cgroup) >= sizeof(slot->saved.record.cgroup) ||
        (view.cgroup[0] && view.cgroup[0] != '/'))
        return -EBADMSG;
    r = slot_ready_for_start(slot, view.cgroup);
    if (r < 0)
        return r;
    if (request->type == KEEPER_RESTORE)
        return slot_restore(slot, request->request, &view);
    slot_spawn(slot, request->request, &view);
    return 0;
}

static int forget(struct keeper *k, struct slot *slot)
{
    struct family family = slot_family(slot);
    uint32_t state = slot->saved.record.state;

    if ((state != SLOT_DOWN && state != SLOT_EXITED) || family_populated(&family))
        return -EBUSY;
    slot_streams_drain(slot, 0);
    family_remove(&family);
    table_drop(&k->table, slot);
    return 0;
}

static int slot_request(struct keeper *k, struct slot *slot, const struct keeper_record *request,
                        int fd)
{
    const struct proc_id id = {.pid = request->pid, .start_time = request->start_time};

    switch (request->type) {
    case KEEPER_SPAWN:
    case KEEPER_RESTORE:
        return start(slot, request, fd);
    case KEEPER_SIGNAL:
        return slot_signal(slot, request->value, request->flags & KEEPER_TO_GROUP);
    case KEEPER_KILL:
        return slot_kill(slot);
    case KEEPER_MAIN:
        return slot_set_main(slot, &id);
    case KEEPER_ACK:
        slot_acknowledge(slot);
        return 0;
    case KEEPER_MARK:
        slot_streams_mark(slot, request->text);
        return 0;
    default:
        return -EOPNOTSUPP;
    }
}

static void refuse_nameless(struct keeper *k, const struct keeper_record *request, int error)
{
    struct keeper_record record = keeper_record(KEEPER_REFUSED, request->request, request->name);

    record.value = -error;
    (void)keeper_send(k->engine.sock, &record, -1);
}

static void handle(struct keeper *k, const struct keeper_record *request, int fd)
{
    struct slot *slot;
    int r = 0;

    if (request->request > k->highest_request)
        k->highest_request = request->request;
    if (request->type == KEEPER_READY) {
        if (!k->ready)
            (void)sd_notify(0, "READY=1");
        k->ready = true;
        return;
    }
    if (request->type == KEEPER_QUIT) {
        keeper_quit(k, request->value, request->flags & KEEPER_LEAVE_RUNNING);
        return;
    }
    if (!service_name_is_valid(request->name)) {
        refuse_nameless(k, request, -EINVAL);
        return;
    }
    slot = table_find(&k->table, request->name);
    if (!slot && (request->type == KEEPER_SPAWN || request->type == KEEPER_RESTORE)) {
        r = table_add(&k->table, request->name, &slot);
        if (r == 0)
            slot->keeper = k;
    }
    if (!slot) {
        if (request->type != KEEPER_FORGET && request->type != KEEPER_ACK)
            refuse_nameless(k, request, r < 0 ? r : -ENOENT);
        return;
    }
    r = request->type == KEEPER_FORGET ? forget(k, slot) : slot_request(k, slot, request, fd);
    if (r == -ESRCH && (request->type == KEEPER_SIGNAL || request->type == KEEPER_KILL))
        return; /* it has ended on its own: EXITED is on its way */
    if (r < 0)
        refuse(slot, request->request, r);
}

static int on_engine(sd_event_source *s, int sock, uint32_t revents, void *userdata)
{
    struct keeper *k = userdata;

    for (int i = 0; i < REQUESTS_PER_WAKEUP; i++) {
        struct keeper_record request;
        _cleanup_close_ int fd = -1;
        int r;

        r = keeper_receive(sock, &request, &fd);
        if (r == -EAGAIN)
            break;
        if (r == KEEPER_GONE) {
            /* Without its channel it is of no use; its end comes as SIGCHLD and starts the next. */
            k->engine_source = sd_event_source_disable_unref(k->engine_source);
            if (k->engine.id.pid > 0)
                (void)kill(k->engine.id.pid, SIGKILL);
            return 0;
        }
        if (r < 0)
            log_error("a record of the engine is not understood: %s", strerror(-r));
        else
            handle(k, &request, fd);
        if (k->quitting) /* that was its last word; the channel may be closed */
            return 0;
    }
    engine_flush(k);
    return 0;
}

/* What a new engine must hear of a slot: the table, and what nobody has acknowledged. */
static uint32_t pending_for_new_engine(const struct slot *slot)
{
    const struct keeper_record *record = &slot->saved.record;
    uint32_t pending = PENDING_SLOT | PENDING_STREAMS;

    if (record->state == SLOT_EXITED)
        pending |= PENDING_EXITED;
    if (record->state == SLOT_DOWN && record->outcome)
        pending |= PENDING_FAILED;
    return pending;
}

int engine_attach(struct keeper *k)
{
    k->pending = PENDING_TABLE_END | (k->engine.peer_fd >= 0 ? PENDING_PEER : 0) |
                 (k->terminating ? PENDING_TERMINATE : 0);
    for (unsigned i = 0; i < k->table.count; i++)
        if (k->table.slots[i])
            k->table.slots[i]->pending = pending_for_new_engine(k->table.slots[i]);
    k->engine_full = false;
    return sd_event_add_io(k->event, &k->engine_source, k->engine.sock, EPOLLIN, on_engine, k);
}

void engine_detach(struct keeper *k)
{
    k->engine_source = sd_event_source_disable_unref(k->engine_source);
    k->engine.sock = fd_close(k->engine.sock);
}
