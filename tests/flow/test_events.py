"""What became of checkpoints: signals to whoever listens, counters in status."""
import contextlib
import os
import subprocess
import threading

from beating import ids, running
from harness import Instance, contains, equal, needs_root, program, wait_until
from test_checkpoint import SmallDisk


class Listener:
    """Every signal of the control socket, as (name, text...)."""

    def __init__(self, instance):
        self.process = subprocess.Popen([program("listener"), instance.runtime + "/control.sock"],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        self.heard, self.thread = [], threading.Thread(target=self.read)

    def read(self):
        for line in self.process.stdout:
            self.heard.append(tuple(line.rstrip("\n").split("\t")))

    def __enter__(self):
        self.thread.start()
        wait_until(lambda: self.heard, "it listens")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.thread.join()
        self.process.stdout.close()

    def wait(self, name, count=1):
        return wait_until(lambda: len(self.of(name)) >= count and self.of(name),
                          lambda: f"{count} times {name} in {self.heard}")

    def of(self, name):
        return [words[1:] for words in self.heard if words[0] == name]


def counters(instance):
    service = instance.service("beat")
    return service["checkpoints_made"], service["checkpoints_failed"]


def test_full_disk_is_told():
    """It fails the new checkpoint alone, with a signal to all who listen and in a counter."""
    with SmallDisk("64m") as disk, Instance(state=disk) as i:
        needs_root()
        page = i.heartbeat(options="-m 24", checkpoint="Interval=0\nMaxBytes=1G\nMaxChain=0",
                           recovery="MinUptime=0")
        i.start()
        pid = i.up("beat")["pid"]
        page.wait_beat()
        equal(counters(i), (0, 0))
        with Listener(i) as listener:
            i.checkpoint("beat")
            equal(listener.wait("CheckpointCommitted"), [("beat", "beat@1")])
            equal((counters(i), listener.of("CheckpointFailed")), ((1, 0), []))
            with open(disk + "/filler", "wb", buffering=0) as f:
                with contextlib.suppress(OSError):
                    while True:
                        f.write(bytes(65536))
            for n in (1, 2):
                said = i.ctl("checkpoint", "beat", code=1).stderr
                (name, message, cure), *_ = listener.wait("CheckpointFailed", n)[-1:]
                equal((name, counters(i)), ("beat", (1, n)))
                contains(said, message, cure)
                contains(message + cure, "space")
                contains(i.service("beat")["error"], message)
            contains(i.ctl("status", "beat").stdout, "1, 2 failed")
            page.next_beat()
            equal((i.service("beat")["pid"], page.breaks), (pid, 0), "the service runs on")
            os.unlink(disk + "/filler")
            i.checkpoint("beat")
            listener.wait("CheckpointCommitted", 2)
            equal((counters(i), i.service("beat")["error"]), ((2, 2), None))
            equal(ids(i), ["beat@2", "beat@1"])
            # Compressed, beat@1 would be smaller, but until then there would be three.
            i.ctl("verify", "--all")
            assert "background work failed" not in i.log_tail(), i.log_tail()
        i.kill_daemon("supervisord")
        wait_until(lambda: i.ctl("status", "beat", code=None).returncode == 0, "the next engine")
        equal(counters(i), (0, 0), "of this engine")


def test_periodic_ones_are_told():
    with running(size=1) as (i, _):
        i.heartbeat(options="-m 1", checkpoint="Interval=200ms")
        i.ctl("reload")
        i.ctl("restart", "beat")
        with Listener(i) as listener:
            listener.wait("CheckpointCommitted", 3)
            assert counters(i)[0] >= 3, counters(i)
