/* ladder.c - the climb down from the best image to a cold start. */
#include "supervisord/ladder.h"

/* "older" as the first image rung leaves the newest image alone. */
static void enter_rung(struct ladder *ladder, const struct policy *policy)
{
    enum ladder_rung rung;

    ladder->skip = ladder_current(ladder, policy, &rung) == 0 && rung == RUNG_OLDER &&
                   ladder->below == LADDER_ANY;
}

void ladder_reset(struct ladder *ladder, const struct policy *policy)
{
    *ladder = (struct ladder){.below = LADDER_ANY};
    enter_rung(ladder, policy);
}

void ladder_reset_above(struct ladder *ladder, const struct policy *policy, uint64_t number)
{
    ladder_reset(ladder, policy);
    ladder->above = number;
}

int ladder_current(const struct ladder *ladder, const struct policy *policy,
                   enum ladder_rung *ret_rung)
{
    if (ladder->position >= policy->ladder_len)
        return LADDER_USED_UP;
    *ret_rung = policy->ladder[ladder->position];
    return 0;
}

void ladder_skip(struct ladder *ladder, uint64_t number)
{
    ladder->skip = 0;
    ladder->below = number;
}

void ladder_image_failed(struct ladder *ladder, const struct policy *policy, uint64_t number)
{
    enum ladder_rung rung;

    /* Newer ones, which nobody has proven, are for the next rungs. */
    if (ladder_wants_proven(ladder, policy)) {
        ladder->tried = number;
        ladder_next(ladder, policy);
        return;
    }
    if (number < ladder->below)
        ladder->below = number;
    /* "older" stands for every older image, one after the other; it ends when there is none. */
    if (ladder_current(ladder, policy, &rung) == 0 && rung == RUNG_NEWEST)
        ladder_next(ladder, policy);
}

void ladder_distrust(struct ladder *ladder, const struct policy *policy, uint64_t number)
{
    if (!ladder_wants_proven(ladder, policy)) {
        ladder_image_failed(ladder, policy, number);
        return;
    }
    if (number < ladder->below)
        ladder->below = number;
    ladder->above = 0;
}

bool ladder_wants_proven(const struct ladder *ladder, const struct policy *policy)
{
    enum ladder_rung rung;

    return ladder_current(ladder, policy, &rung) == 0 && rung == RUNG_PROVEN;
}

void ladder_next(struct ladder *ladder, const struct policy *policy)
{
    bool proven = ladder_wants_proven(ladder, policy);

    if (ladder->position < policy->ladder_len)
        ladder->position++;
    if (!proven && ladder->above) { /* the images below it are what is left */
        ladder->below = ladder->above;
        ladder->above = 0;
    }
    enter_rung(ladder, policy);
}
