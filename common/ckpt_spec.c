/* ckpt_spec.c - owning a checkpoint spec; apart from its bus form, so that workers load no bus. */
#include "common/ckpt_spec.h"

#include <stdlib.h>

void ckpt_spec_done(struct ckpt_spec *spec)
{
    free(spec->name);
    free(spec->cgroup);
    free(spec->snapshot_paths);
    free(spec->pre_checkpoint);
    free(spec->post_checkpoint);
    free(spec->restored_from);
    *spec = (struct ckpt_spec){0};
}
