/* keeper_cgroup.h - all processes of one service: a cgroup v2 folder, or, where there is none, the
 * process group of its first process. See cgroups(7) and Documentation/admin-guide/cgroup-v2.rst.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

struct family {
    const char *cgroup; /* absolute folder; "" none: use `leader`. Borrowed. */
    pid_t leader;       /* process group; 0 unknown */
};

int family_make(const struct family *family);    /* the folder, where it has one */
void family_remove(const struct family *family); /* the folder and its parent as far as empty */

/* Is a process of it alive? false also when it never existed. */
bool family_populated(const struct family *family);

int family_kill(const struct family *family); /* SIGKILL to all at once */

/* Calls `each` for every process, sub-folders included, until it returns != 0; returns that or 0.
 */
int family_for_each(const struct family *family, int (*each)(pid_t pid, void *userdata),
                    void *userdata);
bool family_has(const struct family *family, pid_t pid);
int family_signal(const struct family *family, int signal, pid_t except); /* except: 0 none */

/* Returns 0 when nothing is alive; else 1 and a source whose handler is called when that may have
 * changed: drop it and call again. */
int family_watch(const struct family *family, sd_event *event, sd_event_io_handler_t handler,
                 void *userdata, sd_event_source **ret);
