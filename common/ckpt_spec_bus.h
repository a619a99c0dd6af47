/* ckpt_spec_bus.h - a checkpoint spec as the arguments of Watch (common/wire.h). */
#pragma once

#include "common/ckpt_spec.h"

#include <systemd/sd-bus.h>

/* Who and when; which are kept; how they are stored; files; how criu dumps, and hooks. */
#define CKPT_SPEC_SIGNATURE \
    "sutsttt"               \
    "uuuut"                 \
    "uubuiut"               \
    "us"                    \
    "tbbbsss"

int ckpt_spec_append(sd_bus_message *m, const struct ckpt_spec *spec);
int ckpt_spec_read(sd_bus_message *m, struct ckpt_spec *ret_spec); /* strings are new */
