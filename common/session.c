/* session.c - the processes of a dump worker, and undoing what a killed one left. */
#include "common/session.h"

#include "common/cleanup.h"
#include "common/fs.h"
#include "common/members.h"
#include "common/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>

typedef void (*member_t)(pid_t pid, void *userdata);

/* proc_pid_stat(5): fields 3 (state) and 6 (session). */
static bool is_member(const char *pid, pid_t session)
{
    _cleanup_free_ char *text = NULL;
    char path[32], state;
    const char *p;
    int sid;

    snprintf(path, sizeof(path), "/proc/%.10s/stat", pid);
    if (fs_read(AT_FDCWD, path, 4096, &text, NULL) < 0)
        return false;
    p = strrchr(text, ')');
    return p && sscanf(p + 1, " %c %*d %*d %d", &state, &sid) == 2 && sid == session &&
           state != 'Z' && state != 'X';
}

static int each_member(pid_t session, member_t call, void *userdata)
{
    _cleanup_closedir_ DIR *dir = opendir("/proc");
    struct dirent *entry;
    int count = 0;

    if (!dir)
        return -errno;
    while ((entry = readdir(dir))) {
        if (entry->d_name[0] < '1' || entry->d_name[0] > '9' || !is_member(entry->d_name, session))
            continue;
        count++;
        if (call)
            call((pid_t)atoi(entry->d_name), userdata);
    }
    return count;
}

/* proc_pid_stat(5) fields 14, 15 (CPU time) and proc_pid_io(5) rchar, wchar: all only grow. */
static void add_progress(pid_t pid, void *userdata)
{
    _cleanup_free_ char *stat = NULL, *io = NULL;
    uint64_t user, system, in, out, *sum = userdata;
    char path[32];
    const char *p;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    if (fs_read(AT_FDCWD, path, 4096, &stat, NULL) >= 0 && (p = strrchr(stat, ')')) &&
        sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64, &user,
               &system) == 2)
        *sum += user + system;
    snprintf(path, sizeof(path), "/proc/%d/io", (int)pid);
    if (fs_read(AT_FDCWD, path, 4096, &io, NULL) >= 0 &&
        sscanf(io, "rchar: %" SCNu64 " wchar: %" SCNu64, &in, &out) == 2)
        *sum += in + out;
}

int session_count(pid_t session, uint64_t *ret_progress)
{
    uint64_t progress = 0;
    int count = each_member(session, ret_progress ? add_progress : NULL, &progress);

    if (count >= 0 && ret_progress)
        *ret_progress = progress;
    return count;
}

static void kill_member(pid_t pid, void *userdata)
{
    (void)kill(pid, SIGKILL);
}

void session_kill(pid_t session)
{
    (void)each_member(session, kill_member, NULL);
}

/* SIGCONT when it is stopped; returns 1 when it still does not run. A task that waited for a tracer
 * (t) was let go by the kernel when that died, ptrace(2). */
static int wake(pid_t pid)
{
    char state;

    if (proc_stat(pid, NULL, NULL, &state) < 0 || (state != 'T' && state != 't'))
        return 0;
    (void)kill(pid, SIGCONT);
    return proc_stat(pid, NULL, NULL, &state) >= 0 && (state == 'T' || state == 't');
}

/* cgroup.freeze is cgroup v2's; elsewhere nobody froze anything. */
static void unfreeze(const char *cgroup)
{
    _cleanup_free_ char *path = fs_join(cgroup, "cgroup.freeze"), *text = NULL;

    if (path && fs_read(AT_FDCWD, path, 16, &text, NULL) >= 0 && text[0] == '1')
        (void)fs_write(AT_FDCWD, path, "0");
}

int service_thaw(const char *cgroup, pid_t pid)
{
    _cleanup_free_ pid_t *pids = NULL;
    int asleep = 0;
    size_t count;

    if (cgroup[0])
        unfreeze(cgroup);
    if (members_read(cgroup, pid, &pids, &count) < 0)
        return wake(pid);
    for (size_t i = 0; i < count; i++)
        asleep += wake(pids[i]);
    return asleep;
}
