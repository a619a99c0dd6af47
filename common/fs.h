/* fs.h - the few file operations that must be whole or not there: read, replace, remove, make. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Reads a whole file (also /proc and sysfs ones, whose size is 0) of at most `max` bytes into a
 * new, NUL-terminated buffer that the caller frees. -EFBIG when it is larger. `ret_size` may be
 * NULL. */
int fs_read(int dirfd, const char *path, size_t max, char **ret_data, size_t *ret_size);

/* Replaces `path` durably: PATH.new, fsync, rename, fsync of the folder. */
int fs_replace(int dirfd, const char *path, const void *data, size_t size, mode_t mode);

/* Writes `text` to an existing file in one write(2); for sysfs and cgroup files. */
int fs_write(int dirfd, const char *path, const char *text);

/* mkdir -p; existing folders keep their mode. */
int fs_mkdir_all(const char *path, mode_t mode);

/* Calls `each` with every name in the folder but "." and ".."; what it returns other than 0 ends
 * this, and is the answer. */
int fs_for_each(int dirfd, int (*each)(int dirfd, const char *name, void *data), void *data);

/* Removes a file or a whole tree without following symbolic links; missing is success. */
int fs_remove_all(int dirfd, const char *path);

/* fsync of a folder, so that renames and unlinks in it are durable. `path` NULL: dirfd itself. */
int fs_sync_dir(int dirfd, const char *path);

/* write(2) until everything is written. */
int fs_write_all(int fd, const void *data, size_t size);

/* The same with pwrite(2), from `offset` on. */
int fs_write_at(int fd, const void *data, size_t size, uint64_t offset);

/* "a/b" joined into a new string; NULL when out of memory. */
char *fs_join(const char *dir, const char *name);
