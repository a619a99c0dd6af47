/* disk.c - remembers what of a folder is synced, and takes back the rest. */
#include "tests/programs/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_OPEN = 16 };

/* A file as it was when all of it was on the disk. */
struct synced {
    ino_t inode;
    off_t size;
    struct timespec mtime;
};

/* A change of a folder's entries that the process has made. */
struct entry {
    enum call_kind kind;
    char *path, *other;
    char *kept; /* another link to what was removed or replaced */
    ino_t folder, other_folder;
    mode_t mode; /* of a removed folder */
    bool synced, undone;
};

static char *folder, *attic; /* beside the folder: kept links */
static struct synced *files;
static size_t file_count;
static struct entry *entries;
static size_t entry_count, journal; /* entries that a journal has, because of some later sync */
static unsigned kept_count;

/* ---- files ---- */

static void forget_file(ino_t inode)
{
    for (size_t i = 0; i < file_count; i++)
        if (files[i].inode == inode)
            files[i--] = files[--file_count];
}

static bool note_file(const struct stat *st)
{
    struct synced *more = reallocarray(files, file_count + 1, sizeof(*more));

    if (!more)
        return false;
    files = more;
    files[file_count++] = (struct synced){st->st_ino, st->st_size, st->st_mtim};
    return true;
}

static bool is_synced(const struct stat *st)
{
    for (size_t i = 0; i < file_count; i++)
        if (files[i].inode == st->st_ino && files[i].size == st->st_size &&
            files[i].mtime.tv_sec == st->st_mtim.tv_sec &&
            files[i].mtime.tv_nsec == st->st_mtim.tv_nsec)
            return true;
    return false;
}

static int note_existing(const char *path, const struct stat *st, int type, struct FTW *where)
{
    return type == FTW_F && !note_file(st) ? -1 : 0;
}

bool disk_init(const char *path)
{
    folder = strdup(path);
    if (!folder || asprintf(&attic, "%s.attic", path) < 0)
        return false;
    return mkdir(attic, 0700) == 0 && nftw(folder, note_existing, MAX_OPEN, FTW_PHYS) == 0;
}

/* ---- entries ---- */

static ino_t inode_of_folder(const char *path)
{
    char parent[PATH_MAX], *slash;
    struct stat st;

    snprintf(parent, sizeof(parent), "%s", path);
    slash = strrchr(parent, '/');
    if (slash)
        *slash = '\0';
    return stat(parent, &st) == 0 ? st.st_ino : 0;
}

static char *keep(const char *path)
{
    char *kept;

    if (asprintf(&kept, "%s/%u", attic, kept_count++) < 0)
        return NULL;
    if (linkat(AT_FDCWD, path, AT_FDCWD, kept, 0) == 0)
        return kept;
    free(kept);
    return NULL;
}

static bool changes_entries(const struct call *call)
{
    struct stat st;

    if (call->kind == CALL_OPEN)
        return lstat(call->path, &st) < 0 && errno == ENOENT;
    return call->kind >= CALL_MKDIR;
}

struct entry *disk_before(const struct call *call)
{
    struct entry *entry;
    struct stat st;

    if (!changes_entries(call))
        return NULL;
    entry = calloc(1, sizeof(*entry));
    if (!entry)
        abort();
    *entry = (struct entry){
        .kind = call->kind,
        .path = strdup(call->path),
        .other = strdup(call->other),
        .folder = inode_of_folder(call->path),
        .other_folder = call->other[0] ? inode_of_folder(call->other) : 0,
    };
    if (!entry->path || !entry->other)
        abort();
    if (call->kind == CALL_UNLINK)
        entry->kept = keep(call->path);
    if (call->kind == CALL_RENAME)
        entry->kept = keep(call->other);
    if (call->kind == CALL_RMDIR && lstat(call->path, &st) == 0)
        entry->mode = st.st_mode & 07777;
    return entry;
}

static void take(struct entry *entry)
{
    struct entry *more = reallocarray(entries, entry_count + 1, sizeof(*more));

    if (!more)
        abort();
    entries = more;
    entries[entry_count++] = *entry;
    free(entry);
}

static void drop(struct entry *entry)
{
    if (entry->kept)
        (void)unlink(entry->kept);
    free(entry->kept);
    free(entry->path);
    free(entry->other);
    free(entry);
}

static void on_sync(const struct stat *st)
{
    journal = entry_count;
    if (S_ISREG(st->st_mode) && !note_file(st))
        abort();
    for (size_t i = 0; S_ISDIR(st->st_mode) && i < entry_count; i++)
        if (entries[i].folder == st->st_ino || entries[i].other_folder == st->st_ino)
            entries[i].synced = true;
}

void disk_after(pid_t pid, const struct call *call, struct entry *entry, long result)
{
    char link[64];
    struct stat st;

    if (entry && result >= 0)
        take(entry);
    else if (entry)
        drop(entry);
    else if (call->kind == CALL_OPEN && result >= 0 && stat(call->path, &st) == 0)
        forget_file(st.st_ino);
    snprintf(link, sizeof(link), "/proc/%d/fd/%d", (int)pid, call->fd);
    if (call->fd < 0 || stat(link, &st) < 0)
        return;
    if (call->kind == CALL_SYNC && result == 0)
        on_sync(&st);
    else if (call->kind != CALL_SYNC)
        forget_file(st.st_ino);
}

/* ---- the loss of entries ---- */

static int remove_any(const char *path, const struct stat *st, int type, struct FTW *where)
{
    return remove(path);
}

/* Where a path of then is now, given the renames since that stay. */
static void follow(size_t since, char path[PATH_MAX])
{
    for (size_t i = since + 1; i < entry_count; i++) {
        const struct entry *e = &entries[i];
        const char *ends[2] = {e->path, e->other};
        int both = e->kind == CALL_EXCHANGE ? 2 : e->kind == CALL_RENAME ? 1 : 0;

        for (int way = 0; !e->undone && way < both; way++) {
            size_t len = strlen(ends[way]);
            char rest[PATH_MAX];

            if (strncmp(path, ends[way], len) != 0 || (path[len] && path[len] != '/'))
                continue;
            snprintf(rest, sizeof(rest), "%s", path + len);
            if (snprintf(path, PATH_MAX, "%s%s", ends[!way], rest) >= PATH_MAX)
                abort();
            break;
        }
    }
}

static void put_back(const struct entry *e, const char *path)
{
    if (e->kept && linkat(AT_FDCWD, e->kept, AT_FDCWD, path, 0) < 0 && errno != ENOENT)
        perror(path);
}

/* Where something was undone above it, it may not be possible any more; then it is gone. */
static void undo(size_t at)
{
    struct entry *e = &entries[at];
    char path[PATH_MAX], other[PATH_MAX];

    snprintf(path, sizeof(path), "%s", e->path);
    snprintf(other, sizeof(other), "%s", e->other);
    follow(at, path);
    follow(at, other);
    e->undone = true;
    switch (e->kind) {
    case CALL_OPEN:
    case CALL_LINK:
        (void)unlink(path);
        break;
    case CALL_MKDIR:
        (void)nftw(path, remove_any, MAX_OPEN, FTW_DEPTH | FTW_PHYS);
        break;
    case CALL_RENAME:
        if (rename(other, path) == 0)
            put_back(e, other);
        break;
    case CALL_EXCHANGE:
        (void)renameat2(AT_FDCWD, path, AT_FDCWD, other, RENAME_EXCHANGE);
        break;
    case CALL_UNLINK:
        put_back(e, path);
        break;
    case CALL_RMDIR:
        (void)mkdir(path, e->mode);
        break;
    default:
        break;
    }
}

/* The folder that decides whether an entry is on the disk. */
static ino_t decides(const struct entry *e)
{
    return e->other_folder ? e->other_folder : e->folder;
}

/* Ways to lose entries: none; all that can be; a journal ends at `stay`; each folder for itself. */
static bool is_lost(size_t at, unsigned way, size_t stay, unsigned seed)
{
    switch (way) {
    case 1:
        return !entries[at].synced;
    case 2:
        return at >= stay;
    case 3:
        return !entries[at].synced && (((decides(&entries[at]) * 2654435761u) ^ seed) >> 4 & 1);
    default:
        return false;
    }
}

static unsigned lose_entries(unsigned way, unsigned seed)
{
    size_t open = entry_count > journal ? entry_count - journal : 0;
    size_t stay = journal + seed % (open + 1);
    unsigned count = 0;

    for (size_t i = entry_count; i-- > 0;)
        if (is_lost(i, way, stay, seed)) {
            undo(i);
            count++;
        }
    return count;
}

/* ---- the loss of data ---- */

static unsigned data_way, lost_files;

static void fill(int fd, off_t size, uint64_t state)
{
    uint64_t block[512];

    for (off_t done = 0; done < size; done += (off_t)sizeof(block)) {
        size_t left = (size_t)(size - done);

        for (size_t i = 0; i < 512; i++) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            block[i] = state;
        }
        if (pwrite(fd, block, left < sizeof(block) ? left : sizeof(block), done) < 0)
            return;
    }
}

/* 0: empty. 1: zeros. 2: what was on these blocks before. Its times stay, as the inode's may. */
static int lose_file(const char *path, const struct stat *st, int type, struct FTW *where)
{
    struct timespec times[2] = {st->st_atim, st->st_mtim};
    int fd;

    if (type != FTW_F || is_synced(st))
        return 0;
    fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return 0;
    if (ftruncate(fd, 0) == 0 && data_way > 0 && ftruncate(fd, st->st_size) == 0 && data_way == 2)
        fill(fd, st->st_size, st->st_ino + 1);
    (void)futimens(fd, times);
    close(fd);
    lost_files++;
    return 0;
}

struct disk_loss disk_lose(unsigned round)
{
    unsigned count = lose_entries(round % 4, round / 12 * 2654435761u + round);

    data_way = round / 4 % 3;
    lost_files = 0;
    (void)nftw(folder, lose_file, MAX_OPEN, FTW_PHYS);
    return (struct disk_loss){lost_files, count};
}

void disk_done(void)
{
    (void)nftw(attic, remove_any, MAX_OPEN, FTW_DEPTH | FTW_PHYS);
}
