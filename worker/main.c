/* main.c - ckpt-worker: everything that touches images and must not hold up or endanger a daemon,
 * one mode a run. */
#include "worker/mode.h"

#include <stddef.h>

static const struct mode modes[] = {
    {"dump", worker_dump,
     NEED_CRIU | NEED_STORE | NEED_NUMBER | NEED_KEYS | NEED_SPEC | NEED_REPORT},
    {"restore", worker_restore, NEED_CRIU | NEED_CHECKPOINT},
    {"selftest", worker_selftest, NEED_CRIU | NEED_DIR},
    {"unlock", worker_unlock, NEED_DIR},
    {"rebase", worker_rebase, NEED_CHECKPOINT | NEED_REPORT},
    {"drill", worker_drill, NEED_CRIU | NEED_CHECKPOINT},
    {"verify", worker_verify, NEED_STORE | NEED_KEYS | NEED_REPORT},
    {"describe", worker_describe, NEED_CHECKPOINT | NEED_REPORT},
    {"diff", worker_diff, NEED_CHECKPOINT | NEED_OTHER | NEED_REPORT},
    {"unpack", worker_unpack, NEED_CHECKPOINT | NEED_FILE | NEED_REPORT},
    {NULL, NULL, 0},
};

int main(int argc, char *argv[])
{
    return mode_main("ckpt-worker", modes, argc, argv);
}
