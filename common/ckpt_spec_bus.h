/* ckpt_spec_bus.h - a checkpoint spec as the arguments of Watch (common/wire.h). */
#pragma once

#include "common/ckpt_spec.h"

#include <systemd/sd-bus.h>

#define CKPT_SPEC_SIGNATURE "sutstttuttbbbsss"

int ckpt_spec_append(sd_bus_message *m, const struct ckpt_spec *spec);
int ckpt_spec_read(sd_bus_message *m, struct ckpt_spec *ret_spec); /* strings are new */
