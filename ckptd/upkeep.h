/* upkeep.h - what is done with checkpoints when there is time: shorter chains, packing, drills,
 * hashing again. One worker at a time on the whole host; dumps never wait for it. */
#pragma once

#include <stdint.h>
#include <systemd/sd-event.h>

struct manager;
struct upkeep;

int upkeep_new(struct manager *manager, sd_event *event, struct upkeep **ret);
struct upkeep *upkeep_free(struct upkeep *upkeep);

/* Something has changed: looks for work soon, from the loop. */
void upkeep_wake(struct upkeep *upkeep);

/* Something is wrong with this checkpoint, or with one that it depends on: it is hashed next. */
void upkeep_doubt(struct upkeep *upkeep, const char *name, uint64_t number);
