/* verify.c - mode "verify": reads every byte of the checkpoints named and says which are whole. */
#include "common/cleanup.h"
#include "common/dirs.h"
#include "image/checkpoint.h"
#include "image/seal.h"
#include "worker/background.h"
#include "worker/open.h"
#include "worker/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>

/* One checkpoint folder of the service at work; parents are looked at once, not once for each
 * child. */
struct link {
    uint64_t number;
    bool counted, hashed;
    int error; /* of its own files */
    struct reason reason;
};

struct verify {
    const struct worker_args *args;
    struct opened at; /* the service at work */
    struct link *links;
    size_t link_count;
    uint64_t done, total;
    json_t *checkpoints; /* the result */
};

static void json_freep(json_t **json)
{
    json_decref(*json);
}

static void on_bytes(uint64_t bytes, void *data)
{
    struct verify *v = data;

    v->done += bytes;
    report_progress(v->args, v->done, v->total);
}

/* ---- which ---- */

static int by_number(const void *a, const void *b)
{
    const struct link *x = a, *y = b;

    return (x->number > y->number) - (x->number < y->number);
}

static int add_link(struct verify *v, uint64_t number)
{
    struct link *more = reallocarray(v->links, v->link_count + 1, sizeof(*more));

    if (!more)
        return -ENOMEM;
    v->links = more;
    more[v->link_count++] = (struct link){.number = number};
    return 0;
}

static void forget_links(struct verify *v)
{
    for (size_t i = 0; i < v->link_count; i++)
        reason_done(&v->links[i].reason);
    free(v->links);
    v->links = NULL;
    v->link_count = 0;
}

/* Every checkpoint of the service, in order. */
static int list_links(struct verify *v)
{
    _cleanup_closedir_ DIR *dir = NULL;
    struct dirent *entry;
    int fd, r = 0;

    forget_links(v);
    fd = openat(v->at.service_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        r = -errno;
        fd_close(fd);
        return r;
    }
    while (r == 0 && (entry = readdir(dir))) {
        uint64_t number;

        if (checkpoint_number_parse(entry->d_name, &number) == 0)
            r = add_link(v, number);
    }
    if (v->link_count > 1)
        qsort(v->links, v->link_count, sizeof(*v->links), by_number);
    return r;
}

static struct link *find_link(struct verify *v, uint64_t number)
{
    for (size_t i = 0; i < v->link_count; i++)
        if (v->links[i].number == number)
            return &v->links[i];
    return NULL;
}

/* ---- one checkpoint ---- */

/* Hashes the files of one folder of the chain, unless that was done for another child of it. A
 * folder made after we have listed is of a checkpoint that is not ours to judge. */
static const struct link *hash_link(struct verify *v, const struct chain *chain, size_t i)
{
    struct link *link = find_link(v, chain->numbers[i]);

    if (!link || link->hashed)
        return link;
    link->hashed = true;
    link->error =
        seal_check_all(chain->dirs[i].fd, chain->dirs[i].manifest, on_bytes, v, &link->reason);
    return link;
}

static int check_chain(struct verify *v, const char *name, const struct chain *chain,
                       struct reason *reason)
{
    for (size_t i = 0; i < chain->count; i++) {
        const struct link *link = hash_link(v, chain, i);
        char id[CHECKPOINT_ID_SIZE];

        if (!link || link->error == 0)
            continue;
        checkpoint_id_format(name, chain->numbers[i], id);
        reason_set(reason, reason_cure(&link->reason), "%s%s: %s", i ? "parent " : "", id,
                   reason_why(&link->reason));
        return link->error;
    }
    return 0;
}

/* A file that does not belong may have any name. */
static json_t *text(const char *line)
{
    json_t *json = json_string(line);

    return json ? json : json_string("the image is damaged");
}

/* `damaged`: it will not get better; else what stood in the way may pass. */
static int add_verdict(struct verify *v, const char *name, uint64_t number, int error,
                       const struct reason *reason)
{
    bool damaged = error == -EBADMSG || error == -EKEYREJECTED;
    char id[CHECKPOINT_ID_SIZE];
    json_t *verdict;

    checkpoint_id_format(name, number, id);
    verdict = json_pack("{s:s, s:b, s:b, s:o}", "id", id, "ok", error == 0, "damaged", damaged,
                        "why", text(error == 0 ? "" : reason_why(reason)));
    return json_array_append_new(v->checkpoints, verdict) == 0 ? 0 : -ENOMEM;
}

/* Where one checkpoint is asked for, others may depend on the same damage. */
static int add_parents(struct verify *v, const char *name, const struct chain *chain)
{
    for (size_t i = 1; i < chain->count && v->args->number; i++) {
        const struct link *link = find_link(v, chain->numbers[i]);
        int r;

        if (!link || link->error == 0)
            continue;
        r = add_verdict(v, name, link->number, link->error, &link->reason);
        if (r < 0)
            return r;
    }
    return 0;
}

/* One that was removed since it was listed is not spoken of. */
static int verify_checkpoint(struct verify *v, const char *name, uint64_t number)
{
    struct reason reason = {};
    struct chain chain = {};
    int r, error;

    error = chain_open(v->at.service_fd, name, number, v->at.keys, &chain, &reason);
    if (error == 0)
        error = check_chain(v, name, &chain, &reason);
    r = error == -ENOENT ? 0 : add_verdict(v, name, number, error, &reason);
    if (r == 0)
        r = add_parents(v, name, &chain);
    chain_done(&chain);
    reason_done(&reason);
    return r;
}

/* What its chain adds to the work. One that cannot be opened has no work in it. */
static int count_checkpoint(struct verify *v, const char *name, uint64_t number)
{
    struct reason reason = {};
    struct chain chain = {};

    if (chain_open(v->at.service_fd, name, number, v->at.keys, &chain, &reason) == 0)
        for (size_t i = 0; i < chain.count; i++) {
            struct link *link = find_link(v, chain.numbers[i]);

            if (link && !link->counted)
                v->total += seal_bytes(chain.dirs[i].manifest);
            if (link)
                link->counted = true;
        }
    chain_done(&chain);
    reason_done(&reason);
    return 0;
}

/* ---- services ---- */

typedef int visit(struct verify *v, const char *name, uint64_t number);

static int visit_service(struct verify *v, const char *name, visit *each, struct reason *reason)
{
    int r;

    v->at = OPENED_NONE;
    r = opened_folders(&v->at, v->args, name, reason);
    if (r == 0 && (r = list_links(v)) < 0)
        reason_set(reason, "", "%s: %s", name, strerror(-r));
    for (size_t i = 0; r == 0 && i < v->link_count; i++)
        if (v->args->number == 0 || v->args->number == v->links[i].number)
            if ((r = each(v, name, v->links[i].number)) < 0)
                reason_set(reason, "", "%s: %s", name, strerror(-r));
    forget_links(v);
    opened_done(&v->at);
    return r;
}

/* The service named, or all that have a folder. */
static int visit_all(struct verify *v, visit *each, struct reason *reason)
{
    _cleanup_closedir_ DIR *dir = NULL;
    struct dirent *entry;
    int r = 0;

    if (v->args->name)
        return visit_service(v, v->args->name, each, reason);
    dir = opendir(v->args->store);
    if (!dir) {
        reason_set(reason, "", "%s: %s", v->args->store, strerror(errno));
        return -errno;
    }
    while (r == 0 && (entry = readdir(dir))) {
        if (!service_name_is_valid(entry->d_name))
            continue;
        r = visit_service(v, entry->d_name, each, reason);
        if (r == -ENOTDIR || r == -ELOOP)
            r = 0;
    }
    return r;
}

static int verify(struct verify *v, struct reason *reason)
{
    char id[CHECKPOINT_ID_SIZE];
    int r = visit_all(v, count_checkpoint, reason);

    if (r == 0)
        r = visit_all(v, verify_checkpoint, reason);
    if (r < 0)
        return r;
    if (v->args->name && v->args->number && json_array_size(v->checkpoints) == 0) {
        reason_set(reason, "perdure list shows what there is", "there is no checkpoint %s",
                   checkpoint_id_format(v->args->name, v->args->number, id));
        return -ENOENT;
    }
    if (v->total > 0)
        report_progress(v->args, v->total, v->total);
    return 0;
}

int worker_verify(const struct worker_args *args)
{
    struct verify v = {.args = args, .at = OPENED_NONE, .checkpoints = json_array()};
    _cleanup_(json_freep) json_t *result = NULL;
    _cleanup_free_ char *json = NULL;
    struct reason reason = {};
    int status;

    background_enter(args->nice);
    result = json_pack("{s:i, s:o}", "version", 1, "checkpoints", v.checkpoints);
    if (result && verify(&v, &reason) == 0)
        json = json_dumps(result, JSON_COMPACT);
    status = json ? report_result(args, json) : report_failure(args, &reason);
    reason_done(&reason);
    return status;
}
