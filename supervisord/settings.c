/* settings.c - the daemon's settings: CONFIG/perdure.ini. */
#include "common/cleanup.h"
#include "common/dirs.h"
#include "common/fs.h"
#include "supervisord/policy.h"
#include "supervisord/policy_file.h"
#include "supervisord/policy_keys.h"

#include <errno.h>
#include <string.h>

#define CREDENTIAL "perdure.keys"

struct settings_loader {
    struct settings *settings;
    struct policy_errors *errors;
};

static int on_setting(void *userdata, const char *section, const char *name, const char *value,
                      const char *file, unsigned line)
{
    struct settings_loader *loader = userdata;
    const struct policy_key *key;
    int r = policy_key_find(settings_keys, section, name, file, line, loader->errors, &key);

    if (r != 0)
        return r == POLICY_KEY_IGNORED ? 0 : r;
    return policy_key_assign(
        loader->settings,
        &(struct assignment){.key = key, .file = file, .line = line, .errors = loader->errors},
        value);
}

void settings_done(struct settings *settings)
{
    free(settings->criu);
    free(settings->control_group);
    free(settings->key_file);
    *settings = (struct settings){0};
}

int settings_load(const char *path, struct policy_errors *errors, struct settings *ret)
{
    static const char *const sections[] = {"Daemon", "Checkpoint", NULL};
    _cleanup_(settings_done) struct settings settings = {0};
    struct settings_loader loader = {.settings = &settings, .errors = errors};
    int r = policy_key_defaults(&settings, settings_keys, NULL);

    if (r == 0 && path && access(path, F_OK) == 0)
        r = policy_file_read(path, sections, on_setting, &loader, errors);
    if (r != 0)
        return r;
    if (settings.scrub_usec == USEC_INFINITY)
        settings.scrub_usec = 0;
    *ret = TAKE(settings, (struct settings){0});
    return 0;
}

int settings_key_file(const struct settings *settings, const char *state_dir, char **ret)
{
    const char *credentials = getenv("CREDENTIALS_DIRECTORY"); /* systemd.exec(5), "Credentials" */
    _cleanup_free_ char *path = NULL;

    if (settings->key_file) {
        path = strdup(settings->key_file);
    } else if (credentials) {
        path = fs_join(credentials, CREDENTIAL);
        if (path && access(path, F_OK) < 0)
            free(TAKE_PTR(path));
        else if (!path)
            return -ENOMEM;
    }
    if (!path)
        path = fs_join(state_dir, DIRS_KEYS);
    if (!path)
        return -ENOMEM;
    *ret = TAKE_PTR(path);
    return 0;
}
