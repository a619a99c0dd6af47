/* verb_diff.c - what changed from one checkpoint to another. */
#include "common/bytesize.h"
#include "common/cleanup.h"
#include "common/wire.h"
#include "ctl/client.h"
#include "ctl/table.h"
#include "ctl/text.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define PAGE 4096

static int64_t number(const json_t *object, const char *key)
{
    int64_t n;

    return member_number(object, key, &n) ? n : 0;
}

static const char *text(const json_t *object, const char *key)
{
    const char *value = member_string(object, key);

    return value ? value : "-";
}

/* ---- memory ---- */

static int64_t weight(const json_t *mapping)
{
    return number(mapping, "changed") + number(mapping, "added") + number(mapping, "gone");
}

static int heavier_first(const void *a, const void *b)
{
    int64_t x = weight(*(json_t *const *)a), y = weight(*(json_t *const *)b);

    return x > y ? -1 : x < y;
}

static int add_mapping(struct table *table, const json_t *m)
{
    char pid[TEXT_SIZE], range[TEXT_SIZE], changed[TEXT_SIZE], added[TEXT_SIZE], gone[TEXT_SIZE];

    snprintf(pid, sizeof(pid), "%" PRId64, number(m, "pid"));
    snprintf(range, sizeof(range), "%s-%s", text(m, "start"), text(m, "end"));
    snprintf(changed, sizeof(changed), "%" PRId64, number(m, "changed"));
    snprintf(added, sizeof(added), "%" PRId64, number(m, "added"));
    snprintf(gone, sizeof(gone), "%" PRId64, number(m, "gone"));
    return table_add(table, (const char *[]){pid, range, text(m, "kind"), changed, added, gone,
                                             text(m, "mapping"), member_string(m, "path")});
}

static int print_mappings(const json_t *all)
{
    static const char *const headers[] = {"PID",  "RANGE",   "KIND", "CHANGED", "ADDED",
                                          "GONE", "MAPPING", "PATH", NULL};
    size_t count = json_array_size(all);
    _cleanup_free_ json_t **mappings = calloc(count + 1, sizeof(json_t *));
    _cleanup_(table_done) struct table table = {0};
    int r;

    if (!mappings)
        return -ENOMEM;
    if (count == 0)
        return 0;
    for (size_t i = 0; i < count; i++)
        mappings[i] = json_array_get(all, i);
    qsort(mappings, count, sizeof(json_t *), heavier_first);
    r = table_init(&table, headers);
    for (size_t i = 0; r == 0 && i < count; i++)
        r = add_mapping(&table, mappings[i]);
    if (r < 0)
        return r;
    printf("\npages by mapping\n");
    table_print(&table, stdout);
    return 0;
}

static void print_pages(const json_t *answer)
{
    const json_t *pages = json_object_get(answer, "pages");
    int64_t changed = number(pages, "changed"), added = number(pages, "added"),
            gone = number(pages, "gone"), same = number(pages, "same");
    char moved[TEXT_SIZE], all[TEXT_SIZE];

    printf("%s -> %s: %" PRId64 " pages changed, %" PRId64 " added, %" PRId64 " gone (%s of %s)\n",
           text(answer, "from"), text(answer, "to"), changed, added, gone,
           bytesize_format((uint64_t)(changed + added) * PAGE, moved),
           bytesize_format((uint64_t)(changed + added + same) * PAGE, all));
}

/* ---- processes, files, sockets: one line each ---- */

static void print_process(char sign, const json_t *p)
{
    printf("  %c %" PRId64 " %s\n", sign, number(p, "pid"), text(p, "comm"));
}

static void print_processes(const json_t *processes)
{
    const json_t *started = json_object_get(processes, "started"),
                 *ended = json_object_get(processes, "ended"),
                 *changed = json_object_get(processes, "changed");

    if (json_array_size(started) + json_array_size(ended) + json_array_size(changed) == 0)
        return;
    printf("\nprocesses\n");
    for (size_t i = 0; i < json_array_size(started); i++)
        print_process('+', json_array_get(started, i));
    for (size_t i = 0; i < json_array_size(ended); i++)
        print_process('-', json_array_get(ended, i));
    for (size_t i = 0; i < json_array_size(changed); i++) {
        const json_t *from = json_object_get(json_array_get(changed, i), "from"),
                     *to = json_object_get(json_array_get(changed, i), "to");

        printf("  ~ %" PRId64 " %s, %s, threads %" PRId64 " -> %s, %s, threads %" PRId64 "\n",
               number(to, "pid"), text(from, "comm"), text(from, "state"), number(from, "threads"),
               text(to, "comm"), text(to, "state"), number(to, "threads"));
    }
}

/* "4711/7 file /var/log/x", "4711/9 tcp 127.0.0.1:80 10.0.0.1:4000" */
static void print_descriptor(char sign, const json_t *d)
{
    const char *type = member_string(d, "kind"), *path = member_string(d, "path"),
               *local = member_string(d, "local"), *remote = member_string(d, "remote");

    printf("  %c %" PRId64 "/%" PRId64 " %s", sign, number(d, "pid"), number(d, "fd"),
           type ? type : text(d, "type"));
    if (local)
        printf(" %s", local);
    if (remote)
        printf(" %s", remote);
    if (path)
        printf(" %s", path);
}

static void print_change(const json_t *change)
{
    const json_t *from = json_object_get(change, "from"), *to = json_object_get(change, "to");

    print_descriptor('~', to);
    if (member_string(to, "state"))
        printf(": %s -> %s\n", text(from, "state"), text(to, "state"));
    else
        printf(": offset %" PRId64 " -> %" PRId64 ", size %" PRId64 " -> %" PRId64 "\n",
               number(from, "offset"), number(to, "offset"), number(from, "size"),
               number(to, "size"));
}

static void print_descriptors(const char *title, const json_t *descriptors)
{
    const json_t *opened = json_object_get(descriptors, "opened"),
                 *closed = json_object_get(descriptors, "closed"),
                 *changed = json_object_get(descriptors, "changed");

    if (json_array_size(opened) + json_array_size(closed) + json_array_size(changed) == 0)
        return;
    printf("\n%s\n", title);
    for (size_t i = 0; i < json_array_size(opened); i++) {
        print_descriptor('+', json_array_get(opened, i));
        putchar('\n');
    }
    for (size_t i = 0; i < json_array_size(closed); i++) {
        print_descriptor('-', json_array_get(closed, i));
        putchar('\n');
    }
    for (size_t i = 0; i < json_array_size(changed); i++)
        print_change(json_array_get(changed, i));
}

int verb_diff(struct ctl *ctl, int argc, char **argv)
{
    _cleanup_free_ char *doing = NULL;
    json_auto_t *answer = NULL;
    int r, code;

    if ((code = check_id(ctl, argv[0])) != EXIT_OK || (code = check_id(ctl, argv[1])) != EXIT_OK)
        return code;
    if (asprintf(&doing, "comparing %s and %s", argv[0], argv[1]) < 0) {
        doing = NULL;
        return report_errno(ctl, -ENOMEM, argv[0]);
    }
    code = client_call_json(ctl,
                            &(struct request){.method = CONTROL_DIFF,
                                              .signature = "ss",
                                              .words = {argv[0], argv[1]},
                                              .doing = doing,
                                              .progress_unit = PAGE},
                            &answer);
    if (code != EXIT_OK)
        return code;
    if (ctl->json)
        return print_json(ctl, json_incref(answer));
    print_pages(answer);
    r = print_mappings(json_object_get(answer, "mappings"));
    if (r < 0)
        return report_errno(ctl, r, argv[0]);
    print_processes(json_object_get(answer, "processes"));
    print_descriptors("files", json_object_get(answer, "files"));
    print_descriptors("sockets", json_object_get(answer, "sockets"));
    return EXIT_OK;
}
