/* json.h - the answers that are JSON (see common/wire.h), as new strings; and the self-test's
 * result. */
#pragma once

#include "ckptd/preflight.h"
#include "ckptd/probe.h"
#include "ckptd/store.h"

/* {"version":1,"checkpoints":[...]}, newest first; `name` "" for all services. */
int json_list(const struct store *store, const char *name, char **ret);

/* The manifest with "path", "state" and, when it is not whole, "why". `restorable_why` NULL: it is.
 */
int json_show(const struct store *store, const char *name, const struct checkpoint *checkpoint,
              const char *restorable_why, char **ret);

/* {"version":1,"service","checkpointable":bool,"problems":[{"problem","cure"}]}; a criu that does
 * not work is a problem, too. */
int json_check(const char *name, const struct problems *problems, const struct criu_facts *criu,
               char **ret);

/* {"criu":"4.1.1","criu_path","usable":bool,"sockets":bool,"other_users":bool,"why","cure",
 * "warning"}; absent facts are null. */
int json_facts(const struct criu_facts *facts, char **ret);

/* {"version":1,"removed":[{"id","bytes","why"}],"bytes":n}, put together one by one. */
struct json_prune {
    void *list; /* a JSON array */
    uint64_t bytes;
};
int json_prune_init(struct json_prune *report);
int json_prune_add(struct json_prune *report, const char *name,
                   const struct checkpoint *checkpoint);
int json_prune_text(const struct json_prune *report, char **ret);
void json_prune_done(struct json_prune *report);

/* What `ckpt-worker verify` found: calls `found` for each checkpoint. -EBADMSG. */
struct json_verified {
    const char *id;
    bool ok, damaged; /* neither: it could not be told, and `why` says why not */
    const char *why;
};
typedef void (*json_verified_t)(const struct json_verified *one, void *userdata);
int json_read_verified(const char *text, json_verified_t found, void *userdata);

/* What `ckpt-worker drill` found. -EBADMSG. */
int json_read_drilled(const char *text, bool *ret_proven, bool *ret_unprovable, char **ret_why);

/* The line that `ckpt-worker selftest` prints: version, usable, reason. -EBADMSG. */
int json_read_selftest(const char *text, struct criu_facts *facts);
