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
static int look_at_folder(const struct select_context *context, const char *name, uint64_t number,
                          int fd, struct manifest **ret_manifest, bool *ret_damaged, char **ret_why)
{
    int r;

    r = fd < 0 ? fd : manifest_read(fd, store_keys(context->store), ret_manifest);
    if (r == -ENOENT || r == -EBADMSG || r == -EKEYREJECTED) {
        *ret_damaged = true;
        return asprintf(ret_why, "the manifest of %s@%" PRIu64 " is missing or damaged", name,
                        number) < 0
                   ? -ENOMEM
                   : NOT_RESTORABLE;
    }
    if (r < 0)
        return r;
    r = restorable_images(fd, *ret_manifest, ret_why);
    *ret_damaged = r == NOT_RESTORABLE;
    return r;
}

static int look_at_one(const struct select_context *context, const char *name, uint64_t number,
                       struct manifest **ret_manifest, bool *ret_damaged, char **ret_why)
{
    char path[CHECKPOINT_ID_SIZE];

    snprintf(path, sizeof(path), "%s/%" PRIu64, name, number);
    for (;;) {
        _cleanup_close_ int fd = store_open_image(context->store, name, number);
        int r = look_at_folder(context, name, number, fd, ret_manifest, ret_damaged, ret_why);

        if (r == 0 || fd < 0 || !checkpoint_was_exchanged(store_fd(context->store), path, fd))
            return r;
        *ret_damaged = false;
        free(TAKE_PTR(*ret_why));
        *ret_manifest = manifest_free(TAKE_PTR(*ret_manifest));
    }
}

/* The worker reads it again, and by then a restore by hand has ended what runs. */
static int look_at_keys(const struct select_context *context, char **ret_why)
{
    if (access(context->key_file, R_OK) == 0)
        return 0;
    return asprintf(ret_why, "the store's key file %s: %s", context->key_file, strerror(errno)) < 0
               ? -ENOMEM
               : NOT_RESTORABLE;
}

/* Its parents are whole as far as the store knows; the worker opens all of them and looks at every
 * file before it restores, so nobody who waits for a restore waits for that twice. */
static int look(const struct select_context *context, const char *name, uint64_t number,
                bool *ret_damaged, char **ret_why)
{
    _cleanup_(manifest_freep) struct manifest *m = NULL;
    int r;

    *ret_damaged = false;
    if ((r = look_at_keys(context, ret_why)) != 0 ||
        (r = look_at_one(context, name, number, &m, ret_damaged, ret_why)) != 0)
        return r;
    r = restorable_host(m, context->host, context->criu->version, ret_why);
    return r != 0 ? r : restorable_files(m, m->files_mode, ret_why);
}

/* An error of the system, like too many open files, is a reason like any other, but no damage. */
static int check(const struct select_context *context, const char *name, uint64_t number,
                 bool *ret_damaged, char **ret_why)
{
    int r = look(context, name, number, ret_damaged, ret_why);

    if (r >= 0)
        return r;
    if (asprintf(ret_why, "it cannot be read: %s", strerror(-r)) < 0) {
        *ret_why = NULL;
        return -ENOMEM;
    }
    return NOT_RESTORABLE;
}

int select_why_not(const struct select_context *context, const char *name, uint64_t number,
                   char **ret_why)
{
    char *why = NULL;
    bool damaged;
    int r;

    r = check(context, name, number, &damaged, &why);
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

static int make_argv(const struct select_context *context, const char *name, uint64_t number,
                     char ***ret)
{
    char number_text[24];
    const char *const words[] = {
        context->worker, "restore",
        "--criu",        context->criu->path,
        "--store",       store_path(context->store),
        "--name",        name,
        "--number",      number_text,
        "--keys",        context->key_file,
    };
    _cleanup_strv_ char **argv = NULL;

    snprintf(number_text, sizeof(number_text), "%" PRIu64, number);
    for (size_t i = 0; i < ELEMENTS(words); i++) {
        int r = strv_extend(&argv, words[i]);

        if (r < 0)
            return r;
    }
    *ret = TAKE_PTR(argv);
    return 0;
}

/* 0: this is it. NOT_RESTORABLE: *ret_why. */
static int try_one(const struct select_context *context, const struct select_wish *wish,
                   const struct checkpoint *c, char **ret_why)
{
    bool damaged, by_hand = wish->only != 0;
    int r;

    if (c->state != CHECKPOINT_WHOLE && !(by_hand && c->state == CHECKPOINT_POISONED)) {
        r = store_why(context->store, c, wish->name, ret_why);
        return r < 0 ? r : NOT_RESTORABLE;
    }
    if (c->imported && !by_hand) {
        *ret_why = strdup("it was imported: it is for a restore by hand");
        return *ret_why ? NOT_RESTORABLE : -ENOMEM;
    }
    if (wish->proven_only && !c->proven) {
        *ret_why = strdup("no drill has proven it");
        return *ret_why ? NOT_RESTORABLE : -ENOMEM;
    }
    r = check(context, wish->name, c->number, &damaged, ret_why);
    /* A mark that cannot be written is made again by the next try. */
    if (r == NOT_RESTORABLE && damaged)
        (void)store_mark(context->store, wish->name, c->number, MARK_CORRUPT, *ret_why);
    return r;
}

static void explain_locked(const struct select_context *context, const char *name,
                           struct reason *reason)
{
    reason_set(reason,
               "make it root's, with mode 0600, or name another one by KeyFile= in perdure.ini",
               "no checkpoint of %s can be looked at: the store's key file %s cannot be read", name,
               context->key_file ? context->key_file : "");
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

int select_image(const struct select_context *context, const struct select_wish *wish,
                 struct selection *ret, struct reason *reason)
{
    _cleanup_free_ char *excuses = NULL;
    size_t count;
    const struct checkpoint *list = store_list(context->store, wish->name, &count);

    while (count-- > 0) {
        const struct checkpoint *c = &list[count];
        _cleanup_free_ char *why = NULL;
        int r;

        if (wish->only ? c->number != wish->only : c->number >= wish->below)
            continue;
        r = try_one(context, wish, c, &why);
        if (r == 0) {
            *ret = (struct selection){
                .number = c->number, .time_realtime = c->time_realtime, .time_boot = c->time_boot};
            return make_argv(context, wish->name, c->number, &ret->argv);
        }
        if (r < 0 || (r = add_excuse(&excuses, wish->name, c->number, why)) < 0)
            return r;
    }
    if (store_keys(context->store))
        explain_none(wish->name, wish->only, excuses, reason);
    else
        explain_locked(context, wish->name, reason);
    return SELECT_NONE;
}
