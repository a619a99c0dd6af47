/* world.h - the file system that a drill sees: the host's, but nothing that is done in it reaches
 * the host.
 *
 * "/" and every other mount that the checkpoint needs is an overlay with its upper side in memory.
 * Files that the service writes to are replaced by empty ones of the same size, so that opening one
 * neither copies nor reads it; so are FIFOs, and sockets that the service sends to are bound by us.
 * /run, /dev and /dev/shm are empty but for these; /proc is that of the pid namespace; /sys is the
 * host's, read-only. */
#pragma once

#include "common/reason.h"
#include "worker/survey.h"

enum { WORLD_IMPOSSIBLE = 1 };

struct world {
    const struct survey *survey;
    const char *program; /* that runs in it: criu */
    uint64_t bytes;      /* that files in it may take */
};

/* In a mount and pid namespace of its own: makes the world and moves the caller there.
 * WORLD_IMPOSSIBLE: it cannot be had for this checkpoint. `reason` is set on both. */
int world_enter(const struct world *world, struct reason *reason);
