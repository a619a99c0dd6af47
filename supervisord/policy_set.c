/* policy_set.c - the policies of a folder: names, templates, drop-ins. */
#include "supervisord/policy_set.h"

#include "common/cleanup.h"
#include "common/dirs.h"
#include "common/fs.h"
#include "common/strv.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

#define SUFFIX ".ini"

static bool is_ini(const char *name)
{
    size_t len = strlen(name), suffix = strlen(SUFFIX);

    return name[0] != '.' && len > suffix && strcmp(name + len - suffix, SUFFIX) == 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorted names of the NAME.ini in a folder; none when it is missing. POLICY_INVALID: it is
 * unreadable. */
static int list_folder(const char *path, struct policy_errors *errors, char ***ret)
{
    _cleanup_closedir_ DIR *dir = opendir(path);
    _cleanup_strv_ char **names = NULL;
    const struct dirent *entry;

    if (!dir && errno != ENOENT)
        return policy_errors_add(errors, path, 0, "cannot be read as a folder: %s",
                                 strerror(errno));
    while (dir && (entry = readdir(dir))) {
        int r = is_ini(entry->d_name) ? strv_extend(&names, entry->d_name) : 0;

        if (r < 0)
            return r;
    }
    if (names)
        qsort(names, strv_length(names), sizeof(*names), compare_names);
    *ret = TAKE_PTR(names);
    return 0;
}

int policy_name_from_path(const char *path, const char *instance, struct policy_errors *errors,
                          char **ret_name)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    _cleanup_free_ char *name = NULL;
    size_t len = strlen(base);
    bool is_template;

    if (!is_ini(base))
        return policy_errors_add(errors, path, 0, "a policy's file is called NAME.ini; rename it");
    len -= strlen(SUFFIX);
    is_template = base[len - 1] == '@';
    if (is_template && (!instance || !*instance))
        return policy_errors_add(errors, path, 0,
                                 "is a template; make an instance of it: ln -s %s %.*sX.ini", base,
                                 (int)len, base);
    if (!is_template && instance)
        return policy_errors_add(errors, path, 0,
                                 "is no template and has no instance \"%s\"; call it %.*s@.ini",
                                 instance, (int)len, base);
    if (asprintf(&name, "%.*s%s", (int)len, base, instance ? instance : "") < 0) {
        name = NULL;
        return -ENOMEM;
    }
    if (!service_name_is_valid(name))
        return policy_errors_add(
            errors, path, 0,
            "\"%s\" cannot be a service's name; use at most %d letters, digits and "
            "_ . : @ - \\, and no dot in front",
            name, SERVICE_NAME_MAX);
    *ret_name = TAKE_PTR(name);
    return 0;
}

/* ---- drop-ins ---- */

struct drop_in {
    char *path;
    const char *name; /* the last part of path */
    unsigned folder;  /* 0 of the template, 1 of the service itself */
};

struct drop_ins {
    struct drop_in *items;
    size_t count;
};

static void drop_ins_done(struct drop_ins *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i].path);
    free(list->items);
}

static int compare_drop_ins(const void *a, const void *b)
{
    const struct drop_in *x = a, *y = b;
    int order = strcmp(x->name, y->name);

    return order ? order : (int)x->folder - (int)y->folder;
}

static int add_folder(struct drop_ins *list, const char *path, unsigned folder,
                      struct policy_errors *errors)
{
    _cleanup_strv_ char **names = NULL;
    int r = list_folder(path, errors, &names);

    for (char **name = names; name && *name && r == 0; name++) {
        struct drop_in *grown = reallocarray(list->items, list->count + 1, sizeof(*grown));
        char *full = fs_join(path, *name);

        if (grown)
            list->items = grown;
        if (!grown || !full) {
            free(full);
            return -ENOMEM;
        }
        grown[list->count++] = (struct drop_in){full, strrchr(full, '/') + 1, folder};
    }
    return r;
}

int policy_list_drop_ins(const char *path, const char *name, struct policy_errors *errors,
                         char ***ret_paths)
{
    const char *slash = strrchr(path, '/'), *at = strchr(name, '@');
    int dir_len = slash ? (int)(slash - path) + 1 : 0, r = 0;
    _cleanup_(drop_ins_done) struct drop_ins list = {0};
    _cleanup_free_ char *own = NULL, *of_template = NULL;
    _cleanup_strv_ char **paths = NULL;
    bool invalid;

    if (asprintf(&own, "%.*s%s.ini.d", dir_len, path, name) < 0) {
        own = NULL;
        return -ENOMEM;
    }
    if (asprintf(&of_template, "%.*s%.*s@.ini.d", dir_len, path, at ? (int)(at - name) : 0, name) <
        0) {
        of_template = NULL;
        return -ENOMEM;
    }
    if (at)
        r = add_folder(&list, of_template, 0, errors);
    invalid = r > 0;
    if (r >= 0)
        r = add_folder(&list, own, 1, errors);
    invalid |= r > 0;
    if (r < 0)
        return r;
    if (list.count)
        qsort(list.items, list.count, sizeof(*list.items), compare_drop_ins);
    for (size_t i = 0; i < list.count; i++) {
        if (i + 1 < list.count && strcmp(list.items[i].name, list.items[i + 1].name) == 0)
            continue;
        r = strv_extend(&paths, list.items[i].path);
        if (r < 0)
            return r;
    }
    *ret_paths = TAKE_PTR(paths);
    return invalid ? POLICY_INVALID : 0;
}

/* ---- sets ---- */

void policy_set_done(struct policy_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        policy_free(set->items[i]);
    free(set->items);
    *set = (struct policy_set){0};
}

static int compare_policies(const void *a, const void *b)
{
    return strcmp((*(struct policy *const *)a)->name, (*(struct policy *const *)b)->name);
}

int policy_set_load(const char *dir, struct policy_errors *errors, struct policy_set *ret)
{
    _cleanup_(policy_set_done) struct policy_set set = {0};
    _cleanup_strv_ char **names = NULL;
    int r = list_folder(dir, errors, &names);

    if (r < 0)
        return r;
    set.items = calloc(strv_length(names) + 1, sizeof(*set.items));
    if (!set.items)
        return -ENOMEM;
    for (char **name = names; name && *name; name++) {
        _cleanup_free_ char *path = NULL;
        size_t stem = strlen(*name) - strlen(SUFFIX);

        if ((*name)[stem - 1] == '@') /* a template runs through its instances only */
            continue;
        path = fs_join(dir, *name);
        if (!path)
            return -ENOMEM;
        r = policy_load(path, NULL, errors, &set.items[set.count]);
        if (r < 0)
            return r;
        if (r == 0)
            set.count++;
    }
    qsort(set.items, set.count, sizeof(*set.items), compare_policies);
    *ret = TAKE(set, (struct policy_set){0});
    return 0;
}

struct policy *policy_set_find(const struct policy_set *set, const char *name)
{
    for (size_t i = 0; i < set->count; i++)
        if (strcmp(set->items[i]->name, name) == 0)
            return set->items[i];
    return NULL;
}
