/* verb_list.c - checkpoints as a tree: each delta under the image that it depends on. */
#include "common/cleanup.h"
#include "common/proc.h"
#include "common/wire.h"
#include "ctl/client.h"
#include "ctl/table.h"
#include "ctl/text.h"
#include "ctl/tree.h"

#include <errno.h>
#include <string.h>

/* What it is beside its state: "proven,pinned". */
static const char *flags_of(const json_t *checkpoint, char buf[TEXT_SIZE])
{
    static const char *const names[] = {"proven", "pinned", "imported", "packed"};
    bool yes;

    snprintf(buf, TEXT_SIZE, "%s", member_string(checkpoint, "unprovable") ? "unprovable" : "");
    for (size_t i = 0; i < ELEMENTS(names); i++)
        if (member_bool(checkpoint, names[i], &yes) && yes)
            snprintf(buf + strlen(buf), TEXT_SIZE - strlen(buf), "%s%s", buf[0] ? "," : "",
                     names[i]);
    return buf;
}

static int add_checkpoint(struct table *table, const char *text, const json_t *checkpoint)
{
    char size[TEXT_SIZE], added[TEXT_SIZE], flags[TEXT_SIZE], frozen[TEXT_SIZE] = "",
                                                              age[TEXT_SIZE];
    const char *time = member_string(checkpoint, "time");
    uint64_t taken, now = now_realtime_usec();
    int64_t n;

    age[0] = '\0';
    if (time && parse_rfc3339(time, &taken) == 0 && now >= taken)
        format_span(now - taken, age);
    if (member_number(checkpoint, "frozen_us", &n))
        format_span((uint64_t)n, frozen);
    return table_add(table, (const char *[]){text, age, time, member_string(checkpoint, "kind"),
                                             size_text(checkpoint, "memory_bytes", size),
                                             size_text(checkpoint, "bytes", added), frozen,
                                             member_string(checkpoint, "state"),
                                             flags_of(checkpoint, flags)});
}

static int draw(const json_t *checkpoints, struct tree_line **ret)
{
    size_t count = json_array_size(checkpoints);
    _cleanup_free_ struct tree_node *nodes = calloc(count + 1, sizeof(*nodes));

    if (!nodes)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        const json_t *checkpoint = json_array_get(checkpoints, i);
        const char *id = member_string(checkpoint, "id");

        nodes[i] = (struct tree_node){id ? id : "-", member_string(checkpoint, "parent")};
    }
    return tree_draw(nodes, count, tree_is_utf8(), ret);
}

static int print_tree(const json_t *checkpoints)
{
    static const char *const headers[] = {"ID",    "AGE",    "TIME",  "KIND",  "SIZE",
                                          "ADDED", "FROZEN", "STATE", "FLAGS", NULL};
    _cleanup_(table_done) struct table table = {0};
    size_t count = json_array_size(checkpoints);
    struct tree_line *lines;
    int r = draw(checkpoints, &lines);

    if (r < 0)
        return r;
    r = table_init(&table, headers);
    for (size_t i = 0; r == 0 && i < count; i++)
        r = add_checkpoint(&table, lines[i].text, json_array_get(checkpoints, lines[i].node));
    if (r == 0)
        table_print(&table, stdout);
    tree_free(lines, count);
    return r;
}

/* Below the table, where there is room to say why; the same reason once. */
static void print_unprovable(const json_t *checkpoints)
{
    const char *last = "";

    for (size_t i = 0; i < json_array_size(checkpoints); i++) {
        const json_t *checkpoint = json_array_get(checkpoints, i);
        const char *id = member_string(checkpoint, "id");
        const char *why = member_string(checkpoint, "unprovable");

        if (!id || !why || strcmp(why, last) == 0)
            continue;
        printf("%s unprovable: %s\n", id, why);
        last = why;
    }
}

/* A service without checkpoints, or no service? One whose policy is gone still has its checkpoints.
 */
static int check_known(struct ctl *ctl, char *name)
{
    return client_call(ctl,
                       &(struct request){.method = CONTROL_STATUS,
                                         .signature = "as",
                                         .names = (char *[]){name, NULL}},
                       NULL);
}

int verb_list(struct ctl *ctl, int argc, char **argv)
{
    json_auto_t *answer = NULL;
    const json_t *checkpoints;
    int r, code;

    code = check_names(ctl, argc, argv);
    if (code != EXIT_OK)
        return code;
    code = client_call_json(ctl,
                            &(struct request){.method = CONTROL_LIST,
                                              .signature = "s",
                                              .words = {argc > 0 ? argv[0] : ""}},
                            &answer);
    if (code != EXIT_OK)
        return code;
    checkpoints = json_object_get(answer, "checkpoints");
    if (argc > 0 && json_array_size(checkpoints) == 0 &&
        (code = check_known(ctl, argv[0])) != EXIT_OK)
        return code;
    if (ctl->json)
        return print_json(ctl, json_incref(answer));
    r = print_tree(checkpoints);
    if (r < 0)
        return report_errno(ctl, r, "list");
    print_unprovable(checkpoints);
    return EXIT_OK;
}
