/* open.h - what most modes begin with: the checkpoint that the arguments name, and its keys. */
#pragma once

#include "image/chain.h"
#include "worker/worker.h"

struct opened {
    int store_fd, service_fd;
    struct keys *keys;
    struct chain chain;
};

#define OPENED_NONE                      \
    (struct opened)                      \
    {                                    \
        .store_fd = -1, .service_fd = -1 \
    }

/* Store and the folder of the service `name`; no chain. < 0: `reason` is set. */
int opened_folders(struct opened *o, const struct worker_args *args, const char *name,
                   struct reason *reason);

/* These, and the checkpoint `number` with its parents, locked (chain_open()). */
int opened_checkpoint(struct opened *o, const struct worker_args *args, const char *name,
                      uint64_t number, struct reason *reason);

void opened_done(struct opened *o);
