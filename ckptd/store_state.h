/* store_state.h - what store.c (what is there) and store_change.c (what changes it) share. */
#pragma once

#include "ckptd/store.h"
#include "common/proc.h"

struct service {
    char *name;
    uint64_t last_number; /* highest ever given out, as far as known */
    struct checkpoint *list;
    size_t count;
};

struct store {
    char *path;
    int fd;
    const struct keys *keys;
    struct keys *own_keys; /* of store_unlock() */
    char boot_id[BOOT_ID_LEN + 1];
    struct service *services; /* in the order of their names */
    size_t count;
};

struct service *service_find(const struct store *store, const char *name);
int service_add(struct store *store, const char *name, struct service **ret);
struct checkpoint *service_checkpoint(const struct service *service, uint64_t number);

/* "NAME/N" + suffix, as seen from the store's folder; NULL when out of memory. */
char *service_entry(const char *name, uint64_t number, const char *suffix);

/* Children of what is missing or corrupt are corrupt, too. */
void service_find_orphans(struct service *service);
