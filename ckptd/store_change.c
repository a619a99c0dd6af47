/* store_change.c - what changes the checkpoints on disk: numbers, marks, removal. */
#include "ckptd/store_state.h"

#include "ckptd/retention.h"
#include "common/cleanup.h"
#include "common/dirs.h"
#include "common/fs.h"
#include "image/layout.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

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
    service = service_find(store, name);
    if (!service && (r = service_add(store, name, &service)) < 0)
        return r;
    snprintf(path, sizeof(path), "%s/" LAYOUT_COUNTER, name);
    snprintf(text, sizeof(text), "%" PRIu64 "\n", service->last_number + 1);
    r = fs_replace(store->fd, path, text, strlen(text), 0600);
    if (r < 0)
        return r;
    *ret_number = ++service->last_number;
    return 0;
}

/* ---- marks ---- */

static int remove_mark(struct store *store, const char *name, uint64_t number,
                       enum checkpoint_mark mark)
{
    _cleanup_free_ char *path = service_entry(name, number, checkpoint_mark_suffix(mark));

    return path ? fs_remove_all(store->fd, path) : -ENOMEM;
}

/* What a mark means to the list in memory. */
static void note(struct service *service, struct checkpoint *c, enum checkpoint_mark mark)
{
    switch (mark) {
    case MARK_POISONED:
        if (c->state == CHECKPOINT_WHOLE)
            c->state = CHECKPOINT_POISONED;
        break;
    case MARK_CORRUPT:
        c->state = CHECKPOINT_CORRUPT;
        service_find_orphans(service);
        break;
    case MARK_PINNED:
        c->pinned = true;
        break;
    case MARK_PROVEN:
    case MARK_UNPROVABLE:
        c->proven = mark == MARK_PROVEN;
        c->unprovable = mark == MARK_UNPROVABLE;
        break;
    case MARK_CHECKED:
        c->checked_realtime = now_realtime_usec();
        break;
    case MARK_COUNT:
        break;
    }
}

int store_mark(struct store *store, const char *name, uint64_t number, enum checkpoint_mark mark,
               const char *why)
{
    struct service *service = service_find(store, name);
    struct checkpoint *c = service_checkpoint(service, number);
    _cleanup_free_ char *path = NULL;
    int r = 0;

    if (!c)
        return -ENOENT;
    path = service_entry(name, number, checkpoint_mark_suffix(mark));
    if (!path)
        return -ENOMEM;
    /* In memory first: what is bad is not offered again by this daemon even when the disk is full.
     */
    note(service, c, mark);
    /* The last drill counts; killed between the two, the better word is the one that is gone. */
    if (mark == MARK_UNPROVABLE)
        r = remove_mark(store, name, number, MARK_PROVEN);
    if (r >= 0)
        r = fs_replace(store->fd, path, why, strnlen(why, STORE_WHY_MAX), 0600);
    if (r >= 0 && mark == MARK_PROVEN)
        r = remove_mark(store, name, number, MARK_UNPROVABLE);
    return r;
}

int store_unmark(struct store *store, const char *name, uint64_t number, enum checkpoint_mark mark)
{
    int r;

    if (!store_find(store, name, number))
        return -ENOENT;
    if ((r = remove_mark(store, name, number, mark)) < 0 || (r = fs_sync_dir(store->fd, name)) < 0)
        return r;
    return store_reload(store, name);
}

int store_note_checked(struct store *store, const char *name, uint64_t number)
{
    return store_mark(store, name, number, MARK_CHECKED, "");
}

/* ---- removal ---- */

const char *store_folder_prefix(enum folder_kind kind)
{
    static const char *const prefixes[FOLDER_KINDS] = {
        [FOLDER_STAGING] = LAYOUT_STAGING,
        [FOLDER_REBASE] = LAYOUT_REBASE,
        [FOLDER_UNPACK] = LAYOUT_UNPACK,
    };

    return prefixes[kind];
}

static char *folder_path(const char *name, enum folder_kind kind, uint64_t number)
{
    char *path;

    return asprintf(&path, "%s/%s%" PRIu64, name, store_folder_prefix(kind), number) < 0 ? NULL
                                                                                         : path;
}

int store_sweep(struct store *store, const char *name, enum folder_kind kind, uint64_t number)
{
    _cleanup_free_ char *path = NULL;

    /* The folder last: as long as it is there, an interrupted sweep is done again. */
    for (int mark = 0; kind == FOLDER_STAGING && mark < MARK_COUNT; mark++) {
        int r = remove_mark(store, name, number, (enum checkpoint_mark)mark);

        if (r < 0)
            return r;
    }
    path = folder_path(name, kind, number);
    return path ? fs_remove_all(store->fd, path) : -ENOMEM;
}

int store_sweep_files(struct store *store, const char *name)
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
    while ((entry = readdir(dir))) {
        const char *dot = strrchr(entry->d_name, '.');

        if (dot && strcmp(dot, ".new") == 0 && unlinkat(fd, entry->d_name, 0) < 0 &&
            errno != ENOENT)
            return -errno;
    }
    return 0;
}

/* The lock that says that nobody reads it (layout.h); goes with *ret_fd. -EBUSY: somebody reads it,
 * or another form took its place just now. */
static int lock_for_removal(const struct store *store, const char *path, int *ret_fd)
{
    _cleanup_close_ int fd =
        openat(store->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    struct stat held, named;

    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? -EBUSY : -errno;
    if (fstat(fd, &held) < 0 || fstatat(store->fd, path, &named, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if (held.st_dev != named.st_dev || held.st_ino != named.st_ino)
        return -EBUSY;
    *ret_fd = TAKE_FD(fd);
    return 0;
}

/* Under the lock of N nobody can begin to build on it; who did so before, and has ended since, has
 * left a checkpoint here that is not listed yet. */
static int has_unlisted(const struct store *store, const struct service *service)
{
    _cleanup_closedir_ DIR *dir = NULL;
    struct dirent *entry;
    uint64_t number;
    struct stat st;
    int fd;

    fd = openat(store->fd, service->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return -ENOMEM;
    }
    while (errno = 0, (entry = readdir(dir)))
        if (checkpoint_number_parse(entry->d_name, &number) == 0 &&
            !service_checkpoint(service, number) &&
            fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode))
            return 1;
    return -errno;
}

static bool has_children(const struct service *service, uint64_t number)
{
    for (size_t i = 0; i < service->count; i++)
        if (service->list[i].parent == number)
            return true;
    return false;
}

int store_remove(struct store *store, const char *name, uint64_t number)
{
    struct service *service = service_find(store, name);
    struct checkpoint *c = service_checkpoint(service, number);
    _cleanup_free_ char *path = NULL, *staging = NULL;
    _cleanup_close_ int lock = -1;
    int r;

    if (!c)
        return -ENOENT;
    if (has_children(service, number))
        return -EBUSY;
    path = service_entry(name, number, "");
    staging = folder_path(name, FOLDER_STAGING, number);
    if (!path || !staging)
        return -ENOMEM;
    r = lock_for_removal(store, path, &lock);
    if (r == 0)
        r = has_unlisted(store, service);
    if (r != 0)
        return r < 0 ? r : -EBUSY;
    if (renameat(store->fd, path, store->fd, staging) < 0 && errno != ENOENT)
        return -errno;
    /* Otherwise a power loss could bring the name back without all that is behind it. */
    r = fs_sync_dir(store->fd, name);
    if (r < 0)
        return r;
    memmove(c, c + 1, (size_t)(&service->list[service->count] - (c + 1)) * sizeof(*c));
    service->count--;
    return store_sweep(store, name, FOLDER_STAGING, number);
}

int store_prune(struct store *store, const char *name, const struct retention_rules *rules,
                uint64_t now)
{
    size_t count, surplus;
    const struct checkpoint *list = store_list(store, name, &count);
    _cleanup_free_ bool *wanted = calloc(count + 1, sizeof(*wanted));

    if (!wanted)
        return -ENOMEM;
    retention_wanted(list, count, rules, now, wanted);
    while ((surplus = retention_surplus(list, count, wanted)) != RETENTION_NONE) {
        int r = store_remove(store, name, list[surplus].number);

        if (r == -EBUSY) { /* until the next time */
            wanted[surplus] = true;
            continue;
        }
        if (r < 0)
            return r;
        list = store_list(store, name, &count);
        memmove(&wanted[surplus], &wanted[surplus + 1], (count - surplus) * sizeof(*wanted));
    }
    return 0;
}
