/* bus_store.c - the store's commands: each runs one worker, tells how far it is, and answers with
 * what that says. */
#include "ckptd/bus_state.h"

#include "ckptd/json.h"
#include "ckptd/task.h"
#include "common/cleanup.h"
#include "common/dirs.h"
#include "common/strv.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* A command on its way. */
struct errand {
    struct bus_server *server;
    sd_bus_message *call;
    char *subject; /* the id or name it is about, "" all */
    struct task *task;
    void (*learn)(struct errand *errand, const char *result); /* before it is answered; or NULL */
    struct errand *next;
};

static void errand_free(struct errand *errand)
{
    task_free(errand->task);
    sd_bus_message_unref(errand->call);
    free(errand->subject);
    free(errand);
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

    (void)sd_bus_emit_signal(e->server->bus, CKPT_PATH, CKPT_IFACE, CKPT_PROGRESS, "sstt",
                             sd_bus_message_get_member(e->call), e->subject, done, total);
}

static void on_done(struct task *task, const char *result, const struct reason *reason,
                    void *userdata)
{
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
    struct errand *e = userdata;
    struct errand **p = &e->server->errands;

    if (result && e->learn)
        e->learn(e, result);
    if (result) {
        (void)sd_bus_reply_method_return(e->call, "s", result);
    } else {
        bus_fail(&error, WIRE_ERROR_FAILED, reason);
        (void)sd_bus_reply_method_error(e->call, &error);
    }
    while (*p != e)
        p = &(*p)->next;
    *p = e->next;
    errand_free(e);
}

/* ---- command lines ---- */

/* What knows archives is a program of its own. */
static const char *program_of(const struct bus_server *server, const char *mode)
{
    bool archive = strcmp(mode, "export") == 0 || strcmp(mode, "import") == 0;

    return archive ? manager_archiver(server->manager) : manager_worker(server->manager);
}

/* "PROGRAM MODE --store ... --keys ..." and what follows in pairs, ended by NULL. */
static int make_argv(struct bus_server *server, const char *mode, const char *const more[],
                     char ***ret)
{
    const char *const words[] = {
        program_of(server, mode),
        mode,
        "--store",
        store_path(manager_store(server->manager)),
        "--keys",
        manager_key_file(server->manager),
    };
    _cleanup_strv_ char **argv = NULL;
    int r = 0;

    for (size_t i = 0; i < ELEMENTS(words) && r >= 0; i++)
        r = strv_extend(&argv, words[i]);
    for (size_t i = 0; more[i] && r >= 0; i++)
        r = strv_extend(&argv, more[i]);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(argv);
    return 0;
}

static int run(struct bus_server *server, sd_bus_message *call, const char *subject,
               const char *mode, const char *const more[], int file_fd,
               void (*learn)(struct errand *, const char *))
{
    struct errand *e = calloc(1, sizeof(*e));
    _cleanup_strv_ char **argv = NULL;
    int r;

    if (!e)
        return -ENOMEM;
    *e = (struct errand){
        .server = server,
        .call = sd_bus_message_ref(call),
        .subject = strdup(subject),
        .learn = learn,
    };
    r = e->subject ? make_argv(server, mode, more, &argv) : -ENOMEM;
    if (r >= 0)
        r = task_start(server->event, (const char *const *)argv, file_fd,
                       &(struct task_events){on_progress, on_done, e}, &e->task);
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
    char text[24]; /* of the number */
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
    snprintf(ret->text, sizeof(ret->text), "%" PRIu64, ret->number);
    return 0;
}

/* A mode that is about one checkpoint and no more. */
static int run_for_id(struct bus_server *server, sd_bus_message *call, const char *mode,
                      const char *id, int file_fd, void (*learn)(struct errand *, const char *),
                      sd_bus_error *error)
{
    _cleanup_(subject_done) struct subject s = {};
    int r = find(server, id, &s, error);

    if (r < 0)
        return r;
    return run(server, call, id, mode,
               (const char *const[]){"--name", s.name, "--number", s.text, NULL}, file_fd, learn);
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
    _cleanup_(subject_done) struct subject a = {}, b = {};
    const char *first, *second;
    int r;

    if ((r = sd_bus_message_read(m, "ss", &first, &second)) < 0 ||
        (r = find(userdata, first, &a, error)) < 0 || (r = find(userdata, second, &b, error)) < 0)
        return r;
    return run(userdata, m, first, "diff",
               (const char *const[]){"--name", a.name, "--number", a.text, "--other-name", b.name,
                                     "--other-number", b.text, NULL},
               -1, NULL);
}

/* ---- what changes what we know ---- */

static void learn_verified(struct errand *e, const char *result)
{
    manager_learn_verified(e->server->manager, result);
}

int bus_verify(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct bus_server *server = userdata;
    const char *which;
    size_t count;
    int r = sd_bus_message_read(m, "s", &which);

    if (r < 0)
        return r;
    if (which[0] == '\0')
        return run(userdata, m, "", "verify", (const char *const[]){NULL}, -1, learn_verified);
    /* "game@1" may be an instance of a template, or a checkpoint. */
    if (store_list(manager_store(server->manager), which, &count) && count > 0)
        return run(userdata, m, which, "verify", (const char *const[]){"--name", which, NULL}, -1,
                   learn_verified);
    return run_for_id(userdata, m, "verify", which, -1, learn_verified, error);
}

static void learn_drilled(struct errand *e, const char *result)
{
    manager_learn_drilled(e->server->manager, e->subject, result);
}

int bus_drill(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct bus_server *server = userdata;
    const struct criu_facts *criu = manager_criu(server->manager);
    _cleanup_(subject_done) struct subject s = {};
    const char *id;
    int r;

    if (!criu->known)
        return bus_wait_for(server, m, NULL, 0, bus_drill);
    if (!criu->usable)
        return bus_fail(error, WIRE_ERROR_FAILED, &criu->reason);
    if ((r = sd_bus_message_rewind(m, 1)) < 0 || (r = sd_bus_message_read(m, "s", &id)) < 0 ||
        (r = find(server, id, &s, error)) < 0)
        return r;
    return run(
        server, m, id, "drill",
        (const char *const[]){"--criu", criu->path, "--name", s.name, "--number", s.text, NULL}, -1,
        learn_drilled);
}

static void learn_imported(struct errand *e, const char *result)
{
    (void)store_reload(manager_store(e->server->manager), e->subject);
}

int bus_import(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct bus_server *server = userdata;
    struct store *store = manager_store(server->manager);
    char number_text[24], uid_text[24], room_text[24];
    uint64_t number, room;
    int fd, trust, encrypt, r;
    const char *name;
    uint32_t uid;

    r = sd_bus_message_read(m, "hsbub", &fd, &name, &trust, &uid, &encrypt);
    if (r < 0)
        return r;
    if (!service_name_is_valid(name))
        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "'%s' is no service's name",
                                 name);
    if ((r = manager_room(server->manager, &room)) < 0 ||
        (r = store_begin(store, name, &number)) < 0)
        return r;
    snprintf(number_text, sizeof(number_text), "%" PRIu64, number);
    snprintf(uid_text, sizeof(uid_text), "%" PRIu32, uid);
    snprintf(room_text, sizeof(room_text), "%" PRIu64, room ? room : 1); /* 0: no limit */
    const char *more[12] = {"--name", name,     "--number",    number_text,
                            "--uid",  uid_text, "--max-bytes", room_text};
    size_t count = 8;

    if (trust)
        more[count++] = "--trust";
    if (encrypt)
        more[count++] = "--encrypt";
    return run(server, m, name, "import", more, fd, learn_imported);
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
