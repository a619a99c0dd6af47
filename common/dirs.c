/* dirs.c - the folders of an instance, and names that are safe as file, cgroup and bus names. */
#include "common/dirs.h"

#include "common/cleanup.h"
#include "common/fs.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#ifndef LIBEXECDIR
#define LIBEXECDIR "/usr/local/libexec/perdure"
#endif

/* "$variable/perdure", or "$HOME/fallback/perdure" when the variable is unset (XDG basedir-spec).
 */
static char *user_dir(const char *variable, const char *fallback)
{
    const char *base = getenv(variable), *home = getenv("HOME");
    char *path;

    if (base && base[0] == '/')
        return fs_join(base, "perdure");
    if (!fallback)
        return asprintf(&path, "/tmp/perdure-%u", (unsigned)geteuid()) < 0 ? NULL : path;
    return asprintf(&path, "%s/%s/perdure", home && home[0] == '/' ? home : "/", fallback) < 0
               ? NULL
               : path;
}

static char *absolute(const char *path)
{
    char cwd[PATH_MAX];

    if (path[0] == '/')
        return strdup(path);
    return getcwd(cwd, sizeof(cwd)) ? fs_join(cwd, path) : NULL;
}

int dirs_init(struct dirs *d, const char *config, const char *state, const char *runtime)
{
    bool root = geteuid() == 0;

    if (!runtime)
        runtime = getenv("PERDURE_RUNTIME_DIR");
    *d = (struct dirs){0};
    d->config = config ? absolute(config)
                : root ? strdup("/etc/perdure")
                       : user_dir("XDG_CONFIG_HOME", ".config");
    d->state = state  ? absolute(state)
               : root ? strdup("/var/lib/perdure")
                      : user_dir("XDG_STATE_HOME", ".local/state");
    d->runtime = runtime ? absolute(runtime)
                 : root  ? strdup("/run/perdure")
                         : user_dir("XDG_RUNTIME_DIR", NULL);
    if (!d->config || !d->state || !d->runtime) {
        dirs_done(d);
        return -ENOMEM;
    }
    return 0;
}

void dirs_done(struct dirs *d)
{
    free(d->config);
    free(d->state);
    free(d->runtime);
    *d = (struct dirs){0};
}

bool service_name_is_valid(const char *name)
{
    size_t n =
        strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:@\\-");

    return n > 0 && n <= SERVICE_NAME_MAX && name[n] == '\0' && name[0] != '.';
}

/* DIR/RELATIVE/NAME if it can be executed; NULL in *ret if not. */
static int try_program(const char *dir, const char *relative, const char *name, char **ret)
{
    _cleanup_free_ char *path = NULL;

    if (asprintf(&path, "%s%s/%s", dir, relative, name) < 0)
        return -ENOMEM;
    *ret = access(path, X_OK) == 0 ? TAKE_PTR(path) : NULL;
    return 0;
}

char *find_program(const char *name)
{
    char self[PATH_MAX], *found = NULL, *slash;
    ssize_t n;

    n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (n > 0) {
        self[n] = '\0';
        slash = strrchr(self, '/');
        if (slash)
            *slash = '\0';
        /* a build tree or libexec itself; then bin/ beside libexec/, wherever both were moved to */
        if (try_program(self, "", name, &found) < 0 ||
            (!found && try_program(self, "/../libexec/perdure", name, &found) < 0))
            return NULL;
    }
    return found ? found : fs_join(LIBEXECDIR, name);
}
