/* members.h - the processes of a service. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/* Pids in the service's cgroup folder; only `pid` when `cgroup` is "" or gone. The caller frees. */
int members_read(const char *cgroup, pid_t pid, pid_t **ret_pids, size_t *ret_count);
