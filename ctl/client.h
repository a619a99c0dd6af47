/* client.h - calls to the daemon on the control socket, with every failure told in plain words. */
#pragma once

#include "ctl/ctl.h"

struct request {
    const char *method;     /* CONTROL_* of common/wire.h */
    const char *signature;  /* "as", or any of: s h b, each type's values in order */
    char **names;           /* for "as"; NULL-terminated */
    const char *words[2];   /* for each "s" */
    int fd;                 /* for "h" */
    bool flag;              /* for "b" */
    const char *doing;      /* "checkpointing redis": shown on a terminal when it takes long; NULL:
                             * a quick question, asked again when the engine died over it */
    uint64_t progress_unit; /* bytes that one unit of its progress stands for; 0: it is no size */
};

/* Connects once; -errno as of connect(2) and nothing is reported. */
int client_try_connect(struct ctl *ctl);

/* Connects once; EXIT_OK or a reported exit code. */
int client_connect(struct ctl *ctl);

/* Connects if need be, calls, and waits for the answer as long as it takes (a quick question: 25
 * s). EXIT_OK with the reply, or a reported exit code. `ret` may be NULL. */
int client_call(struct ctl *ctl, const struct request *request, sd_bus_message **ret);

/* The same for methods that answer one string. */
int client_call_string(struct ctl *ctl, const struct request *request, char **ret);
int client_call_json(struct ctl *ctl, const struct request *request, json_t **ret);
