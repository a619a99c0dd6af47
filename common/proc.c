/* proc.c - process identity, exit status and time from /proc, pidfds and clocks. */
#include "common/proc.h"

#include "common/cleanup.h"
#include "common/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* linux/pidfd.h of 6.15; older headers lack it, so the layout stands here. */
struct pidfd_info_v2 {
    uint64_t mask, cgroupid;
    uint32_t pid, tgid, ppid;
    uint32_t ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
    int32_t exit_code;
};
#define PIDFD_INFO_EXIT_BIT (1ULL << 3)
#define PIDFD_GET_INFO_V2   _IOWR(0xFF, 11, struct pidfd_info_v2)

int proc_stat(pid_t pid, uint64_t *ret_start_time, pid_t *ret_ppid, char *ret_state)
{
    _cleanup_free_ char *data = NULL;
    char path[32], state;
    uint64_t start;
    const char *p;
    int ppid, r;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    r = fs_read(AT_FDCWD, path, 4096, &data, NULL);
    if (r < 0)
        return r == -ENOENT ? -ESRCH : r;
    /* The command (field 2) may hold spaces and ')': start after the last one. */
    p = strrchr(data, ')');
    if (!p || sscanf(p + 1,
                     " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d "
                     "%" SCNu64,
                     &state, &ppid, &start) != 3)
        return -EBADMSG;
    if (ret_start_time)
        *ret_start_time = start;
    if (ret_ppid)
        *ret_ppid = ppid;
    if (ret_state)
        *ret_state = state;
    return 0;
}

int proc_open(const struct proc_id *id)
{
    _cleanup_close_ int fd = -1;
    uint64_t start;
    int r;

    if (id->pid <= 0)
        return -ESRCH;
    fd = (int)syscall(SYS_pidfd_open, id->pid, 0);
    if (fd < 0)
        return -errno;
    /* Compared after the open: from now on the pid cannot become another's without the pidfd
     * being of a dead process. */
    r = proc_stat(id->pid, &start, NULL, NULL);
    if (r < 0)
        return r;
    if (id->start_time && start != id->start_time)
        return -ESRCH;
    return TAKE_FD(fd);
}

int proc_send_signal(int pidfd, int signal)
{
    return syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0) < 0 ? -errno : 0;
}

int proc_exit_status(int pidfd, int *ret_wstatus)
{
    struct pidfd_info_v2 info = {.mask = PIDFD_INFO_EXIT_BIT};

    if (ioctl(pidfd, PIDFD_GET_INFO_V2, &info) < 0 || !(info.mask & PIDFD_INFO_EXIT_BIT))
        return PROC_EXIT_UNKNOWN;
    *ret_wstatus = info.exit_code;
    return 0;
}

int proc_boot_id(char ret_id[BOOT_ID_LEN + 1])
{
    _cleanup_free_ char *data = NULL;
    size_t n = 0;
    int r;

    r = fs_read(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 64, &data, NULL);
    if (r < 0)
        return r;
    for (const char *p = data; *p && n < BOOT_ID_LEN; p++)
        if (*p != '-' && *p != '\n')
            ret_id[n++] = *p;
    ret_id[n] = '\0';
    return n == BOOT_ID_LEN ? 0 : -EBADMSG;
}

static uint64_t now_usec(clockid_t clock)
{
    struct timespec ts;

    clock_gettime(clock, &ts);
    return (uint64_t)ts.tv_sec * USEC_PER_SEC + (uint64_t)ts.tv_nsec / 1000;
}

uint64_t now_boottime_usec(void)
{
    return now_usec(CLOCK_BOOTTIME);
}

uint64_t now_realtime_usec(void)
{
    return now_usec(CLOCK_REALTIME);
}

char *format_rfc3339(uint64_t realtime_usec, char buf[RFC3339_SIZE])
{
    time_t seconds = (time_t)(realtime_usec / USEC_PER_SEC);
    struct tm tm;
    size_t n;

    gmtime_r(&seconds, &tm);
    n = strftime(buf, RFC3339_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(buf + n, RFC3339_SIZE - n, ".%03uZ",
             (unsigned)(realtime_usec % USEC_PER_SEC / USEC_PER_MSEC));
    return buf;
}

int proc_memory(uint64_t *ret_total, uint64_t *ret_available)
{
    _cleanup_free_ char *text = NULL;
    uint64_t total, available;
    const char *line;
    int r;

    r = fs_read(AT_FDCWD, "/proc/meminfo", 65536, &text, NULL);
    if (r < 0)
        return r;
    line = strstr(text, "\nMemAvailable:");
    if (sscanf(text, "MemTotal: %" SCNu64 " kB", &total) != 1 || !line ||
        sscanf(line, "\nMemAvailable: %" SCNu64 " kB", &available) != 1)
        return -EBADMSG;
    *ret_total = total * 1024;
    *ret_available = available * 1024;
    return 0;
}

bool proc_have_cap(unsigned cap)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {0};

    if (syscall(SYS_capget, &header, data) < 0)
        return false;
    return data[cap / 32].effective & (1u << (cap % 32));
}
