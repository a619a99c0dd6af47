/* verb_show.c - everything about one checkpoint: its manifest, and what is in it. */
#include "common/bytesize.h"
#include "common/cleanup.h"
#include "common/wire.h"
#include "ctl/client.h"
#include "ctl/table.h"
#include "ctl/text.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define MAPPINGS_MAX 12 /* of one process that are shown one by one, largest first */

/* ---- the manifest ---- */

static bool ends_with(const char *key, const char *end)
{
    size_t n = strlen(key), m = strlen(end);

    return n >= m && strcmp(key + n - m, end) == 0;
}

static bool is_size(const char *key)
{
    return strcmp(key, "bytes") == 0 || ends_with(key, "_bytes");
}

/* Moments end in _us, too. */
static bool is_span(const char *key)
{
    return ends_with(key, "_us") && strncmp(key, "time_", 5) != 0;
}

/* One "key: value" line; lists are shown by their length, --json has them whole. */
static void print_fact(const char *key, const json_t *value)
{
    char text[TEXT_SIZE];

    printf("%16s: ", key);
    if (json_is_string(value))
        puts(json_string_length(value) > 0 ? json_string_value(value) : "-");
    else if (json_is_null(value))
        puts("-");
    else if (json_is_boolean(value))
        puts(json_is_true(value) ? "yes" : "no");
    else if (json_is_array(value))
        printf("%zu entries\n", json_array_size(value));
    else if (json_is_integer(value) && is_size(key))
        puts(bytesize_format((uint64_t)json_integer_value(value), text));
    else if (json_is_integer(value) && is_span(key))
        puts(format_span((uint64_t)json_integer_value(value), text));
    else {
        (void)json_dumpf(value, stdout, JSON_ENCODE_ANY);
        putchar('\n');
    }
}

/* ---- cells ---- */

/* A titled table, filled row by row; nothing is printed when it has no rows. */
static int print_rows(const char *title, const char *const *headers, const json_t *rows,
                      int (*add)(struct table *, const json_t *))
{
    _cleanup_(table_done) struct table table = {0};
    int r = json_array_size(rows) > 0 ? table_init(&table, headers) : 0;

    for (size_t i = 0; r == 0 && i < json_array_size(rows); i++)
        r = add(&table, json_array_get(rows, i));
    if (r == 0 && table.rows > 1) {
        printf("\n%s\n", title);
        table_print(&table, stdout);
    }
    return r;
}

static int add_process(struct table *table, const json_t *p)
{
    char pid[TEXT_SIZE], ppid[TEXT_SIZE], threads[TEXT_SIZE], uid[TEXT_SIZE], bytes[TEXT_SIZE],
        stored[TEXT_SIZE];

    return table_add(
        table, (const char *[]){number_text(p, "pid", pid), number_text(p, "ppid", ppid),
                                number_text(p, "uid", uid), number_text(p, "threads", threads),
                                member_string(p, "state"), size_text(p, "bytes", bytes),
                                size_text(p, "stored_bytes", stored), member_string(p, "comm")});
}

static int add_file(struct table *table, const json_t *f)
{
    char pid[TEXT_SIZE], fd[TEXT_SIZE], offset[TEXT_SIZE], size[TEXT_SIZE];

    return table_add(table, (const char *[]){number_text(f, "pid", pid), number_text(f, "fd", fd),
                                             member_string(f, "kind"), member_string(f, "flags"),
                                             number_text(f, "offset", offset),
                                             size_text(f, "size", size), member_string(f, "path")});
}

static int add_socket(struct table *table, const json_t *s)
{
    char pid[TEXT_SIZE], fd[TEXT_SIZE];
    const char *local = member_string(s, "local");

    return table_add(table, (const char *[]){number_text(s, "pid", pid), number_text(s, "fd", fd),
                                             member_string(s, "family"), member_string(s, "type"),
                                             member_string(s, "state"),
                                             local ? local : member_string(s, "path"),
                                             member_string(s, "remote")});
}

static int add_pipe(struct table *table, const json_t *p)
{
    char pid[TEXT_SIZE], fd[TEXT_SIZE], inode[TEXT_SIZE];

    return table_add(table,
                     (const char *[]){number_text(p, "pid", pid), number_text(p, "fd", fd),
                                      member_string(p, "kind"), member_string(p, "end"),
                                      number_text(p, "inode", inode), member_string(p, "path")});
}

static int add_link(struct table *table, const json_t *c)
{
    char bytes[TEXT_SIZE], stored[TEXT_SIZE];

    return table_add(table, (const char *[]){member_string(c, "id"), member_string(c, "time"),
                                             member_string(c, "kind"), size_text(c, "bytes", bytes),
                                             size_text(c, "stored_bytes", stored)});
}

/* ---- memory ---- */

static int64_t bytes_of(const json_t *mapping)
{
    return (int64_t)json_integer_value(json_object_get(mapping, "bytes"));
}

static int larger_first(const void *a, const void *b)
{
    int64_t x = bytes_of(*(json_t *const *)a), y = bytes_of(*(json_t *const *)b);

    return x > y ? -1 : x < y;
}

static int add_mapping(struct table *table, const json_t *m)
{
    char range[TEXT_SIZE], size[TEXT_SIZE], bytes[TEXT_SIZE], stored[TEXT_SIZE], prot[TEXT_SIZE];
    const char *start = member_string(m, "start"), *end = member_string(m, "end");
    const char *access = member_string(m, "prot");
    bool shared = false;

    (void)member_bool(m, "shared", &shared);
    snprintf(range, sizeof(range), "%s-%s", start ? start : "", end ? end : "");
    snprintf(prot, sizeof(prot), "%s%c", access ? access : "", shared ? 's' : 'p');
    return table_add(
        table, (const char *[]){range, prot, member_string(m, "kind"), size_text(m, "size", size),
                                size_text(m, "bytes", bytes), size_text(m, "stored_bytes", stored),
                                member_string(m, "path")});
}

static int add_rest(struct table *table, json_t *const *mappings, size_t count)
{
    char text[TEXT_SIZE], bytes[TEXT_SIZE], stored[TEXT_SIZE], size[TEXT_SIZE];
    int64_t sum = 0, stored_sum = 0, size_sum = 0, n;

    for (size_t i = 0; i < count; i++) {
        sum += bytes_of(mappings[i]);
        stored_sum += member_number(mappings[i], "stored_bytes", &n) ? n : 0;
        size_sum += member_number(mappings[i], "size", &n) ? n : 0;
    }
    snprintf(text, sizeof(text), "%zu others", count);
    return table_add(table,
                     (const char *[]){text, "", "", bytesize_format((uint64_t)size_sum, size),
                                      bytesize_format((uint64_t)sum, bytes),
                                      bytesize_format((uint64_t)stored_sum, stored), ""});
}

static int print_memory(const json_t *process)
{
    static const char *const headers[] = {"MAPPING", "PROT",   "KIND", "SIZE",
                                          "BYTES",   "STORED", "PATH", NULL};
    const json_t *all = json_object_get(process, "mappings");
    size_t count = json_array_size(all), shown;
    _cleanup_free_ json_t **mappings = calloc(count + 1, sizeof(json_t *));
    _cleanup_(table_done) struct table table = {0};
    char pid[TEXT_SIZE];
    int r;

    if (!mappings)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++)
        mappings[i] = json_array_get(all, i);
    qsort(mappings, count, sizeof(json_t *), larger_first);
    shown = count > MAPPINGS_MAX + 1 ? MAPPINGS_MAX : count;
    r = count > 0 ? table_init(&table, headers) : 0;
    for (size_t i = 0; r == 0 && i < shown; i++)
        r = add_mapping(&table, mappings[i]);
    if (r == 0 && shown < count)
        r = add_rest(&table, mappings + shown, count - shown);
    if (r == 0 && count > 0) {
        printf("\nmemory of %s\n", number_text(process, "pid", pid));
        table_print(&table, stdout);
    }
    return r;
}

/* ---- all of it ---- */

static int print_description(const json_t *d)
{
    const json_t *processes = json_object_get(d, "processes");
    int r =
        print_rows("chain", (const char *const[]){"ID", "TIME", "KIND", "BYTES", "STORED", NULL},
                   json_object_get(d, "chain"), add_link);

    if (r == 0)
        r = print_rows("processes",
                       (const char *const[]){"PID", "PPID", "UID", "THREADS", "STATE", "MEMORY",
                                             "STORED", "NAME", NULL},
                       processes, add_process);
    for (size_t i = 0; r == 0 && i < json_array_size(processes); i++)
        r = print_memory(json_array_get(processes, i));
    if (r == 0)
        r = print_rows(
            "files",
            (const char *const[]){"PID", "FD", "KIND", "FLAGS", "OFFSET", "SIZE", "PATH", NULL},
            json_object_get(d, "files"), add_file);
    if (r == 0)
        r = print_rows(
            "sockets",
            (const char *const[]){"PID", "FD", "FAMILY", "TYPE", "STATE", "LOCAL", "REMOTE", NULL},
            json_object_get(d, "sockets"), add_socket);
    if (r == 0)
        r = print_rows("pipes",
                       (const char *const[]){"PID", "FD", "KIND", "END", "INODE", "PATH", NULL},
                       json_object_get(d, "pipes"), add_pipe);
    return r;
}

/* Of a damaged one only the manifest can be told. */
static int get_description(struct ctl *ctl, const char *id, const json_t *manifest, json_t **ret)
{
    const char *state = member_string(manifest, "state");
    _cleanup_free_ char *doing = NULL;

    if (state && strcmp(state, "corrupt") == 0) {
        *ret = json_null();
        return EXIT_OK;
    }
    if (asprintf(&doing, "reading %s", id) < 0) {
        doing = NULL;
        return report_errno(ctl, -ENOMEM, id);
    }
    return client_call_json(
        ctl,
        &(struct request){
            .method = CONTROL_DESCRIBE, .signature = "s", .words = {id}, .doing = doing},
        ret);
}

int verb_show(struct ctl *ctl, int argc, char **argv)
{
    json_auto_t *answer = NULL, *description = NULL;
    const char *key;
    json_t *value;
    int r, code;

    code = check_id(ctl, argv[0]);
    if (code != EXIT_OK)
        return code;
    code = client_call_json(
        ctl, &(struct request){.method = CONTROL_SHOW, .signature = "s", .words = {argv[0]}},
        &answer);
    if (code != EXIT_OK || (code = get_description(ctl, argv[0], answer, &description)) != EXIT_OK)
        return code;
    if (ctl->json) {
        r = json_object_set(answer, "description", description);
        return print_json(ctl, r < 0 ? NULL : json_incref(answer));
    }
    json_object_foreach(answer, key, value) if (strcmp(key, "version") != 0) print_fact(key, value);
    r = print_description(description);
    return r < 0 ? report_errno(ctl, r, argv[0]) : EXIT_OK;
}
