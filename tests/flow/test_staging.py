"""Staging=: where a dump is written, and that a checkpoint is on the disk when it counts."""
import contextlib
import os
import threading
import time

import images
from beating import MB, PAGE, ids, running, workers
from harness import Instance, contains, equal, needs_root, wait_until


def dumped_into_memory(instance, name):
    """Takes a checkpoint; was the dump that counts written into memory?"""
    ended, seen = threading.Event(), set()

    def watch():
        while not ended.is_set():
            for pid in workers("dump", instance):
                with contextlib.suppress(OSError):
                    seen.update(os.readlink(f"/proc/{pid}/fd/{fd}")
                                for fd in os.listdir(f"/proc/{pid}/fd"))
            time.sleep(0.001)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        instance.checkpoint(name)
    finally:
        ended.set()
        thread.join()
    assert seen, "the dump was not seen"
    return not any(s.startswith(instance.state) and s.endswith("/dump") for s in seen)


def check_durable(instance, identity):
    """Every file of it is on the store's own file system."""
    folder = instance.folder(identity)
    device = os.stat(instance.state).st_dev
    images.verify(folder)
    for name in os.listdir(folder):
        equal(os.lstat(f"{folder}/{name}").st_dev, device, name)
    assert "dump" not in os.listdir(folder)
    equal(instance.left_mounts(), [])


def test_staging():
    for staging, most, wanted in (("tmpfs", "0", True), ("disk", "0", False), ("auto", "0", True),
                                  ("auto", "1M", False), ("tmpfs", "200M", True)):
        with running(size=16, keys=f"Staging={staging}\nStagingMax={most}") as (i, memory):
            for n in (1, 2):
                memory.change([n], n)
                equal(dumped_into_memory(i, "beat"), wanted, f"{staging} {most}: in memory")
                check_durable(i, f"beat@{n}")
            equal(i.crash("beat")["recovered_from"], "beat@2", f"Staging={staging}")
            memory.page.next_beat()
            equal(memory.page.bad_pages, 0)


def test_memory_that_is_too_small():
    """tmpfs means it: the checkpoint fails and says what to change, the service runs on."""
    with running(size=16, keys="Staging=tmpfs\nStagingMax=4M") as (i, memory):
        done = i.ctl("checkpoint", "beat", code=1)
        contains(done.stderr, "Staging=", "StagingMax=")
        memory.page.next_beat()
        equal((i.service("beat")["pid"], memory.page.breaks), (memory.pid, 0))
        equal((ids(i), images.staging(i, "beat")), ([], []))


SHARERS = """import mmap, os, time
for _ in range(3):
    if os.fork() == 0:
        memory = mmap.mmap(-1, 24 << 20)
        memory.write(os.urandom(24 << 20))
        break
open("%s/ready-%%d" %% os.getpid(), "w").close()
while True:
    time.sleep(0.01)
"""


def test_memory_that_fills_up():
    """auto: what turns out to be too much for the memory after all goes to the disk.

    Nobody can tell beforehand how much of several tasks' shared memory is the same."""
    needs_root()
    with Instance() as i:
        script = i.write(i.work + "/sharers.py", SHARERS % i.work)
        i.policy("sharers", f"/usr/bin/python3 {script}",
                 checkpoint="Interval=0\nStaging=auto\nStagingMax=64M\nCompress=none")
        i.start()
        i.up("sharers")
        wait_until(lambda: len([n for n in os.listdir(i.work) if "ready-" in n]) == 4, "all four")
        assert estimate(i) * 1.06 < 64 * MB, estimate(i)
        equal(dumped_into_memory(i, "sharers"), False)
        check_durable(i, "sharers@1")
        assert i.checkpoints("sharers")[0]["bytes"] > 72 * MB
        equal(i.service("sharers")["checkpoints_failed"], 0)


def estimate(instance):
    """What ckptd takes a dump for: statm(5), private pages of all and the most shared ones."""
    own = shared = 0
    for pid in instance.service_pids():
        with open(f"/proc/{pid}/statm") as f:
            resident, common = (int(n) * PAGE for n in f.read().split()[1:3])
        own, shared = own + max(0, resident - common), max(shared, common)
    return own + shared
