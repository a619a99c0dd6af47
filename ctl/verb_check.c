/* verb_check.c - lint of policies without the daemon, and of running services with it. */
#include "common/cleanup.h"
#include "common/fs.h"
#include "common/wire.h"
#include "ctl/client.h"
#include "ctl/text.h"
#include "supervisord/policy.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

struct lint {
    struct policy_errors errors;
    json_t *services; /* answers of the daemon */
    size_t policies;  /* without a fault */
    bool hopeless;    /* a service cannot be checkpointed */
};

static void lint_done(struct lint *lint)
{
    policy_errors_done(&lint->errors);
    json_decref(lint->services);
}

static bool is_file(const char *word)
{
    size_t n = strlen(word);

    return strchr(word, '/') || (n > 4 && strcmp(word + n - 4, ".ini") == 0);
}

static int check_host(const struct policy *policy, struct lint *lint)
{
    lint->policies++;
    return policy_check_host(policy, &lint->errors);
}

/* One file; a template is checked through an instance of no importance. */
static int check_file(const char *path, struct lint *lint)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    size_t n = strlen(base);
    bool template = n > 5 && strcmp(base + n - 5, "@.ini") == 0;
    struct policy *policy = NULL;
    int r;

    if (strcmp(base, "perdure.ini") == 0) {
        struct settings settings = {0};

        r = settings_load(path, &lint->errors, &settings);
        settings_done(&settings);
        return r < 0 ? r : 0;
    }
    r = policy_load(path, template ? "instance" : NULL, &lint->errors, &policy);
    if (r == 0)
        r = check_host(policy, lint);
    policy_free(policy);
    return r < 0 ? r : 0;
}

/* CONFIG/perdure.ini and CONFIG/policies. */
static int check_config(const struct ctl *ctl, struct lint *lint)
{
    _cleanup_(policy_set_done) struct policy_set set = {0};
    _cleanup_free_ char *settings = fs_join(ctl->dirs.config, "perdure.ini");
    _cleanup_free_ char *policies = fs_join(ctl->dirs.config, DIRS_POLICIES);
    int r;

    if (!settings || !policies)
        return -ENOMEM;
    r = access(settings, F_OK) == 0 ? check_file(settings, lint) : 0;
    if (r == 0)
        r = policy_set_load(policies, &lint->errors, &set);
    for (size_t i = 0; r >= 0 && i < set.count; i++)
        r = check_host(set.items[i], lint);
    return r < 0 ? r : 0;
}

static int check_service(struct ctl *ctl, const char *name, struct lint *lint)
{
    json_t *answer = NULL;
    bool ok;
    int code;

    code = client_call_json(
        ctl, &(struct request){.method = CONTROL_CHECK, .signature = "s", .words = {name}},
        &answer);
    if (code != EXIT_OK)
        return code;
    if (member_bool(answer, "checkpointable", &ok) && !ok)
        lint->hopeless = true;
    (void)json_array_append_new(lint->services, answer);
    return EXIT_OK;
}

/* Those that run; the daemon need not. */
static int check_running(struct ctl *ctl, struct lint *lint)
{
    json_auto_t *answer = NULL;
    const json_t *services;
    int code;

    if (client_try_connect(ctl) < 0)
        return EXIT_OK;
    code = client_call_json(
        ctl,
        &(struct request){.method = CONTROL_STATUS, .signature = "as", .names = (char *[]){NULL}},
        &answer);
    services = json_object_get(answer, "services");
    for (size_t i = 0; code == EXIT_OK && i < json_array_size(services); i++) {
        const json_t *service = json_array_get(services, i);
        const char *name = member_string(service, "name"), *state = member_string(service, "state");

        if (name && state && strcmp(state, "up") == 0)
            code = check_service(ctl, name, lint);
    }
    return code;
}

static int check_words(struct ctl *ctl, int argc, char **argv, struct lint *lint)
{
    int r, code;

    for (int i = 0; i < argc; i++) {
        if (!is_file(argv[i])) {
            code = check_names(ctl, 1, &argv[i]);
            if (code == EXIT_OK)
                code = check_service(ctl, argv[i], lint);
            if (code != EXIT_OK)
                return code;
            continue;
        }
        r = check_file(argv[i], lint);
        if (r < 0)
            return report_errno(ctl, r, argv[i]);
    }
    return EXIT_OK;
}

static void print_service(const json_t *service)
{
    const json_t *problems = json_object_get(service, "problems");
    const char *name = member_string(service, "service");
    bool ok;

    printf("%s: checkpointable: %s\n", name ? name : "unknown",
           !member_bool(service, "checkpointable", &ok) ? "unknown"
           : ok                                         ? "yes"
                                                        : "no");
    for (size_t i = 0; i < json_array_size(problems); i++) {
        const json_t *item = json_array_get(problems, i);
        const char *problem = member_string(item, "problem"), *cure = member_string(item, "cure");

        if (problem)
            printf("  %s\n", problem);
        if (cure)
            printf("    %s\n", cure);
    }
}

static void print_text(const struct lint *lint)
{
    for (size_t i = 0; i < lint->errors.count; i++) {
        const struct policy_error *error = &lint->errors.items[i];

        if (error->line > 0)
            printf("%s:%u: %s\n", error->file, error->line, error->message);
        else
            printf("%s: %s\n", error->file, error->message);
    }
    for (size_t i = 0; i < json_array_size(lint->services); i++)
        print_service(json_array_get(lint->services, i));
    if (lint->errors.count == 0 && lint->policies > 0)
        printf("%zu polic%s without a fault\n", lint->policies, lint->policies == 1 ? "y" : "ies");
}

static int print_lint_json(const struct ctl *ctl, const struct lint *lint)
{
    json_t *errors = json_array();

    for (size_t i = 0; i < lint->errors.count; i++) {
        const struct policy_error *error = &lint->errors.items[i];
        json_t *file = json_text(error->file, strlen(error->file));
        json_t *message = json_text(error->message, strlen(error->message));

        (void)json_array_append_new(
            errors, json_pack("{s:o, s:o, s:o}", "file", file, "line",
                              error->line > 0 ? json_integer(error->line) : json_null(), "message",
                              message));
    }
    return print_json(ctl, json_pack("{s:i, s:o, s:O}", "version", 1, "errors", errors, "services",
                                     lint->services));
}

int verb_check(struct ctl *ctl, int argc, char **argv)
{
    _cleanup_(lint_done) struct lint lint = {.services = json_array()};
    int r, code;

    if (argc > 0) {
        code = check_words(ctl, argc, argv, &lint);
    } else {
        r = check_config(ctl, &lint);
        code = r < 0 ? report_errno(ctl, r, ctl->dirs.config) : check_running(ctl, &lint);
    }
    if (code != EXIT_OK)
        return code;
    if (!ctl->json)
        print_text(&lint);
    else if (print_lint_json(ctl, &lint) != EXIT_OK)
        return EXIT_FAILED;
    return lint.errors.count > 0 || lint.hopeless ? EXIT_FAILED : EXIT_OK;
}
