/* verb_status.c - what the services do: a table of all, or a block of facts for each one named. */
#include "common/bytesize.h"
#include "common/cleanup.h"
#include "common/proc.h"
#include "common/signame.h"
#include "common/wire.h"
#include "ctl/client.h"
#include "ctl/table.h"
#include "ctl/text.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define LINE_SIZE 512 /* of a composed text; longer reasons are cut in the table only */

/* "2.1s" since that moment; "" when it is absent or lies ahead. */
static const char *age_of(const char *time, char buf[TEXT_SIZE])
{
    uint64_t then, now = now_realtime_usec();

    buf[0] = '\0';
    if (time && parse_rfc3339(time, &then) == 0 && now >= then)
        format_span(now - then, buf);
    return buf;
}

static const char *number_of(const json_t *object, const char *key, char buf[TEXT_SIZE])
{
    int64_t n;

    buf[0] = '\0';
    if (member_number(object, key, &n))
        snprintf(buf, TEXT_SIZE, "%" PRId64, n);
    return buf;
}

/* "killed by SIGSEGV", "exited with 3"; "" when no exit is known. */
static const char *last_exit(const json_t *service, char buf[TEXT_SIZE])
{
    const json_t *status = json_object_get(service, "last_exit");
    const char *signal = member_string(status, "signal");
    char name[SIGNAL_NAME_SIZE];
    int64_t n;

    buf[0] = '\0';
    if (signal)
        snprintf(buf, TEXT_SIZE, "killed by %s%s", strncmp(signal, "SIG", 3) == 0 ? "" : "SIG",
                 signal);
    else if (member_number(status, "signal", &n) && n > 0)
        snprintf(buf, TEXT_SIZE, "killed by SIG%s", signal_name((int)n, name));
    else if (member_number(status, "code", &n))
        snprintf(buf, TEXT_SIZE, "exited with %" PRId64, n);
    return buf;
}

/* "from redis@17, work lost: 0.8s" after `before`; "" when it never was recovered. A service that
 * came back without a checkpoint has "cold" for an id. */
static const char *recovery(const json_t *service, const char *before, char buf[LINE_SIZE])
{
    const char *id = member_string(service, "recovered_from");
    char span[TEXT_SIZE];
    int64_t lost;

    buf[0] = '\0';
    if (!id)
        return buf;
    if (strcmp(id, "cold") == 0) {
        snprintf(buf, LINE_SIZE, "%scold, nothing of its memory is left", before);
        return buf;
    }
    if (member_number(service, "work_lost_ms", &lost) && lost >= 0)
        format_span((uint64_t)lost * USEC_PER_MSEC, span);
    else
        strcpy(span, "unknown");
    snprintf(buf, LINE_SIZE, "%sfrom %s, work lost: %s", before, id, span);
    return buf;
}

/* NULL: restorable, or nothing is known of it. */
static const char *why_not_restorable(const json_t *service)
{
    const json_t *restorable = json_object_get(service, "restorable");
    const char *why = member_string(restorable, "why");
    bool ok;

    if (!member_bool(restorable, "ok", &ok) || ok)
        return NULL;
    return why ? why : "unknown";
}

/* What a person should know first: an error, a checkpoint that is of no use, then the past. */
static const char *last_event(const json_t *service, char buf[LINE_SIZE])
{
    const char *error = member_string(service, "error"), *why = why_not_restorable(service);

    if (error)
        snprintf(buf, LINE_SIZE, "%s", error);
    else if (why)
        snprintf(buf, LINE_SIZE, "not restorable: %s", why);
    else if (recovery(service, "recovered ", buf)[0] == '\0')
        last_exit(service, buf);
    buf[strcspn(buf, "\n")] = '\0';
    return buf;
}

static int print_table(const struct ctl *ctl, const json_t *services)
{
    static const char *const headers[] = {"NAME",       "STATE", "PID",        "RESTARTS",
                                          "CHECKPOINT", "AGE",   "LAST-EVENT", NULL};
    _cleanup_(table_done) struct table table = {0};
    int r = table_init(&table, headers);

    for (size_t i = 0; r == 0 && i < json_array_size(services); i++) {
        const json_t *service = json_array_get(services, i);
        const json_t *checkpoint = json_object_get(service, "checkpoint");
        char pid[TEXT_SIZE], restarts[TEXT_SIZE], age[TEXT_SIZE], event[LINE_SIZE];

        r = table_add(&table, (const char *[]){member_string(service, "name"),
                                               member_string(service, "state"),
                                               number_of(service, "pid", pid),
                                               number_of(service, "restarts", restarts),
                                               member_string(checkpoint, "id"),
                                               age_of(member_string(checkpoint, "time"), age),
                                               last_event(service, event)});
    }
    if (r < 0)
        return report_errno(ctl, r, "status");
    table_print(&table, stdout);
    if (json_array_size(services) == 0)
        printf("no services; put a policy into %s/" DIRS_POLICIES " and run `perdure reload`\n",
               ctl->dirs.config);
    return EXIT_OK;
}

static void print_line(const char *label, const char *text)
{
    printf("%12s: %s\n", label, text && text[0] ? text : "-");
}

static void print_checkpoint(const json_t *service)
{
    const json_t *checkpoint = json_object_get(service, "checkpoint");
    const char *id = member_string(checkpoint, "id"), *why = why_not_restorable(service);
    char age[TEXT_SIZE], text[TEXT_SIZE];
    uint64_t next, now = now_realtime_usec();
    int64_t n;
    bool ok;

    if (!id) {
        print_line("Checkpoint", "none yet");
    } else {
        printf("%12s: %s", "Checkpoint", id);
        if (age_of(member_string(checkpoint, "time"), age)[0])
            printf(", %s ago", age);
        if (member_number(checkpoint, "bytes", &n))
            printf(", %s", bytesize_format((uint64_t)n, text));
        if (member_number(checkpoint, "frozen_us", &n))
            printf(", frozen %s", format_span((uint64_t)n, text));
        putchar('\n');
        if (why)
            printf("%12s: no, %s\n", "Restorable", why);
        else
            print_line("Restorable", member_bool(json_object_get(service, "restorable"), "ok", &ok)
                                         ? "yes"
                                         : "unknown");
    }
    if (member_string(service, "next_checkpoint") &&
        parse_rfc3339(member_string(service, "next_checkpoint"), &next) == 0)
        printf("%12s: in %s\n", "Next", format_span(next > now ? next - now : 0, text));
}

static void print_counters(const json_t *service)
{
    int64_t made, failed;

    if (member_number(service, "checkpoints_made", &made) &&
        member_number(service, "checkpoints_failed", &failed))
        printf("%12s: %lld, %lld failed\n", "Taken", (long long)made, (long long)failed);
}

static void print_block(const json_t *service)
{
    const char *name = member_string(service, "name"), *since = member_string(service, "since");
    const char *description = member_string(service, "description");
    const char *state = member_string(service, "state"), *error = member_string(service, "error");
    char text[LINE_SIZE], span[TEXT_SIZE];

    printf("%s%s%s\n", name ? name : "unknown", description && *description ? " - " : "",
           description ? description : "");
    printf("%12s: %s", "State", state ? state : "unknown");
    if (since)
        printf(" since %s", since);
    if (age_of(since, span)[0])
        printf(" (%s)", span);
    putchar('\n');
    print_line("Main PID", number_of(service, "pid", span));
    print_line("Restarts", number_of(service, "restarts", span));
    if (recovery(service, "", text)[0])
        print_line("Recovered", text);
    if (last_exit(service, span)[0])
        print_line("Last exit", span);
    print_checkpoint(service);
    print_counters(service);
    if (error) /* its further lines say what to do */
        for (bool first = true; error; first = false) {
            printf("%12s%c %.*s\n", first ? "Error" : "", first ? ':' : ' ',
                   (int)strcspn(error, "\n"), error);
            error = strchr(error, '\n');
            error = error ? error + 1 : NULL;
        }
    if (member_string(service, "log"))
        print_line("Log", member_string(service, "log"));
}

static bool is_up(const json_t *service)
{
    const char *state = member_string(service, "state");

    return state && strcmp(state, "up") == 0;
}

/* The services named, in that order. One that is unknown is reported and, but for --json, does not
 * hide the others. */
static int collect(struct ctl *ctl, int argc, char **argv, json_t *services)
{
    int worst = EXIT_OK, code;

    for (int i = 0; i < argc; i++) {
        json_auto_t *answer = NULL;

        code = client_call_json(ctl,
                                &(struct request){.method = CONTROL_STATUS,
                                                  .signature = "as",
                                                  .names = (char *[]){argv[i], NULL}},
                                &answer);
        if (code == EXIT_OK)
            (void)json_array_extend(services, json_object_get(answer, "services"));
        else if (code != EXIT_UNKNOWN || ctl->json)
            return code;
        else
            worst = code;
    }
    return worst;
}

int verb_status(struct ctl *ctl, int argc, char **argv)
{
    json_auto_t *answer = NULL, *services = NULL;
    int code;

    code = check_names(ctl, argc, argv);
    if (code != EXIT_OK)
        return code;
    if (argc == 0) {
        code = client_call_json(ctl,
                                &(struct request){.method = CONTROL_STATUS,
                                                  .signature = "as",
                                                  .names = (char *[]){NULL}},
                                &answer);
        if (code != EXIT_OK)
            return code;
        return ctl->json ? print_json(ctl, json_incref(answer))
                         : print_table(ctl, json_object_get(answer, "services"));
    }
    services = json_array();
    code = collect(ctl, argc, argv, services);
    if (code != EXIT_OK && code != EXIT_UNKNOWN)
        return code;
    if (code == EXIT_UNKNOWN && ctl->json)
        return code; /* the error object is out already */
    for (size_t i = 0; i < json_array_size(services); i++) {
        const json_t *service = json_array_get(services, i);

        if (code == EXIT_OK && !is_up(service))
            code = EXIT_NOT_RUNNING;
        if (ctl->json)
            continue;
        if (i > 0)
            putchar('\n');
        print_block(service);
    }
    if (ctl->json &&
        print_json(ctl, json_pack("{s:i, s:O}", "version", 1, "services", services)) != EXIT_OK)
        return EXIT_FAILED;
    return code;
}
