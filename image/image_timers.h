/* image_timers.h - keeps periodic timers alive through a restore.
 *
 * A periodic timerfd that expired during the freeze and was not read yet shows it_value (0, 0) in
 * fdinfo, proc_pid_fdinfo(5). CRIU (up to 4.2.1 at least, criu/timerfd.c, upstream issue 3162)
 * restores that value, which disarms the timer, and no read() arms it again: it is dead for ever.
 */
#pragma once

/* Gives every such timer of files.img in the folder `dirfd` one nanosecond, so that it expires at
 * once and goes on: one byte each, in place, the image stays a plain one. To be called before
 * hashing. The number of timers goes into *ret_count (may be NULL). -EBADMSG when files.img is
 * damaged. */
int image_rearm_timers(int dirfd, unsigned *ret_count);
