/* store.h - the checkpoints on disk: what is there, which number comes next, marks, removal.
 *
 * The folders are the truth (see layout.h); the store in memory is a short list of each service's.
 */
#pragma once

#include "common/ckpt_spec.h"
#include "image/checkpoint.h"

#include <stddef.h>
#include <stdint.h>

struct store;

/* Makes STATE/checkpoints when missing and reads every service's folder. `keys` authenticate the
 * manifests and stay the caller's; with NULL only the services' names are known, until
 * store_unlock(). */
int store_open(const char *state_dir, const struct keys *keys, struct store **ret);
struct store *store_free(struct store *store);

/* Reads everything again with these keys, which are the store's from now on. */
int store_unlock(struct store *store, struct keys *keys);
const struct keys *store_keys(const struct store *store);

const char *store_path(const struct store *store); /* STATE/checkpoints */
int store_fd(const struct store *store);           /* of that folder; stays the store's */

/* Names of the services that have a folder, in order; NULL after the last. */
const char *store_service(const struct store *store, size_t index);

/* A service's checkpoints, oldest first; valid until the next call that changes the store. */
const struct checkpoint *store_list(const struct store *store, const char *name, size_t *ret_count);
const struct checkpoint *store_find(const struct store *store, const char *name, uint64_t number);
/* The newest whole one of its own past, not imported. */
const struct checkpoint *store_newest(const struct store *store, const char *name);

/* Reads a service's folder again, after a worker has ended. */
int store_reload(struct store *store, const char *name);

/* The number of the next dump; durable before this returns, so that no number is given twice even
 * when all checkpoints are removed. */
int store_begin(struct store *store, const char *name, uint64_t *ret_number);

/* Marks a checkpoint durably; of proven and unprovable the last one counts. -ENOENT when it is not
 * there. */
#define STORE_WHY_MAX 4096 /* bytes; the rest is cut off */
int store_mark(struct store *store, const char *name, uint64_t number, enum checkpoint_mark mark,
               const char *why);
/* Takes a mark back, and reads the service's folder again. */
int store_unmark(struct store *store, const char *name, uint64_t number, enum checkpoint_mark mark);
/* All its hashes have just been found right. */
int store_note_checked(struct store *store, const char *name, uint64_t number);

/* The first line of what was said with a mark, new string. -ENOENT: it has no such mark. */
int store_mark_text(const struct store *store, const char *name, uint64_t number,
                    enum checkpoint_mark mark, char **ret_text);

/* Why it is not whole, new string. Children of what is missing or corrupt count as corrupt. */
int store_why(const struct store *store, const struct checkpoint *checkpoint, const char *name,
              char **ret_why);

/* Removes one: it leaves the list in one rename, whenever we are killed. -EBUSY: somebody reads it
 * now, others build on it, or the folder holds a checkpoint that is not listed yet and may. */
int store_remove(struct store *store, const char *name, uint64_t number);

/* Folders beside the checkpoints in which somebody works, see layout.h. */
enum folder_kind { FOLDER_STAGING, FOLDER_REBASE, FOLDER_UNPACK, FOLDER_KINDS };
const char *store_folder_prefix(enum folder_kind kind);

/* Removes such a folder; the marks, too, of what was half-made or half-removed in a staging one. */
int store_sweep(struct store *store, const char *name, enum folder_kind kind, uint64_t number);

/* Removes the temporary files of writes that were killed (fs_replace()): at the daemon's start,
 * since nobody else writes them. */
int store_sweep_files(struct store *store, const char *name);

/* Removes one by one what these rules do not want and nobody needs or reads; `now` is of the wall
 * clock, usec. */
int store_prune(struct store *store, const char *name, const struct retention_rules *rules,
                uint64_t now);

/* The folder of a checkpoint: an open descriptor; its path as a new string, NULL when out of
 * memory. */
int store_open_image(const struct store *store, const char *name, uint64_t number);
char *store_image_path(const struct store *store, const char *name, uint64_t number);
