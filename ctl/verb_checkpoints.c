/* verb_checkpoints.c - verbs about checkpoints: take one, bring one back. */
#include "common/cleanup.h"
#include "common/proc.h"
#include "common/wire.h"
#include "ctl/client.h"
#include "ctl/text.h"

#include <errno.h>
#include <string.h>

/* The service's name in "NAME@N" or "NAME" (new; names may contain '@' as templates' do). *ret_id
 * is whether a number was there. NULL, reported, when it is neither. */
static char *split_id(const struct ctl *ctl, char *word, bool *ret_id)
{
    const char *at = strrchr(word, '@');
    char *name;

    *ret_id = at && at > word && at[1] != '\0' && at[1 + strspn(at + 1, "0123456789")] == '\0';
    name = *ret_id ? strndup(word, (size_t)(at - word)) : strdup(word);
    if (!name) {
        report_errno(ctl, -ENOMEM, ctl->verb->name);
        return NULL;
    }
    if (check_names(ctl, 1, &name) != EXIT_OK) {
        free(name);
        return NULL;
    }
    return name;
}

int verb_checkpoint(struct ctl *ctl, int argc, char **argv)
{
    _cleanup_free_ char *id = NULL, *doing = NULL;
    int code;

    code = check_names(ctl, argc, argv);
    if (code != EXIT_OK)
        return code;
    if (asprintf(&doing, "checkpointing %s", argv[0]) < 0)
        return report_errno(ctl, -ENOMEM, argv[0]);
    code = client_call_string(
        ctl,
        &(struct request){
            .method = CONTROL_CHECKPOINT, .signature = "s", .words = {argv[0]}, .doing = doing},
        &id);
    if (code != EXIT_OK)
        return code;
    if (ctl->json)
        return print_json(
            ctl, json_pack("{s:i, s:s, s:s}", "version", 1, "verb", "checkpoint", "id", id));
    puts(id);
    return EXIT_OK;
}

/* When the image was taken; false when that cannot be told, which does not hinder a restore. */
static bool image_time(struct ctl *ctl, const char *id, uint64_t *ret_usec)
{
    json_auto_t *manifest = NULL;
    const char *time;

    if (client_call_json(ctl,
                         &(struct request){.method = CONTROL_SHOW, .signature = "s", .words = {id}},
                         &manifest) != EXIT_OK)
        return false;
    time = member_string(manifest, "time");
    return time && parse_rfc3339(time, ret_usec) == 0;
}

/* Is "game@3" an instance of a template rather than checkpoint 3 of "game"? */
static int is_service(struct ctl *ctl, const char *word, bool *ret)
{
    json_auto_t *answer = NULL;
    const json_t *services;
    int code;

    code = client_call_json(
        ctl,
        &(struct request){.method = CONTROL_STATUS, .signature = "as", .names = (char *[]){NULL}},
        &answer);
    if (code != EXIT_OK)
        return code;
    services = json_object_get(answer, "services");
    *ret = false;
    for (size_t i = 0; i < json_array_size(services); i++) {
        const char *name = member_string(json_array_get(services, i), "name");

        *ret = *ret || (name && strcmp(name, word) == 0);
    }
    return EXIT_OK;
}

int verb_restore(struct ctl *ctl, int argc, char **argv)
{
    _cleanup_free_ char *name = NULL, *id = NULL, *doing = NULL;
    uint64_t taken, begun = now_realtime_usec();
    char span[TEXT_SIZE];
    bool is_id, whole = false, known;
    int code;

    name = split_id(ctl, argv[0], &is_id);
    if (!name)
        return EXIT_USAGE;
    if (is_id && (code = is_service(ctl, argv[0], &whole)) != EXIT_OK)
        return code;
    if (whole) {
        free(name);
        name = strdup(argv[0]);
        if (!name)
            return report_errno(ctl, -ENOMEM, argv[0]);
        is_id = false;
    }
    if (asprintf(&doing, "restoring %s", argv[0]) < 0)
        return report_errno(ctl, -ENOMEM, argv[0]);
    code = client_call_string(ctl,
                              &(struct request){.method = CONTROL_RESTORE,
                                                .signature = "ss",
                                                .words = {name, is_id ? argv[0] : ""},
                                                .doing = doing},
                              &id);
    if (code != EXIT_OK)
        return code;
    known = image_time(ctl, id, &taken) && begun >= taken;
    if (ctl->json) {
        json_t *rolled_back =
            known ? json_integer((json_int_t)((begun - taken) / USEC_PER_MSEC)) : json_null();

        return print_json(ctl, json_pack("{s:i, s:s, s:s, s:o}", "version", 1, "verb", "restore",
                                         "id", id, "rolled_back_ms", rolled_back));
    }
    printf("%s restored from %s, rolled back by %s\n", name, id,
           known ? format_span(begun - taken, span) : "an unknown time");
    return EXIT_OK;
}
