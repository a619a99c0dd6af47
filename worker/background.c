/* background.c - nice value and I/O class of background work. */
#include "worker/background.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* linux/ioprio.h: the C library has no wrapper */
enum {
    IOPRIO_WHO_PROCESS = 1,
    IOPRIO_CLASS_BE = 2,
    IOPRIO_CLASS_IDLE = 3,
    IOPRIO_CLASS_SHIFT = 13
};
enum { IOPRIO_BE_LAST = 7 };

#define NICE_IDLE 10 /* from here on the disk is used only when nobody else does */

void background_enter(int nice)
{
    int class = nice >= NICE_IDLE ? IOPRIO_CLASS_IDLE : IOPRIO_CLASS_BE;
    int level = nice >= NICE_IDLE ? 0 : IOPRIO_BE_LAST;

    if (nice <= 0)
        return;
    (void)setpriority(PRIO_PROCESS, 0, nice);
    (void)syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, class << IOPRIO_CLASS_SHIFT | level);
}
