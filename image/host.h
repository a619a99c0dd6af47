/* host.h - the facts of this machine that decide whether an image made elsewhere can run here.
 *
 * One owner for both sides: the dump worker records them in the manifest, ckptd compares. */
#pragma once

#include <stdbool.h>

struct host {
    char *machine; /* uname(2), "x86_64" */
    char *kernel;  /* release */
    char *name;    /* nodename */
    char *cpu;     /* "MODEL: feature feature ...", only features that a program can use itself */
};

int host_read(struct host *ret);
void host_done(struct host *host);

/* A restored program goes on using what it found at its start: every feature of `needed` (a `cpu`
 * as above) must be in `present`. HOST_LACKS: *ret_feature is the first one that is not, a new
 * string. */
enum { HOST_LACKS = 1 };
int host_compare_cpu(const char *needed, const char *present, char **ret_feature);
