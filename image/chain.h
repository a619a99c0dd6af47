/* chain.h - a checkpoint and its parents, open and locked: nobody removes or exchanges one of them
 * while it is read. */
#pragma once

#include "common/reason.h"
#include "image/pack.h"

#define CHAIN_LINKS_MAX 1024 /* more is damage: a circle */

struct chain {
    struct image_dir *dirs; /* [0]: the checkpoint itself, then its parent, ... */
    uint64_t *numbers;
    size_t count;
};

/* Opens service_fd/N and all it names as parents, with LOCK_SH on each; manifests are authenticated
 * with `keys` and belong to service `name`. -EBADMSG, -ENOENT, -EKEYREJECTED, -ENOKEY, -EBUSY (one
 * is locked for longer than an exchange takes): `reason` says which of them. Files are not hashed:
 * seal_check() does. */
int chain_open(int service_fd, const char *name, uint64_t number, const struct keys *keys,
               struct chain *ret, struct reason *reason);
void chain_done(struct chain *chain);

/* CRIU can restore it as it is: nothing in it is packed. */
bool chain_is_plain(const struct chain *chain);
