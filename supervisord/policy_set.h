/* policy_set.h - names and files: which policies there are in a folder. Private to the policy_*.c
 * files. */
#pragma once

#include "supervisord/policy.h"

/* The service's name: "redis" of "x/redis.ini", "game@west" of "x/game@.ini" and "west". */
int policy_name_from_path(const char *path, const char *instance, struct policy_errors *errors,
                          char **ret_name);

/* Paths of the drop-ins that `name` has beside `path`, in the order they count: by file name, an
 * instance's own replacing one of the template that is named alike. */
int policy_list_drop_ins(const char *path, const char *name, struct policy_errors *errors,
                         char ***ret_paths);
