"""Checkpoints: what cannot be dumped says why, a full disk harms nothing, images stay plain CRIU ones."""
import ctypes
import json
import os
import re
import shutil
import socket
import subprocess

import images
from harness import (Instance, Skip, contains, equal, need, needs_root, procs, program, wait_until)


def refused(instance, page, *words):
    """A checkpoint of `beat` fails with these words and a cure; the service runs on."""
    pid = instance.service("beat")["pid"]
    done = instance.ctl("checkpoint", "beat", code=1)
    contains(done.stderr, *words)
    answer = instance.json("checkpoint", "beat")
    assert answer["error"]["message"] and answer["error"]["cure"], answer
    page.wait_beat()
    status = instance.service("beat")
    equal((status["pid"], status["state"], status["restarts"]), (pid, "up", 0))
    assert procs.stat(pid)[0] in "SR", "not stopped or frozen"
    equal([c for c in instance.checkpoints("beat") if c["state"] == "whole"], [])
    equal(images.staging(instance, "beat"), [], "no half checkpoint stays")
    check = instance.ctl("check", "beat", code=None)
    contains(check.stdout + check.stderr, "checkpointable: no")


def test_unix_stream_to_outside():
    needs_root()
    with Instance() as i, socket.socket(socket.AF_UNIX) as server:
        server.bind(i.work + "/sock")
        server.listen()
        page = i.heartbeat(options=f"-c {i.work}/sock")
        i.start()
        i.up("beat")
        page.wait_beat()
        with server.accept()[0]:
            refused(i, page, "unix")


def test_io_uring():
    needs_root()
    params = (ctypes.c_uint64 * 15)()
    fd = procs.LIBC.syscall(425, 4, params)
    need(fd >= 0, "this kernel has no io_uring for us")
    os.close(fd)
    with Instance() as i:
        page = i.heartbeat(options="-i")
        i.start()
        i.up("beat")
        page.wait_beat()
        refused(i, page, "io_uring")


def test_check_of_a_good_service():
    needs_root()
    with Instance() as i:
        page = i.heartbeat()
        i.start()
        i.up("beat")
        page.wait_beat()
        contains(i.ctl("check", "beat").stdout, "checkpointable: yes")


def test_checkpoint_of_what_does_not_run():
    with Instance() as i:
        i.heartbeat()
        i.start()
        i.up("beat")
        i.ctl("stop", "beat")
        contains(i.ctl("checkpoint", "beat", code=3).stderr, "beat", "stopped")


def test_checkpoints_disabled():
    with Instance() as i:
        i.heartbeat(checkpoint="Enabled=no")
        i.start()
        i.up("beat")
        contains(i.ctl("checkpoint", "beat", code=1).stderr, "Enabled")


class SmallDisk:
    """A tmpfs as the state folder."""

    def __init__(self, size):
        self.size = size

    def __enter__(self):
        self.path = "/var/tmp/perdure-disk-%d" % os.getpid()
        os.makedirs(self.path, exist_ok=True)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={self.size}", "perdure", self.path],
                          capture_output=True).returncode != 0:
            raise Skip("cannot mount a tmpfs")
        return self.path

    def __exit__(self, *_):
        subprocess.run(["umount", "-l", self.path], check=False)
        os.rmdir(self.path)


def test_full_disk():
    needs_root()
    with SmallDisk("64m") as disk, Instance(state=disk) as i:
        page = i.heartbeat(options="-m 24", checkpoint="Interval=0\nKeep=5\nMaxBytes=1G",
                           recovery="MinUptime=0")
        i.start()
        pid = i.up("beat")["pid"]
        page.wait_beat()
        equal(i.checkpoint("beat"), "beat@1")
        made = ["beat@1"]
        for _ in range(3):
            done = i.ctl("checkpoint", "beat", code=None)
            assert done.returncode in (0, 1)
            if done.returncode:
                contains(done.stderr, disk)
                assert re.search("space|full|free", done.stderr), done.stderr
            else:
                made.append(done.stdout.strip())
            equal(i.service("beat")["pid"], pid)
            page.wait_beat()
        equal(images.staging(i, "beat"), [])
        listed = i.checkpoints("beat")
        assert listed, "the old one is not given up"
        for checkpoint in listed:
            equal(checkpoint["state"], "whole")
            images.verify(i.folder(checkpoint["id"]))
        assert os.statvfs(disk).f_bavail > 0, "the reserve holds"
        i.write(disk + "/filler", b"")
        with open(disk + "/filler", "wb", buffering=0) as f:
            try:
                while True:
                    f.write(bytes(65536))
            except OSError:
                pass
        i.ctl("checkpoint", "beat", code=1)
        page.wait_beat()
        equal(i.crash("beat")["recovered_from"], listed[0]["id"], "restores with a full disk")
        page.next_beat()
        equal(page.bad_pages, 0)
        os.unlink(disk + "/filler")


def test_max_bytes():
    needs_root()
    with Instance() as i:
        page = i.heartbeat(options="-m 8", checkpoint="Interval=0\nKeep=5\nMaxChain=0\nCompress=none\nMaxBytes=20M")
        i.start()
        i.up("beat")
        page.wait_beat()
        for _ in range(4):
            i.checkpoint("beat")
        found = i.checkpoints("beat")
        assert 1 <= len(found) <= 2, found
        assert sum(c["bytes"] for c in found) <= 20 << 20
        equal(found[0]["id"], "beat@4", "the newest is kept")


def test_foreign_criu_version():
    needs_root()
    with Instance() as i:
        page = i.heartbeat(recovery="Ladder=newest\nMinUptime=0")
        i.start()
        i.up("beat")
        page.wait_beat()
        i.checkpoint("beat")
        path = i.folder("beat@1") + "/manifest.json"
        with open(path) as f:
            text = f.read()
        manifest = json.loads(text)
        foreign = re.sub(r'("criu_version":\s*)\d+', r"\g<1>990000", text)
        assert foreign != text, f"criu_version in {sorted(manifest)}"
        i.write(path, foreign)
        subprocess.run([program("reseal"), i.state + "/store.keys", os.path.dirname(path)],
                       check=True)
        status = i.ctl("status", "beat", code=None).stdout
        done = i.ctl("restore", "beat", code=1)
        contains(done.stderr, "criu", "99")
        assert status


def test_changed_library_is_said_before_it_is_needed():
    needs_root()
    with Instance() as i:
        copy = i.work + "/heartbeat"
        shutil.copy(program("heartbeat"), copy)
        page = i.page("beat")
        i.policy("beat", f"{copy} {page.path}")
        i.start()
        i.up("beat")
        page.wait_beat()
        i.checkpoint("beat")
        equal(i.service("beat")["restorable"]["ok"], True)
        os.unlink(copy)
        shutil.copy(program("eventful"), copy)
        wait_until(lambda: i.service("beat")["restorable"]["ok"] is False, "restorable: no")
        contains(i.ctl("status", "beat").stdout, "restorable: no", copy)


def test_plain_criu_restores_a_checkpoint():
    needs_root()
    with Instance() as i:
        page = i.heartbeat(options="-m 8")
        i.start()
        i.up("beat")
        page.wait_beat(more_than=20)
        i.checkpoint("beat")
        folder, criu = i.dir + "/copy", i.criu()["criu_path"]
        shutil.copytree(i.folder("beat@1"), folder)
        i.ctl("stop", "beat")
        images.verify(folder)
        pid_file = i.dir + "/restored.pid"
        done = subprocess.run([criu, "restore", "-D", folder, "-d", "-v1", "-o", "r.log",
                               "--pidfile", pid_file, "--manage-cgroups=ignore", "--tcp-close"],
                              capture_output=True, text=True, timeout=30,
                              stdin=subprocess.DEVNULL)
        try:
            equal(done.returncode, 0, done.stderr)
            page.next_beat()
            equal((page.starts, page.breaks, page.bad_pages), (1, 1, 0))
            assert page.resumed_at >= 20
        finally:
            if os.path.exists(pid_file):
                with open(pid_file) as f:
                    procs.kill_and_wait(int(f.read()))


def test_crit_reads_a_checkpoint():
    needs_root()
    with Instance() as i:
        page = i.heartbeat()
        i.start()
        i.up("beat")
        page.wait_beat()
        beside = os.path.dirname(i.criu()["criu_path"]) + "/../bin"
        crit = shutil.which("crit", path=f"{beside}:{os.environ['PATH']}")
        need(crit, "crit is not installed (Debian: python3-pycriu)")
        i.checkpoint("beat")
        done = subprocess.run([crit, "show", i.folder("beat@1") + "/inventory.img"],
                              capture_output=True, text=True, timeout=30)
        contains(done.stdout, "INVENTORY")


def test_hooks():
    needs_root()
    with Instance() as i:
        page = i.page("beat")
        i.policy("beat", f"{program('heartbeat')} {page.path}",
                 checkpoint=f"Interval=0\nPreCheckpoint=/bin/sh -c 'echo pre >> {i.work}/note'\n"
                            f"PostCheckpoint=/bin/sh -c 'echo post >> {i.work}/note'")
        i.start()
        i.up("beat")
        page.wait_beat()
        i.checkpoint("beat")

        def note():
            with open(i.work + "/note") as f:
                return f.read().split()

        wait_until(lambda: os.path.exists(i.work + "/note") and note() == ["pre", "post"], "hooks")
        i.policy("beat", f"{program('heartbeat')} {page.path}",
                 checkpoint="Interval=0\nPreCheckpoint=/bin/sh -c 'exit 5'")
        i.ctl("reload")
        i.ctl("restart", "beat")
        done = i.ctl("checkpoint", "beat", code=1)
        contains(done.stderr, "PreCheckpoint", "5")
        page.wait_beat()


def test_hidden_work_shows_as_frozen_time():
    """What the manifest calls frozen is what CRIU measured."""
    needs_root()
    with Instance() as i:
        page = i.heartbeat(options="-m 32")
        i.start()
        i.up("beat")
        page.wait_beat()
        i.checkpoint("beat")
        measured = procs.criu_frozen_usec(i.folder("beat@1"))
        need(measured is not None, "this CRIU left no stats-dump")
        equal(i.service("beat")["checkpoint"]["frozen_us"], measured)
