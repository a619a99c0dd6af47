/* reason.h - why something did not work and what to do about it: the two lines every failure
 * carries. */
#pragma once

struct reason {
    char *why;  /* one line; NULL: no reason set */
    char *cure; /* one line, never NULL when `why` is set; "" when we know none */
};

/* Replaces what stands there; `cure` is copied. Out of memory leaves it unset. */
void reason_set(struct reason *reason, const char *cure, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void reason_done(struct reason *reason);

/* "WHY" or "WHY\nCURE", the form that errors on the bus and the dump worker's report have. */
void reason_parse(struct reason *reason, const char *text);

/* Never NULL. */
const char *reason_why(const struct reason *reason);
const char *reason_cure(const struct reason *reason);
