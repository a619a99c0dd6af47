/* dump.h - one checkpoint in the making: dump.c takes it out of the service, commit.c makes it a
 * part of the store. */
#pragma once

#include "common/ckpt_spec.h"
#include "common/reason.h"
#include "image/checkpoint.h"
#include "image/image_scan.h"
#include "worker/criu.h"
#include "worker/open.h"
#include "worker/worker.h"

#define DUMP_FOLDER "dump" /* in the staging folder */

struct dump {
    struct ckpt_spec spec;
    char id[CHECKPOINT_ID_SIZE];
    char staging[40], final[24]; /* in service_fd: "staging-N", "N" */
    struct opened at; /* store, service, keys; the chain of the parent, once it is needed */
    int staging_fd;
    int dump_fd; /* where criu writes: memory, or a folder in staging_fd */
    struct criu_run run;
    struct criu_result result;
    struct image image;
    struct manifest *manifest;
    int files_error;      /* of files_keep(); `reason` says why */
    struct reason reason; /* of the failure */
};

/* A step failed by an error of the system; returns it. */
int dump_failed(struct dump *d, const char *what, int error);

/* ---- commit.c ---- */
/* Image and manifest, written, hashed and sealed; then the one rename after which it is there. */
int dump_commit(struct dump *d, const struct worker_args *args);
