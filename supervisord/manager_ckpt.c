/* manager_ckpt.c - ckptd as the engine sees it: what to watch, which image to restore, what it
 * says. */
#include "supervisord/manager.h"

#include "common/ckpt_spec_bus.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "common/peer.h"
#include "common/wire.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* A dump that makes no progress is ended by ckptd's own watchdog, so answers always come. */
#define CKPT_CALL_FOREVER UINT64_MAX
/* But nobody who looks shall wait for a ckptd that is stuck: its last word must do then. */
#define CKPT_NEWEST_USEC USEC_PER_SEC

void ckpt_watch(struct unit *unit)
{
    struct manager *m = unit->manager;
    const struct policy *policy = unit->policy;
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
    struct ckpt_spec spec = {
        .name = policy->name,
        .pid = unit->svc.pid,
        .start_time = unit->svc.start_time,
        .cgroup = unit->cgroup,
        .interval_usec = policy->interval_usec,
        .keep = policy->keep,
        .max_bytes = policy->max_bytes,
        .ghost_limit = policy->ghost_limit,
        .tcp_established = policy->tcp_established,
        .file_locks = policy->file_locks,
        .pid_namespace = policy->pid_namespace,
        .pre_checkpoint = policy->pre_checkpoint,
        .post_checkpoint = policy->post_checkpoint,
        .restored_from = unit->svc.restored_number ? unit->record.recovered_from : (char *)"",
    };
    int r;

    if (!m->ckptd || !policy->checkpoint_enabled || unit->svc.pid <= 0)
        return;
    memcpy(spec.pipe_inode, unit->pipe_inode, sizeof(spec.pipe_inode));
    if ((r = sd_bus_message_new_method_call(m->ckptd, &call, NULL, CKPT_PATH, CKPT_IFACE,
                                            CKPT_WATCH)) < 0 ||
        (r = ckpt_spec_append(call, &spec)) < 0 || (r = sd_bus_send(m->ckptd, call, NULL)) < 0)
        log_error("%s: cannot tell ckptd to watch it: %s", policy->name, strerror(-r));
}

/* A method call whose answer does not matter. */
static void tell(struct unit *unit, const char *method, const char *types, const char *a,
                 const char *b)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
    struct manager *m = unit->manager;
    int r;

    if (!m->ckptd)
        return;
    r = sd_bus_message_new_method_call(m->ckptd, &call, NULL, CKPT_PATH, CKPT_IFACE, method);
    if (r >= 0)
        r = b ? sd_bus_message_append(call, types, a, b) : sd_bus_message_append(call, types, a);
    if (r >= 0)
        r = sd_bus_message_set_expect_reply(call, 0);
    if (r >= 0)
        r = sd_bus_send(m->ckptd, call, NULL);
    if (r < 0)
        log_error("%s: cannot tell ckptd (%s): %s", unit->policy->name, method, strerror(-r));
}

void ckpt_unwatch(struct unit *unit)
{
    tell(unit, CKPT_UNWATCH, "s", unit->policy->name, NULL);
}

static int on_poisoned(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
    struct unit *unit = userdata;
    const sd_bus_error *error = sd_bus_message_get_error(m);

    unit->poison = sd_bus_slot_unref(unit->poison);
    if (sd_bus_error_has_name(error, SD_BUS_ERROR_DISCONNECTED) ||
        sd_bus_error_has_name(error, SD_BUS_ERROR_NO_REPLY))
        return 0; /* the next ckptd is told again */
    if (error)
        log_warning("%s: ckptd cannot mark a poisoned checkpoint: %s", unit->policy->name,
                    error->message);
    unit->record.poison_number = 0;
    (void)unit_save(unit, false);
    return 0;
}

void ckpt_poison(struct unit *unit)
{
    struct manager *m = unit->manager;
    _cleanup_free_ char *id = NULL;
    int r;

    if (!m->ckptd || !unit->record.poison_number)
        return;
    if (asprintf(&id, "%s@%llu", unit->policy->name,
                 (unsigned long long)unit->record.poison_number) < 0)
        return;
    unit->poison = sd_bus_slot_unref(unit->poison);
    r = sd_bus_call_method_async(m->ckptd, &unit->poison, NULL, CKPT_PATH, CKPT_IFACE, CKPT_POISON,
                                 on_poisoned, unit, "ss", id,
                                 "the service died within MinUptime= of its restore");
    if (r < 0)
        log_error("%s: cannot tell ckptd of a poisoned checkpoint: %s", unit->policy->name,
                  strerror(-r));
}

/* Not repeated: one that cannot be restored says so again when it is tried again. */
void ckpt_corrupt(struct unit *unit, uint64_t number, const char *why)
{
    _cleanup_free_ char *id = NULL;

    if (asprintf(&id, "%s@%llu", unit->policy->name, (unsigned long long)number) >= 0)
        tell(unit, CKPT_CORRUPT, "ss", id, why);
}

/* ---- choosing an image ---- */

static uint64_t number_of(const char *id)
{
    const char *at = strrchr(id, '@');

    return at ? strtoull(at + 1, NULL, 10) : 0;
}

static void no_image(struct unit *unit, const char *why)
{
    log_info("%s: no image for this rung: %s", unit->policy->name, why);
    unit_set_error(unit, "%s", why);
    unit_step(unit, EV_NO_IMAGE);
}

static void on_image(struct unit *unit, sd_bus_message *m)
{
    struct service *svc = &unit->svc;
    _cleanup_free_ char **argv = NULL;
    uint64_t realtime, boot, number;
    const char *id;

    if (sd_bus_message_read(m, "stt", &id, &realtime, &boot) < 0 ||
        sd_bus_message_read_strv(m, &argv) < 0 || !argv || (number = number_of(id)) == 0) {
        no_image(unit, "ckptd gave an answer that makes no sense");
        return;
    }
    if (svc->goal != GOAL_MANUAL && record_forbids_image(&unit->record, realtime, boot)) {
        no_image(unit, "every checkpoint is of before the last start or restart by hand");
    } else if (svc->goal != GOAL_MANUAL && number <= svc->ladder.above) {
        no_image(unit, "no checkpoint was taken since the one that failed");
    } else if (svc->goal != GOAL_MANUAL &&
               record_gave_up_image(&unit->record, number, realtime, boot)) {
        svc->ladder.below = unit->record.branch_number + 1;
        ckpt_select(unit);
    } else if (svc->goal != GOAL_MANUAL && svc->ladder.skip) {
        ladder_skip(&svc->ladder, number);
        ckpt_select(unit);
    } else {
        svc->attempt_number = number;
        unit->record.attempt_time_realtime = realtime;
        (void)unit_save(unit, false); /* a new engine must know what is being tried */
        ask_restore(unit, argv);
    }
    for (char **a = argv; a && *a; a++)
        free(*a);
}

static int on_selected(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
    struct unit *unit = userdata;
    const sd_bus_error *error = sd_bus_message_get_error(m);

    unit->select = sd_bus_slot_unref(unit->select);
    if (!error) {
        on_image(unit, m);
    } else if (sd_bus_error_has_name(error, WIRE_ERROR_NO_CHECKPOINT)) {
        no_image(unit, error->message);
    } else {
        log_warning("%s: ckptd could not answer (%s); asking again when it is back",
                    unit->policy->name, error->message);
        unit->select_wanted = true;
    }
    return 0;
}

void ckpt_select(struct unit *unit)
{
    struct manager *m = unit->manager;
    struct service *svc = &unit->svc;
    bool manual = svc->goal == GOAL_MANUAL;
    int r;

    unit->select_wanted = !m->ckptd;
    if (!m->ckptd) {
        unit_set_error(unit, "waiting for the checkpoint daemon, which is not there");
        return;
    }
    unit->select = sd_bus_slot_unref(unit->select);
    r = sd_bus_call_method_async(m->ckptd, &unit->select, NULL, CKPT_PATH, CKPT_IFACE, CKPT_SELECT,
                                 on_selected, unit, "stt", unit->policy->name,
                                 manual ? LADDER_ANY : svc->ladder.below,
                                 manual ? svc->manual_number : (uint64_t)0);
    if (r < 0) {
        log_error("%s: cannot ask ckptd for an image: %s", unit->policy->name, strerror(-r));
        unit->select_wanted = true;
    }
}

/* ---- facts about the newest one ---- */

struct refresh {
    struct manager *manager;
    char *name; /* the unit may be gone when the answer comes */
    void (*then)(void *userdata);
    void *userdata;
};

static void note_checkpoint(struct unit *unit, const char *id, uint64_t time, uint64_t frozen,
                            uint64_t bytes, const char *kind)
{
    free(unit->checkpoint.id);
    free(unit->checkpoint.kind);
    unit->checkpoint.id = *id ? strdup(id) : NULL;
    unit->checkpoint.kind = strdup(kind);
    unit->checkpoint.time_realtime = time;
    unit->checkpoint.frozen_usec = frozen;
    unit->checkpoint.bytes = bytes;
}

static void take_newest(struct unit *unit, sd_bus_message *m)
{
    const char *id, *kind, *why;
    uint64_t time, frozen, bytes;

    if (sd_bus_message_is_method_error(m, NULL) ||
        sd_bus_message_read(m, "stttss", &id, &time, &frozen, &bytes, &kind, &why) < 0)
        return;
    note_checkpoint(unit, id, time, frozen, bytes, kind);
    free(unit->checkpoint.not_restorable);
    unit->checkpoint.not_restorable = *why ? strdup(why) : NULL;
}

static void refresh_free(struct refresh *refresh)
{
    free(refresh->name);
    free(refresh);
}

static int on_newest(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
    struct refresh *refresh = userdata;
    struct unit *unit = manager_find(refresh->manager, refresh->name);

    if (unit)
        take_newest(unit, m);
    refresh->then(refresh->userdata);
    refresh_free(refresh);
    return 0;
}

static int ask_newest(struct unit *unit, void (*then)(void *userdata), void *userdata)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
    struct manager *m = unit->manager;
    struct refresh *refresh = calloc(1, sizeof(*refresh));
    int r;

    if (!refresh)
        return -ENOMEM;
    *refresh = (struct refresh){m, strdup(unit->policy->name), then, userdata};
    if (!refresh->name)
        r = -ENOMEM;
    else if ((r = sd_bus_message_new_method_call(m->ckptd, &call, NULL, CKPT_PATH, CKPT_IFACE,
                                                 CKPT_NEWEST)) >= 0 &&
             (r = sd_bus_message_append(call, "s", refresh->name)) >= 0)
        r = sd_bus_call_async(m->ckptd, NULL, call, on_newest, refresh, CKPT_NEWEST_USEC);
    if (r < 0)
        refresh_free(refresh);
    return r;
}

void ckpt_refresh(struct unit *unit, void (*then)(void *userdata), void *userdata)
{
    if (!unit->manager->ckptd || ask_newest(unit, then, userdata) < 0)
        then(userdata);
}

/* ---- what ckptd says ---- */

static int on_committed(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
    const char *name, *id, *kind;
    uint64_t time, frozen, bytes;
    struct unit *unit;

    if (sd_bus_message_read(m, "ssttts", &name, &id, &time, &frozen, &bytes, &kind) < 0)
        return 0;
    unit = manager_find(userdata, name);
    if (!unit)
        return 0;
    note_checkpoint(unit, id, time, frozen, bytes, kind);
    free(TAKE_PTR(unit->checkpoint_error));
    return 0;
}

static int on_dump_failed(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
    const char *name, *message, *cure;
    struct unit *unit;

    if (sd_bus_message_read(m, "sss", &name, &message, &cure) < 0)
        return 0;
    unit = manager_find(userdata, name);
    if (!unit)
        return 0;
    log_warning("%s: checkpoint failed: %s%s%s", name, message, *cure ? "; " : "", cure);
    free(TAKE_PTR(unit->checkpoint_error));
    if (asprintf(&unit->checkpoint_error, "checkpoint failed: %s%s%s", message, *cure ? "; " : "",
                 cure) < 0)
        unit->checkpoint_error = NULL;
    return 0;
}

static int on_facts(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
    struct manager *manager = userdata;
    const char *json;

    if (!sd_bus_message_is_method_error(m, NULL) && sd_bus_message_read(m, "s", &json) >= 0) {
        free(manager->facts);
        manager->facts = strdup(json);
    }
    return 0;
}

static int on_gone(sd_bus_message *message, void *userdata, sd_bus_error *ret_error)
{
    struct manager *m = userdata;

    if (!m->quit)
        log_debug("ckptd is gone; the keeper starts it again");
    ckpt_disconnect(userdata);
    return 0;
}

void ckpt_disconnect(struct manager *m)
{
    for (size_t i = 0; i < m->unit_count; i++) {
        struct unit *unit = m->units[i];

        unit->poison = sd_bus_slot_unref(unit->poison);
        if (unit->select) {
            unit->select = sd_bus_slot_unref(unit->select);
            unit->select_wanted = true;
        }
    }
    m->ckptd_post = sd_event_source_disable_unref(m->ckptd_post);
    m->ckptd = peer_close(m->ckptd);
}

/* The next ckptd is here before the end of the last one was noticed. Everybody who waits for an
 * answer of that one must be told that none will come: sd-bus does so when it reads the end. */
static void disconnect_last(struct manager *m)
{
    _cleanup_(sd_bus_unrefp) sd_bus *bus = sd_bus_ref(m->ckptd);

    if (!bus)
        return;
    (void)shutdown(sd_bus_get_fd(bus), SHUT_RDWR);
    /* Until it is closed, which is an error; 0 only means that a callback had nothing to add. */
    while (sd_bus_process(bus, NULL) >= 0)
        ;
    ckpt_disconnect(m);
}

/* Tells a new ckptd all that it must know. */
static void introduce(struct manager *m)
{
    (void)sd_bus_call_method_async(m->ckptd, NULL, NULL, CKPT_PATH, CKPT_IFACE, CKPT_CONFIGURE,
                                   NULL, NULL, "st", m->settings.criu ? m->settings.criu : "",
                                   m->settings.reserve_bytes);
    (void)sd_bus_call_method_async(m->ckptd, NULL, NULL, CKPT_PATH, CKPT_IFACE, CKPT_FACTS,
                                   on_facts, m, NULL);
    if (!m->table_complete)
        return;
    for (size_t i = 0; i < m->unit_count; i++) {
        struct unit *unit = m->units[i];

        ckpt_poison(unit);
        if (unit->svc.state == SERVICE_UP)
            ckpt_watch(unit);
        if (unit->select_wanted && unit->svc.state == SERVICE_RESTORING)
            ckpt_select(unit);
    }
}

int ckpt_connect(struct manager *m, int fd)
{
    _cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;
    int r;

    disconnect_last(m);
    r = peer_new_client(fd, &bus);
    if (r < 0 || (r = sd_bus_set_method_call_timeout(bus, CKPT_CALL_FOREVER)) < 0 ||
        (r = sd_bus_match_signal(bus, NULL, NULL, CKPT_PATH, CKPT_IFACE, CKPT_COMMITTED,
                                 on_committed, m)) < 0 ||
        (r = sd_bus_match_signal(bus, NULL, NULL, CKPT_PATH, CKPT_IFACE, CKPT_FAILED,
                                 on_dump_failed, m)) < 0 ||
        (r = peer_start(bus, m->event, on_gone, m, &m->ckptd_post)) < 0)
        return r;
    m->ckptd = TAKE_PTR(bus);
    introduce(m);
    return 0;
}
