/* netlock.h - CRIU's network lock: the nft table "inet CRIU-RUN_ID" whose drop rules keep clients
 * waiting while connections are dumped. criu removes it; one that was killed leaves it behind. */
#pragma once

/* Removes the table of this run, nobody else's. 0 also when there is none; -ENOSYS without
 * libnftables, which criu itself needs to make one. */
int netlock_remove(const char *run_id);

/* The same for the run whose log stands in a folder that a killed worker left. */
int netlock_remove_of_log(int dirfd, const char *log_name);
