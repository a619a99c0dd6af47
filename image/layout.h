/* layout.h - what ckptd and its workers agree on: the store's folders, the workers' command line
 * and what they report.
 *
 * STATE/checkpoints/                      0700
 *   .tools/                               made at start by ckptd: kdat cache, self-test result
 *   NAME/                                 0700, one per service
 *     counter                             last number given out; grows before a dump starts (text)
 *     N/                                  a whole checkpoint: images, manifest.json, and for a
 *                                         delta the symbolic link `parent` -> ../M
 *     N.MARK                              what became of N later (text: why); beside the folder,
 *                                         which stays as it was sealed
 *     staging-N/                          a dump in progress, or a checkpoint being removed
 *     rebase-N/                           N being written anew with another parent or packed; takes
 *                                         N's place by RENAME_EXCHANGE, then holds the old form
 *     unpack-N/                           N unpacked for a restore that runs now; for an export,
 * which may run beside it: unpack-(N + LAYOUT_EXPORT)
 *
 * Whoever works in staging-N, rebase-N or unpack-N holds flock(2) LOCK_EX on that folder: without a
 * holder it is garbage. Whoever reads N (restore, delta, drill, export) holds LOCK_SH on N and on
 * all its parents (chain.h); removal and exchange take LOCK_EX on N first. `worker` in staging-N
 * holds "PID START_TIME".
 *
 * ckpt-worker MODE OPTIONS, ckpt-archive MODE OPTIONS: the modes and what they need are the tables
 * in worker/main.c and worker/archive_main.c. A worker writes to its report descriptor: any number
 * of progress lines "%DONE/TOTAL\n" (units of its own choice), then one text: with exit status 0
 * its result (JSON, may be empty), else "message\ncure".
 */
#pragma once

#define LAYOUT_TOOLS    ".tools"
#define LAYOUT_COUNTER  "counter"
#define LAYOUT_STAGING  "staging-"
#define LAYOUT_REBASE   "rebase-"
#define LAYOUT_UNPACK   "unpack-"
#define LAYOUT_EXPORT   100000000000000000ULL /* above every number of a checkpoint */
#define LAYOUT_PARENT   "parent" /* CRIU's name of it (criu/include/image.h, CR_PARENT_LINK) */
#define LAYOUT_WORKER   "worker"
#define LAYOUT_DUMP_LOG "dump.log" /* in the folder of the images */

/* Marks. */
#define LAYOUT_POISONED   ".poisoned"
#define LAYOUT_CORRUPT    ".corrupt"
#define LAYOUT_PINNED     ".pinned"     /* never removed by retention */
#define LAYOUT_PROVEN     ".proven"     /* a drill has restored it */
#define LAYOUT_UNPROVABLE ".unprovable" /* a drill is not possible, or it failed */
#define LAYOUT_CHECKED    ".checked"    /* its time: when all hashes were last found right */
