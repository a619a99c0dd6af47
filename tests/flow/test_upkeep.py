"""Background work on the store while the service runs, crashes and comes back: chains that are
re-based, packed and drilled."""
import os
import subprocess
import tempfile
import threading

import pages
from beating import (TIMEOUT, chain_of, idle, ids, listed, newest, next_ckptd, restore_all, running,
                     two_chains, workers)
from harness import Instance, contains, equal, needs_root, procs, program, wait_until
from inject import Kill
from lab import CRIU
from programs import SOURCES


# ---- re-base ----

def check_rules(found, keep, max_chain):
    """Nothing but what is kept and what that needs; no chain is too long."""
    kept = list(found)[:keep]
    needed = set(kept)
    for identity in kept:
        while (identity := found[identity]["parent"]):
            needed.add(identity)
    depths = {c["id"]: c["depth"] for c in found.values()}
    assert all(d is not None and d <= max_chain for d in depths.values()), depths
    return set(found) - needed


def grow(instance, memory, count, keep, max_chain):
    """So many checkpoints that differ by some pages; the background work catches up in between."""
    limit = max_chain - max_chain // 4
    for n in range(count):
        identity = memory.checkpoint(*range(8 * n, 8 * n + 8))
        kind = newest(instance)["kind"]
        equal(kind, "delta" if n else "full", f"kind of {identity}")
        wait_until(lambda: newest(instance)["depth"] < limit,
                   lambda: f"re-base of {listed(instance)}", TIMEOUT)
        wait_until(lambda: not check_rules(listed(instance), keep, max_chain),
                   lambda: f"nothing unneeded in {ids(instance)}")


def test_rebase_short_chains():
    with running(keys="Keep=2\nMaxChain=4") as (i, memory):
        grow(i, memory, 14, 2, 4)
        equal(ids(i), ["beat@14", "beat@13", "beat@1"], "the base and two that are kept")
        equal([c["kind"] for c in i.checkpoints("beat")], ["delta", "delta", "full"])
        i.ctl("verify", "--all")
        memory.crash("beat@14")
        restore_all(i, memory)
        equal(i.service("beat")["checkpoints_failed"], 0)


def test_rebase_of_the_default():
    with running() as (i, memory):
        grow(i, memory, 20, 2, 16)
        assert len(ids(i)) <= 13, ids(i)
        equal([c["id"] for c in listed(i).values() if c["kind"] == "full"], ["beat@1"])
        i.ctl("verify", "--all")
        memory.crash("beat@20")
        restore_all(i, memory)


def test_burst():
    """Checkpoints that leave the background work no time."""
    with running(size=2, keys="Keep=2\nMaxChain=4") as (i, memory):
        for n in range(24):
            memory.checkpoint(*range(8 * n, 8 * n + 8))
            found = listed(i)
            check_rules(found, 2, 4)
            assert len(found) <= 2 * (4 + 1) + 2, f"after {n + 1}: {found}"
        wait_until(lambda: not check_rules(listed(i), 2, 4) and idle(i),
                   lambda: f"nothing unneeded in {listed(i)}", TIMEOUT)
        i.ctl("verify", "--all")
        memory.crash("beat@24")
        restore_all(i, memory)


def test_base_goes_in_the_end():
    """When most has changed a re-base makes a full image, and what was before it goes."""
    with running(size=2, keys="Keep=2\nMaxChain=4\nCompress=none") as (i, memory):
        for n in range(8):
            memory.checkpoint(*range(100 * n, 100 * n + 100))
        wait_until(lambda: "beat@1" not in ids(i) and len(ids(i)) <= 4 and idle(i),
                   lambda: f"the base goes: {listed(i)}", TIMEOUT)
        i.ctl("verify", "--all")
        restore_all(i, memory)


def killed_in_rebase(instance, memory, number):
    """A checkpoint, and kill -9 at a system call of the re-base after it; was there one?"""
    kill = Kill(instance.ckptd(), number, "rebase")
    try:
        memory.checkpoint(number, number + 100)
        wait_until(lambda: kill.happened() or newest(instance)["depth"] < 3, "a re-base")
    finally:
        killed = kill.end()[0]
    return killed


def test_killed_rebase():
    """The worker dies anywhere in it: as if there had been none; a later one does it."""
    with running(size=1, keys="Keep=2\nMaxChain=4\nCompress=none") as (i, memory):
        for n in range(3):
            memory.checkpoint(n)
        kills = 0
        for number in (5, 40, 80, 120, 160, 200, 240, 280):
            kills += killed_in_rebase(i, memory, number)
            equal({c["state"] for c in i.checkpoints("beat")}, {"whole"}, f"killed at {number}")
            i.ctl("verify", "--all")
            next_ckptd(i)
            wait_until(lambda: newest(i)["depth"] < 3, lambda: f"re-base: {listed(i)}", TIMEOUT)
        assert kills >= 4, f"only {kills} re-bases were killed"
        left = os.listdir(f"{i.state}/checkpoints/beat")
        equal([n for n in left if n.startswith("rebase-")], [])
        memory.crash(newest(i)["id"])
        restore_all(i, memory)


def test_ckptd_killed_in_rebase():
    """The worker goes on or not; the next ckptd lists what there is."""
    with running(size=8, keys="Keep=2\nMaxChain=4\nCompress=none") as (i, memory):
        for n in range(3):
            memory.checkpoint(n)
        for n in range(3, 9):
            memory.checkpoint(*range(n * 10, n * 10 + 10))
            wait_until(lambda: workers("rebase", i) or newest(i)["depth"] < 3, "a re-base begins",
                       every=0.001)
            next_ckptd(i)
            equal({c["state"] for c in i.checkpoints("beat")}, {"whole"})
            wait_until(lambda: idle(i), "the worker's end")
            next_ckptd(i)  # which need not wait after meeting the worker of the one before
            equal({c["state"] for c in i.checkpoints("beat")}, {"whole"})
            wait_until(lambda: newest(i)["depth"] < 3, lambda: f"re-base: {listed(i)}", TIMEOUT)
        i.ctl("verify", "--all")
        memory.crash(newest(i)["id"])
        restore_all(i, memory)


class Exchanges:
    """`with Exchanges(instance, id, parent):` its folder is exchanged for another all the time."""

    def __init__(self, instance, identity, parent):
        self.command = [program("ckpt-worker"), "rebase", "--store",
                        instance.state + "/checkpoints", "--keys", instance.state + "/store.keys",
                        "--name", "beat", "--number", identity.split("@")[1], "--report-fd", "1"]
        if parent:
            self.command += ["--parent", parent.split("@")[1]]
        self.count, self.errors, self.stop = 0, [], threading.Event()
        self.thread = threading.Thread(target=self.work)

    def work(self):
        while not self.stop.is_set():
            done = subprocess.run(self.command, stdin=subprocess.DEVNULL, capture_output=True,
                                  text=True)
            self.count += done.returncode == 0
            # Busy: a restore reads it for long, or a new ckptd just looks whether it is garbage.
            if done.returncode and "reads it" not in done.stdout and "busy" not in done.stdout:
                self.errors.append(done.stdout + done.stderr)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, kind, *_):
        self.stop.set()
        self.thread.join()
        if kind is None:
            equal(self.errors, [], "what the re-bases said")
            assert self.count > 10, f"only {self.count} exchanges"


def test_restore_while_exchanged():
    """By hand and after crashes, while a parent, then the image itself, is put in another form."""
    with running(size=1, keys="Keep=3\nMaxChain=4\nCompress=none") as (i, memory):
        for n in range(3):
            memory.checkpoint(n)
        for which, parent in (("beat@2", "beat@1"), ("beat@3", "beat@2"), ("beat@1", None)):
            with Exchanges(i, which, parent):
                for _ in range(8):
                    memory.crash("beat@3")
                    memory.restore("beat@3")
                    equal({c["state"] for c in i.checkpoints("beat")}, {"whole"}, which)
        i.ctl("verify", "--all")


def test_dumps_and_lists_while_exchanged():
    """Whoever reads the store meanwhile never takes what is exchanged for damage."""
    with running(size=1, keys="Keep=9\nMaxChain=16\nCompress=none") as (i, memory):
        for n in range(3):
            memory.checkpoint(n)
        with Exchanges(i, "beat@2", "beat@1"):
            for n in range(8):
                memory.checkpoint(n)
                next_ckptd(i)
                found = listed(i)
                equal({c["state"] for c in found.values()}, {"whole"}, found)
                equal(i.service("beat")["restorable"], {"ok": True, "why": None})
                equal(i.json("show", "beat@2")["restorable"], True)
        i.ctl("verify", "--all")
        memory.crash(newest(i)["id"])


# ---- pack ----

def packed(instance):
    return sorted(c["id"] for c in instance.checkpoints("beat") if c["packed"])


def restored_by_criu(instance, memory, folder):
    """CRIU alone brings it back from a plain image, in the service's place."""
    instance.ctl("stop", "beat")
    pid_file = folder + "/restored.pid"
    done = subprocess.run([CRIU, "restore", "-D", folder, "-d", "-v1", "-o", "r.log", "--pidfile",
                           pid_file, "--manage-cgroups=ignore", "--tcp-close"],
                          capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL)
    try:
        equal(done.returncode, 0, done.stderr)
        memory.page.next_beat()
        equal(memory.page.bad_pages, 0)
    finally:
        if os.path.exists(pid_file):
            with open(pid_file) as f:
                procs.kill_and_wait(int(f.read()))


def test_pack():
    """What the newest does not need is compressed; it restores as before, and can be unpacked."""
    with running(keys="Keep=6\nMaxChain=2\nCompress=zstd") as (i, memory):
        two_chains(i, memory)
        wait_until(lambda: len(packed(i)) == 3 and idle(i), lambda: f"packed: {packed(i)}", TIMEOUT)
        equal(packed(i), ["beat@1", "beat@2", "beat@3"])
        equal(chain_of(i, "beat@6"), ["beat@6", "beat@5", "beat@4"])
        plain, small = listed(i)["beat@4"], listed(i)["beat@1"]
        assert small["bytes"] < plain["bytes"] / 2, (small, plain)
        i.ctl("verify", "--all")
        for identity in ("beat@3", "beat@1", "beat@6", "beat@2"):
            memory.restore(identity)
        with tempfile.TemporaryDirectory(dir=i.work) as folder:
            i.ctl("unpack", "beat@3", folder)
            assert pages.memory(folder), "pages of the plain image"
            restored_by_criu(i, memory, folder)


def test_pack_none():
    with running(keys="Keep=6\nMaxChain=2\nCompress=none") as (i, memory):
        two_chains(i, memory)
        memory.checkpoint(1)
        wait_until(lambda: idle(i), "the background work is done")
        equal(packed(i), [])
        equal(memory.instance.checkpoints("beat")[0]["depth"], 0)


# ---- drills ----

def test_drill_every_second():
    with running(size=1, keys="Keep=9\nDrill=every 2",
                 recovery="Ladder=proven newest older cold") as (i, memory):
        for n in range(5):
            memory.checkpoint(n)
            if n % 2:
                wait_until(lambda n=n: listed(i)[f"beat@{n + 1}"]["proven"],
                           lambda: f"a drill: {listed(i)}", TIMEOUT)
        wait_until(lambda: idle(i), "the background work is done")
        equal(sorted(c["id"] for c in i.checkpoints("beat") if c["proven"]), ["beat@2", "beat@4"])
        contains(i.ctl("list", "beat").stdout, "proven")
        equal((memory.page.breaks, i.service("beat")["restarts"]), (0, 0), "nobody noticed")
        memory.crash("beat@4")


def test_unprovable():
    """What cannot be tried beside the running one says why; it is not tried again and again."""
    needs_root()
    with Instance() as i:
        i.policy("holder", f"/usr/bin/python3 {SOURCES}/holder.py {i.work} reading /dev/kmsg",
                 checkpoint="Interval=0\nDrill=every 1")
        i.start()
        i.up("holder")
        wait_until(lambda: os.path.exists(i.work + "/counter"), "it holds the device")
        i.checkpoint("holder")
        found = wait_until(lambda: i.checkpoints("holder")[0]["unprovable"], "a drill says why")
        contains(found, "/dev/kmsg")
        contains(i.ctl("list", "holder").stdout, "holder@1 unprovable: ", "/dev/kmsg")
        mark = f"{i.state}/checkpoints/holder/1.unprovable"
        before = os.stat(mark).st_mtime_ns
        i.checkpoint("holder")
        wait_until(lambda: i.checkpoints("holder")[0]["unprovable"], "the second drill")
        equal(os.stat(mark).st_mtime_ns, before, "tried once")
