/* keeper_cgroup.c - all processes of one service, by cgroup v2 or by process group. */
#include "supervisord/keeper_cgroup.h"

#include "common/cleanup.h"
#include "common/fs.h"
#include "common/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>

enum {
    DEPTH_MAX = 8,       /* of cgroups that a service makes in its own */
    PROCS_MAX = 8 << 20, /* bytes of a cgroup.procs: a million processes */
};

static bool by_cgroup(const struct family *family)
{
    return family->cgroup[0] != '\0';
}

static int cgroup_file(const char *folder, const char *file, char path[PATH_MAX])
{
    return snprintf(path, PATH_MAX, "%s/%s", folder, file) < PATH_MAX ? 0 : -ENAMETOOLONG;
}

static void remove_tree(const char *folder, int depth)
{
    _cleanup_closedir_ DIR *dir = opendir(folder);
    char path[PATH_MAX];
    struct dirent *entry;

    while (dir && depth > 0 && (entry = readdir(dir)))
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.' &&
            cgroup_file(folder, entry->d_name, path) == 0)
            remove_tree(path, depth - 1);
    (void)rmdir(folder);
}

int family_make(const struct family *family)
{
    if (!by_cgroup(family))
        return 0;
    remove_tree(family->cgroup, DEPTH_MAX);
    return fs_mkdir_all(family->cgroup, 0755);
}

void family_remove(const struct family *family)
{
    char parent[PATH_MAX];
    char *slash;

    if (!by_cgroup(family))
        return;
    remove_tree(family->cgroup, DEPTH_MAX);
    (void)snprintf(parent, sizeof(parent), "%s", family->cgroup);
    slash = strrchr(parent, '/');
    *slash = '\0';
    (void)rmdir(parent); /* refused while another service or anybody else uses it */
}

/* cgroup.events: lines "populated 0|1", "frozen 0|1". */
static bool events_populated(int fd)
{
    char text[256];
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

    if (n <= 0)
        return false;
    text[n] = '\0';
    return strstr(text, "populated 1") != NULL;
}

static int open_events(const struct family *family)
{
    char path[PATH_MAX];
    int fd;

    if (cgroup_file(family->cgroup, "cgroup.events", path) < 0)
        return -ENAMETOOLONG;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

bool family_populated(const struct family *family)
{
    _cleanup_close_ int fd = -1;

    if (!by_cgroup(family))
        return family->leader > 0 && (kill(-family->leader, 0) == 0 || errno == EPERM);
    fd = open_events(family);
    return fd >= 0 && events_populated(fd);
}

int family_kill(const struct family *family)
{
    char path[PATH_MAX];
    int r;

    if (by_cgroup(family)) {
        r = cgroup_file(family->cgroup, "cgroup.kill", path);
        if (r == 0)
            r = fs_write(AT_FDCWD, path, "1");
        return r == -ENOENT || r == -ENODEV ? 0 : r;
    }
    if (family->leader <= 0 || kill(-family->leader, SIGKILL) == 0 || errno == ESRCH)
        return 0;
    return -errno;
}

static int each_in_cgroup(const char *folder, int depth, int (*each)(pid_t pid, void *userdata),
                          void *userdata)
{
    _cleanup_closedir_ DIR *dir = NULL;
    _cleanup_free_ char *procs = NULL;
    char path[PATH_MAX], *next;
    struct dirent *entry;
    int r = 0;

    if (cgroup_file(folder, "cgroup.procs", path) < 0 ||
        fs_read(AT_FDCWD, path, PROCS_MAX, &procs, NULL) < 0)
        return 0;
    for (char *at = procs; *at && r == 0; at = next) {
        long pid = strtol(at, &next, 10);

        if (next == at)
            break;
        if (*next == '\n')
            next++;
        if (pid > 0) /* 0: a process of a pid namespace that we cannot see */
            r = each((pid_t)pid, userdata);
    }
    dir = depth > 0 ? opendir(folder) : NULL;
    while (r == 0 && dir && (entry = readdir(dir)))
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.' &&
            cgroup_file(folder, entry->d_name, path) == 0)
            r = each_in_cgroup(path, depth - 1, each, userdata);
    return r;
}

static int each_in_group(pid_t leader, int (*each)(pid_t pid, void *userdata), void *userdata)
{
    _cleanup_closedir_ DIR *dir = opendir("/proc");
    struct dirent *entry;
    int r = 0;

    while (r == 0 && dir && leader > 0 && (entry = readdir(dir))) {
        pid_t pid = atoi(entry->d_name);

        if (pid > 0 && getpgid(pid) == leader)
            r = each(pid, userdata);
    }
    return r;
}

int family_for_each(const struct family *family, int (*each)(pid_t pid, void *userdata),
                    void *userdata)
{
    return by_cgroup(family) ? each_in_cgroup(family->cgroup, DEPTH_MAX, each, userdata)
                             : each_in_group(family->leader, each, userdata);
}

static int is_pid(pid_t pid, void *userdata)
{
    return pid == *(pid_t *)userdata;
}

bool family_has(const struct family *family, pid_t pid)
{
    return family_for_each(family, is_pid, &pid) == 1;
}

struct signal_plan {
    int signal;
    pid_t except;
};

static int send_one(pid_t pid, void *userdata)
{
    const struct signal_plan *plan = userdata;

    if (pid != plan->except)
        (void)kill(pid, plan->signal);
    return 0;
}

int family_signal(const struct family *family, int signal, pid_t except)
{
    struct signal_plan plan = {.signal = signal, .except = except};

    return family_for_each(family, send_one, &plan);
}

static int open_survivor(pid_t pid, void *userdata)
{
    const struct proc_id id = {.pid = pid};
    char state;
    int fd;

    if (proc_stat(pid, NULL, NULL, &state) < 0 || state == 'Z')
        return 0;
    fd = proc_open(&id);
    if (fd < 0)
        return 0;
    *(int *)userdata = fd;
    return 1;
}

int family_watch(const struct family *family, sd_event *event, sd_event_io_handler_t handler,
                 void *userdata, sd_event_source **ret)
{
    _cleanup_close_ int fd = -1;
    uint32_t events = EPOLLIN;
    int r;

    if (by_cgroup(family)) {
        fd = open_events(family);
        /* Reading it is what arms kernfs's notification, so it comes after the open. */
        if (fd < 0 || !events_populated(fd))
            return 0;
        events = EPOLLPRI;
    } else if (family_for_each(family, open_survivor, &fd) != 1) {
        return 0; /* nobody, or only zombies that their parents are about to reap */
    }
    r = sd_event_add_io(event, ret, fd, events, handler, userdata);
    if (r < 0)
        return r;
    (void)sd_event_source_set_io_fd_own(*ret, true);
    (void)TAKE_FD(fd);
    return 1;
}
