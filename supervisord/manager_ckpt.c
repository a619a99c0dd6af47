/* manager_ckpt.c - ckptd as the engine sees it: what it must know, and what it says. */
#include "supervisord/manager.h"

#include "common/ckpt_spec_bus.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "common/peer.h"
#include "common/strv.h"
#include "common/wire.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* A dump that makes no progress is ended by ckptd's own watchdog, so answers always come. */
#define CKPT_CALL_FOREVER UINT64_MAX
/* But nobody who looks shall wait for a ckptd that is stuck: its last word must do then. */
#define CKPT_NEWEST_USEC USEC_PER_SEC

/* Borrows all strings but snapshot_paths, which is the caller's to free. */
static int fill_spec(struct unit *unit, struct ckpt_spec *ret)
{
    const struct policy *policy = unit->policy;
    _cleanup_free_ char *paths = NULL;
    int r = strv_join_lines(policy->snapshot_paths, &paths);

    if (r < 0)
        return r;
    *ret = (struct ckpt_spec){
        .name = policy->name,
        .pid = unit->svc.pid,
        .start_time = unit->svc.start_time,
        .cgroup = unit->cgroup,
        .interval_usec = policy->interval_usec,
        .retention = {.keep = policy->keep,
                      .hourly = policy->keep_hourly,
                      .daily = policy->keep_daily,
                      .weekly = policy->keep_weekly,
                      .max_bytes = policy->max_bytes},
        .max_chain = policy->max_chain,
        .compress = policy->compress,
        .encrypt = policy->encrypt,
        .drill_every = policy->drill_every,
        .drill_nice = policy->drill_nice,
        .staging = policy->staging,
        .staging_max = policy->staging_max,
        .files = policy->files,
        .snapshot_paths = TAKE_PTR(paths),
        .ghost_limit = policy->ghost_limit,
        .tcp_established = policy->tcp_established,
        .file_locks = policy->file_locks,
        .pid_namespace = policy->pid_namespace,
        .pre_checkpoint = policy->pre_checkpoint,
        .post_checkpoint = policy->post_checkpoint,
        .restored_from = unit->svc.restored_number ? unit->record.recovered_from : (char *)"",
    };
    memcpy(ret->pipe_inode, unit->pipe_inode, sizeof(ret->pipe_inode));
    return 0;
}

void ckpt_watch(struct unit *unit)
{
    struct manager *m = unit->manager;
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
    _cleanup_free_ char *paths = NULL;
    struct ckpt_spec spec;
    int r;

    if (!m->ckptd || !unit->policy->checkpoint_enabled || unit->svc.pid <= 0)
        return;
    r = fill_spec(unit, &spec);
    if (r >= 0)
        paths = spec.snapshot_paths;
    if (r < 0 ||
        (r = sd_bus_message_new_method_call(m->ckptd, &call, NULL, CKPT_PATH, CKPT_IFACE,
                                            CKPT_WATCH)) < 0 ||
        (r = ckpt_spec_append(call, &spec)) < 0 || (r = sd_bus_send(m->ckptd, call, NULL)) < 0)
        log_error("%s: cannot tell ckptd to watch it: %s", unit->policy->name, strerror(-r));
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
    unit->checkpoints_made++;
    control_checkpoint_committed(unit->manager->control, name, id);
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
    unit->checkpoints_failed++;
    control_checkpoint_failed(unit->manager->control, name, message, cure);
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

static void configure(struct manager *m)
{
    const struct settings *settings = &m->settings;
    _cleanup_free_ char *key_file = NULL;
    int r = settings_key_file(settings, m->dirs->state, &key_file);

    if (r >= 0)
        r = sd_bus_call_method_async(m->ckptd, NULL, NULL, CKPT_PATH, CKPT_IFACE, CKPT_CONFIGURE,
                                     NULL, NULL, "ststt", settings->criu ? settings->criu : "",
                                     settings->reserve_bytes, key_file, settings->max_bytes,
                                     settings->scrub_usec);
    if (r < 0)
        log_error("cannot tell ckptd its settings: %s", strerror(-r));
}

/* Tells a new ckptd all that it must know. */
static void introduce(struct manager *m)
{
    configure(m);
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
        (r = sd_bus_match_signal(bus, NULL, NULL, CKPT_PATH, CKPT_IFACE, CKPT_PROGRESS,
                                 control_on_progress, m)) < 0 ||
        (r = peer_start(bus, m->event, on_gone, m, &m->ckptd_post)) < 0)
        return r;
    m->ckptd = TAKE_PTR(bus);
    introduce(m);
    return 0;
}
