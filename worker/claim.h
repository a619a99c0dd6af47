/* claim.h - a folder beside the checkpoints in which only this worker works (image/layout.h). */
#pragma once

/* Makes service_fd/folder, empty, and locks it; what a worker that is gone has left there goes.
 * Returns a descriptor that holds the lock. -EBUSY: another worker is at work in it. */
int claim_folder(int service_fd, const char *folder);

/* Removes service_fd/folder if it is the one that `fd` holds, and not another worker's. */
void claim_remove(int service_fd, const char *folder, int fd);
