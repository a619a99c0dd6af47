/* proc.h - what /proc and pidfds tell of a process: identity, exit status, time. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define USEC_PER_SEC  1000000ULL
#define USEC_PER_MSEC 1000ULL
#define USEC_INFINITY UINT64_MAX

/* A process as no pid reuse can confuse it: proc_pid_stat(5) field 22 is constant over its life. */
struct proc_id {
    pid_t pid;
    uint64_t start_time; /* clock ticks since boot; 0: unknown */
};

/* proc_pid_stat(5): start time (field 22), parent (4) and state letter (3). Each ret_ may be NULL.
 * -ESRCH when there is no such process. */
int proc_stat(pid_t pid, uint64_t *ret_start_time, pid_t *ret_ppid, char *ret_state);

/* Opens a pidfd of exactly this process; -ESRCH when it is gone or the pid is another's now. */
int proc_open(const struct proc_id *id);

int proc_send_signal(int pidfd, int signal);

/* Exit status (as in wait(2)) of a process that is not our child: PIDFD_GET_INFO, Linux >= 6.15.
 * PROC_EXIT_UNKNOWN when this kernel cannot tell or the process was not reaped yet. */
enum { PROC_EXIT_UNKNOWN = 1 };
int proc_exit_status(int pidfd, int *ret_wstatus);

/* The kernel's boot id as 32 hex digits, random(4); constant until reboot. */
#define BOOT_ID_LEN 32
int proc_boot_id(char ret_id[BOOT_ID_LEN + 1]);

uint64_t now_boottime_usec(void); /* CLOCK_BOOTTIME: goes on in suspend, never jumps */
uint64_t now_realtime_usec(void); /* for people and ages of checkpoints only */

/* RFC 3339 UTC with milliseconds into `buf` (at least RFC3339_SIZE bytes); returns buf. */
#define RFC3339_SIZE 32
char *format_rfc3339(uint64_t realtime_usec, char buf[RFC3339_SIZE]);

/* Memory of the machine, and what programs can still have without swapping, bytes;
 * proc_meminfo(5). */
int proc_memory(uint64_t *ret_total, uint64_t *ret_available);

/* Is `cap` (capability number) in our effective set? */
bool proc_have_cap(unsigned cap);
