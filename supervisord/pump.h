/* pump.h - moves what a service writes from its pipe into a raw log file, one splice(2) per
 * wake-up.
 *
 * The log file is open without O_APPEND, so that splice(2) takes it and moves its offset and the
 * pipe's content in one system call: whoever is killed, no byte is lost or doubled. */
#pragma once

#include "supervisord/spawn_spec.h"

#include <systemd/sd-event.h>

struct pump;

/* Opens a log for `kind` (FILE, APPEND: mode 0600, its folder is made; INHERIT: a copy of our own
 * descriptor 1 or 2). `from_start` puts the offset at 0, else it is the end. */
int pump_open_log(enum stream_kind kind, int stream, const char *path, bool from_start,
                  int *ret_fd);

/* Makes a service's pipe: one end open for reading and writing, so that the pipe never loses its
 * last reader or writer, whoever dies: no SIGPIPE, no end of file. */
int pump_open_pipe(int *ret_fd);

/* Opens a pipe anew through /proc/self/fd, with its own flags. */
int pump_reopen_pipe(int fd, int flags);

/* Both descriptors are owned by the pump from a successful call on. `path` is for messages and
 * copied. `on_end` (may be NULL) is called when the pipe has lost its last writer and is drained.
 */
int pump_new(sd_event *event, int pipe_fd, int log_fd, const char *path,
             void (*on_end)(struct pump *pump, void *userdata), void *userdata, struct pump **ret);
struct pump *pump_free(struct pump *pump); /* does not drain */

/* Moves everything that is in the pipe now; waits at most `wait_ms` for a slow reader of our own
 * output. -EAGAIN when something had to stay (disk full, slow reader): the pump goes on by itself.
 */
int pump_drain(struct pump *pump, int wait_ms);

/* Appends a line of our own, after what the pipe holds and always at the start of a line. */
int pump_mark(struct pump *pump, const char *text);
int pump_mark_log(int log_fd, const char *text); /* the same when no pipe is there */

int pump_pipe_fd(const struct pump *pump); /* borrowed */
int pump_log_fd(const struct pump *pump);
