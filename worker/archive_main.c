/* archive_main.c - ckpt-archive: checkpoints as one file, in and out. A program of its own, because
 * libarchive and all that it loads would cost every restore two milliseconds. */
#include "worker/mode.h"

#include <stddef.h>

static const struct mode modes[] = {
    {"export", worker_export, NEED_CHECKPOINT | NEED_FILE | NEED_REPORT},
    {"import", worker_import, NEED_CHECKPOINT | NEED_FILE | NEED_UID | NEED_REPORT},
    {NULL, NULL, 0},
};

int main(int argc, char *argv[])
{
    return mode_main("ckpt-archive", modes, argc, argv);
}
