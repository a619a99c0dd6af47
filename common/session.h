/* session.h - the processes of a dump worker: itself, its criu, hooks; found by their session id.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

/* How many live processes the session has, and a number that changes whenever they compute or do
 * I/O. `ret_progress` may be NULL. Zombies do not count. */
int session_count(pid_t session, uint64_t *ret_progress);

/* SIGKILL to each of them. */
void session_kill(pid_t session);

/* A criu that died in the middle of its work can leave the service stopped or frozen: makes it run
 * again. `cgroup` is "" when there is none: then only `pid` is looked at. Returns how many tasks
 * still do not run, 0 when all do. */
int service_thaw(const char *cgroup, pid_t pid);
