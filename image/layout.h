/* layout.h - what ckptd and its workers agree on: the store's folders and the worker's command
 * line.
 *
 * STATE/checkpoints/                      0700
 *   .tools/                               made at start by ckptd: kdat cache, self-test result
 *   NAME/                                 0700, one per service
 *     counter                             last number given out; grows before a dump starts (text)
 *     N/                                  a whole checkpoint: images, manifest.json
 *     N.poisoned, N.corrupt               why N is never offered (text); beside the folder, which
 * stays staging-N/                          a dump in progress; flock(2) on the folder is held by
 * its worker, `worker` in it holds "PID START_TIME"
 *
 * ckpt-worker dump    --criu PATH --store STATE/checkpoints --number N --spec-fd FD --report-fd FD
 *     the spec is a JSON or fixed form of struct ckpt_spec (the two files of ckptd agree);
 *     dumps into staging-N, resumes, hashes, manifest, fsync, renames staging-N to N, fsyncs NAME/.
 *     Exit 0: committed. Else one line "message\ncure" was written to the report fd.
 * ckpt-worker restore --criu PATH --image DIR [--post-restore CMD | --post-restore-signal N] ...
 *     run by the keeper, see common/worker_abi.h
 * ckpt-worker selftest --criu PATH --dir DIR
 *     dump + restore of a tiny child, also one of another uid; prints a JSON line of facts
 */
#pragma once

#define LAYOUT_TOOLS    ".tools"
#define LAYOUT_COUNTER  "counter"
#define LAYOUT_STAGING  "staging-"
#define LAYOUT_POISONED ".poisoned"
#define LAYOUT_CORRUPT  ".corrupt"
#define LAYOUT_WORKER   "worker"
#define LAYOUT_DUMP_LOG "dump.log" /* in the folder of the images */
