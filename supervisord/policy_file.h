/* policy_file.h - reads an INI file line by line, with line numbers, and says of everything that
 * inih would cut or guess that it is an error. */
#pragma once

#include "supervisord/policy.h"

/* One "Key=value" with its continuation lines joined, outer blanks removed; `line` is where it
 * begins. Returns 0 or POLICY_INVALID to go on, <0 to stop. Strings are borrowed. */
typedef int (*policy_file_value_t)(void *userdata, const char *section, const char *key,
                                   const char *value, const char *file, unsigned line);

/* Reads the file at `path`. `sections`: the known ones, NULL-terminated; any other is an error, but
 * those beginning with "X-" are skipped as systemd.syntax(7) says. POLICY_INVALID: reasons are in
 * `errors` (lines without fault were still handed on); <0: out of memory, or what on_value
 * returned. */
int policy_file_read(const char *path, const char *const *sections, policy_file_value_t on_value,
                     void *userdata, struct policy_errors *errors);
