/* run_folders.c - where `perdure run` keeps its state, and the short-lived folder of its sockets.
 */
#include "common/cleanup.h"
#include "common/fs.h"
#include "ctl/run.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#define RUNTIME_PREFIX "perdure-run-"

void run_done(struct run *run)
{
    if (run->config)
        (void)fs_remove_all(AT_FDCWD, run->config);
    if (run->runtime_made)
        (void)fs_remove_all(AT_FDCWD, run->runtime);
    free(run->argv);
    free(run->program);
    free(run->name);
    free(run->state);
    free(run->runtime);
    free(run->config);
}

static char *default_state(const char *name)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    const struct passwd *user;
    char *path;
    int n;

    if (state && state[0] == '/') {
        n = asprintf(&path, "%s/perdure/run/%s", state, name);
        return n < 0 ? NULL : path;
    }
    if (!home || home[0] != '/') {
        user = getpwuid(geteuid());
        home = user && user->pw_dir ? user->pw_dir : "/";
    }
    n = asprintf(&path, "%s/.local/state/perdure/run/%s", home, name);
    return n < 0 ? NULL : path;
}

/* What a killed run left behind: a folder whose lock nobody holds. A minute old, because a young
 * one may be about to be locked. */
static void sweep(const char *folder)
{
    _cleanup_closedir_ DIR *dir = opendir(folder);
    const struct dirent *entry;
    struct stat st;

    while (dir && (entry = readdir(dir))) {
        _cleanup_free_ char *lock = NULL;
        _cleanup_close_ int fd = -1;

        if (strncmp(entry->d_name, RUNTIME_PREFIX, strlen(RUNTIME_PREFIX)) != 0)
            continue;
        if (asprintf(&lock, "%s/" DIRS_LOCK, entry->d_name) < 0) {
            lock = NULL;
            return;
        }
        fd = openat(dirfd(dir), lock, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == geteuid() &&
            st.st_mtime + 60 < time(NULL) && flock(fd, LOCK_EX | LOCK_NB) == 0)
            (void)fs_remove_all(dirfd(dir), entry->d_name);
    }
}

/* A fresh private folder whose sockets have short enough names (sun_path, unix(7)). */
static int make_runtime(struct run *run)
{
    const char *folders[] = {getenv("XDG_RUNTIME_DIR"), geteuid() == 0 ? "/run" : NULL, "/tmp"};
    struct sockaddr_un address;

    for (size_t i = 0; i < ELEMENTS(folders); i++) {
        _cleanup_free_ char *path = NULL;

        if (!folders[i] || folders[i][0] != '/')
            continue;
        sweep(folders[i]);
        if (asprintf(&path, "%s/" RUNTIME_PREFIX "XXXXXX", folders[i]) < 0) {
            path = NULL;
            return -ENOMEM;
        }
        if (strlen(path) + 1 + strlen(DIRS_CONTROL_SOCK) >= sizeof(address.sun_path))
            continue;
        if (mkdtemp(path)) {
            run->runtime = TAKE_PTR(path);
            run->runtime_made = true;
            return 0;
        }
    }
    return -errno;
}

int run_make_folders(const struct ctl *ctl, struct run *run)
{
    int r;

    run->state = ctl->state_dir ? strdup(ctl->dirs.state) : default_state(run->name);
    if (!run->state)
        return report_errno(ctl, -ENOMEM, "run");
    r = fs_mkdir_all(run->state, 0700);
    if (r < 0)
        return report(ctl, EXIT_FAILED, "name another folder with --state-dir",
                      "cannot make the state folder %s: %s", run->state, strerror(-r));
    if (ctl->runtime_dir) {
        run->runtime = strdup(ctl->dirs.runtime);
        r = run->runtime ? fs_mkdir_all(run->runtime, 0700) : -ENOMEM;
    } else {
        r = make_runtime(run);
    }
    if (r < 0)
        return report(ctl, EXIT_FAILED, "name a folder with --runtime-dir",
                      "cannot make a runtime folder: %s", strerror(-r));
    if (asprintf(&run->config, "%s/config", run->runtime) < 0) {
        run->config = NULL;
        return report_errno(ctl, -ENOMEM, "run");
    }
    return EXIT_OK;
}
