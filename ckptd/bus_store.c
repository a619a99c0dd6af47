/* bus_store.c - the store's commands: each runs one worker, tells how far it is, and answers with
 * what that says. */
#include "ckptd/bus_state.h"

#include "ckptd/command.h"
#include "ckptd/task.h"
#include "common/cleanup.h"
#include "common/dirs.h"
#include "common/strv.h"

#include <errno.h>
#include <string.h>

/* A command on its way. */
struct errand {
    struct bus_server *server;
    sd_bus_message *call; /* NULL: the engine that asked is gone */
    char *subject;        /* the id or name it is about, "" all */
    struct task *task;
    /* Before it is answered; `result` NULL: it failed. Itself NULL: there is nothing to learn. */
    void (*learn)(struct errand *errand, const char *result);
    struct errand *next;
};

static void errand_free(struct errand *errand)
{
    task_free(errand->task);
    sd_bus_message_unref(errand->call);
    free(errand->subject);
    free(errand);
}

void bus_detach_errands(struct bus_server *server)
{
    for (struct errand *e = server->errands; e; e = e->next)
        e->call = sd_bus_message_unref(e->call);
}

void bus_drop_errands(struct bus_server *server)
{
    for (struct errand *e = server->errands, *next; e; e = next) {
        next = e->next;
        errand_free(e);
    }
    server->errands = NULL;
}

static void on_progress(uint64_t done, uint64_t total, void *userdata)
{
    const struct errand *e = userdata;

    if (!e->call)
        return;
    (void)sd_bus_emit_signal(e->server->bus, CKPT_PATH, CKPT_IFACE, CKPT_PROGRESS, "sstt",
                             sd_bus_message_get_member(e->call), e->subject, done, total);
}

static void answer(const struct errand *e, const char *result, const struct reason *reason)
{
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

    if (result) {
        (void)sd_bus_reply_method_return(e->call, "s", result);
    } else {
        bus_fail(&error, WIRE_ERROR_FAILED, reason);
        (void)sd_bus_reply_method_error(e->call, &error);
    }
}

static void on_done(struct task *task, const char *result, const struct reason *reason,
                    void *userdata)
{
    struct errand *e = userdata;
    struct errand **p = &e->server->errands;

    if (e->learn)
        e->learn(e, result);
    if (e->call)
        answer(e, result, reason);
    while (*p != e)
        p = &(*p)->next;
    *p = e->next;
    errand_free(e);
}

/* ---- the beginning ---- */

/* Each is a worker, and whoever may look can ask for some. */
#define ERRANDS_MAX 16

static unsigned errand_count(const struct bus_server *server)
{
    unsigned n = 0;

    for (const struct errand *e = server->errands; e; e = e->next)
        n++;
    return n;
}

static int run(struct bus_server *server, sd_bus_message *call, const char *subject, char **argv,
               int file_fd, void (*learn)(struct errand *, const char *))
{
    struct errand *e;
    int r;

    if (errand_count(server) >= ERRANDS_MAX)
        return sd_bus_reply_method_errorf(call, WIRE_ERROR_BUSY,
                                          "%u commands are at work on the store\n"
                                          "wait for one of them",
                                          ERRANDS_MAX);
    e = calloc(1, sizeof(*e));
    if (!e)
        return -ENOMEM;
    *e = (struct errand){
        .server = server,
        .call = sd_bus_message_ref(call),
        .subject = strdup(subject),
        .learn = learn,
    };
    r = e->subject ? task_start(server->event, (const char *const *)argv, file_fd,
                                manager_stall_usec(server->manager),
                                &(struct task_events){on_progress, on_done, e}, &e->task)
                   : -ENOMEM;
    if (r < 0) {
        errand_free(e);
        return r;
    }
    e->next = server->errands;
    server->errands = e;
    return 1;
}

/* ---- checkpoints by id ---- */

struct subject {
    char *name;
    uint64_t number;
};

static void subject_done(struct subject *subject)
{
    free(subject->name);
}

static int find(struct bus_server *server, const char *id, struct subject *ret, sd_bus_error *error)
{
    if (checkpoint_id_parse(id, &ret->name, &ret->number) < 0 ||
        !store_find(manager_store(server->manager), ret->name, ret->number))
        return sd_bus_error_setf(error, WIRE_ERROR_NO_CHECKPOINT,
                                 "there is no checkpoint %s\n`perdure list` shows which there are",
                                 id);
    return 0;
}

/* A mode that is about one checkpoint and no more. */
static int run_for_id(struct bus_server *server, sd_bus_message *call, const char *mode,
                      const char *id, int file_fd, void (*learn)(struct errand *, const char *),
                      sd_bus_error *error)
{
    _cleanup_(subject_done) struct subject s = {};
    _cleanup_strv_ char **argv = NULL;
    int r;

    if ((r = find(server, id, &s, error)) < 0 ||
        (r = command_begin(server->manager, mode, &argv)) < 0 ||
        (r = command_add_checkpoint(&argv, s.name, s.number)) < 0)
        return r;
    return run(server, call, id, argv, file_fd, learn);
}

int bus_describe(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    const char *id;
    int r = sd_bus_message_read(m, "s", &id);

    return r < 0 ? r : run_for_id(userdata, m, "describe", id, -1, NULL, error);
}

int bus_export(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    const char *id;
    int fd, r = sd_bus_message_read(m, "sh", &id, &fd);

    return r < 0 ? r : run_for_id(userdata, m, "export", id, fd, NULL, error);
}

int bus_unpack(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    const char *id;
    int fd, r = sd_bus_message_read(m, "sh", &id, &fd);

    return r < 0 ? r : run_for_id(userdata, m, "unpack", id, fd, NULL, error);
}

int bus_diff(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct bus_server *server = userdata;
    _cleanup_(subject_done) struct subject a = {}, b = {};
    _cleanup_strv_ char **argv = NULL;
    const char *first, *second;
    int r;

    if ((r = sd_bus_message_read(m, "ss", &first, &second)) < 0 ||
        (r = find(server, first, &a, error)) < 0 || (r = find(server, second, &b, error)) < 0 ||
        (r = command_begin(server->manager, "diff", &argv)) < 0 ||
        (r = command_add_checkpoint(&argv, a.name, a.number)) < 0 ||
        (r = command_add(&argv, "--other-name", b.name)) < 0 ||
        (r = command_add_number(&argv, "--other-number", b.number)) < 0)
        return r;
    return run(server, m, first, argv, -1, NULL);
}

/* ---- what changes what we know ---- */

static void learn_verified(struct errand *e, const char *result)
{
    if (result)
        manager_learn_verified(e->server->manager, result);
}

int bus_verify(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct bus_server *server = userdata;
    _cleanup_strv_ char **argv = NULL;
    const char *which;
    size_t count;
    int r = sd_bus_message_read(m, "s", &which);

    if (r < 0)
        return r;
    /* "game@1" may be an instance of a template, or a checkpoint. */
    if (which[0] && (!store_list(manager_store(server->manager), which, &count) || count == 0))
        return run_for_id(server, m, "verify", which, -1, learn_verified, error);
    r = command_begin(server->manager, "verify", &argv);
    if (r >= 0 && which[0])
        r = command_add(&argv, "--name", which);
    return r < 0 ? r : run(server, m, which, argv, -1, learn_verified);
}

static void learn_drilled(struct errand *e, const char *result)
{
    if (result)
        manager_learn_drilled(e->server->manager, e->subject, result);
}

int bus_drill(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct bus_server *server = userdata;
    const struct criu_facts *criu = manager_criu(server->manager);
    _cleanup_(subject_done) struct subject s = {};
    _cleanup_strv_ char **argv = NULL;
    const char *id;
    int r;

    if (!criu->known)
        return bus_wait_for(server, m, NULL, 0, bus_drill);
    if (!criu->usable)
        return bus_fail(error, WIRE_ERROR_FAILED, &criu->reason);
    if ((r = sd_bus_message_rewind(m, 1)) < 0 || (r = sd_bus_message_read(m, "s", &id)) < 0 ||
        (r = find(server, id, &s, error)) < 0 ||
        (r = command_begin(server->manager, "drill", &argv)) < 0 ||
        (r = command_add(&argv, "--criu", criu->path)) < 0 ||
        (r = command_add_checkpoint(&argv, s.name, s.number)) < 0)
        return r;
    return run(server, m, id, argv, -1, learn_drilled);
}

/* The store decides: a worker may have been killed after its commit. */
static void learn_imported(struct errand *e, const char *result)
{
    (void)store_reload(manager_store(e->server->manager), e->subject);
}

static int import_command(struct bus_server *server, const char *name, uint32_t uid, bool trust,
                          bool encrypt, char ***ret)
{
    _cleanup_strv_ char **argv = NULL;
    uint64_t number, room;
    int r;

    if ((r = manager_room(server->manager, &room)) < 0 ||
        (r = store_begin(manager_store(server->manager), name, &number)) < 0 ||
        (r = command_begin(server->manager, "import", &argv)) < 0 ||
        (r = command_add_checkpoint(&argv, name, number)) < 0 ||
        (r = command_add_number(&argv, "--uid", uid)) < 0 ||
        (r = command_add_number(&argv, "--max-bytes", room ? room : 1 /* 0: no limit */)) < 0 ||
        (trust && (r = command_add(&argv, "--trust", NULL)) < 0) ||
        (encrypt && (r = command_add(&argv, "--encrypt", NULL)) < 0))
        return r;
    *ret = TAKE_PTR(argv);
    return 0;
}

int bus_import(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    _cleanup_strv_ char **argv = NULL;
    int fd, trust, encrypt, r;
    const char *name;
    uint32_t uid;

    r = sd_bus_message_read(m, "hsbub", &fd, &name, &trust, &uid, &encrypt);
    if (r < 0)
        return r;
    if (!service_name_is_valid(name))
        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "'%s' is no service's name",
                                 name);
    r = import_command(userdata, name, uid, trust, encrypt, &argv);
    return r < 0 ? r : run(userdata, m, name, argv, fd, learn_imported);
}

/* ---- what needs no worker ---- */

int bus_pin(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct bus_server *server = userdata;
    struct store *store = manager_store(server->manager);
    _cleanup_(subject_done) struct subject s = {};
    const char *id;
    int pinned, r;

    if ((r = sd_bus_message_read(m, "sb", &id, &pinned)) < 0 ||
        (r = find(server, id, &s, error)) < 0)
        return r;
    r = pinned ? store_mark(store, s.name, s.number, MARK_PINNED, "")
               : store_unmark(store, s.name, s.number, MARK_PINNED);
    return r < 0 ? r : sd_bus_reply_method_return(m, "");
}

int bus_prune(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct bus_server *server = userdata;
    _cleanup_free_ char *json = NULL;
    const char *name;
    int dry_run, r;

    r = sd_bus_message_read(m, "sb", &name, &dry_run);
    if (r < 0)
        return r;
    if (name[0] && !service_name_is_valid(name))
        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "'%s' is no service's name",
                                 name);
    r = manager_prune_now(server->manager, name, dry_run, &json);
    return r < 0 ? r : sd_bus_reply_method_return(m, "s", json);
}

int bus_rotate_key(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct bus_server *server = userdata;
    char id[KEYS_ID_SIZE];
    int r;

    r = manager_rotate_key(server->manager, id);
    if (r < 0)
        return sd_bus_error_setf(error, WIRE_ERROR_FAILED,
                                 "%s: %s\na key from a systemd credential is rotated where it "
                                 "comes from",
                                 manager_key_file(server->manager), strerror(-r));
    return sd_bus_reply_method_return(m, "s", id);
}
