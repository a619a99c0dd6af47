/* checkpoint.h - one checkpoint: its id, its state, and what its folder says of it. */
#pragma once

#include <stdint.h>

enum checkpoint_state {
    CHECKPOINT_WHOLE,
    CHECKPOINT_POISONED, /* the service died again right after it was restored from this one */
    CHECKPOINT_CORRUPT,  /* a file is missing or its hash is wrong */
};

/* What ckptd keeps in memory of a checkpoint; all else is in its manifest. */
struct checkpoint {
    uint64_t number;
    uint64_t time_realtime, time_boot; /* usec; time_boot is 0 when of an earlier boot */
    uint64_t frozen_usec, bytes;
    enum checkpoint_state state;
};

/* "NAME@N"; a template's instance has an '@' in its name, so the last one counts. -EINVAL. */
#define CHECKPOINT_ID_SIZE 128
char *checkpoint_id_format(const char *name, uint64_t number, char buf[CHECKPOINT_ID_SIZE]);
int checkpoint_id_parse(const char *id, char **ret_name, uint64_t *ret_number);

/* Digits only, no sign, no leading zero, at least 1. -EINVAL. */
int checkpoint_number_parse(const char *text, uint64_t *ret_number);

/* Reads NAME/N (`folder` is N as text) and the marks beside it; `service_fd` is the folder NAME.
 * One whose manifest is missing or damaged is CHECKPOINT_CORRUPT. -ENOTDIR, -ELOOP: not a folder.
 */
int checkpoint_read(int service_fd, const char *name, const char *folder, const char *boot_id,
                    struct checkpoint *ret);
