/* real_file.h - opens files of a service by the path that the kernel told, with root's rights but
 * through no symbolic link: whoever owns a folder on the way must not send us elsewhere. */
#pragma once

#include <sys/stat.h>

/* A regular file, close-on-exec. -ELOOP: a symbolic link is on the way; -EINVAL: not a regular
 * file. */
int real_file_open(const char *path, int flags, struct stat *ret_st);

/* The very file behind `fd`, opened once more with other flags. */
int real_file_reopen(int fd, int flags);

/* The folder of `path` (it is opened), and the name in it. */
int real_file_open_folder(const char *path, const char **ret_name);
