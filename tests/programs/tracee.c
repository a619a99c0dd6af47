/* tracee.c - reads the arguments of a traced process's system calls, and changes their outcome. */
#include "tests/programs/tracee.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <unistd.h>

#define NONE (-1)

/* Which arguments say what; `dir` and `dir2` NONE: relative to the working directory. */
struct shape {
    long number;
    enum call_kind kind;
    int fd, dir, path, dir2, path2, flags;
};

#define ON_FD(number, kind, fd)                        \
    {                                                  \
        number, kind, fd, NONE, NONE, NONE, NONE, NONE \
    }
#define ON_PATH(number, kind, dir, path, flags)          \
    {                                                    \
        number, kind, NONE, dir, path, NONE, NONE, flags \
    }

static const struct shape shapes[] = {
    ON_FD(SYS_write, CALL_WRITE, 0),
    ON_FD(SYS_pwrite64, CALL_WRITE, 0),
    ON_FD(SYS_writev, CALL_WRITE, 0),
    ON_FD(SYS_pwritev, CALL_WRITE, 0),
    ON_FD(SYS_pwritev2, CALL_WRITE, 0),
    ON_FD(SYS_sendfile, CALL_WRITE, 0),
    ON_FD(SYS_copy_file_range, CALL_WRITE, 2),
    ON_FD(SYS_splice, CALL_WRITE, 2),
    ON_FD(SYS_ftruncate, CALL_WRITE, 0),
    ON_FD(SYS_fallocate, CALL_WRITE, 0),
    ON_FD(SYS_ioctl, CALL_WRITE, 0),
    ON_FD(SYS_mmap, CALL_MAP, 4),
    ON_FD(SYS_fsync, CALL_SYNC, 0),
    ON_FD(SYS_fdatasync, CALL_SYNC, 0),
    ON_PATH(SYS_openat, CALL_OPEN, 0, 1, 2),
    ON_PATH(SYS_mkdirat, CALL_MKDIR, 0, 1, NONE),
    ON_PATH(SYS_symlinkat, CALL_LINK, 1, 2, NONE),
    ON_PATH(SYS_linkat, CALL_LINK, 2, 3, NONE),
    ON_PATH(SYS_unlinkat, CALL_UNLINK, 0, 1, 2),
    {SYS_renameat2, CALL_RENAME, NONE, 0, 1, 2, 3, 4},
    {SYS_renameat, CALL_RENAME, NONE, 0, 1, 2, 3, NONE},
#ifdef SYS_rename /* x86-64 has them besides; arm64 does not */
    {SYS_rename, CALL_RENAME, NONE, NONE, 0, NONE, 1, NONE},
    ON_PATH(SYS_open, CALL_OPEN, NONE, 0, 1),
    ON_PATH(SYS_mkdir, CALL_MKDIR, NONE, 0, NONE),
    ON_PATH(SYS_rmdir, CALL_RMDIR, NONE, 0, NONE),
    ON_PATH(SYS_unlink, CALL_UNLINK, NONE, 0, NONE),
    ON_PATH(SYS_symlink, CALL_LINK, NONE, 1, NONE),
    ON_PATH(SYS_link, CALL_LINK, NONE, 1, NONE),
#endif
};

static const struct shape *find_shape(long number)
{
    for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++)
        if (shapes[i].number == number)
            return &shapes[i];
    return NULL;
}

static bool read_link(pid_t pid, const char *what, int fd, char ret[PATH_MAX])
{
    char link[64];
    ssize_t n;

    snprintf(link, sizeof(link), fd == NONE ? "/proc/%d/%s" : "/proc/%d/%s/%d", (int)pid, what, fd);
    n = readlink(link, ret, PATH_MAX - 1);
    ret[n > 0 ? n : 0] = '\0';
    return n > 0;
}

/* A string of the tracee; page by page, the next one may not be mapped. */
static bool read_text(pid_t pid, uint64_t address, char ret[PATH_MAX])
{
    for (size_t size = 0; size < PATH_MAX - 1;) {
        size_t room = 4096 - (address + size) % 4096;
        struct iovec here = {ret + size, room < PATH_MAX - 1 - size ? room : PATH_MAX - 1 - size};
        struct iovec there = {(void *)(uintptr_t)(address + size), here.iov_len};
        ssize_t n = process_vm_readv(pid, &here, 1, &there, 1, 0);

        if (n <= 0)
            return false;
        if (memchr(ret + size, '\0', (size_t)n))
            return true;
        size += (size_t)n;
    }
    return false;
}

static bool read_path(pid_t pid, const struct call *call, int dir, int path, char ret[PATH_MAX])
{
    int fd = dir == NONE ? AT_FDCWD : (int)call->args[dir];
    char text[PATH_MAX], folder[PATH_MAX];

    if (!read_text(pid, call->args[path], text))
        return false;
    folder[0] = '\0';
    if (text[0] != '/' &&
        !(fd == AT_FDCWD ? read_link(pid, "cwd", NONE, folder) : read_link(pid, "fd", fd, folder)))
        return false;
    return snprintf(ret, PATH_MAX, "%s%s%s", folder, text[0] == '/' ? "" : "/", text) < PATH_MAX;
}

/* What it is in this case. */
static enum call_kind kind_of(const struct shape *shape, const struct call *call)
{
    uint64_t flags = shape->flags == NONE ? 0 : call->args[shape->flags];

    if (shape->kind == CALL_OPEN)
        return (flags & (O_CREAT | O_TRUNC)) ? CALL_OPEN : CALL_OTHER;
    if (shape->kind == CALL_RENAME)
        return (flags & RENAME_EXCHANGE) ? CALL_EXCHANGE : CALL_RENAME;
    if (shape->kind == CALL_UNLINK)
        return (flags & AT_REMOVEDIR) ? CALL_RMDIR : CALL_UNLINK;
    if (call->number == SYS_ioctl)
        return call->args[1] == FICLONE || call->args[1] == FICLONERANGE ? CALL_WRITE : CALL_OTHER;
    if (shape->kind == CALL_MAP)
        return (call->args[2] & PROT_WRITE) && (call->args[3] & MAP_SHARED) &&
                       !(call->args[3] & MAP_ANONYMOUS)
                   ? CALL_MAP
                   : CALL_OTHER;
    return shape->kind;
}

static bool read_paths(pid_t pid, const struct shape *shape, struct call *call)
{
    if (shape->fd != NONE) {
        call->fd = (int)call->args[shape->fd];
        return read_link(pid, "fd", call->fd, call->path);
    }
    return read_path(pid, call, shape->dir, shape->path, call->path) &&
           (shape->path2 == NONE || read_path(pid, call, shape->dir2, shape->path2, call->other));
}

bool tracee_entry(pid_t pid, struct call *ret)
{
    struct __ptrace_syscall_info info;
    const struct shape *shape;

    if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) <= 0 ||
        info.op != PTRACE_SYSCALL_INFO_ENTRY)
        return false;
    ret->number = (long)info.entry.nr;
    memcpy(ret->args, info.entry.args, sizeof(ret->args));
    ret->kind = CALL_OTHER;
    ret->fd = NONE;
    ret->path[0] = ret->other[0] = '\0';
    shape = find_shape(ret->number);
    if (shape && kind_of(shape, ret) != CALL_OTHER && read_paths(pid, shape, ret))
        ret->kind = kind_of(shape, ret);
    return true;
}

bool tracee_exit(pid_t pid, long *ret_result)
{
    struct __ptrace_syscall_info info;

    if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) <= 0 ||
        info.op != PTRACE_SYSCALL_INFO_EXIT)
        return false;
    *ret_result = (long)info.exit.rval;
    return true;
}

/* ---- another outcome ---- */

static bool get_registers(pid_t pid, struct user_regs_struct *ret)
{
    struct iovec io = {ret, sizeof(*ret)};

    return ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &io) == 0;
}

static bool set_registers(pid_t pid, struct user_regs_struct *registers)
{
    struct iovec io = {registers, sizeof(*registers)};

    return ptrace(PTRACE_SETREGSET, pid, NT_PRSTATUS, &io) == 0;
}

#if defined(__x86_64__)
bool tracee_skip(pid_t pid)
{
    struct user_regs_struct registers;

    if (!get_registers(pid, &registers))
        return false;
    registers.orig_rax = ~0ULL;
    return set_registers(pid, &registers);
}

bool tracee_set_result(pid_t pid, long result)
{
    struct user_regs_struct registers;

    if (!get_registers(pid, &registers))
        return false;
    registers.rax = (unsigned long long)result;
    return set_registers(pid, &registers);
}

bool tracee_set_size(pid_t pid, uint64_t size)
{
    struct user_regs_struct registers;

    if (!get_registers(pid, &registers))
        return false;
    registers.rdx = size;
    return set_registers(pid, &registers);
}
#elif defined(__aarch64__)
bool tracee_skip(pid_t pid)
{
    int number = -1;
    struct iovec io = {&number, sizeof(number)};

    return ptrace(PTRACE_SETREGSET, pid, NT_ARM_SYSTEM_CALL, &io) == 0;
}

bool tracee_set_result(pid_t pid, long result)
{
    struct user_regs_struct registers;

    if (!get_registers(pid, &registers))
        return false;
    registers.regs[0] = (unsigned long long)result;
    return set_registers(pid, &registers);
}

bool tracee_set_size(pid_t pid, uint64_t size)
{
    struct user_regs_struct registers;

    if (!get_registers(pid, &registers))
        return false;
    registers.regs[2] = size;
    return set_registers(pid, &registers);
}
#endif
