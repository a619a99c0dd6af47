/* task.h - a worker that does something with the store, apart from dumps: verify, re-base, drill,
 * export. It is asked for by a command or by upkeep; dumps never wait for it.
 *
 * A task outlives us when we are killed: what it does is whole at every moment (image/layout.h).
 * One that makes no progress for long is killed, and when not even that ends it, given up. */
#pragma once

#include "common/reason.h"

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

struct task;

struct task_events {
    void (*progress)(uint64_t done, uint64_t total, void *userdata); /* may be NULL */
    /* `result` is JSON or ""; NULL when it failed, and `reason` says why. The task may be freed. */
    void (*done)(struct task *task, const char *result, const struct reason *reason,
                 void *userdata);
    void *userdata;
};

/* Starts argv[0] with the options --report-fd and, when `file_fd` is one, --file-fd added; file_fd
 * stays the caller's. `stall_usec` is that of a dump (job.h): a task has several times as long. */
int task_start(sd_event *event, const char *const argv[], int file_fd, uint64_t stall_usec,
               const struct task_events *events, struct task **ret);

/* A worker that still runs goes on by itself, and is reaped. */
struct task *task_free(struct task *task);
