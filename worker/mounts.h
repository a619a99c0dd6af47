/* mounts.h - the mounts of this mount namespace (proc_pid_mountinfo(5)). */
#pragma once

#include <stddef.h>
#include <sys/types.h>

struct mount {
    int id;
    char *path; /* of the mount point */
    int fd;     /* O_PATH, after mount_open(); else -1 */
    mode_t mode;
    uid_t uid;
    gid_t gid;
};

struct mounts {
    struct mount *list; /* a mount comes after those it lies on */
    size_t count;
};

int mounts_read(struct mounts *ret);
void mounts_done(struct mounts *mounts);

/* Opens it and looks at its root. MOUNT_HIDDEN: another lies on it or above it. */
enum { MOUNT_HIDDEN = 1 };
int mount_open(struct mount *mount);
