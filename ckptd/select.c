/* select.c - the choice of an image, and the command line that restores it. */
#include "ckptd/select.h"

#include "common/cleanup.h"
#include "common/strv.h"
#include "image/manifest.h"
#include "image/restorable.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static void manifest_freep(struct manifest **manifest)
{
    manifest_free(*manifest);
}

void selection_done(struct selection *selection)
{
    strv_free(selection->argv);
    *selection = (struct selection){};
}

/* *ret_damaged: it will never be restorable again, anywhere. < 0: that cannot be told now. */
static int look(const struct store *store, const char *name, uint64_t number,
                const struct host *host, const struct criu_facts *criu, bool *ret_damaged,
                char **ret_why)
{
    _cleanup_(manifest_freep) struct manifest *m = NULL;
    _cleanup_close_ int fd = -1;
    int r;

    *ret_damaged = false;
    fd = store_open_image(store, name, number);
    r = fd < 0 ? fd : manifest_read(fd, &m);
    if (r == -ENOENT || r == -EBADMSG) {
        *ret_damaged = true;
        *ret_why = strdup("its manifest is missing or damaged");
        return *ret_why ? NOT_RESTORABLE : -ENOMEM;
    }
    if (r < 0)
        return r;
    r = restorable_images(fd, m, ret_why);
    if (r != 0) {
        *ret_damaged = r == NOT_RESTORABLE;
        return r;
    }
    r = restorable_host(m, host, criu->version, ret_why);
    return r != 0 ? r : restorable_files(m, ret_why);
}

/* An error of the system, like too many open files, is a reason like any other, but no damage. */
static int check(const struct store *store, const char *name, uint64_t number,
                 const struct host *host, const struct criu_facts *criu, bool *ret_damaged,
                 char **ret_why)
{
    int r = look(store, name, number, host, criu, ret_damaged, ret_why);

    if (r >= 0)
        return r;
    if (asprintf(ret_why, "it cannot be read: %s", strerror(-r)) < 0) {
        *ret_why = NULL;
        return -ENOMEM;
    }
    return NOT_RESTORABLE;
}

int select_why_not(const struct store *store, const char *name, uint64_t number,
                   const struct host *host, const struct criu_facts *criu, char **ret_why)
{
    char *why = NULL;
    bool damaged;
    int r;

    r = check(store, name, number, host, criu, &damaged, &why);
    if (r < 0)
        return r;
    *ret_why = why;
    return 0;
}

/* "; NAME@N: WHY" appended to what was said of newer ones. */
static int add_excuse(char **excuses, const char *name, uint64_t number, const char *why)
{
    char *more;

    if (asprintf(&more, "%s%s%s@%" PRIu64 ": %s", *excuses ? *excuses : "", *excuses ? "; " : "",
                 name, number, why) < 0)
        return -ENOMEM;
    free(*excuses);
    *excuses = more;
    return 0;
}

static int make_argv(const struct store *store, const char *name, uint64_t number,
                     const struct criu_facts *criu, const char *worker, char ***ret)
{
    _cleanup_free_ char *image = store_image_path(store, name, number);
    const char *const words[] = {worker, "restore", "--criu", criu->path, "--image", image};
    _cleanup_strv_ char **argv = NULL;

    if (!image)
        return -ENOMEM;
    for (size_t i = 0; i < ELEMENTS(words); i++) {
        int r = strv_extend(&argv, words[i]);

        if (r < 0)
            return r;
    }
    *ret = TAKE_PTR(argv);
    return 0;
}

/* 0: this is it. NOT_RESTORABLE: *ret_why. */
static int try_one(struct store *store, const char *name, const struct checkpoint *c, bool by_hand,
                   const struct host *host, const struct criu_facts *criu, char **ret_why)
{
    bool damaged;
    int r;

    if (c->state != CHECKPOINT_WHOLE && !(by_hand && c->state == CHECKPOINT_POISONED)) {
        r = store_why(store, c, name, ret_why);
        return r < 0 ? r : NOT_RESTORABLE;
    }
    r = check(store, name, c->number, host, criu, &damaged, ret_why);
    /* A mark that cannot be written is made again by the next try. */
    if (r == NOT_RESTORABLE && damaged)
        (void)store_mark(store, name, c->number, CHECKPOINT_CORRUPT, *ret_why);
    return r;
}

static void explain_none(const char *name, uint64_t only, const char *excuses,
                         struct reason *reason)
{
    char number[24];

    snprintf(number, sizeof(number), "@%" PRIu64, only);
    if (excuses)
        reason_set(reason, "put back what has changed, or start it cold",
                   "no checkpoint of %s can be restored: %s", name, excuses);
    else
        reason_set(reason, "`perdure list` shows which there are", "there is no checkpoint %s%s%s",
                   only ? "" : "of ", name, only ? number : "");
}

int select_image(struct store *store, const char *name, uint64_t below, uint64_t only,
                 const struct host *host, const struct criu_facts *criu, const char *worker,
                 struct selection *ret, struct reason *reason)
{
    _cleanup_free_ char *excuses = NULL;
    size_t count;
    const struct checkpoint *list = store_list(store, name, &count);

    while (count-- > 0) {
        const struct checkpoint *c = &list[count];
        _cleanup_free_ char *why = NULL;
        int r;

        if (only ? c->number != only : c->number >= below)
            continue;
        r = try_one(store, name, c, only != 0, host, criu, &why);
        if (r == 0) {
            *ret = (struct selection){
                .number = c->number, .time_realtime = c->time_realtime, .time_boot = c->time_boot};
            return make_argv(store, name, c->number, criu, worker, &ret->argv);
        }
        if (r < 0 || (r = add_excuse(&excuses, name, c->number, why)) < 0)
            return r;
    }
    explain_none(name, only, excuses, reason);
    return SELECT_NONE;
}
