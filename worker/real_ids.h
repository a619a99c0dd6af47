/* real_ids.h - lets criu ask for the limits of another user's process without CAP_SYS_RESOURCE.
 *
 * prlimit(2) wants that capability or the caller's *real* ids equal to all the target's ids. So the
 * worker takes them over for the dump and stays root by its effective ids. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

struct real_ids {
    bool borrowed;
};

/* Does nothing where it is not needed or not possible; criu then says what it lacks. */
void real_ids_borrow(pid_t pid, struct real_ids *ret);
void real_ids_return(const struct real_ids *ids);
