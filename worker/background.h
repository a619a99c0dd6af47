/* background.h - keeps work that nobody waits for out of the way of the services. */
#pragma once

/* Lower CPU and I/O priority of this process and all it starts: `nice` as in setpriority(2). What
 * the system refuses is left as it is; 0 changes nothing. */
void background_enter(int nice);
