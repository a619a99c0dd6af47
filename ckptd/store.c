/* store.c - the checkpoints on disk, and the short list of them in memory. */
#include "ckptd/store_state.h"

#include "common/cleanup.h"
#include "common/dirs.h"
#include "common/fs.h"
#include "image/layout.h"
#include "image/manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

static void store_freep(struct store **store)
{
    store_free(*store);
}

/* ---- the list in memory ---- */

struct service *service_find(const struct store *store, const char *name)
{
    for (size_t i = 0; i < store->count; i++)
        if (strcmp(store->services[i].name, name) == 0)
            return &store->services[i];
    return NULL;
}

int service_add(struct store *store, const char *name, struct service **ret)
{
    struct service *more;
    size_t at = 0;
    char *copy;

    more = realloc(store->services, (store->count + 1) * sizeof(*more));
    if (!more)
        return -ENOMEM;
    store->services = more;
    copy = strdup(name);
    if (!copy)
        return -ENOMEM;
    while (at < store->count && strcmp(more[at].name, name) < 0)
        at++;
    memmove(&more[at + 1], &more[at], (store->count - at) * sizeof(*more));
    more[at] = (struct service){.name = copy};
    store->count++;
    *ret = &more[at];
    return 0;
}

struct checkpoint *service_checkpoint(const struct service *service, uint64_t number)
{
    for (size_t i = 0; service && i < service->count; i++)
        if (service->list[i].number == number)
            return &service->list[i];
    return NULL;
}

static const struct checkpoint *parent_of(const struct service *service, const struct checkpoint *c)
{
    /* Parents are older; a number that is not is of no checkpoint of ours. */
    return c->parent < c->number ? service_checkpoint(service, c->parent) : NULL;
}

void service_find_orphans(struct service *service)
{
    for (size_t i = 0; i < service->count; i++) { /* parents come first */
        struct checkpoint *c = &service->list[i];
        const struct checkpoint *parent = c->parent ? parent_of(service, c) : NULL;

        if (c->parent && (!parent || parent->state == CHECKPOINT_CORRUPT))
            c->state = CHECKPOINT_CORRUPT;
        c->foreign |= parent && parent->foreign;
    }
}

static int by_number(const void *a, const void *b)
{
    const struct checkpoint *x = a, *y = b;

    return x->number < y->number ? -1 : x->number > y->number;
}

const char *store_path(const struct store *store)
{
    return store->path;
}

int store_fd(const struct store *store)
{
    return store->fd;
}

const char *store_service(const struct store *store, size_t index)
{
    return index < store->count ? store->services[index].name : NULL;
}

const struct checkpoint *store_list(const struct store *store, const char *name, size_t *ret_count)
{
    const struct service *service = service_find(store, name);

    *ret_count = service ? service->count : 0;
    return service ? service->list : NULL;
}

const struct checkpoint *store_find(const struct store *store, const char *name, uint64_t number)
{
    return service_checkpoint(service_find(store, name), number);
}

const struct checkpoint *store_newest(const struct store *store, const char *name)
{
    size_t count;
    const struct checkpoint *list = store_list(store, name, &count);

    while (count-- > 0)
        if (list[count].state == CHECKPOINT_WHOLE && !list[count].imported)
            return &list[count];
    return NULL;
}

/* ---- reading a folder ---- */

static uint64_t max_of(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static int append(struct service *service, const struct checkpoint *c)
{
    struct checkpoint *more = realloc(service->list, (service->count + 1) * sizeof(*more));

    if (!more)
        return -ENOMEM;
    more[service->count++] = *c;
    service->list = more;
    return 0;
}

/* The counter, or what the folders tell when it is gone. */
static uint64_t read_counter(int service_fd)
{
    _cleanup_free_ char *text = NULL;
    uint64_t number;

    if (fs_read(service_fd, LAYOUT_COUNTER, 64, &text, NULL) < 0)
        return 0;
    text[strcspn(text, "\n")] = '\0';
    return checkpoint_number_parse(text, &number) < 0 ? 0 : number;
}

/* Reads one entry of a service's folder; what is no checkpoint is passed over. */
static int read_entry(const struct store *store, int service_fd, const char *entry,
                      struct service *service)
{
    size_t staging = strlen(LAYOUT_STAGING);
    struct checkpoint c;
    uint64_t number;
    int r;

    if (checkpoint_number_parse(entry, &number) < 0) {
        if (strncmp(entry, LAYOUT_STAGING, staging) == 0 &&
            checkpoint_number_parse(entry + staging, &number) == 0)
            service->last_number = max_of(service->last_number, number);
        return 0;
    }
    if (!store->keys) {
        /* Nothing can be told from what is not authentic; but its number was given out. */
        service->last_number = max_of(service->last_number, number);
        return 0;
    }
    r = checkpoint_read(service_fd, service->name, entry, store->boot_id, store->keys, &c);
    if (r == -ENOTDIR || r == -ELOOP)
        return 0;
    if (r < 0)
        return r;
    service->last_number = max_of(service->last_number, number);
    return append(service, &c);
}

/* Into `fresh`, which is empty but for the service's name. */
static int read_folder(const struct store *store, const char *name, struct service *fresh)
{
    _cleanup_closedir_ DIR *dir = NULL;
    struct dirent *entry;
    int fd;

    fd = openat(store->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return -ENOMEM;
    }
    fresh->last_number = read_counter(fd);
    while ((entry = readdir(dir))) {
        int r = read_entry(store, fd, entry->d_name, fresh);

        if (r < 0)
            return r;
    }
    if (fresh->count > 0)
        qsort(fresh->list, fresh->count, sizeof(*fresh->list), by_number);
    service_find_orphans(fresh);
    return 0;
}

/* All or nothing: half a list would show parents without their children, and these would go. */
int store_reload(struct store *store, const char *name)
{
    struct service fresh = {.name = (char *)name}, *service;
    int r = read_folder(store, name, &fresh);

    service = service_find(store, name);
    if (r < 0 || (!service && (r = service_add(store, name, &service)) < 0)) {
        free(fresh.list);
        return r;
    }
    free(service->list);
    service->list = fresh.list;
    service->count = fresh.count;
    /* Also what this daemon has given out: a number never comes twice, whatever is gone. */
    service->last_number = max_of(service->last_number, fresh.last_number);
    return 0;
}

static int read_all(struct store *store)
{
    _cleanup_closedir_ DIR *dir = NULL;
    struct dirent *entry;
    int fd;

    fd = openat(store->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return -ENOMEM;
    }
    while ((entry = readdir(dir))) {
        int r;

        if (!service_name_is_valid(entry->d_name))
            continue;
        r = store_reload(store, entry->d_name);
        if (r < 0 && r != -ENOTDIR && r != -ELOOP)
            return r;
    }
    return 0;
}

int store_open(const char *state_dir, const struct keys *keys, struct store **ret)
{
    _cleanup_(store_freep) struct store *store = NULL;
    int r;

    store = calloc(1, sizeof(*store));
    if (!store)
        return -ENOMEM;
    store->fd = -1;
    store->keys = keys;
    store->path = fs_join(state_dir, DIRS_CHECKPOINTS);
    if (!store->path)
        return -ENOMEM;
    r = fs_mkdir_all(store->path, 0700);
    if (r < 0 || (r = proc_boot_id(store->boot_id)) < 0)
        return r;
    store->fd = open(store->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (store->fd < 0)
        return -errno;
    r = read_all(store);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(store);
    return 0;
}

int store_unlock(struct store *store, struct keys *keys)
{
    keys_free(store->own_keys);
    store->keys = store->own_keys = keys;
    return read_all(store);
}

const struct keys *store_keys(const struct store *store)
{
    return store->keys;
}

struct store *store_free(struct store *store)
{
    if (!store)
        return NULL;
    for (size_t i = 0; i < store->count; i++) {
        free(store->services[i].name);
        free(store->services[i].list);
    }
    free(store->services);
    keys_free(store->own_keys);
    free(store->path);
    fd_close(store->fd);
    free(store);
    return NULL;
}

/* ---- one folder ---- */

char *service_entry(const char *name, uint64_t number, const char *suffix)
{
    char *path;

    return asprintf(&path, "%s/%" PRIu64 "%s", name, number, suffix) < 0 ? NULL : path;
}

char *store_image_path(const struct store *store, const char *name, uint64_t number)
{
    char *path;

    return asprintf(&path, "%s/%s/%" PRIu64, store->path, name, number) < 0 ? NULL : path;
}

int store_open_image(const struct store *store, const char *name, uint64_t number)
{
    _cleanup_free_ char *path = service_entry(name, number, "");
    int fd;

    if (!path)
        return -ENOMEM;
    fd = openat(store->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    return fd < 0 ? -errno : fd;
}

/* ---- what became of one ---- */

int store_mark_text(const struct store *store, const char *name, uint64_t number,
                    enum checkpoint_mark mark, char **ret_text)
{
    _cleanup_free_ char *path = service_entry(name, number, checkpoint_mark_suffix(mark));
    _cleanup_free_ char *text = NULL;
    int r;

    if (!path)
        return -ENOMEM;
    r = fs_read(store->fd, path, STORE_WHY_MAX, &text, NULL);
    if (r < 0)
        return r;
    text[strcspn(text, "\n")] = '\0';
    *ret_text = TAKE_PTR(text);
    return 0;
}

/* Without a mark there are three ways to be corrupt: by its key, its parent, or its manifest. */
static int why_unmarked(const struct service *service, const struct checkpoint *c, char **ret_why)
{
    const struct checkpoint *parent = parent_of(service, c);
    int r;

    if (c->state == CHECKPOINT_POISONED)
        r = asprintf(ret_why, "poisoned");
    else if (c->foreign)
        r = asprintf(ret_why, "it is sealed with a key that is not in the key file");
    else if (c->foreign)
        r = asprintf(ret_why, "it was sealed with a key that is not in the key file: put the old "
                              "key back");
    else if (c->parent)
        r = asprintf(ret_why, "its parent %s@%" PRIu64 " is %s", service->name, c->parent,
                     parent ? "corrupt" : "missing");
    else
        r = asprintf(ret_why, MANIFEST_FILE " is missing or damaged");
    return r < 0 ? -ENOMEM : 0;
}

int store_why(const struct store *store, const struct checkpoint *checkpoint, const char *name,
              char **ret_why)
{
    const struct service *service = service_find(store, name);
    bool poisoned = checkpoint->state == CHECKPOINT_POISONED;
    int r;

    if (!service)
        return -ENOENT;
    r = store_mark_text(store, name, checkpoint->number, poisoned ? MARK_POISONED : MARK_CORRUPT,
                        ret_why);
    return r == -ENOENT ? why_unmarked(service, checkpoint, ret_why) : r;
}
