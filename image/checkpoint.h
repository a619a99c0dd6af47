/* checkpoint.h - one checkpoint: its id, its state, and what its folder says of it. */
#pragma once

#include "image/keys.h"

#include <stdbool.h>
#include <stdint.h>

enum checkpoint_state {
    CHECKPOINT_WHOLE,
    CHECKPOINT_POISONED, /* the service died again right after it was restored from this one */
    CHECKPOINT_CORRUPT,  /* a file is missing or its hash is wrong */
};

/* What became of one after its commit: a file beside its folder each, see layout.h. */
enum checkpoint_mark {
    MARK_POISONED,
    MARK_CORRUPT,
    MARK_PINNED,     /* never removed by retention */
    MARK_PROVEN,     /* a drill has restored it */
    MARK_UNPROVABLE, /* a drill is not possible, or it failed */
    MARK_CHECKED,    /* all its hashes were found right */
    MARK_COUNT,
};
const char *checkpoint_mark_suffix(enum checkpoint_mark mark);

/* What ckptd keeps in memory of a checkpoint; all else is in its manifest. */
struct checkpoint {
    uint64_t number;
    uint64_t time_realtime, time_boot; /* usec; time_boot is 0 when of an earlier boot */
    uint64_t frozen_usec, bytes;
    uint64_t parent;           /* number; 0: a full image */
    uint64_t pages;            /* of the memory it holds, its parents' among them */
    uint64_t checked_realtime; /* when its hashes were last known to be right, usec */
    enum checkpoint_state state;
    bool pinned, proven, unprovable; /* marks */
    bool imported;                   /* of another store: for restores by hand */
    bool foreign; /* it, or a parent, is sealed with a key that is not there: corrupt until it is */
    bool compressible; /* packing it would make it smaller */
    bool packed;       /* compressed or encrypted: CRIU cannot read it as it is */
};

/* "full" or "delta". */
const char *checkpoint_kind(const struct checkpoint *checkpoint);

/* "NAME@N"; a template's instance has an '@' in its name, so the last one counts. -EINVAL. */
#define CHECKPOINT_ID_SIZE 128
char *checkpoint_id_format(const char *name, uint64_t number, char buf[CHECKPOINT_ID_SIZE]);
int checkpoint_id_parse(const char *id, char **ret_name, uint64_t *ret_number);

/* Digits only, no sign, no leading zero, at least 1. -EINVAL. */
int checkpoint_number_parse(const char *text, uint64_t *ret_number);

/* Is `path` another folder by now than the one that was opened as `fd`? A re-base puts a new form
 * in its place and removes the old one: what is missing in that says nothing. */
bool checkpoint_was_exchanged(int dirfd, const char *path, int fd);

/* Reads NAME/N (`folder` is N as text) and the marks beside it; `service_fd` is the folder NAME.
 * One whose manifest is missing, damaged or not authentic by `keys` is CHECKPOINT_CORRUPT.
 * -ENOTDIR, -ELOOP: not a folder. */
int checkpoint_read(int service_fd, const char *name, const char *folder, const char *boot_id,
                    const struct keys *keys, struct checkpoint *ret);
