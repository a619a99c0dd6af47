/* wire.h - every bus name, path, method and signature, written once.
 *
 * Two interfaces, both sd-bus peer to peer: the control interface (engine <- command line, on
 * RUNTIME/control.sock) and the checkpoint interface (ckptd <- engine, on a socketpair).
 * Conventions: times `t` are usec; _REALTIME since the epoch, _BOOT on CLOCK_BOOTTIME; 0 is "none".
 * A checkpoint id is "NAME@N". Structured answers that only people and programs outside read are
 * JSON strings whose layout docs/json.md describes. */
#pragma once

/* ---- control interface: the engine's, for `perdure`, busctl and anybody else ---- */
#define CONTROL_NAME  "org.perdure.Supervisor1"
#define CONTROL_PATH  "/org/perdure/Supervisor1"
#define CONTROL_IFACE "org.perdure.Supervisor1.Manager"

/* Read methods (anybody who can connect; see the socket's mode). */
#define CONTROL_STATUS                                                                        \
    "Status"                /* as names (empty: all) -> s JSON {"version":1,"services":[...]} \
                             */
#define CONTROL_LIST "List" /* s name ("" all) -> s JSON {"version":1,"checkpoints":[...]} */
#define CONTROL_SHOW "Show" /* s id -> s JSON manifest with "path" and "state" */
#define CONTROL_CHECK                                  \
    "Check"                        /* s name -> s JSON \
                                      {"version":1,"service","checkpointable":bool,"problems":[{"problem","cure"}]} */
#define CONTROL_LOG_PATH "LogPath" /* s name -> s path of the raw log file ("" none) */
#define CONTROL_VERSION  "Version" /* -> s JSON {"version":1,"perdure","criu","kernel",...} */
/* Acting methods (root, the daemon's own uid, or the control socket's group). Each answers when the
 * thing is done or has failed. */
#define CONTROL_START      "Start"      /* as names -> */
#define CONTROL_STOP       "Stop"       /* as names -> */
#define CONTROL_RESTART    "Restart"    /* as names -> */
#define CONTROL_CHECKPOINT "Checkpoint" /* s name -> s id */
#define CONTROL_RESTORE    "Restore"    /* s name, s id ("" newest) -> s id restored */
#define CONTROL_RELOAD                                                                                  \
    "Reload" /* -> s JSON                                                                               \
                {"version":1,"added":[],"removed":[],"changed":[],"errors":[{"file","line","message"}]} \
              */
#define CONTROL_WAIT                                                                              \
    "Wait" /* s name -> s state, i code (CLD_*), i status: answers when the service is stopped or \
              failed */
/* The store's commands; ckptd does them in a worker and answers at the end, which may take long.
 * Progress is told on the way. `h` is an open descriptor that the caller's own rights got. */
#define CONTROL_VERIFY                                                           \
    "Verify"                        /* s id ("" all, "NAME" all of it) -> s JSON \
                                       {"version":1,"checkpoints":[{"id","ok":bool,"why"}]} */
#define CONTROL_DESCRIBE "Describe" /* s id -> s JSON: processes, mappings, files, sockets */
#define CONTROL_DIFF     "Diff"     /* s id, s id -> s JSON */
#define CONTROL_PIN      "Pin"      /* s id, b pinned -> */
#define CONTROL_PRUNE                                                          \
    "Prune"                            /* s name ("" all), b dry_run -> s JSON \
                                          {"version":1,"removed":[{"id","bytes","why"}],"bytes":n} */
#define CONTROL_UNPACK     "Unpack"    /* s id, h empty folder -> s JSON */
#define CONTROL_EXPORT     "Export"    /* s id, h file -> s JSON {"version":1,"id","bytes"} */
#define CONTROL_IMPORT     "Import"    /* h file, s name, b trust -> s JSON {"version":1,"id"} */
#define CONTROL_DRILL      "Drill"     /* s id -> s JSON {"version":1,"id","proven":bool,"why"} */
#define CONTROL_ROTATE_KEY "RotateKey" /* -> s id of the new key */
#define CONTROL_SHUTDOWN   "Shutdown"  /* b leave_running -> : ends this instance */
/* Signal: one per state change. */
#define CONTROL_CHANGED "Changed" /* s name, s state */
/* Signals: what became of a checkpoint, periodic or asked for. The service runs on after both. */
#define CONTROL_CHECKPOINT_COMMITTED "CheckpointCommitted" /* s name, s id */
#define CONTROL_CHECKPOINT_FAILED    "CheckpointFailed"    /* s name, s message, s cure */
/* Signal: how far a store command is; units differ from command to command. */
#define CONTROL_PROGRESS "Progress" /* s method, s id, t done, t total */

/* Errors on both interfaces. The message is one line: what happened. The cure travels after a
 * newline in the same message ("message\ncure"), because sd-bus errors carry one string. */
#define WIRE_ERROR_UNKNOWN_SERVICE "org.perdure.Error.UnknownService"
#define WIRE_ERROR_NO_CHECKPOINT   "org.perdure.Error.NoCheckpoint"
#define WIRE_ERROR_NOT_RUNNING     "org.perdure.Error.NotRunning"
#define WIRE_ERROR_BUSY            "org.perdure.Error.Busy"
#define WIRE_ERROR_FAILED          "org.perdure.Error.Failed"

/* ---- checkpoint interface: ckptd's, for the engine only ---- */
#define CKPT_PATH  "/org/perdure/Checkpointer1"
#define CKPT_IFACE "org.perdure.Checkpointer1"

/* Configure: the daemon's settings; the engine's first call. ckptd touches no CRIU before it. */
#define CKPT_CONFIGURE                                                                             \
    "Configure" /* s criu ("" find it), t reserve_bytes (0: 5 % of the file system), s key_file, t \
                   max_bytes of the store (0: no limit), t scrub_usec (0: off) -> */
/* Watch: keep this running service's checkpoints fresh. Replaces an earlier watch of the name.
 * Periodic dumps begin one interval after the call. See struct ckpt_spec in common/ckpt_spec.h. */
#define CKPT_WATCH      "Watch"
#define CKPT_UNWATCH    "Unwatch"    /* s name -> : no dump of it runs any more when this answers */
#define CKPT_CHECKPOINT "Checkpoint" /* s name -> s id: dump now; answers when committed */
/* Select an image to restore: newest usable one with N < below (UINT64_MAX: the newest; also those
 * that are not "restorable here" are skipped). only != 0: exactly that N, poisoned ones allowed (by
 * hand). proven_only: of these, only those that a drill has proven.
 * -> s id, t image_time_realtime, t image_time_boot (0 when of an earlier boot), as worker_argv.
 * NoCheckpoint when there is none, its message saying why each candidate was skipped.
 * The keeper runs worker_argv as it is; nobody but ckptd knows what is in it. */
#define CKPT_SELECT  "Select"  /* s name, t below, t only, b proven_only */
#define CKPT_POISON  "Poison"  /* s id, s why -> */
#define CKPT_CORRUPT "Corrupt" /* s id, s why -> */
#define CKPT_LIST    "List"    /* s name ("" all) -> s JSON */
#define CKPT_SHOW    "Show"    /* s id -> s JSON */
#define CKPT_CHECK   "Check"   /* s name -> s JSON, for a watched service */
#define CKPT_NEWEST                                                                          \
    "Newest" /* s name -> s id ("" none), t time_realtime, t frozen_usec, t bytes, s kind, s \
                restorable_why ("" restorable) */
/* The store's commands: as on the control interface. */
#define CKPT_VERIFY   "Verify"
#define CKPT_DESCRIBE "Describe"
#define CKPT_DIFF     "Diff"
#define CKPT_PIN      "Pin"
#define CKPT_PRUNE    "Prune"
#define CKPT_UNPACK   "Unpack"
#define CKPT_EXPORT   "Export"
#define CKPT_IMPORT \
    "Import" /* h file, s name, b trust, u uid of the policy's user, b encrypt -> s JSON */
#define CKPT_DRILL      "Drill"
#define CKPT_ROTATE_KEY "RotateKey"
#define CKPT_FACTS      "Facts" /* -> s JSON {"criu","criu_path","usable":bool,"why","cure"} */
/* Signals to the engine. */
#define CKPT_COMMITTED \
    "Committed"                  /* s name, s id, t time_realtime, t frozen_usec, t bytes, s kind */
#define CKPT_FAILED   "Failed"   /* s name, s message, s cure */
#define CKPT_PROGRESS "Progress" /* as CONTROL_PROGRESS */
