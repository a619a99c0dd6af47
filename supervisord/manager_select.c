/* manager_select.c - asks ckptd which image to restore, and judges its answer. */
#include "supervisord/manager.h"

#include "common/cleanup.h"
#include "common/log.h"
#include "common/strv.h"
#include "common/wire.h"

#include <string.h>

static uint64_t number_of(const char *id)
{
    const char *at = strrchr(id, '@');

    return at ? strtoull(at + 1, NULL, 10) : 0;
}

static void no_image(struct unit *unit, const char *why)
{
    log_info("%s: no image for this rung: %s", unit->policy->name, why);
    unit_set_error(unit, "%s", why);
    unit_step(unit, EV_NO_IMAGE);
}

static void on_image(struct unit *unit, sd_bus_message *m)
{
    struct service *svc = &unit->svc;
    _cleanup_strv_ char **argv = NULL;
    uint64_t realtime, boot, number;
    const char *id;

    if (sd_bus_message_read(m, "stt", &id, &realtime, &boot) < 0 ||
        sd_bus_message_read_strv(m, &argv) < 0 || !argv || (number = number_of(id)) == 0) {
        no_image(unit, "ckptd gave an answer that makes no sense");
        return;
    }
    if (svc->goal != GOAL_MANUAL && record_forbids_image(&unit->record, realtime, boot)) {
        no_image(unit, "every checkpoint is of before the last start or restart by hand");
    } else if (svc->goal != GOAL_MANUAL && number <= svc->ladder.above) {
        no_image(unit, "no checkpoint was taken since the one that failed");
    } else if (svc->goal != GOAL_MANUAL &&
               record_gave_up_image(&unit->record, number, realtime, boot)) {
        svc->ladder.below = unit->record.branch_number + 1;
        ckpt_select(unit);
    } else if (svc->goal != GOAL_MANUAL && (svc->ladder.skip || number == svc->ladder.tried)) {
        ladder_skip(&svc->ladder, number);
        ckpt_select(unit);
    } else {
        svc->attempt_number = number;
        unit->record.attempt_time_realtime = realtime;
        (void)unit_save(unit, false); /* a new engine must know what is being tried */
        ask_restore(unit, argv);
    }
}

static int on_selected(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
    struct unit *unit = userdata;
    const sd_bus_error *error = sd_bus_message_get_error(m);

    unit->select = sd_bus_slot_unref(unit->select);
    if (!error) {
        on_image(unit, m);
    } else if (sd_bus_error_has_name(error, WIRE_ERROR_NO_CHECKPOINT)) {
        no_image(unit, error->message);
    } else {
        log_warning("%s: ckptd could not answer (%s); asking again when it is back",
                    unit->policy->name, error->message);
        unit->select_wanted = true;
    }
    return 0;
}

void ckpt_select(struct unit *unit)
{
    struct manager *m = unit->manager;
    struct service *svc = &unit->svc;
    bool manual = svc->goal == GOAL_MANUAL;
    int r;

    unit->select_wanted = !m->ckptd;
    if (!m->ckptd) {
        unit_set_error(unit, "waiting for the checkpoint daemon, which is not there");
        return;
    }
    unit->select = sd_bus_slot_unref(unit->select);
    r = sd_bus_call_method_async(m->ckptd, &unit->select, NULL, CKPT_PATH, CKPT_IFACE, CKPT_SELECT,
                                 on_selected, unit, "sttb", unit->policy->name,
                                 manual ? LADDER_ANY : svc->ladder.below,
                                 manual ? svc->manual_number : (uint64_t)0,
                                 !manual && ladder_wants_proven(&svc->ladder, unit->policy));
    if (r < 0) {
        log_error("%s: cannot ask ckptd for an image: %s", unit->policy->name, strerror(-r));
        unit->select_wanted = true;
    }
}
