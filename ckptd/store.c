/* store.c - the checkpoints on disk, and the short list of them in memory. */
#include "ckptd/store.h"

#include "ckptd/retention.h"
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

#define WHY_MAX 4096

struct service {
    char *name;
    uint64_t last_number; /* highest ever given out, as far as known */
    struct checkpoint *list;
    size_t count;
};

struct store {
    char *path;
    int fd;
    char boot_id[BOOT_ID_LEN + 1];
    struct service *services; /* in the order of their names */
    size_t count;
};

static void store_freep(struct store **store)
{
    store_free(*store);
}

/* ---- the list in memory ---- */

static struct service *find_service(const struct store *store, const char *name)
{
    for (size_t i = 0; i < store->count; i++)
        if (strcmp(store->services[i].name, name) == 0)
            return &store->services[i];
    return NULL;
}

static int add_service(struct store *store, const char *name, struct service **ret)
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

static struct checkpoint *find_checkpoint(const struct service *service, uint64_t number)
{
    for (size_t i = 0; service && i < service->count; i++)
        if (service->list[i].number == number)
            return &service->list[i];
    return NULL;
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
    const struct service *service = find_service(store, name);

    *ret_count = service ? service->count : 0;
    return service ? service->list : NULL;
}

const struct checkpoint *store_find(const struct store *store, const char *name, uint64_t number)
{
    return find_checkpoint(find_service(store, name), number);
}

const struct checkpoint *store_newest(const struct store *store, const char *name)
{
    size_t count;
    const struct checkpoint *list = store_list(store, name, &count);

    while (count-- > 0)
        if (list[count].state == CHECKPOINT_WHOLE)
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
    r = checkpoint_read(service_fd, service->name, entry, store->boot_id, &c);
    if (r == -ENOTDIR || r == -ELOOP)
        return 0;
    if (r < 0)
        return r;
    service->last_number = max_of(service->last_number, number);
    return append(service, &c);
}

int store_reload(struct store *store, const char *name)
{
    struct service *service = find_service(store, name);
    _cleanup_closedir_ DIR *dir = NULL;
    struct dirent *entry;
    int fd, r;

    fd = openat(store->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return -ENOMEM;
    }
    if (!service && (r = add_service(store, name, &service)) < 0)
        return r;
    service->count = 0;
    service->last_number = read_counter(fd);
    while ((entry = readdir(dir))) {
        r = read_entry(store, fd, entry->d_name, service);
        if (r < 0)
            return r;
    }
    if (service->count > 0)
        qsort(service->list, service->count, sizeof(*service->list), by_number);
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

int store_open(const char *state_dir, struct store **ret)
{
    _cleanup_(store_freep) struct store *store = NULL;
    int r;

    store = calloc(1, sizeof(*store));
    if (!store)
        return -ENOMEM;
    store->fd = -1;
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

struct store *store_free(struct store *store)
{
    if (!store)
        return NULL;
    for (size_t i = 0; i < store->count; i++) {
        free(store->services[i].name);
        free(store->services[i].list);
    }
    free(store->services);
    free(store->path);
    fd_close(store->fd);
    free(store);
    return NULL;
}

/* ---- changes ---- */

int store_begin(struct store *store, const char *name, uint64_t *ret_number)
{
    struct service *service;
    char path[SERVICE_NAME_MAX + sizeof("/" LAYOUT_COUNTER)], text[32];
    int r;

    if (mkdirat(store->fd, name, 0700) == 0)
        r = fs_sync_dir(store->fd, NULL);
    else
        r = errno == EEXIST ? 0 : -errno;
    if (r < 0)
        return r;
    service = find_service(store, name);
    if (!service && (r = add_service(store, name, &service)) < 0)
        return r;
    snprintf(path, sizeof(path), "%s/" LAYOUT_COUNTER, name);
    snprintf(text, sizeof(text), "%" PRIu64 "\n", service->last_number + 1);
    r = fs_replace(store->fd, path, text, strlen(text), 0600);
    if (r < 0)
        return r;
    *ret_number = ++service->last_number;
    return 0;
}

/* "NAME/N" + suffix, as seen from the store's folder. */
static char *entry_path(const char *name, uint64_t number, const char *suffix)
{
    char *path;

    return asprintf(&path, "%s/%" PRIu64 "%s", name, number, suffix) < 0 ? NULL : path;
}

int store_mark(struct store *store, const char *name, uint64_t number, enum checkpoint_state state,
               const char *why)
{
    struct checkpoint *c = find_checkpoint(find_service(store, name), number);
    _cleanup_free_ char *path = NULL;
    int r;

    if (!c)
        return -ENOENT;
    path =
        entry_path(name, number, state == CHECKPOINT_POISONED ? LAYOUT_POISONED : LAYOUT_CORRUPT);
    if (!path)
        return -ENOMEM;
    /* In memory first: it is not offered again by this daemon even when the disk is full. */
    if (c->state != CHECKPOINT_CORRUPT)
        c->state = state;
    r = fs_replace(store->fd, path, why, strnlen(why, WHY_MAX), 0600);
    return r;
}

int store_why(const struct store *store, const struct checkpoint *checkpoint, const char *name,
              char **ret_why)
{
    bool poisoned = checkpoint->state == CHECKPOINT_POISONED;
    _cleanup_free_ char *path = NULL, *why = NULL;

    path = entry_path(name, checkpoint->number, poisoned ? LAYOUT_POISONED : LAYOUT_CORRUPT);
    if (!path)
        return -ENOMEM;
    if (fs_read(store->fd, path, WHY_MAX, &why, NULL) < 0) {
        why = strdup(poisoned ? "poisoned" : MANIFEST_FILE " is missing or damaged");
        if (!why)
            return -ENOMEM;
    }
    why[strcspn(why, "\n")] = '\0';
    *ret_why = TAKE_PTR(why);
    return 0;
}

/* The same of the folder in which a dump is made, and which a removed checkpoint becomes. */
static char *staging_entry(const char *name, uint64_t number)
{
    char *path;

    return asprintf(&path, "%s/" LAYOUT_STAGING "%" PRIu64, name, number) < 0 ? NULL : path;
}

int store_sweep(struct store *store, const char *name, uint64_t number)
{
    static const char *const marks[] = {LAYOUT_POISONED, LAYOUT_CORRUPT};
    _cleanup_free_ char *staging = NULL;

    /* The folder last: as long as it is there, an interrupted sweep is done again. */
    for (size_t i = 0; i < ELEMENTS(marks); i++) {
        _cleanup_free_ char *mark = entry_path(name, number, marks[i]);
        int r = mark ? fs_remove_all(store->fd, mark) : -ENOMEM;

        if (r < 0)
            return r;
    }
    staging = staging_entry(name, number);
    return staging ? fs_remove_all(store->fd, staging) : -ENOMEM;
}

int store_remove(struct store *store, const char *name, uint64_t number)
{
    struct service *service = find_service(store, name);
    struct checkpoint *c = find_checkpoint(service, number);
    _cleanup_free_ char *path = NULL, *staging = NULL;

    if (!c)
        return -ENOENT;
    path = entry_path(name, number, "");
    staging = staging_entry(name, number);
    if (!path || !staging)
        return -ENOMEM;
    if (renameat(store->fd, path, store->fd, staging) < 0 && errno != ENOENT)
        return -errno;
    memmove(c, c + 1, (size_t)(&service->list[service->count] - (c + 1)) * sizeof(*c));
    service->count--;
    return store_sweep(store, name, number);
}

int store_prune(struct store *store, const char *name, uint32_t keep)
{
    for (;;) {
        size_t count;
        const struct checkpoint *list = store_list(store, name, &count);
        size_t surplus = retention_surplus(list, count, keep);
        int r;

        if (surplus == RETENTION_NONE)
            return 0;
        r = store_remove(store, name, list[surplus].number);
        if (r < 0)
            return r;
    }
}

char *store_image_path(const struct store *store, const char *name, uint64_t number)
{
    char *path;

    return asprintf(&path, "%s/%s/%" PRIu64, store->path, name, number) < 0 ? NULL : path;
}

int store_open_image(const struct store *store, const char *name, uint64_t number)
{
    _cleanup_free_ char *path = entry_path(name, number, "");
    int fd;

    if (!path)
        return -ENOMEM;
    fd = openat(store->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    return fd < 0 ? -errno : fd;
}
