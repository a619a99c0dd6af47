/* manager.h - the engine: owns the event loop and every service, hears keeper, ckptd and users, and
 * carries out what service_step() decides. Internal to manager*.c, control*.c, notify.c and
 * engine.c.
 *
 *   manager.c         life of the engine, actions, timers
 *   keeper_client.c   requests to the keeper
 *   manager_keeper.c  records from the keeper
 *   manager_ckpt.c    calls to and signals from ckptd
 *   manager_select.c  the one call that chooses an image
 *   manager_policy.c  policies and recorded state: first load, reload
 *   control.c         the public bus interface
 *   notify.c          sd_notify messages of services */
#pragma once

#include "common/dirs.h"
#include "supervisord/keeper_proto.h"
#include "supervisord/policy.h"
#include "supervisord/record.h"
#include "supervisord/service.h"

#include <stdbool.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

struct manager;
struct control;
struct queued;
struct orphan;

/* One service with all that is not pure about it. */
struct unit {
    struct manager *manager; /* the owner */
    struct service svc;
    struct policy *policy;  /* owned; svc.policy borrows it */
    bool policy_lost;       /* runs without a readable policy: left alone until it is mended */
    bool removed;           /* the policy is gone: forget it once it is down */
    struct record record;   /* last written; its extra facts are kept here only */
    sd_event_source *timer; /* svc.deadline */
    sd_event_source *pid_file_watch;
    sd_bus_slot *select;        /* Select under way */
    sd_bus_slot *poison;        /* Poison under way */
    bool select_wanted;         /* asked for while there was no ckptd */
    uint64_t request;           /* last keeper request about it */
    uint64_t life;              /* the request that started it, or shall */
    struct keeper_record *slot; /* what the keeper's table said at our start; NULL nothing */
    uint64_t pipe_inode[STREAM_COUNT];
    char *cgroup;                        /* absolute folder; NULL none */
    char *status_text;                   /* STATUS= of the service; NULL none */
    sd_event_source *stop_command;       /* the ExecStop= that runs */
    pid_t stop_pid;                      /* leads a process group of its own */
    uint64_t up_realtime, down_realtime; /* for people */
    struct {                             /* newest checkpoint, as ckptd last said */
        char *id, *kind, *not_restorable;
        uint64_t time_realtime, frozen_usec, bytes;
    } checkpoint;
    char *checkpoint_error;                        /* why the last dump failed; NULL none */
    uint64_t checkpoints_made, checkpoints_failed; /* since we look after it */
};

struct manager {
    sd_event *event;
    const struct dirs *dirs;
    struct settings settings;
    bool run_mode;       /* `perdure run`: end with the one service */
    bool cold;           /* forget recorded state at start */
    struct unit **units; /* sorted by name */
    size_t unit_count;
    char *cgroup_root; /* folder under which services get theirs; NULL: no cgroup2 */
    int services_fd;   /* STATE/services */
    int keeper_fd;
    sd_event_source *keeper_source;
    struct queued *queue; /* requests that wait for room in the socket */
    uint64_t next_request;
    bool table_complete, first_start;
    bool terminating, leave_running;
    bool quit_asked; /* the keeper was told to end, or to leave */
    bool quit;       /* and its end is ours */
    int exit_status;
    sd_bus *ckptd;
    sd_event_source *ckptd_post;
    char *facts; /* ckptd's JSON about CRIU; NULL not known yet */
    struct control *control;
    struct orphan *orphan;
    sd_event_source *sweep; /* removes units whose policy is gone, outside of their own steps */
    struct policy_errors errors; /* of the last load */
};

struct reload_report { /* names; NULL-terminated or NULL */
    char **added, **removed, **changed;
};

/* ---- control_json.c: the answers as JSON text (docs/json.md), new strings, NULL without memory
 * ---- */
char *json_status(const struct manager *m, char *const *names);
char *json_reload(const struct manager *m, const struct reload_report *report);
char *json_version(const struct manager *m);

/* ---- manager.c ---- */
struct unit *manager_find(const struct manager *m, const char *name);
int manager_add_unit(struct manager *m, struct policy *policy, struct unit **ret); /* owns policy */
void manager_remove_unit(struct manager *m, struct unit *unit);
/* Steps the state machine, writes the record, carries out the action, tells whoever waits. */
void unit_step(struct unit *unit, enum service_event event);
void unit_set_error(struct unit *unit, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
int unit_save(struct unit *unit, bool durable);
void unit_carry_out(struct unit *unit, enum service_action action);
void unit_arm_deadline(struct unit *unit); /* after svc.deadline has changed outside of a step */
void manager_terminate(struct manager *m, bool leave_running);
void manager_check_done(struct manager *m);

/* ---- manager_keeper.c ---- */
int keeper_client_open(struct manager *m);
/* The image that was tried is alive: work lost, a mark in its log, EV_RESTORED. */
void unit_restored(struct unit *unit, uint64_t restore_usec);

/* ---- keeper_client.c: `ask_` crosses the border to the keeper; nothing asked is lost ---- */
void keeper_client_flush(struct manager *m); /* there may be room */
void keeper_client_close(struct manager *m);
void ask_spawn(struct unit *unit);
void ask_restore(struct unit *unit, char *const *worker_argv);
void ask_signal(struct unit *unit, int signal, bool group);
void ask_kill(struct unit *unit);
void ask_set_main(struct unit *unit, pid_t pid, uint64_t start_time);
void ask_mark(struct unit *unit, const char *text);
void ask_acknowledge(struct unit *unit); /* what it told of the unit is written down */
void ask_forget(struct unit *unit);
void ask_ready(struct manager *m);
void ask_quit(struct manager *m);

/* ---- manager_ckpt.c ---- */
int ckpt_connect(struct manager *m, int fd); /* owns fd */
void ckpt_disconnect(struct manager *m);
void ckpt_watch(struct unit *unit);
void ckpt_unwatch(struct unit *unit);
/* Asks for the newest checkpoint's facts; `then` is called once, also without ckptd. */
void ckpt_refresh(struct unit *unit, void (*then)(void *userdata), void *userdata);
/* record.poison_number: told until ckptd has confirmed it. */
void ckpt_poison(struct unit *unit);
void ckpt_corrupt(struct unit *unit, uint64_t number, const char *why);

/* ---- manager_select.c ---- */
void ckpt_select(struct unit *unit);

/* ---- manager_policy.c ---- */
int policies_load(struct manager *m); /* units from policies and records; at start */
void unit_recall(struct unit *unit);  /* its recorded state; without one it is to be up */
/* The keeper's table is complete: goes on where the last engine, or the last boot, ended. */
void policies_resume(struct manager *m);
void reload_report_done(struct reload_report *report);
/* Reads the policies again: new ones start, removed ones stop, changed ones count from the next
 * start on. Bad files keep their old policy; the reasons are in m->errors. */
int policies_reload(struct manager *m, struct reload_report *ret_report);

/* ---- spawn.c ---- */
/* The sealed memfd for the keeper. On failure *ret_why is a new text for people. */
int spawn_service(const struct unit *unit, int *ret_memfd, char **ret_why);
int spawn_worker(const struct unit *unit, char *const *worker_argv, int *ret_memfd, char **ret_why);
/* Environment of the service's own commands (ExecStop=): KEY=VALUE, NULL-terminated, new. */
int spawn_environment(const struct unit *unit, char ***ret_env, char **ret_why);

/* ---- cgroup_root.c ---- */
/* The folder for our services in the cgroup2 hierarchy: <our own cgroup>/perdure-<instance>; NULL
 * in *ret when there is no cgroup2 that we may write. */
int cgroup_root_find(const struct dirs *dirs, char **ret);

/* At our end: the folder, and those of services in it that are empty. */
void cgroup_root_remove(const char *root);

/* ---- notify.c ---- */
int notify_open(struct manager *m, int fd);

/* ---- stop_command.c ---- */
/* Runs ExecStop= commands one after the other, from record.stop_next on, each within
 * TimeoutStopSec=; then KillSignal= to what is left. */
void stop_command_start(struct unit *unit);
/* False: no command is to blame that was not killed for it already. */
bool stop_command_timeout(struct unit *unit);

/* ---- pid_file.c ---- */
/* The forking parent has ended: waits for PIDFile= to name a process of the service, then EV_READY.
 */
void pid_file_wait(struct unit *unit);

/* ---- control.c ---- */
int control_open(struct manager *m, int listen_fd, struct control **ret);
struct control *control_free(struct control *control);
void control_unit_changed(struct control *control, struct unit *unit);
void control_unit_gone(struct control *control, const char *name);
/* To everybody who is connected. */
void control_checkpoint_committed(struct control *control, const char *name, const char *id);
void control_checkpoint_failed(struct control *control, const char *name, const char *message,
                               const char *cure);
/* ckptd says how far a command is: to everybody who is connected. */
int control_on_progress(sd_bus_message *signal, void *manager, sd_bus_error *ret_error);
