/* store.h - the checkpoints on disk: what is there, which number comes next, marks, removal.
 *
 * The folders are the truth (see layout.h); the store in memory is a short list of each service's.
 */
#pragma once

#include "image/checkpoint.h"

#include <stddef.h>
#include <stdint.h>

struct store;

/* Makes STATE/checkpoints when missing and reads every service's folder. */
int store_open(const char *state_dir, struct store **ret);
struct store *store_free(struct store *store);

const char *store_path(const struct store *store); /* STATE/checkpoints */
int store_fd(const struct store *store);           /* of that folder; stays the store's */

/* Names of the services that have a folder, in order; NULL after the last. */
const char *store_service(const struct store *store, size_t index);

/* A service's checkpoints, oldest first; valid until the next call that changes the store. */
const struct checkpoint *store_list(const struct store *store, const char *name, size_t *ret_count);
const struct checkpoint *store_find(const struct store *store, const char *name, uint64_t number);
const struct checkpoint *store_newest(const struct store *store, const char *name); /* whole */

/* Reads a service's folder again, after a worker has ended. */
int store_reload(struct store *store, const char *name);

/* The number of the next dump; durable before this returns, so that no number is given twice even
 * when all checkpoints are removed. */
int store_begin(struct store *store, const char *name, uint64_t *ret_number);

/* Marks a checkpoint as poisoned or corrupt, durably. -ENOENT when it is not there. */
int store_mark(struct store *store, const char *name, uint64_t number, enum checkpoint_state state,
               const char *why);

/* Why it is not whole, new string. */
int store_why(const struct store *store, const struct checkpoint *checkpoint, const char *name,
              char **ret_why);

/* Removes one: it leaves the list in one rename, whenever we are killed. */
int store_remove(struct store *store, const char *name, uint64_t number);

/* Removes what a half-made or half-removed one has left: its staging folder and its marks. */
int store_sweep(struct store *store, const char *name, uint64_t number);

/* Removes one by one what retention_surplus() names. */
int store_prune(struct store *store, const char *name, uint32_t keep);

/* The folder of a checkpoint: an open descriptor; its path as a new string, NULL when out of
 * memory. */
int store_open_image(const struct store *store, const char *name, uint64_t number);
char *store_image_path(const struct store *store, const char *name, uint64_t number);
