/* mounts.c - reads /proc/self/mountinfo. */
#include "worker/mounts.h"

#include "common/cleanup.h"
#include "common/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define MOUNTINFO_MAX (64u << 20)

/* "\040" -> " ". */
static void unescape(char *text)
{
    char *to = text;
    unsigned value;

    for (const char *from = text; *from; to++) {
        if (*from == '\\' && sscanf(from + 1, "%3o", &value) == 1) {
            *to = (char)value;
            from += 4;
        } else {
            *to = *from++;
        }
    }
    *to = '\0';
}

static int add_mount(struct mounts *mounts, const char *line)
{
    struct mount m = {.fd = -1}, *more;

    more = reallocarray(mounts->list, mounts->count + 1, sizeof(*more));
    if (!more)
        return -ENOMEM;
    mounts->list = more;
    /* ID PARENT MAJOR:MINOR ROOT PATH ... */
    if (sscanf(line, "%d %*s %*s %*s %ms", &m.id, &m.path) != 2) {
        free(m.path);
        return -EBADMSG;
    }
    unescape(m.path);
    more[mounts->count++] = m;
    return 0;
}

/* Parents have the shorter path; of several on one path, only one is not hidden. */
static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct mount *)a)->path, ((const struct mount *)b)->path);
}

int mounts_read(struct mounts *ret)
{
    _cleanup_(mounts_done) struct mounts mounts = {0};
    _cleanup_free_ char *text = NULL;
    char *rest, *line;
    int r;

    r = fs_read(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX, &text, NULL);
    if (r < 0)
        return r;
    rest = text;
    while ((line = strsep(&rest, "\n")))
        if (*line && (r = add_mount(&mounts, line)) < 0)
            return r;
    if (mounts.count)
        qsort(mounts.list, mounts.count, sizeof(*mounts.list), by_path);
    *ret = mounts;
    mounts = (struct mounts){0};
    return 0;
}

void mounts_done(struct mounts *mounts)
{
    for (size_t i = 0; i < mounts->count; i++) {
        fd_close(mounts->list[i].fd);
        free(mounts->list[i].path);
    }
    free(mounts->list);
    *mounts = (struct mounts){0};
}

int mount_open(struct mount *m)
{
    struct statx stx;

    m->fd = open(m->path, O_PATH | O_CLOEXEC | O_NOFOLLOW);
    if (m->fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? MOUNT_HIDDEN : -errno;
    if (statx(m->fd, "", AT_EMPTY_PATH | AT_NO_AUTOMOUNT, STATX_BASIC_STATS | STATX_MNT_ID, &stx) <
        0)
        return -errno;
    if (!(stx.stx_mask & STATX_MNT_ID))
        return -EOPNOTSUPP;
    if ((int)stx.stx_mnt_id != m->id)
        return MOUNT_HIDDEN;
    m->mode = stx.stx_mode;
    m->uid = stx.stx_uid;
    m->gid = stx.stx_gid;
    return 0;
}
