/* staging.h - folders in which somebody works: whose are they, and which are leftovers. */
#pragma once

#include "ckptd/store.h"
#include "common/proc.h"

#include <stdbool.h>
#include <stdint.h>

/* The worker that holds the lock on NAME/staging-N. STAGING_FREE: nobody does, the folder is
 * garbage. -EAGAIN: locked by a worker that has not written its name yet. -ENOENT: no such folder.
 */
enum { STAGING_FREE = 1 };
int staging_holder(int store_fd, const char *name, uint64_t number, struct proc_id *ret_worker);

/* Calls `found` for each folder of the service in which somebody works or has worked; stops on < 0.
 * `held`: a worker has its lock. Otherwise nobody can take it until `found` returns, which may
 * remove the folder. */
typedef int (*staging_found_t)(const char *name, enum folder_kind kind, uint64_t number, bool held,
                               void *userdata);
int staging_each(int store_fd, const char *name, staging_found_t found, void *userdata);

/* New string; NULL when out of memory. */
char *staging_path(const char *store_path, const char *name, uint64_t number);

/* Bytes allocated in the folder, a sign of progress; 0 when it is gone. */
uint64_t staging_bytes(int store_fd, const char *name, uint64_t number);
