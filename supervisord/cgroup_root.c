/* cgroup_root.c - finds the place for our services in the cgroup2 hierarchy, wherever that is
 * mounted (hybrid layouts have it at /sys/fs/cgroup/unified). */
#include "supervisord/manager.h"

#include "common/cleanup.h"
#include "common/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <string.h>
#include <sys/stat.h>

static char *cgroup2_mount(void)
{
    FILE *mounts = setmntent("/proc/self/mounts", "re");
    struct mntent *entry;
    char *found = NULL;

    if (!mounts)
        return NULL;
    while (!found && (entry = getmntent(mounts)))
        if (strcmp(entry->mnt_type, "cgroup2") == 0)
            found = strdup(entry->mnt_dir);
    endmntent(mounts);
    return found;
}

/* cgroups(7): the line "0::PATH" is our place in the cgroup2 hierarchy. */
static int own_cgroup(char **ret)
{
    _cleanup_free_ char *data = NULL;
    const char *line;
    int r;

    r = fs_read(AT_FDCWD, "/proc/self/cgroup", 1 << 16, &data, NULL);
    if (r < 0)
        return r;
    line = strncmp(data, "0::", 3) == 0 ? data : strstr(data, "\n0::");
    if (!line)
        return -ENOENT;
    line = strchr(line, '/');
    if (!line)
        return -EBADMSG;
    *ret = strndup(line, strcspn(line, "\n"));
    return *ret ? 0 : -ENOMEM;
}

/* Instances are told apart by their state folder, so the name is the same after every restart. */
static uint32_t fnv1a(const char *text)
{
    uint32_t hash = 2166136261u;

    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 16777619u;
    return hash;
}

int cgroup_root_find(const struct dirs *dirs, char **ret)
{
    _cleanup_free_ char *mount = cgroup2_mount(), *own = NULL, *root = NULL;
    int r;

    *ret = NULL;
    if (!mount)
        return 0;
    r = own_cgroup(&own);
    if (r < 0)
        return r == -ENOENT ? 0 : r;
    if (asprintf(&root, "%s%s/perdure-%08x", mount, strcmp(own, "/") == 0 ? "" : own,
                 fnv1a(dirs->state)) < 0)
        return -ENOMEM;
    if (mkdir(root, 0755) < 0 && errno != EEXIST)
        return 0; /* not ours to write: process groups must do */
    if (access(root, W_OK) == 0)
        *ret = TAKE_PTR(root);
    return 0;
}

/* A process that died while it joined can have kept a folder from being removed with its service.
 */
void cgroup_root_remove(const char *root)
{
    _cleanup_closedir_ DIR *folder = opendir(root);

    for (struct dirent *entry; folder && (entry = readdir(folder));)
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
            (void)unlinkat(dirfd(folder), entry->d_name, AT_REMOVEDIR);
    (void)rmdir(root); /* refused while somebody's processes are still there */
}
