/* tree.h - a process and all below it, and who outside holds its pipes. Snapshots of /proc. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Finds a process outside the tree of `root` that holds the other end of pipe `inode`: without it
 * the restored service would write into nothing. 1 found, 0 none. Walks /proc. */
int tree_pipe_peer(uint32_t inode, pid_t root, pid_t *ret_pid);

/* All processes of the tree of `root`, itself first; the caller frees. */
int tree_pids(pid_t root, pid_t **ret_pids, size_t *ret_count);

#define TREE_COMM_SIZE 17 /* TASK_COMM_LEN and a NUL */
/* First line of /proc/PID/comm, "?" when it is gone. */
void tree_comm(pid_t pid, char ret[TREE_COMM_SIZE]);

/* Who keeps the number `pid` from being used: a live process that has it as its pid, process group
 * or session. 1 found, 0 nobody, or only zombies that are about to be reaped. */
int tree_number_holder(pid_t pid, pid_t *ret_holder);
