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

/* The line that `ckpt-worker selftest` prints: version, usable, reason. -EBADMSG. */
int json_read_selftest(const char *text, struct criu_facts *facts);
