/* checkpoint.c - reads a checkpoint's folder; ids. */
#include "image/checkpoint.h"

#include "common/cleanup.h"
#include "common/dirs.h"
#include "image/layout.h"
#include "image/manifest.h"
#include "image/pack.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

const char *checkpoint_kind(const struct checkpoint *checkpoint)
{
    return checkpoint->parent ? "delta" : "full";
}

int checkpoint_number_parse(const char *text, uint64_t *ret_number)
{
    size_t len = strlen(text);

    /* 18 digits always fit, in JSON's signed integers too. */
    if (len == 0 || len > 18 || strspn(text, "0123456789") != len || text[0] == '0')
        return -EINVAL;
    *ret_number = strtoull(text, NULL, 10);
    return 0;
}

char *checkpoint_id_format(const char *name, uint64_t number, char buf[CHECKPOINT_ID_SIZE])
{
    snprintf(buf, CHECKPOINT_ID_SIZE, "%.*s@%" PRIu64, SERVICE_NAME_MAX, name, number);
    return buf;
}

int checkpoint_id_parse(const char *id, char **ret_name, uint64_t *ret_number)
{
    _cleanup_free_ char *name = NULL;
    const char *at = strrchr(id, '@');
    uint64_t number;
    int r;

    if (!at)
        return -EINVAL;
    r = checkpoint_number_parse(at + 1, &number);
    if (r < 0)
        return r;
    name = strndup(id, (size_t)(at - id));
    if (!name)
        return -ENOMEM;
    if (!service_name_is_valid(name))
        return -EINVAL;
    *ret_name = TAKE_PTR(name);
    *ret_number = number;
    return 0;
}

static void manifest_freep(struct manifest **manifest)
{
    manifest_free(*manifest);
}

/* A folder without a good manifest has only what stat(2) tells. */
static void facts_of_ruin(int fd, struct checkpoint *c)
{
    _cleanup_closedir_ DIR *dir = fdopendir(dup(fd));
    struct dirent *entry;
    struct stat st;

    c->state = CHECKPOINT_CORRUPT;
    if (fstat(fd, &st) == 0)
        c->time_realtime = (uint64_t)st.st_mtime * USEC_PER_SEC;
    while (dir && (entry = readdir(dir)))
        if (fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
            c->bytes += (uint64_t)st.st_blocks * 512;
}

bool checkpoint_was_exchanged(int dirfd, const char *path, int fd)
{
    struct stat held, named;

    return fstat(fd, &held) == 0 && fstatat(dirfd, path, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           (held.st_dev != named.st_dev || held.st_ino != named.st_ino);
}

/* Without the lock of readers (layout.h), so that nobody waits for a re-base. */
static int open_and_read(int service_fd, const char *folder, const struct keys *keys, int *ret_fd,
                         struct manifest **ret)
{
    for (;;) {
        int r;

        fd_close(*ret_fd);
        *ret_fd = openat(service_fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (*ret_fd < 0)
            return -errno;
        r = manifest_read(*ret_fd, keys, ret);
        if (r >= 0 || !checkpoint_was_exchanged(service_fd, folder, *ret_fd))
            return r;
    }
}

static int read_manifest(int service_fd, const char *name, const char *folder, const char *boot_id,
                         const struct keys *keys, struct checkpoint *c)
{
    _cleanup_(manifest_freep) struct manifest *m = NULL;
    _cleanup_close_ int fd = -1;
    int r;

    r = open_and_read(service_fd, folder, keys, &fd, &m);
    if (fd < 0)
        return r;
    if (r == -ENOMEM || r == -EMFILE || r == -ENFILE) /* of ours, not of the checkpoint */
        return r;
    c->foreign = r == -ENOKEY;
    if (r < 0 || strcmp(m->service, name) != 0 || m->number != c->number) {
        facts_of_ruin(fd, c);
        return 0;
    }
    c->time_realtime = m->time_realtime;
    c->time_boot = strcmp(m->boot_id, boot_id) == 0 ? m->time_boot : 0;
    c->frozen_usec = m->frozen_usec;
    c->bytes = m->bytes;
    c->imported = m->imported;
    c->checked_realtime = m->time_realtime; /* hashed at the commit */
    c->parent = m->parent;
    c->pages = m->pages;
    c->packed = pack_is_packed(m);
    c->compressible = pack_is_compressible(m);
    return 0;
}

const char *checkpoint_mark_suffix(enum checkpoint_mark mark)
{
    static const char *const suffixes[MARK_COUNT] = {
        [MARK_POISONED] = LAYOUT_POISONED,     [MARK_CORRUPT] = LAYOUT_CORRUPT,
        [MARK_PINNED] = LAYOUT_PINNED,         [MARK_PROVEN] = LAYOUT_PROVEN,
        [MARK_UNPROVABLE] = LAYOUT_UNPROVABLE, [MARK_CHECKED] = LAYOUT_CHECKED,
    };

    return suffixes[mark];
}

static bool has_mark(int service_fd, uint64_t number, enum checkpoint_mark mark,
                     uint64_t *ret_realtime)
{
    char path[64];
    struct stat st;

    snprintf(path, sizeof(path), "%" PRIu64 "%s", number, checkpoint_mark_suffix(mark));
    if (fstatat(service_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return false;
    *ret_realtime = (uint64_t)st.st_mtime * USEC_PER_SEC;
    return true;
}

/* "N.poisoned" and the like beside "N"; poisoned is a weaker word than corrupt. */
static void read_marks(int service_fd, struct checkpoint *c)
{
    uint64_t when;

    if (has_mark(service_fd, c->number, MARK_POISONED, &when) && c->state == CHECKPOINT_WHOLE)
        c->state = CHECKPOINT_POISONED;
    if (has_mark(service_fd, c->number, MARK_CORRUPT, &when))
        c->state = CHECKPOINT_CORRUPT;
    c->pinned = has_mark(service_fd, c->number, MARK_PINNED, &when);
    c->proven = has_mark(service_fd, c->number, MARK_PROVEN, &when);
    c->unprovable = !c->proven && has_mark(service_fd, c->number, MARK_UNPROVABLE, &when);
    if (has_mark(service_fd, c->number, MARK_CHECKED, &when) && when > c->checked_realtime)
        c->checked_realtime = when;
}

int checkpoint_read(int service_fd, const char *name, const char *folder, const char *boot_id,
                    const struct keys *keys, struct checkpoint *ret)
{
    struct checkpoint c = {};
    int r;

    r = checkpoint_number_parse(folder, &c.number);
    if (r < 0 || (r = read_manifest(service_fd, name, folder, boot_id, keys, &c)) < 0)
        return r;
    read_marks(service_fd, &c);
    *ret = c;
    return 0;
}
