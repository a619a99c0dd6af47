/* describe.h - the description of an open checkpoint. */
#pragma once

#include "image/describe.h"
#include "worker/open.h"

/* < 0: `reason` names `id` and what of it cannot be read. */
int describe_opened(const struct opened *at, const char *id, struct description *ret,
                    struct reason *reason);
