"""A heartbeat under real daemons whose pages the test changes, so that it knows what every
checkpoint of it must hold; and looks at its store."""
import contextlib
import os
import re
import struct

from harness import Instance, equal, needs_root, procs, wait_until


MB = 1 << 20
PAGE = 4096
AT = 1024  # of a page: the heartbeat does not look there
TIMEOUT = 60


class Memory:
    """The heartbeat's pages as the test writes them, and as each checkpoint must have them."""

    def __init__(self, instance, page, size):
        self.instance, self.page, self.count = instance, page, size * MB // PAGE
        self.pid = instance.up("beat")["pid"]
        page.wait_beat()
        self.start = mapping(self.pid, size * MB)
        self.now, self.at = {}, {}

    def change(self, numbers, stamp):
        with open(f"/proc/{self.pid}/mem", "r+b", buffering=0) as f:
            for number in numbers:
                f.seek(self.start + (number % self.count) * PAGE + AT)
                f.write(struct.pack("<Q", stamp))
                self.now[number % self.count] = stamp

    def checkpoint(self, *numbers, stamp=None):
        """The pages get a new stamp first."""
        self.change(numbers, stamp or len(self.at) + 1)
        identity = self.instance.checkpoint("beat")
        self.at[identity] = dict(self.now)
        return identity

    def check(self, identity):
        """What runs now came from that checkpoint, every page of it."""
        self.pid = self.instance.service("beat")["pid"]
        wanted = self.now = dict(self.at[identity])
        with open(f"/proc/{self.pid}/mem", "rb", buffering=0) as f:
            for number in range(self.count):
                f.seek(self.start + number * PAGE + AT)
                found, = struct.unpack("<Q", f.read(8))
                equal(found, wanted.get(number, original(number)), f"page {number} of {identity}")
        self.page.next_beat()
        equal(self.page.bad_pages, 0, f"bad pages of {identity}")

    def restore(self, identity):
        self.instance.ctl("restore", identity)
        self.instance.wait_state("beat", "up")
        self.check(identity)

    def crash(self, wanted):
        equal(self.instance.crash("beat")["recovered_from"], wanted)
        self.check(wanted)


def original(number):
    """heartbeat.c fill()"""
    return (number * 0x9e3779b97f4a7c15 + AT // 8) % (1 << 64)


def mapping(pid, size):
    """Where the pages begin: malloc(3) of much is a mapping of its own, with a header in front."""
    with open(f"/proc/{pid}/maps") as f:
        for line in f:
            found = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw-p 0+ 00:00 0\s*$", line)
            if found and int(found[2], 16) - int(found[1], 16) >= size:
                start = int(found[1], 16)
                break
        else:
            raise AssertionError(f"process {pid} has no mapping of {size} bytes")
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as f:
        for at in range(start, start + PAGE, 16):
            f.seek(at)
            if struct.unpack("<QQQQ", f.read(32)) == (0, 1, 2, 3):
                return at
    raise AssertionError("no page of the heartbeat")


@contextlib.contextmanager
def running(size=4, keys="", settings=None, recovery=""):
    """(instance, memory) of a heartbeat with these lines of [Checkpoint]."""
    needs_root()
    with Instance(settings=settings) as i:
        page = i.heartbeat(options=f"-m {size}", checkpoint="Interval=0\n" + keys,
                           recovery="MinUptime=0\n" + recovery)
        i.start()
        yield i, Memory(i, page, size)


def listed(instance):
    """{id: checkpoint}, the newest first."""
    return {c["id"]: c for c in instance.checkpoints("beat")}


def ids(instance):
    return list(listed(instance))


def newest(instance):
    return instance.checkpoints("beat")[0]


def workers(mode, instance):
    """Workers of this mode that are at work on this instance's store."""
    found = []
    for pid in procs.with_argument(instance.state + "/checkpoints", instance.all_pids()):
        if procs.exe(pid) == "ckpt-worker" and procs.cmdline(pid)[1:2] == [mode]:
            found.append(pid)
    return found


def idle(instance):
    return not any(workers(mode, instance) for mode in ("rebase", "verify", "drill"))


def next_ckptd(instance):
    """Another one, which reads the store anew."""
    instance.kill_daemon("ckptd")
    wait_until(lambda: instance.ctl("list", code=None).returncode == 0, "the next ckptd answers")


def damage(path, at=None):
    """Flips a bit; everything that stat(2) can be told about the file stays."""
    st = os.stat(path)
    at = st.st_size // 2 if at is None else at
    with open(path, "r+b") as f:
        byte = os.pread(f.fileno(), 1, at)
        os.pwrite(f.fileno(), bytes([byte[0] ^ 1]), at)
    os.utime(path, ns=(st.st_atime_ns, st.st_mtime_ns))


def page_file(instance, identity):
    """The largest pages-*.img of its own folder."""
    folder = instance.folder(identity)
    names = [f"{folder}/{n}" for n in os.listdir(folder) if n.startswith("pages-")]
    return max(names, key=os.path.getsize)


def restore_all(instance, memory):
    for identity in ids(instance):
        memory.restore(identity)


def chain_of(instance, identity):
    found = listed(instance)
    chain = []
    while identity:
        chain.append(identity)
        identity = found[identity]["parent"]
    return chain


def two_chains(instance, memory):
    """beat@1..3 and beat@4..6, each a full image and two that build on it."""
    for n in range(6):
        memory.checkpoint(*range(20 * n, 20 * n + 20))
    equal([c["depth"] for c in instance.checkpoints("beat")], [2, 1, 0, 2, 1, 0])
