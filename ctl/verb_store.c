/* verb_store.c - verbs that look after the store: verify, drill, pin, prune, key. */
#include "common/cleanup.h"
#include "common/wire.h"
#include "ctl/client.h"
#include "ctl/table.h"
#include "ctl/text.h"

#include <errno.h>
#include <string.h>

/* Asks for something long about `word` ("" all) and takes its JSON; `doing` is "verifying". */
static int ask(struct ctl *ctl, const char *method, const char *doing, const char *word,
               uint64_t progress_unit, json_t **ret)
{
    _cleanup_free_ char *text = NULL;

    if (asprintf(&text, "%s %s", doing, word[0] ? word : "all checkpoints") < 0) {
        text = NULL;
        return report_errno(ctl, -ENOMEM, ctl->verb->name);
    }
    return client_call_json(ctl,
                            &(struct request){.method = method,
                                              .signature = "s",
                                              .words = {word},
                                              .doing = text,
                                              .progress_unit = progress_unit},
                            ret);
}

/* ---- verify ---- */

static bool is_ok(const json_t *checkpoint)
{
    return json_is_true(json_object_get(checkpoint, "ok"));
}

static int add_verdict(struct table *table, const json_t *checkpoint)
{
    const char *why = member_string(checkpoint, "why");

    return table_add(table, (const char *[]){member_string(checkpoint, "id"),
                                             is_ok(checkpoint) ? "ok" : "BAD",
                                             is_ok(checkpoint) ? "" : why});
}

static int print_verdicts(const json_t *checkpoints)
{
    _cleanup_(table_done) struct table table = {0};
    int r = table_init(&table, (const char *const[]){"ID", "RESULT", "WHY", NULL});

    for (size_t i = 0; r == 0 && i < json_array_size(checkpoints); i++)
        r = add_verdict(&table, json_array_get(checkpoints, i));
    if (r == 0)
        table_print(&table, stdout);
    return r;
}

/* An id, or the name of a service, which may have an '@' as well. */
static int check_word(const struct ctl *ctl, char *word)
{
    const char *at = strrchr(word, '@');
    bool id = at && at[1] != '\0' && at[1 + strspn(at + 1, "0123456789")] == '\0';

    return id ? check_id(ctl, word) : check_names(ctl, 1, &word);
}

int verb_verify(struct ctl *ctl, int argc, char **argv)
{
    json_auto_t *answer = NULL;
    const json_t *checkpoints;
    int r, code = EXIT_OK;

    if (ctl->all && argc > 0)
        return report(ctl, EXIT_USAGE, "leave one of them away", "%s and --all exclude each other",
                      argv[0]);
    if (argc > 0 && (code = check_word(ctl, argv[0])) != EXIT_OK)
        return code;
    code = ask(ctl, CONTROL_VERIFY, "verifying", argc > 0 ? argv[0] : "", 1, &answer);
    if (code != EXIT_OK)
        return code;
    checkpoints = json_object_get(answer, "checkpoints");
    for (size_t i = 0; i < json_array_size(checkpoints); i++)
        if (!is_ok(json_array_get(checkpoints, i)))
            code = EXIT_FAILED;
    if (ctl->json) {
        r = print_json(ctl, json_incref(answer));
        return r == EXIT_OK ? code : r;
    }
    r = print_verdicts(checkpoints);
    return r < 0 ? report_errno(ctl, r, "verify") : code;
}

/* ---- drill ---- */

int verb_drill(struct ctl *ctl, int argc, char **argv)
{
    json_auto_t *answer = NULL;
    const char *why;
    bool proven;
    int r, code = check_id(ctl, argv[0]);

    if (code != EXIT_OK)
        return code;
    code = ask(ctl, CONTROL_DRILL, "test-restoring", argv[0], 0, &answer);
    if (code != EXIT_OK)
        return code;
    proven = json_is_true(json_object_get(answer, "proven"));
    code = proven ? EXIT_OK : EXIT_FAILED;
    if (ctl->json) {
        r = print_json(ctl, json_incref(answer));
        return r == EXIT_OK ? code : r;
    }
    why = member_string(answer, "why");
    if (proven)
        printf("%s proven: it was restored and ended again\n", argv[0]);
    else
        printf("%s not proven: %s\n", argv[0], why && why[0] ? why : "unknown");
    return code;
}

/* ---- pin, unpin ---- */

static int pin(struct ctl *ctl, const char *id, bool pinned)
{
    int code = check_id(ctl, id);

    if (code != EXIT_OK)
        return code;
    code = client_call(
        ctl,
        &(struct request){.method = CONTROL_PIN, .signature = "sb", .words = {id}, .flag = pinned},
        NULL);
    if (code != EXIT_OK)
        return code;
    if (ctl->json)
        return print_json(
            ctl, json_pack("{s:i, s:s, s:s}", "version", 1, "verb", ctl->verb->name, "id", id));
    printf(pinned ? "%s is kept until `perdure unpin` lets go of it\n"
                  : "%s is removed when the rules for old checkpoints say so\n",
           id);
    return EXIT_OK;
}

int verb_pin(struct ctl *ctl, int argc, char **argv)
{
    return pin(ctl, argv[0], true);
}

int verb_unpin(struct ctl *ctl, int argc, char **argv)
{
    return pin(ctl, argv[0], false);
}

/* ---- prune ---- */

static int print_removed(const struct ctl *ctl, const json_t *answer)
{
    const json_t *removed = json_object_get(answer, "removed");
    _cleanup_(table_done) struct table table = {0};
    char bytes[TEXT_SIZE];
    int r;

    if (json_array_size(removed) == 0) {
        puts("nothing to remove");
        return 0;
    }
    r = table_init(&table, (const char *const[]){"ID", "BYTES", "WHY", NULL});
    for (size_t i = 0; r == 0 && i < json_array_size(removed); i++) {
        const json_t *one = json_array_get(removed, i);

        r = table_add(&table,
                      (const char *[]){member_string(one, "id"), size_text(one, "bytes", bytes),
                                       member_string(one, "why")});
    }
    if (r < 0)
        return r;
    table_print(&table, stdout);
    printf("%s %s\n", ctl->dry_run ? "would free" : "freed", size_text(answer, "bytes", bytes));
    return 0;
}

int verb_prune(struct ctl *ctl, int argc, char **argv)
{
    json_auto_t *answer = NULL;
    int r, code = check_names(ctl, argc, argv);

    if (code != EXIT_OK)
        return code;
    code = client_call_json(ctl,
                            &(struct request){.method = CONTROL_PRUNE,
                                              .signature = "sb",
                                              .words = {argc > 0 ? argv[0] : ""},
                                              .flag = ctl->dry_run,
                                              .doing = "pruning"},
                            &answer);
    if (code != EXIT_OK)
        return code;
    if (ctl->json)
        return print_json(ctl, json_incref(answer));
    r = print_removed(ctl, answer);
    return r < 0 ? report_errno(ctl, r, "prune") : EXIT_OK;
}

/* ---- key ---- */

int verb_key(struct ctl *ctl, int argc, char **argv)
{
    _cleanup_free_ char *id = NULL;
    int code;

    if (strcmp(argv[0], "rotate") != 0)
        return report(ctl, EXIT_USAGE, "`perdure key rotate` makes a new key",
                      "perdure key has no command '%s'", argv[0]);
    code = client_call_string(ctl,
                              &(struct request){.method = CONTROL_ROTATE_KEY,
                                                .signature = "",
                                                .doing = "rotating the key"},
                              &id);
    if (code != EXIT_OK)
        return code;
    if (ctl->json)
        return print_json(ctl,
                          json_pack("{s:i, s:s, s:s}", "version", 1, "verb", "key", "key", id));
    puts(id);
    return EXIT_OK;
}
