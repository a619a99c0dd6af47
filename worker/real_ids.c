/* real_ids.c - setresuid(2) around a dump. */
#include "worker/real_ids.h"

#include "common/cleanup.h"
#include "common/fs.h"
#include "common/proc.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <string.h>

/* The first number after `key` in proc_pid_status(5): the real id. */
static bool real_id(const char *status, const char *key, unsigned *ret)
{
    const char *line = strstr(status, key);

    return line && sscanf(line + strlen(key), "%u", ret) == 1;
}

void real_ids_borrow(pid_t pid, struct real_ids *ret)
{
    _cleanup_free_ char *status = NULL;
    unsigned uid, gid;
    char path[32];

    *ret = (struct real_ids){0};
    if (proc_have_cap(CAP_SYS_RESOURCE) || geteuid() != 0)
        return;
    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    if (fs_read(AT_FDCWD, path, 16384, &status, NULL) < 0 || !real_id(status, "\nUid:", &uid) ||
        !real_id(status, "\nGid:", &gid) || (uid == 0 && gid == 0))
        return;
    ret->borrowed = setresgid(gid, 0, 0) == 0 && setresuid(uid, 0, 0) == 0;
}

void real_ids_return(const struct real_ids *ids)
{
    if (!ids->borrowed)
        return;
    /* Both are among our effective and saved ids: cannot fail, setresuid(2). */
    (void)!setresuid(0, 0, 0);
    (void)!setresgid(0, 0, 0);
}
