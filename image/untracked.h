/* untracked.h - memory of a process that CRIU restores from the newest folder alone, whatever its
 * pagemap says: it must never be left to a parent. */
#pragma once

#include "image/pack.h"

#include <stdint.h>

struct untracked {
    struct untracked_range {
        uint64_t start, end;
    } * ranges; /* ascending */
    size_t count;
};

/* Reads the image mm-PID.img `name`. -ENOENT; -EBADMSG: damaged. */
int untracked_read(const struct image_dir *dir, const char *name, struct untracked *ret);
void untracked_done(struct untracked *untracked);
