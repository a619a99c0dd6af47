"""Deltas that stock CRIU restores: memory is compared byte by byte with what the processes wrote out
themselves at the freeze, for chains of 1, 2 and 16 deltas. No daemon takes part."""
import contextlib
import filecmp
import json
import os
import shutil
import signal
import struct
import subprocess
import tempfile

from harness import Skip, equal, needs_root, procs, program, wait_until
from programs import CRIU

ROLES = ("parent", "child", "grandchild")
PLAIN = ("private", "moving", "shared", "memfd")
HUGE = ("huge", "huge-shared")
HUGE_PAGES = 24
PE_PARENT, PE_PRESENT = 1, 4


class Tree:
    """memory.c and its checkpoints: N/full is CRIU's own, N/delta ours, N/wanted the reference."""

    def __init__(self, regions):
        self.regions = regions
        self.dir = tempfile.mkdtemp(prefix="perdure-delta-", dir="/var/tmp")
        self.out = self.dir + "/out"
        os.mkdir(self.out)
        self.pids = []
        self.count = 0
        self.process = None

    def __enter__(self):
        self.process = subprocess.Popen(
            [program("memory"), self.out] + ["huge"] * ("huge" in self.regions), cwd="/",
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True)
        self.pids = [self.process.pid]
        self.wait_acks()
        self.pids = [int(self.read(f"{role}.ack")) for role in ROLES]
        return self

    def __exit__(self, *_):
        try:
            self.kill()
        finally:
            if not os.environ.get("KEEP"):
                shutil.rmtree(self.dir)

    def path(self, number, kind):
        return f"{self.dir}/{number}-{kind}"

    def read(self, name):
        with open(f"{self.out}/{name}") as f:
            return f.read()

    # ---- the processes ----

    def wait_acks(self, roles=ROLES):
        def acknowledged():
            assert procs.is_alive(self.pids[0]), "memory has ended"
            return all(os.path.exists(f"{self.out}/{role}.ack") for role in roles)
        wait_until(acknowledged, f"{roles} answer")

    def tell(self, number):
        """One after the other: they share memory."""
        for role, pid in zip(ROLES, self.pids):
            os.unlink(f"{self.out}/{role}.ack")
            os.kill(pid, number)
            self.wait_acks([role])

    def write_out(self, folder):
        """Every region of every process into a new folder."""
        self.tell(signal.SIGUSR2)
        os.mkdir(folder)
        for name in self.files():
            os.rename(f"{self.out}/{name}", f"{folder}/{name}")

    def files(self):
        return [f"{role}.{name}" for role in ROLES for name in (*self.regions, "map")]

    def kill(self):
        """By pid, which a restore that failed may have left to somebody else."""
        for pid in self.pids:
            if procs.exe(pid) in ("memory", "criu"):
                procs.kill(pid)
        if self.process:
            self.process.wait()
            self.process = None
        for pid in self.pids:
            wait_until(lambda pid=pid: procs.stat(pid) is None, f"pid {pid} is free")

    # ---- checkpoints ----

    def criu(self, verb, folder, *options):
        done = subprocess.run([CRIU, verb, "-D", folder, "-o", verb + ".log", *options],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, cwd="/", timeout=60)
        if done.returncode:
            with open(f"{folder}/{verb}.log", errors="replace") as f:
                raise AssertionError(f"criu {verb}: {''.join(f.readlines()[-12:])}")

    def delta(self, out, link, source, parent):
        os.mkdir(out)
        done = subprocess.run([program("deltatool"), "make", out, link, *source, "--", *parent],
                              text=True, capture_output=True, timeout=60)
        equal(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def chain(self, number):
        return [self.path(n, "delta") for n in range(number, -1, -1)]

    def checkpoint(self):
        """The first is left as CRIU wrote it, the others become deltas; returns what deltatool says."""
        number, self.count = self.count, self.count + 1
        full = self.path(number, "full")
        self.write_out(self.path(number, "wanted"))
        os.mkdir(full)
        self.criu("dump", full, "-t", str(self.pids[0]), "-R")
        if number == 0:
            shutil.copytree(full, self.path(0, "delta"))
            return None
        return self.delta(self.path(number, "delta"), f"../{number - 1}-delta", [full],
                          self.chain(number - 1))

    def restore(self, folder):
        """Instead of what runs now; returns the names of files that are not as in `wanted`."""
        self.kill()
        self.criu("restore", folder, "-d")
        got = tempfile.mkdtemp(dir=self.dir)
        self.write_out(got + "/now")
        return got + "/now"

    def differences(self, folder, number):
        got, wanted = self.restore(folder), self.path(number, "wanted")
        return [name for name in self.files()
                if not filecmp.cmp(f"{got}/{name}", f"{wanted}/{name}", shallow=False)]

    def live_and_checkpoint(self, last):
        while self.count <= last:
            if self.count:
                self.tell(signal.SIGUSR1)
            self.checkpoint()

    # ---- what is in them ----

    def region(self, number, role, name):
        with open(f"{self.path(number, 'wanted')}/{role}.map") as f:
            for line in f:
                region, start, size = line.split()
                if region == name:
                    return int(start), int(start) + int(size)
        raise KeyError(name)


def pagemap(path):
    """[(start, end, flags)] of an image file; the numbers of a pagemap's records are all varints."""
    with open(path, "rb") as f:
        data = f.read()
    at, entries = 8, []
    while at < len(data):
        size, = struct.unpack_from("<I", data, at)
        fields, end, at = {}, at + 4 + size, at + 4
        while at < end:
            numbers = []
            for _ in range(2):
                value = shift = 0
                while True:
                    value |= (data[at] & 127) << shift
                    shift, at = shift + 7, at + 1
                    if data[at - 1] < 128:
                        break
                numbers.append(value)
            fields[numbers[0] >> 3] = numbers[1]
        entries.append((fields[1], fields[1] + 4096 * fields.get(5, fields.get(2, 0)),
                        fields.get(4)))
    return entries[1:]


def shared_pagemaps(folder):
    return [f"{folder}/{n}" for n in sorted(os.listdir(folder)) if n.startswith("pagemap-shmem-")]


def stored_bytes(folder):
    return sum(os.stat(f"{folder}/{n}").st_blocks * 512 for n in os.listdir(folder)
               if n.startswith("pages-"))


@contextlib.contextmanager
def huge_pages():
    """Reserved for as long as the block runs."""
    path = "/proc/sys/vm/nr_hugepages"
    try:
        with open(path) as f:
            before = int(f.read())
        with open(path, "w") as f:
            f.write(str(before + HUGE_PAGES))
    except OSError as error:
        raise Skip(f"no huge pages here: {error}") from None
    try:
        with open("/proc/meminfo") as f:
            free = [int(line.split()[1]) for line in f if line.startswith("HugePages_Free")][0]
        if free < HUGE_PAGES:
            raise Skip(f"no memory for huge pages: {free} of {HUGE_PAGES}")
        yield
    finally:
        with open(path, "w") as f:
            f.write(str(before))


# ---- tests ----

def test_chains():
    """Private, shared and memfd memory, and copies on write, from chains of 1, 2 and 16 deltas."""
    needs_root()
    with Tree(PLAIN) as tree:
        tree.live_and_checkpoint(16)
        for depth in (1, 2, 16):
            equal(tree.differences(tree.path(depth, "delta"), depth), [], f"depth {depth}")


test_chains.limit = 300


def test_shared_memory_is_read_from_parents():
    """CRIU follows parents for shared memory too: bytes spoilt in the parent are seen by all."""
    needs_root()
    with Tree(PLAIN) as tree:
        tree.live_and_checkpoint(2)
        maps = shared_pagemaps(tree.path(2, "delta"))
        equal(len(maps), 2, "shared memories")
        for path in maps:
            flags = {f for _, _, f in pagemap(path)}
            assert flags == {PE_PARENT, PE_PRESENT}, f"{path}: {flags}"
        for path in shared_pagemaps(tree.path(0, "delta")):
            spoil(tree.path(0, "delta"), path)
        spoilt = tree.differences(tree.path(2, "delta"), 2)
        equal(sorted(spoilt), sorted(f"{role}.{name}" for role in ROLES
                                     for name in ("shared", "memfd")))


def spoil(folder, path):
    """Inverts all that the pages file of this pagemap has."""
    with open(path, "rb") as f:
        number = f.read(14)[13]
    with open(f"{folder}/pages-{number}.img", "r+b") as f:
        data = bytes(b ^ 255 for b in f.read())
        f.seek(0)
        f.write(data)


def test_huge_pages():
    """Private huge pages are always in the newest folder; shared ones may be in a parent."""
    needs_root()
    with huge_pages(), Tree(PLAIN + HUGE) as tree:
        tree.live_and_checkpoint(2)
        for role, pid in zip(ROLES, tree.pids):
            start, end = tree.region(2, role, "huge")
            flags = {f & PE_PRESENT for s, e, f in
                     pagemap(f"{tree.path(2, 'delta')}/pagemap-{pid}.img") if s < end and e > start}
            equal(flags, {PE_PRESENT}, f"{role}'s huge pages")
        for depth in (1, 2):
            equal(tree.differences(tree.path(depth, "delta"), depth), [], f"depth {depth}")


def test_merge_rebase_reverse():
    """A chain written anew: as a full image, against an older parent, and the old against the new."""
    needs_root()
    with Tree(PLAIN) as tree:
        tree.live_and_checkpoint(4)
        chain = tree.chain(4)
        tree.delta(tree.path(4, "merged"), "", chain, [])
        equal(tree.differences(tree.path(4, "merged"), 4), [], "merged")
        tree.delta(tree.path(4, "rebased"), "../0-delta", chain, chain[-1:])
        equal(tree.differences(tree.path(4, "rebased"), 4), [], "against the first")
        tree.delta(tree.path(3, "reverse"), "../4-full", [tree.path(3, "full")],
                   [tree.path(4, "full")])
        equal(tree.differences(tree.path(3, "reverse"), 3), [], "the older against the newer")
        sizes = {kind: stored_bytes(tree.path(n, kind))
                 for n, kind in ((4, "delta"), (3, "reverse"), (4, "full"))}
        assert sizes["delta"] < sizes["full"] / 4, sizes
        assert sizes["reverse"] < sizes["full"] / 4, sizes


def test_incremental_after_delta():
    """A restored tree goes on, and its next checkpoint is a delta against the chain it came from."""
    needs_root()
    with Tree(PLAIN) as tree:
        tree.live_and_checkpoint(2)
        equal(tree.differences(tree.path(2, "delta"), 2), [])
        tree.tell(signal.SIGUSR1)
        stats = tree.checkpoint()
        assert stats["stored"] < stats["pages"] / 2, stats
        equal(tree.differences(tree.path(3, "delta"), 3), [])
