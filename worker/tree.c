/* tree.c - walks /proc from a process down. */
#include "worker/tree.h"

#include "common/cleanup.h"
#include "common/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>

void tree_comm(pid_t pid, char ret[TREE_COMM_SIZE])
{
    _cleanup_free_ char *comm = NULL;
    char path[32];

    snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
    if (fs_read(AT_FDCWD, path, 64, &comm, NULL) < 0)
        comm = NULL;
    snprintf(ret, TREE_COMM_SIZE, "%.*s", comm ? (int)strcspn(comm, "\n") : 1, comm ? comm : "?");
}

/* ---- the tree ---- */

struct pids {
    pid_t *list;
    size_t count;
};

static int add_pid(struct pids *pids, pid_t pid)
{
    pid_t *more = reallocarray(pids->list, pids->count + 1, sizeof(*more));

    if (!more)
        return -ENOMEM;
    pids->list = more;
    more[pids->count++] = pid;
    return 0;
}

static int add_children_of_thread(struct pids *pids, pid_t pid, const char *thread)
{
    _cleanup_free_ char *data = NULL;
    char path[64], *end;
    int r;

    snprintf(path, sizeof(path), "/proc/%d/task/%.16s/children", (int)pid, thread);
    if (fs_read(AT_FDCWD, path, 1 << 20, &data, NULL) < 0)
        return 0; /* ended meanwhile */
    for (char *p = data; *p; p = end) {
        long child = strtol(p, &end, 10);

        if (end == p)
            break;
        r = add_pid(pids, (pid_t)child);
        if (r < 0)
            return r;
    }
    return 0;
}

/* children(5) is kept per thread: the one that forked. */
static int add_children(struct pids *pids, pid_t pid)
{
    _cleanup_closedir_ DIR *dir = NULL;
    struct dirent *entry;
    char path[32];
    int r = 0;

    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    dir = opendir(path);
    while (dir && r == 0 && (entry = readdir(dir)))
        if (entry->d_name[0] != '.')
            r = add_children_of_thread(pids, pid, entry->d_name);
    return r;
}

int tree_pids(pid_t root, pid_t **ret_pids, size_t *ret_count)
{
    struct pids pids = {0};
    int r;

    r = add_pid(&pids, root);
    for (size_t i = 0; r == 0 && i < pids.count; i++)
        r = add_children(&pids, pids.list[i]);
    if (r < 0) {
        free(pids.list);
        return r;
    }
    *ret_pids = pids.list;
    *ret_count = pids.count;
    return 0;
}

/* ---- pipes ---- */

static bool holds_pipe(pid_t pid, const char *target)
{
    _cleanup_closedir_ DIR *dir = NULL;
    struct dirent *entry;
    char path[32], link[64];

    snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    dir = opendir(path);
    while (dir && (entry = readdir(dir))) {
        ssize_t n = readlinkat(dirfd(dir), entry->d_name, link, sizeof(link) - 1);

        if (n <= 0)
            continue;
        link[n] = '\0';
        if (strcmp(link, target) == 0)
            return true;
    }
    return false;
}

static bool is_member(const pid_t *pids, size_t count, pid_t pid)
{
    for (size_t i = 0; i < count; i++)
        if (pids[i] == pid)
            return true;
    return false;
}

int tree_pipe_peer(uint32_t inode, pid_t root, pid_t *ret_pid)
{
    _cleanup_free_ pid_t *tree = NULL;
    _cleanup_closedir_ DIR *proc = NULL;
    struct dirent *entry;
    char target[32];
    size_t count;
    int r;

    r = tree_pids(root, &tree, &count);
    if (r < 0)
        return r;
    snprintf(target, sizeof(target), "pipe:[%u]", inode);
    proc = opendir("/proc");
    if (!proc)
        return -errno;
    while ((entry = readdir(proc))) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

        if (pid <= 0 || is_member(tree, count, pid) || !holds_pipe(pid, target))
            continue;
        *ret_pid = pid;
        return 1;
    }
    return 0;
}

/* ---- numbers ---- */

/* proc_pid_stat(5): fields 3 (state), 5 (process group) and 6 (session). */
static bool uses_number(pid_t pid, pid_t number)
{
    _cleanup_free_ char *data = NULL;
    char path[32], state;
    int group, session;
    const char *p;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    if (fs_read(AT_FDCWD, path, 4096, &data, NULL) < 0)
        return false;
    p = strrchr(data, ')');
    return p && sscanf(p + 1, " %c %*d %d %d", &state, &group, &session) == 3 && state != 'Z' &&
           state != 'X' && (pid == number || group == number || session == number);
}

int tree_number_holder(pid_t number, pid_t *ret_holder)
{
    _cleanup_closedir_ DIR *proc = NULL;
    struct dirent *entry;

    /* Found by its number even where that is a thread's, which readdir(3) does not show. */
    if (uses_number(number, number)) {
        *ret_holder = number;
        return 1;
    }
    proc = opendir("/proc");
    if (!proc)
        return -errno;
    while ((entry = readdir(proc))) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

        if (pid <= 0 || !uses_number(pid, number))
            continue;
        *ret_holder = pid;
        return 1;
    }
    return 0;
}
