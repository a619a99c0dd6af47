/* probe.h - which criu there is and whether it works here: found and self-tested once per boot. */
#pragma once

#include "ckptd/store.h"
#include "common/reason.h"
#include "image/host.h"

#include <stdbool.h>
#include <systemd/sd-event.h>

struct criu_facts {
    bool known;           /* false while the self-test runs */
    bool usable;          /* this host can dump and restore */
    bool sockets;         /* also services that have sockets */
    bool other_users;     /* also those that run as another user; not tried when sockets fail */
    unsigned version;     /* 40101 is 4.1.1; 0: not known */
    char *path;           /* NULL: no criu found */
    char *warning;        /* of a thing that changes how criu works; NULL: none */
    struct reason reason; /* of the first of the three that is false */
};

struct probe;
typedef void (*probe_done_t)(void *userdata);

/* Finds criu (`path` NULL: in the usual places) and tests it by a run of ckpt-worker, unless a good
 * result of this boot, this criu and this kernel is in .tools. `done` is called from the loop, or
 * not at all when probe_facts() is known at once. */
int probe_start(sd_event *event, const struct store *store, const char *worker, const char *path,
                const struct host *host, probe_done_t done, void *userdata, struct probe **ret);
struct probe *probe_free(struct probe *probe);

const struct criu_facts *probe_facts(const struct probe *probe);
