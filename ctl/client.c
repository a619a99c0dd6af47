/* client.c - see client.h. */
#include "ctl/client.h"

#include "common/cleanup.h"
#include "common/peer.h"
#include "common/proc.h"
#include "common/wire.h"
#include "ctl/progress.h"

#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sys/stat.h>

int client_try_connect(struct ctl *ctl)
{
    return ctl->bus ? 0 : peer_connect(ctl->socket, &ctl->bus);
}

/* Who may use this socket, for somebody who may not. */
static int report_denied(const struct ctl *ctl)
{
    const struct group *group = NULL;
    struct stat st;

    if (stat(ctl->socket, &st) == 0 && st.st_gid != 0)
        group = getgrgid(st.st_gid);
    if (!group)
        return report(ctl, EXIT_DENIED, "run this as root (sudo)", "permission denied on %s",
                      ctl->socket);
    return report(ctl, EXIT_DENIED,
                  "run this as root (sudo), or join the group named above and log in again",
                  "permission denied on %s: only root and the group %s may use it", ctl->socket,
                  group->gr_name);
}

int client_connect(struct ctl *ctl)
{
    int r = client_try_connect(ctl);

    switch (r) {
    case 0:
        return EXIT_OK;
    case -ENOENT:
    case -ECONNREFUSED:
        return report(
            ctl, EXIT_NOT_RUNNING,
            "start it with `systemctl start perdure`, or run `supervisord`; an instance in "
            "another place is named with --runtime-dir",
            "no supervisord is running on %s", ctl->socket);
    case -EACCES:
    case -EPERM:
        return report_denied(ctl);
    case -ENAMETOOLONG:
        return report(ctl, EXIT_USAGE, "use a shorter --runtime-dir",
                      "%s is too long for a socket, which has at most 107 bytes", ctl->socket);
    default:
        return report(ctl, EXIT_FAILED, NULL, "cannot connect to %s: %s", ctl->socket,
                      strerror(-r));
    }
}

static int append_arguments(sd_bus_message *m, const struct request *request)
{
    const char *const *word = request->words;
    int r = 0;

    if (strcmp(request->signature, "as") == 0)
        return sd_bus_message_append_strv(m, request->names);
    for (const char *type = request->signature; *type && r >= 0; type++) {
        if (*type == 's')
            r = sd_bus_message_append(m, "s", *word++);
        else if (*type == 'h')
            r = sd_bus_message_append(m, "h", request->fd);
        else
            r = sd_bus_message_append(m, "b", (int)request->flag);
    }
    return r;
}

static int keep_reply(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    sd_bus_message **slot = userdata;

    *slot = sd_bus_message_ref(reply);
    return 0;
}

/* What is waited for, and how far it is. */
struct waiting {
    const struct request *request;
    struct progress progress;
    bool tty;
};

/* Everybody hears of everybody's; ours is of the same method about the same thing. */
static int on_progress(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct waiting *w = userdata;
    const char *method, *about, *word = w->request->words[0] ? w->request->words[0] : "";
    uint64_t done, total;

    if (sd_bus_message_read(m, "sstt", &method, &about, &done, &total) < 0 ||
        strcmp(method, w->request->method) != 0 || strcmp(about, word) != 0)
        return 0;
    w->progress.done = done;
    w->progress.total = total;
    progress_draw(&w->progress);
    return 0;
}

static int wait_reply(sd_bus *bus, struct waiting *w, sd_bus_message **reply)
{
    int r = 0;

    while (r >= 0 && !*reply) {
        r = sd_bus_process(bus, NULL);
        if (r != 0)
            continue;
        if (w->tty)
            progress_draw(&w->progress);
        r = sd_bus_wait(bus, w->tty ? USEC_PER_SEC : USEC_INFINITY);
        if (r == -EINTR)
            r = 0;
    }
    progress_clear(&w->progress);
    return r;
}

/* Sends one request and waits. 0 with a reply, which may be an error, or -errno. */
static int exchange(sd_bus *bus, const struct request *request, sd_bus_message **ret)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
    _cleanup_(sd_bus_slot_unrefp) sd_bus_slot *signal = NULL;
    struct waiting w = {.request = request,
                        .progress = {.doing = request->doing,
                                     .unit = request->progress_unit,
                                     .since = now_boottime_usec()},
                        .tty = request->doing && isatty(STDERR_FILENO)};
    int r;

    if (w.tty && (r = sd_bus_match_signal(bus, &signal, NULL, CONTROL_PATH, CONTROL_IFACE,
                                          CONTROL_PROGRESS, on_progress, &w)) < 0)
        return r;
    r = sd_bus_message_new_method_call(bus, &m, NULL, CONTROL_PATH, CONTROL_IFACE, request->method);
    if (r < 0 || (r = append_arguments(m, request)) < 0)
        return r;
    r = sd_bus_call_async(bus, NULL, m, keep_reply, &reply,
                          request->doing ? USEC_INFINITY : 25 * USEC_PER_SEC);
    if (r >= 0)
        r = wait_reply(bus, &w, &reply);
    if (!reply)
        return r;
    *ret = TAKE_PTR(reply);
    return 0;
}

/* The engine ended between question and answer; the keeper already starts a new one. */
static bool is_lost(int r, sd_bus_message *reply)
{
    if (r < 0)
        return r == -ECONNRESET || r == -ENOTCONN || r == -EPIPE;
    return sd_bus_message_is_method_error(reply, SD_BUS_ERROR_NO_REPLY) > 0 ||
           sd_bus_message_is_method_error(reply, SD_BUS_ERROR_DISCONNECTED) > 0;
}

static int exit_code_of(const char *error_name)
{
    static const struct {
        const char *name;
        int code;
    } codes[] = {
        {WIRE_ERROR_UNKNOWN_SERVICE, EXIT_UNKNOWN},
        {WIRE_ERROR_NOT_RUNNING, EXIT_NOT_RUNNING},
        {SD_BUS_ERROR_ACCESS_DENIED, EXIT_DENIED},
        {"org.freedesktop.DBus.Error.InteractiveAuthorizationRequired", EXIT_DENIED},
        {SD_BUS_ERROR_INVALID_ARGS, EXIT_USAGE},
    };

    for (size_t i = 0; i < ELEMENTS(codes); i++)
        if (strcmp(error_name, codes[i].name) == 0)
            return codes[i].code;
    return EXIT_FAILED;
}

/* Errors travel as "message\ncure". */
static int report_reply(const struct ctl *ctl, const sd_bus_error *error)
{
    const char *text = error->message ? error->message : error->name;
    const char *cure = strchr(text, '\n');
    int code = exit_code_of(error->name);

    if (strcmp(error->name, SD_BUS_ERROR_UNKNOWN_METHOD) == 0)
        return report(ctl, code, "restart the daemon, so that both are of the same version",
                      "the running supervisord does not know `%s`", ctl->verb->name);
    if (!cure && code == EXIT_DENIED)
        cure = "\nrun this as root (sudo), or as a member of the control socket's group";
    return report(ctl, code, cure ? cure + 1 : NULL, "%.*s", (int)strcspn(text, "\n"), text);
}

int client_call(struct ctl *ctl, const struct request *request, sd_bus_message **ret)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    int r, code;

    for (int attempt = 0;; attempt++) {
        code = client_connect(ctl);
        if (code != EXIT_OK)
            return code;
        r = exchange(ctl->bus, request, &reply);
        if (!is_lost(r, reply))
            break;
        ctl->bus = peer_close(ctl->bus);
        if (request->doing || attempt > 0)
            return report(ctl, EXIT_FAILED,
                          "look at `perdure status`, then repeat the command if it is still needed",
                          "supervisord's engine ended before it answered `%s`", ctl->verb->name);
        reply = sd_bus_message_unref(reply);
    }
    if (r < 0)
        return report_errno(ctl, r, "cannot talk to supervisord");
    if (sd_bus_message_is_method_error(reply, NULL) > 0)
        return report_reply(ctl, sd_bus_message_get_error(reply));
    if (ret)
        *ret = TAKE_PTR(reply);
    return EXIT_OK;
}

int client_call_string(struct ctl *ctl, const struct request *request, char **ret)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    const char *text;
    char *copy;
    int r, code;

    code = client_call(ctl, request, &reply);
    if (code != EXIT_OK)
        return code;
    r = sd_bus_message_read(reply, "s", &text);
    if (r < 0)
        return report_errno(ctl, r, "supervisord's answer is not of the expected form");
    copy = strdup(text);
    if (!copy)
        return report_errno(ctl, -ENOMEM, ctl->verb->name);
    *ret = copy;
    return EXIT_OK;
}

int client_call_json(struct ctl *ctl, const struct request *request, json_t **ret)
{
    _cleanup_free_ char *text = NULL;
    json_error_t error;
    json_t *value;
    int code;

    code = client_call_string(ctl, request, &text);
    if (code != EXIT_OK)
        return code;
    value = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    if (!value)
        return report(ctl, EXIT_FAILED, "restart the daemon, so that both are of the same version",
                      "supervisord's answer to `%s` is not JSON: %s", ctl->verb->name, error.text);
    *ret = value;
    return EXIT_OK;
}
