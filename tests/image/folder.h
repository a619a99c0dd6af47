/* folder.h - a folder for one test program, and its files as bytes. */
#pragma once

#include <stddef.h>

extern int folder_fd;

/* For cmocka_run_group_tests(). */
int folder_setup(void **state);
int folder_teardown(void **state);

const char *folder_path(void);

/* Replaces the content of a file, whose inode stays; makes it when there is none. */
void folder_put(int dirfd, const char *name, const void *data, size_t size);

/* A new buffer. */
void *folder_get(int dirfd, const char *name, size_t *ret_size);

/* A new folder in it. */
int folder_make(const char *name);
