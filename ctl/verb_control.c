/* verb_control.c - verbs that act on services or on the daemon as a whole. */
#include "common/cleanup.h"
#include "common/wire.h"
#include "ctl/client.h"
#include "ctl/text.h"

#include <errno.h>
#include <string.h>

/* "stopping a, b": for the terminal while it takes long. */
static char *describe(const char *doing, int argc, char **argv)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        return NULL;
    fputs(doing, out);
    for (int i = 0; i < argc; i++)
        fprintf(out, "%s %s", i > 0 ? "," : "", argv[i]);
    fclose(out);
    return text;
}

static int act(struct ctl *ctl, const char *method, const char *doing, int argc, char **argv)
{
    _cleanup_free_ char *text = NULL;
    json_t *names;
    int code;

    code = check_names(ctl, argc, argv);
    if (code != EXIT_OK)
        return code;
    text = describe(doing, argc, argv);
    code = client_call(
        ctl,
        &(struct request){
            .method = method, .signature = "as", .names = argv, .doing = text ? text : doing},
        NULL);
    if (code != EXIT_OK || !ctl->json)
        return code;
    names = json_array();
    for (int i = 0; i < argc; i++)
        (void)json_array_append_new(names, json_string(argv[i]));
    return print_json(ctl, json_pack("{s:i, s:s, s:o}", "version", 1, "verb", ctl->verb->name,
                                     "services", names));
}

int verb_start(struct ctl *ctl, int argc, char **argv)
{
    return act(ctl, CONTROL_START, "starting", argc, argv);
}

int verb_stop(struct ctl *ctl, int argc, char **argv)
{
    return act(ctl, CONTROL_STOP, "stopping", argc, argv);
}

int verb_restart(struct ctl *ctl, int argc, char **argv)
{
    return act(ctl, CONTROL_RESTART, "restarting", argc, argv);
}

static void print_names(const json_t *answer, const char *key)
{
    const json_t *names = json_object_get(answer, key);

    for (size_t i = 0; i < json_array_size(names); i++)
        printf("%s: %s\n", key, json_string_value(json_array_get(names, i)));
}

int verb_reload(struct ctl *ctl, int argc, char **argv)
{
    json_auto_t *answer = NULL;
    const json_t *errors;
    int code;

    code = client_call_json(ctl,
                            &(struct request){.method = CONTROL_RELOAD,
                                              .signature = "",
                                              .doing = "reading the policies"},
                            &answer);
    if (code != EXIT_OK)
        return code;
    errors = json_object_get(answer, "errors");
    code = json_array_size(errors) > 0 ? EXIT_FAILED : EXIT_OK;
    if (ctl->json)
        return print_json(ctl, json_incref(answer)) != EXIT_OK ? EXIT_FAILED : code;
    print_names(answer, "added");
    print_names(answer, "removed");
    print_names(answer, "changed");
    for (size_t i = 0; i < json_array_size(errors); i++) {
        const json_t *error = json_array_get(errors, i);
        const char *file = member_string(error, "file"), *message = member_string(error, "message");
        int64_t line;

        fprintf(stderr, "%s:", file ? file : "policy");
        if (member_number(error, "line", &line) && line > 0)
            fprintf(stderr, "%lld:", (long long)line);
        fprintf(stderr, " %s\n", message ? message : "unknown error");
    }
    return code;
}

int verb_shutdown(struct ctl *ctl, int argc, char **argv)
{
    int code;

    code = client_call(ctl,
                       &(struct request){.method = CONTROL_SHUTDOWN,
                                         .signature = "b",
                                         .flag = ctl->leave_running,
                                         .doing = "shutting down"},
                       NULL);
    if (code != EXIT_OK || !ctl->json)
        return code;
    return print_json(ctl, json_pack("{s:i, s:s, s:b}", "version", 1, "verb", "shutdown",
                                     "leave_running", ctl->leave_running));
}

/* "key: value" lines; what CRIU is like comes as an object of its own. */
static void print_facts(const json_t *facts)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)facts, key, value)
    {
        if (json_is_object(value))
            print_facts(value);
        else if (json_is_string(value))
            printf("%s: %s\n", strcmp(key, "perdure") == 0 ? "daemon" : key,
                   json_string_value(value));
        else if (json_is_boolean(value))
            printf("%s: %s\n", key, json_is_true(value) ? "yes" : "no");
    }
}

/* Works without a daemon: then only our own version is known. */
int verb_version(struct ctl *ctl, int argc, char **argv)
{
    json_auto_t *daemon = NULL;
    int code, r;

    r = client_try_connect(ctl);
    if (r == 0) {
        code = client_call_json(ctl, &(struct request){.method = CONTROL_VERSION, .signature = ""},
                                &daemon);
        if (code != EXIT_OK)
            return code;
    }
    if (ctl->json)
        return print_json(ctl, json_pack("{s:i, s:s, s:O?}", "version", 1, "perdure",
                                         PERDURE_VERSION, "daemon", daemon));
    printf("perdure %s\n", PERDURE_VERSION);
    if (daemon)
        print_facts(daemon);
    else
        printf("daemon: %s\n", r == -EACCES ? "permission denied" : "not running");
    return EXIT_OK;
}
