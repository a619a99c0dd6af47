/* manager_settings.c - what Configure sets: limits, the key file, and the criu program. */
#include "ckptd/manager_state.h"

#include "common/cleanup.h"
#include "common/dirs.h"
#include "common/fs.h"
#include "image/keys.h"

#include <errno.h>
#include <string.h>

/* ---- keys ---- */

/* A lost key makes every image sealed with it worthless, but new ones are better than none. */
static void warn_of_new_keys(const struct manager *manager)
{
    if (store_service(manager->store, 0) && access(manager->key_file, F_OK) < 0)
        log_warning("the store's key file %s is gone: a new one is made; checkpoints from before "
                    "cannot be restored until the old one is put back",
                    manager->key_file);
}

static int open_store(struct manager *manager)
{
    struct keys *keys = NULL;
    int r;

    warn_of_new_keys(manager);
    r = keys_read_or_make(manager->key_file, &keys);
    if (r < 0)
        log_error("the store's key file %s: %s; no checkpoint can be read or made",
                  manager->key_file,
                  r == -EPERM ? "others than root may read it, or it is not root's" : strerror(-r));
    if (r >= 0)
        r = store_unlock(manager->store, keys);
    manager->keys_read = r >= 0;
    return r;
}

/* NULL: the default one. A file that could not be read is read again: it may have been repaired. */
static int use_keys(struct manager *manager, const char *path)
{
    _cleanup_free_ char *wanted = path ? strdup(path) : fs_join(manager->state_dir, DIRS_KEYS);

    if (!wanted)
        return -ENOMEM;
    if (manager->keys_read && strcmp(manager->key_file, wanted) == 0)
        return 0;
    free(manager->key_file);
    manager->key_file = TAKE_PTR(wanted);
    return open_store(manager);
}

int manager_rotate_key(struct manager *manager, char ret_id[KEYS_ID_SIZE])
{
    int r = keys_rotate(manager->key_file, ret_id);

    return r < 0 ? r : open_store(manager);
}

/* ---- criu ---- */

static bool same_text(const char *a, const char *b)
{
    return (!a && !b) || (a && b && strcmp(a, b) == 0);
}

static int test_criu(struct manager *manager, const char *criu)
{
    _cleanup_free_ char *copy = NULL;

    if (manager->probe && same_text(manager->criu, criu))
        return 0;
    if (criu && !(copy = strdup(criu)))
        return -ENOMEM;
    free(manager->criu);
    manager->criu = TAKE_PTR(copy);
    manager->probe = probe_free(manager->probe);
    return probe_start(manager->event, manager->store, manager->worker, manager->criu,
                       &manager->host, manager_on_criu_known, manager, &manager->probe);
}

/* ---- all of them ---- */

static const char *or_null(const char *text)
{
    return text && text[0] ? text : NULL;
}

int manager_configure(struct manager *manager, const struct manager_settings *settings)
{
    int r, known;

    manager->reserve = settings->reserve;
    manager->max_bytes = settings->max_bytes;
    manager->scrub_usec = settings->scrub_usec;
    r = use_keys(manager, or_null(settings->key_file));
    /* Without keys, too: a service that has died waits until it is known what can be restored. */
    known = test_criu(manager, or_null(settings->criu));
    return r < 0 ? r : known;
}
