/* disk.h - what a disk may have of a folder after a power loss, given the system calls before it.
 *
 * The model, from POSIX and from what ext4, xfs and btrfs do:
 * - data and size of a file are there when fsync(2) or fdatasync(2) came back after the last write;
 *   otherwise the file has any length and content, even after it was renamed (delayed allocation),
 *   whoever wrote it: its inode, size and mtime must be those of its last sync;
 * - an entry of a folder (made, renamed, exchanged, removed) is there when fsync(2) of that folder
 *   came back after it; otherwise it may be as before. A rename or exchange happens wholly or not.
 * How much is lost, and which, goes by turns (disk_lose()).
 *
 * Its limits: entries that processes make which are not traced (criu) are never undone, and what
 * they sync is not known; a sync of a file promises nothing about its entry (ext4 promises more);
 * extended attributes, modes and times are not looked at; a write that overwrites synced data in
 * place loses all of the file. */
#pragma once

#include "tests/programs/tracee.h"

/* All that is in `folder` now is on the disk. False: out of memory, or it cannot be read. */
bool disk_init(const char *folder);

/* Right before a call on something in the folder, and right after it, with what the first gave. */
struct entry;
struct entry *disk_before(const struct call *call);
void disk_after(pid_t pid, const struct call *call, struct entry *entry, long result);

/* Nobody works in the folder any more: makes it look like after a loss of power. `round` chooses
 * which of the 4 ways to lose entries and the 3 ways to lose data, and seeds what is random. */
struct disk_loss {
    unsigned files, entries;
};
struct disk_loss disk_lose(unsigned round);

/* Removes what was kept for undoing. */
void disk_done(void);
