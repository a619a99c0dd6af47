/* cleanup.h - scope-bound cleanup, and the error rule that the whole tree follows.
 *
 * Return values: < 0 is a -errno that the caller passes up unchanged; > 0 is a condition that the
 * function's header names and that the caller handles at once; 0 is success. `ret_` parameters are
 * written on success only. Library code never logs; programs log once. */
#pragma once

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((cleanup(f)))

/* Hands a value over to the caller: the variable forgets it, so its cleanup does nothing. */
#define TAKE(var, nothing)              \
    ({                                  \
        __typeof__(var) _taken = (var); \
        (var) = (nothing);              \
        _taken;                         \
    })
#define TAKE_PTR(p) TAKE(p, NULL)
#define TAKE_FD(fd) TAKE(fd, -1)

#define ELEMENTS(a) (sizeof(a) / sizeof((a)[0]))

static inline void freep(void *p)
{
    free(*(void **)p);
}

/* Closes and returns -1, so that `fd = fd_close(fd)` cannot leave a stale number behind. */
static inline int fd_close(int fd)
{
    if (fd >= 0)
        close(fd);
    return -1;
}

static inline void fd_closep(int *fd)
{
    fd_close(*fd);
}

static inline void file_closep(FILE **f)
{
    if (*f)
        fclose(*f);
}

static inline void dir_closep(DIR **d)
{
    if (*d)
        closedir(*d);
}

#define _cleanup_free_     _cleanup_(freep)
#define _cleanup_close_    _cleanup_(fd_closep)
#define _cleanup_fclose_   _cleanup_(file_closep)
#define _cleanup_closedir_ _cleanup_(dir_closep)
