/* visible.h - which system calls others can see: a kill between two of them is the same as one
 * right before the second. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/syscall.h>

/* What nobody else can see: a kill before or after it is the same. */
static const int invisible[] = {
    SYS_read,
    SYS_pread64,
    SYS_readv,
    SYS_lseek,
    SYS_fstat,
    SYS_newfstatat,
    SYS_statx,
    SYS_statfs,
    SYS_fstatfs,
    SYS_faccessat,
    SYS_faccessat2,
    SYS_readlinkat,
    SYS_getdents64,
    SYS_getcwd,
    SYS_mmap,
    SYS_munmap,
    SYS_mprotect,
    SYS_mremap,
    SYS_madvise,
    SYS_mlock,
    SYS_munlock,
    SYS_brk,
    SYS_futex,
    SYS_getpid,
    SYS_getppid,
    SYS_gettid,
    SYS_getuid,
    SYS_geteuid,
    SYS_getgid,
    SYS_getegid,
    SYS_getgroups,
    SYS_uname,
    SYS_clock_gettime,
    SYS_getrandom,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_prlimit64,
    SYS_getrlimit,
    SYS_epoll_pwait,
    SYS_epoll_ctl,
    SYS_ppoll,
    SYS_pselect6,
    SYS_clock_nanosleep,
    SYS_nanosleep,
    SYS_rseq,
    SYS_set_tid_address,
    SYS_set_robust_list,
    SYS_getsockopt,
    SYS_getsockname,
    SYS_getpeername,
    SYS_timerfd_settime,
    SYS_umask,
    SYS_restart_syscall,
    SYS_getpgid,
    SYS_getsid,
    SYS_sched_getaffinity,
    SYS_sysinfo,
    SYS_epoll_create1,
    SYS_timerfd_create,
    SYS_getrusage,
#ifdef SYS_epoll_wait /* x86-64 has them besides; arm64 does not */
    SYS_epoll_wait,
    SYS_poll,
    SYS_select,
    SYS_stat,
    SYS_lstat,
    SYS_access,
    SYS_readlink,
    SYS_arch_prctl,
    SYS_time,
    SYS_getdents,
#endif
};

static inline bool is_visible(long number)
{
    for (size_t i = 0; i < sizeof(invisible) / sizeof(*invisible); i++)
        if (invisible[i] == number)
            return false;
    return true;
}
