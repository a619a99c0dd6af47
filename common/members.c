/* members.c - reads cgroup.procs (cgroups(7)). */
#include "common/members.h"

#include "common/cleanup.h"
#include "common/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define PROCS_MAX (1024 * 1024) /* bytes */

int members_read(const char *cgroup, pid_t pid, pid_t **ret_pids, size_t *ret_count)
{
    _cleanup_free_ char *path = NULL, *procs = NULL;
    pid_t *pids;
    size_t n = 0;

    if (cgroup[0])
        path = fs_join(cgroup, "cgroup.procs");
    if (path)
        (void)fs_read(AT_FDCWD, path, PROCS_MAX, &procs, NULL);
    /* A line has two bytes at least. */
    pids = calloc(procs ? strlen(procs) / 2 + 1 : 1, sizeof(*pids));
    if (!pids)
        return -ENOMEM;
    for (char *p = procs, *end; p && *p; p = end + 1) {
        long member = strtol(p, &end, 10);

        if (end == p || *end != '\n')
            break;
        if (member > 0) /* 0: of another pid namespace */
            pids[n++] = (pid_t)member;
    }
    if (n == 0)
        pids[n++] = pid;
    *ret_pids = pids;
    *ret_count = n;
    return 0;
}
