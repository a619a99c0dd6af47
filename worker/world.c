/* world.c - overlays over the host's mounts, and the way into them. */
#include "worker/world.h"

#include "common/cleanup.h"
#include "common/fs.h"
#include "worker/bind.h"
#include "worker/mounts.h"
#include "worker/scratch.h"
#include "worker/stand_in.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#define NEW_ROOT "root" /* in the scratch folder */

static int failed(struct reason *reason, const char *what, int error)
{
    reason_set(reason, "", "the scratch world: %s: %s", what, strerror(-error));
    return error;
}

/* ---- the host's mounts, in the scratch folder, which is the working directory ---- */

/* Of folders that are made anew, nothing is taken over. */
static bool is_replaced(const char *path)
{
    static const char *const replaced[] = {"/proc", "/sys", "/dev", "/run"};

    for (size_t i = 0; i < ELEMENTS(replaced); i++)
        if (path_is_below(path, replaced[i]))
            return true;
    return false;
}

static bool holds_files(const struct world *w, const char *mount)
{
    for (size_t i = 0; i < w->survey->path_count; i++)
        if (path_is_below(w->survey->paths[i], mount))
            return true;
    return false;
}

static bool is_needed(const struct world *w, const char *mount)
{
    static const char *const system[] = {"/usr", "/lib", "/lib64", "/bin", "/sbin", "/etc"};

    if (path_is_below(w->program, mount))
        return true;
    for (size_t i = 0; i < ELEMENTS(system); i++)
        if (path_is_below(system[i], mount) || path_is_below(mount, system[i]))
            return true;
    return holds_files(w, mount);
}

static int mount_overlay(const struct mount *m, size_t number, const char *target)
{
    char options[256], upper[32], work[32];

    snprintf(upper, sizeof(upper), "upper-%zu", number);
    snprintf(work, sizeof(work), "work-%zu", number);
    if (mkdir(upper, 0755) < 0 || mkdir(work, 0755) < 0 ||
        fchownat(AT_FDCWD, upper, m->uid, m->gid, 0) < 0 || chmod(upper, m->mode & 07777) < 0)
        return -errno;
    snprintf(options, sizeof(options),
             "lowerdir=/proc/self/fd/%d,upperdir=%s,workdir=%s,index=off,metacopy=off", m->fd,
             upper, work);
    return mount("overlay", target, "overlay", 0, options) < 0 ? -errno : 0;
}

/* Where there can be no overlay (a single file, a file system of two overlays already), it is the
 * real one, and nothing can be written. */
static int mount_read_only(const struct mount *m, const char *target)
{
    _cleanup_close_ int fd = bind_clone(AT_FDCWD, m->path, false);

    return fd < 0 ? fd : bind_attach(fd, target);
}

static int take_mount(const struct world *w, const struct mount *m, size_t number,
                      struct reason *reason)
{
    _cleanup_free_ char *target = NULL;
    int r;

    if (asprintf(&target, NEW_ROOT "%s", m->path) < 0) {
        target = NULL;
        return failed(reason, m->path, -ENOMEM);
    }
    r = S_ISDIR(m->mode) ? mount_overlay(m, number, target) : -ENOTDIR;
    if (r == 0)
        return 0;
    if (strcmp(m->path, "/") == 0)
        return failed(reason, "an overlay of /", r);
    if (w->survey->locks && holds_files(w, m->path)) {
        reason_set(reason, "",
                   "there are file locks, and %s cannot be overlaid: they would be the host's",
                   m->path);
        return WORLD_IMPOSSIBLE;
    }
    r = mount_read_only(m, target);
    return r < 0 ? failed(reason, m->path, r) : 0;
}

static int take_mounts(const struct world *w, struct reason *reason)
{
    _cleanup_(mounts_done) struct mounts mounts = {0};
    int r = mounts_read(&mounts);

    if (r < 0)
        return failed(reason, "the list of mounts", r);
    if (mkdir(NEW_ROOT, 0755) < 0)
        return failed(reason, NEW_ROOT, -errno);
    for (size_t i = 0; i < mounts.count && r == 0; i++) {
        struct mount *m = &mounts.list[i];

        if (is_replaced(m->path) || !is_needed(w, m->path))
            continue;
        r = mount_open(m);
        if (r == MOUNT_HIDDEN)
            r = 0;
        else
            r = r < 0 ? failed(reason, m->path, r) : take_mount(w, m, i, reason);
    }
    return r;
}

/* ---- from inside: the old root is above "/", and `host_fd` is it ---- */

static int mount_memory(const char *path, uint64_t bytes, unsigned long flags)
{
    char options[96];
    struct stat st;

    if (lstat(path, &st) < 0 || !S_ISDIR(st.st_mode))
        return 0; /* there is none, or a link to one that gets its own */
    snprintf(options, sizeof(options), "mode=%o,uid=%u,gid=%u,size=%llu", st.st_mode & 07777,
             st.st_uid, st.st_gid, (unsigned long long)bytes);
    return mount("tmpfs", path, "tmpfs", flags, options) < 0 ? -errno : 0;
}

static int make_dev(uint64_t bytes)
{
    static const struct {
        const char *path;
        unsigned minor;
    } nodes[] = {{"/dev/null", 3},
                 {"/dev/zero", 5},
                 {"/dev/full", 7},
                 {"/dev/random", 8},
                 {"/dev/urandom", 9}};
    int r = mount_memory("/dev", bytes, MS_NOSUID);

    for (size_t i = 0; i < ELEMENTS(nodes) && r == 0; i++)
        if (mknod(nodes[i].path, S_IFCHR, makedev(1, nodes[i].minor)) < 0 ||
            chmod(nodes[i].path, 0666) < 0)
            r = -errno;
    if (r == 0 && (mkdir("/dev/shm", 0) < 0 || chmod("/dev/shm", 01777) < 0))
        r = -errno;
    return r;
}

static int make_sys(int host_fd)
{
    _cleanup_close_ int fd = bind_clone(host_fd, "sys", true);

    return fd == -ENOENT ? 0 : fd < 0 ? fd : bind_attach(fd, "/sys");
}

static int make_system_folders(const struct world *w, int host_fd, struct reason *reason)
{
    int r;

    if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
        return failed(reason, "/proc", -errno);
    if ((r = make_sys(host_fd)) < 0)
        return failed(reason, "/sys", r);
    if ((r = make_dev(w->bytes)) < 0)
        return failed(reason, "/dev", r);
    if ((r = mount_memory("/run", w->bytes, MS_NOSUID | MS_NODEV)) < 0)
        return failed(reason, "/run", r);
    return 0;
}

static int leave_host(int host_fd, const struct world *w, struct reason *reason)
{
    int r;

    /* pivot_root(2): the old root comes to lie on the new one, and umount finds it there. */
    if (chdir(NEW_ROOT) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
        return failed(reason, "pivot_root", -errno);
    if ((r = make_system_folders(w, host_fd, reason)) != 0 ||
        (r = stand_in_all(w->survey, host_fd, reason)) != 0)
        return r;
    return umount2(".", MNT_DETACH) < 0 ? failed(reason, "leaving the host's root", -errno) : 0;
}

int world_enter(const struct world *w, struct reason *reason)
{
    _cleanup_close_ int host_fd = -1, scratch_fd = -1;
    int r;

    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return failed(reason, "private mounts", -errno);
    host_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (host_fd < 0)
        return failed(reason, "/", -errno);
    /* It lies on the root, where no path leads: only this descriptor does. */
    scratch_fd = scratch_mount(w->bytes);
    r = scratch_fd < 0 ? scratch_fd : bind_attach(scratch_fd, "/");
    if (r < 0 || fchdir(scratch_fd) < 0)
        return failed(reason, "its memory", r < 0 ? r : -errno);
    if ((r = take_mounts(w, reason)) != 0)
        return r;
    return leave_host(host_fd, w, reason);
}
