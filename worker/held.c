/* held.c - collects inodes from /proc/PID/fd and /proc/PID/map_files. */
#include "worker/held.h"

#include "common/cleanup.h"
#include "worker/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

static int compare(const void *a, const void *b)
{
    const struct held_file *x = a, *y = b;

    if (x->device != y->device)
        return x->device < y->device ? -1 : 1;
    return (x->inode > y->inode) - (x->inode < y->inode);
}

static int add(struct held *held, const struct stat *st)
{
    if (held->count % 64 == 0) {
        struct held_file *more = reallocarray(held->files, held->count + 64, sizeof(*more));

        if (!more)
            return -ENOMEM;
        held->files = more;
    }
    held->files[held->count++] = (struct held_file){.device = st->st_dev, .inode = st->st_ino};
    return 0;
}

/* A process that has ended meanwhile holds nothing. */
static int add_folder(struct held *held, pid_t pid, const char *name)
{
    _cleanup_closedir_ DIR *dir = NULL;
    struct dirent *entry;
    struct stat st;
    char path[40];
    int r = 0;

    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    dir = opendir(path);
    while (dir && r == 0 && (entry = readdir(dir)))
        if (entry->d_name[0] != '.' && fstatat(dirfd(dir), entry->d_name, &st, 0) == 0 &&
            S_ISREG(st.st_mode))
            r = add(held, &st);
    return r;
}

int held_read(pid_t root, bool maps, struct held *ret)
{
    _cleanup_(held_done) struct held held = {0};
    _cleanup_free_ pid_t *pids = NULL;
    size_t count;
    int r;

    r = tree_pids(root, &pids, &count);
    for (size_t i = 0; r == 0 && i < count; i++) {
        r = add_folder(&held, pids[i], "fd");
        if (r == 0 && maps)
            r = add_folder(&held, pids[i], "map_files");
    }
    if (r < 0)
        return r;
    if (held.count > 0)
        qsort(held.files, held.count, sizeof(*held.files), compare);
    *ret = held;
    held = (struct held){0};
    return 0;
}

void held_done(struct held *held)
{
    free(held->files);
    *held = (struct held){0};
}

bool held_has(const struct held *held, dev_t device, ino_t inode)
{
    const struct held_file key = {.device = device, .inode = inode};

    return held->count > 0 && bsearch(&key, held->files, held->count, sizeof(key), compare);
}
