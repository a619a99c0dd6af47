/* stand_in.c - puts into a drill's world what the checkpoint will open there.
 *
 * No program runs in a drill, so content does not matter; CRIU compares type, mode and size. */
#include "worker/stand_in.h"

#include "common/cleanup.h"
#include "worker/bind.h"
#include "worker/world.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#define KDAT "/run/criu.kdat" /* see kdat.h */

/* These start empty (world.c). */
static bool is_empty_folder(const char *path)
{
    return path_is_below(path, "/run") || path_is_below(path, "/dev");
}

static bool is_kernels(const char *path)
{
    return path_is_below(path, "/proc") || path_is_below(path, "/sys");
}

static int give_to(const char *path, const struct stat *st)
{
    if (lchown(path, st->st_uid, st->st_gid) < 0 || chmod(path, st->st_mode & 07777) < 0)
        return -errno;
    return 0;
}

/* The folders above `path`, and itself if it is one, as the host has them. */
static int make_folders(const char *path, int host_fd)
{
    char folder[PATH_MAX];
    const char *end = path;
    struct stat st;
    int r = 0;

    while (*end && r == 0) {
        end += 1 + strcspn(end + 1, "/");
        snprintf(folder, sizeof(folder), "%.*s", (int)(end - path), path);
        if (fstatat(host_fd, folder + 1, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode))
            break;
        if (mkdir(folder, 0700) == 0)
            r = give_to(folder, &st);
        else if (errno != EEXIST)
            r = -errno;
    }
    return r;
}

static int make_file(const struct survey_item *item)
{
    const struct stat st = {.st_mode = item->mode, .st_uid = item->uid, .st_gid = item->gid};
    _cleanup_close_ int fd = -1;

    if (unlink(item->path) < 0 && errno != ENOENT)
        return -errno;
    if (S_ISFIFO(item->mode)) {
        if (mkfifo(item->path, 0600) < 0)
            return -errno;
    } else {
        fd = open(item->path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0 || ftruncate(fd, (off_t)item->size) < 0)
            return -errno;
    }
    return give_to(item->path, &st);
}

/* The host's own file, to be read only. */
static int show_file(const struct survey_item *item, int host_fd)
{
    _cleanup_close_ int fd = bind_clone(host_fd, item->path + 1, false);
    int r = fd < 0 ? fd : make_file(item);

    return r < 0 ? r : bind_attach(fd, item->path);
}

static int place_item(const struct survey_item *item, int host_fd)
{
    bool file = S_ISREG(item->mode), fifo = S_ISFIFO(item->mode);

    if (is_kernels(item->path) || (!file && !fifo))
        return 0;
    if (is_empty_folder(item->path))
        return item->mapped && !item->written ? show_file(item, host_fd) : make_file(item);
    return fifo || item->written ? make_file(item) : 0;
}

/* A socket that takes what the service would send, without ever reading it. */
static int bind_peer(const struct survey_peer *peer)
{
    char path[sizeof(peer->address.sun_path) + 1] = "";
    int fd, r;

    memcpy(path, peer->address.sun_path, peer->size - sizeof(sa_family_t));
    if (path[0] && unlink(path) < 0 && errno != ENOENT)
        return -errno;
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (bind(fd, (const struct sockaddr *)&peer->address, peer->size) == 0)
        return 0; /* open on purpose */
    r = -errno;
    fd_close(fd);
    return r;
}

static int place_kdat(int host_fd)
{
    const struct survey_item kdat = {.path = (char *)KDAT, .mode = S_IFREG | 0600};

    return faccessat(host_fd, &KDAT[1], F_OK, 0) < 0 ? 0 : show_file(&kdat, host_fd);
}

static int failed(struct reason *reason, const char *path, int error)
{
    if (error == -EROFS || error == -EBUSY /* a mount of its own */) {
        reason_set(reason, "", "%s would be opened for writing, and cannot be replaced", path);
        return WORLD_IMPOSSIBLE;
    }
    reason_set(reason, "", "the scratch world: %s: %s", path, strerror(-error));
    return error;
}

int stand_in_all(const struct survey *s, int host_fd, struct reason *reason)
{
    int r;

    for (size_t i = 0; i < s->path_count; i++)
        if (is_empty_folder(s->paths[i]) && (r = make_folders(s->paths[i], host_fd)) < 0)
            return failed(reason, s->paths[i], r);
    for (size_t i = 0; i < s->item_count; i++)
        if ((r = place_item(&s->items[i], host_fd)) < 0)
            return failed(reason, s->items[i].path, r);
    for (size_t i = 0; i < s->peer_count; i++)
        if ((r = bind_peer(&s->peers[i])) < 0)
            return failed(reason, s->peers[i].address.sun_path, r);
    r = place_kdat(host_fd);
    return r < 0 ? failed(reason, KDAT, r) : 0;
}
