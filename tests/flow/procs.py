"""What a test needs of the kernel: processes by pid, cgroups, mounts, nft tables, and an own init."""
import ctypes
import ctypes.util
import json
import os
import select
import signal
import subprocess
import sys
import time

LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_CHILD_SUBREAPER = 36


def under_reaper():
    """Continues in a child; the caller's process becomes its init, so that what outlives a killed
    supervisord is reaped at once (PID 1 of a test machine may take seconds) and its pid is free."""
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    child = os.fork()
    if child == 0:
        LIBC.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
        return
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda n, _: os.kill(child, n))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        pid, status = os.wait()
        if pid == child:
            os._exit(os.waitstatus_to_exitcode(status) % 256)


def stat(pid):
    """proc_pid_stat(5) as a list from field 3 on, or None."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()
    except OSError:
        return None


def is_alive(pid):
    fields = stat(pid) if pid else None
    return bool(fields) and fields[0] not in "ZX"


def start_time(pid):
    fields = stat(pid)
    return int(fields[19]) if fields else None


def children(pid):
    found = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as f:
                found += [int(p) for p in f.read().split()]
    except OSError:
        pass
    return found


def exe(pid):
    try:
        return os.path.basename(os.readlink(f"/proc/{pid}/exe")).split(" ")[0]
    except OSError:
        return ""


def cmdline(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f.read().decode(errors="replace").rstrip("\0").split("\0")
    except OSError:
        return []


def all_pids():
    return [int(p) for p in os.listdir("/proc") if p.isdigit()]


def with_argument(text, among=None):
    """Living processes that have `text` somewhere in their command line; never ourselves."""
    ours = {os.getpid(), os.getppid()}
    return [p for p in (all_pids() if among is None else among)
            if p not in ours and any(text in a for a in cmdline(p)) and is_alive(p)]


def kill(pid, number=signal.SIGKILL):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def wait_gone(pid, timeout=5.0):
    """Until the process has been reaped, so that its pid is free."""
    deadline = time.monotonic() + timeout
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        select.select([fd], [], [], timeout)
    finally:
        os.close(fd)
    while os.path.exists(f"/proc/{pid}"):
        if time.monotonic() > deadline:
            raise AssertionError(f"process {pid} {cmdline(pid)} is still there")
        time.sleep(0.001)


def kill_and_wait(pid, number=signal.SIGKILL, timeout=5.0):
    kill(pid, number)
    wait_gone(pid, timeout)


def has_capability(number):
    with open("/proc/self/status") as f:
        effective = [line.split()[1] for line in f if line.startswith("CapEff:")]
    return bool(int(effective[0], 16) >> number & 1)


def pss_kb(pid):
    with open(f"/proc/{pid}/smaps_rollup") as f:
        for line in f:
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0


def wakeups(pid):
    """Context switches of all threads: constant while a process sleeps."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status") as f:
            total += sum(int(line.split()[1]) for line in f if "ctxt_switches" in line)
    return total


# ---- cgroup2 ----

def cgroup2_root():
    with open("/proc/self/mountinfo") as f:
        for line in f:
            if " - cgroup2 " in line:
                return line.split()[4]
    return None


def cgroup_make(name):
    """A cgroup of our own below ours, or None where that is not possible."""
    root = cgroup2_root()
    if not root:
        return None
    with open("/proc/self/cgroup") as f:
        own = [line[3:].strip() for line in f if line.startswith("0::")]
    path = root + (own[0] if own and own[0] != "/" else "") + "/" + name
    try:
        os.mkdir(path)
    except OSError:
        return None
    return path


def cgroup_pids(path):
    found = []
    for folder, _, files in os.walk(path):
        if "cgroup.procs" in files:
            try:
                with open(folder + "/cgroup.procs") as f:
                    found += [int(p) for p in f.read().split()]
            except OSError:
                pass
    return found


def cgroup_folders(path):
    """Folders below `path`, deepest first."""
    return [folder for folder, _, _ in os.walk(path, topdown=False) if folder != path]


def cgroup_remove(path, timeout=5.0):
    """Kills what is in it and removes it."""
    try:
        with open(path + "/cgroup.kill", "w") as f:
            f.write("1")
    except OSError:
        for pid in cgroup_pids(path):
            kill(pid)
    deadline = time.monotonic() + timeout
    while True:
        try:
            for folder in cgroup_folders(path):
                os.rmdir(folder)
            os.rmdir(path)
            return
        except FileNotFoundError:
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)


# ---- what CRIU or a test could leave on the host ----

def mounts():
    with open("/proc/self/mountinfo") as f:
        return {line.split()[4] for line in f}


def criu_tables():
    """Names of nft tables that a CRIU made, through libnftables: the nft command may be missing."""
    name = ctypes.util.find_library("nftables")
    if not name or os.geteuid() != 0:
        return set()
    nft = ctypes.CDLL(name)
    nft.nft_ctx_new.restype = ctypes.c_void_p
    nft.nft_ctx_get_output_buffer.restype = ctypes.c_char_p
    context = ctypes.c_void_p(nft.nft_ctx_new(0))
    try:
        nft.nft_ctx_buffer_output(context)
        nft.nft_ctx_buffer_error(context)
        if nft.nft_run_cmd_from_buffer(context, b"list tables") != 0:
            return set()
        text = nft.nft_ctx_get_output_buffer(context).decode()
    finally:
        nft.nft_ctx_free(context)
    return {line.split()[-1] for line in text.splitlines() if "CRIU" in line}


def take_pid(pid):
    """A sleeping process with exactly this pid."""
    for _ in range(200):
        with open("/proc/sys/kernel/ns_last_pid", "w") as f:
            f.write(str(pid - 1))
        process = subprocess.Popen(["sleep", "1000"], stdin=subprocess.DEVNULL)
        if process.pid == pid:
            return process
        process.kill()
        process.wait()
    raise AssertionError(f"cannot take pid {pid}")


def criu_frozen_usec(folder):
    """frozen_time of CRIU's stats-dump (images/stats.proto: entry 1, field 2), or None."""
    try:
        with open(folder + "/stats-dump", "rb") as f:
            data = f.read()[12:]
    except OSError:
        return None

    def varint(at):
        value = shift = 0
        while True:
            byte = data[at]
            value |= (byte & 127) << shift
            at, shift = at + 1, shift + 7
            if byte < 128:
                return value, at

    tag, at = varint(0)
    if tag != 1 << 3 | 2:
        return None
    length, at = varint(at)
    end = at + length
    while at < end:
        tag, at = varint(at)
        value, at = varint(at)
        if tag >> 3 == 2:
            return value
    return None


def debug(text):
    print(text, file=sys.stderr, flush=True)


def loads(text):
    return json.loads(text) if text.strip() else None
