"""The programs under test: where they are, and the page that each shares with its test."""
import atexit
import mmap
import os
import shutil
import stat
import struct
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def reachable(folder):
    """The folder, or a copy of its programs where other users can run them (root's home is its own)."""
    parts = folder.split("/")
    parents = ["/".join(parts[:n]) or "/" for n in range(1, len(parts) + 1)]
    if not os.path.isdir(folder) or all(os.stat(p).st_mode & stat.S_IXOTH for p in parents):
        return folder
    copy = tempfile.mkdtemp(prefix="perdure-programs-", dir="/var/tmp")
    atexit.register(shutil.rmtree, copy, ignore_errors=True)
    os.chmod(copy, 0o755)
    for entry in os.scandir(folder):
        if entry.is_file() and os.access(entry.path, os.X_OK):
            shutil.copy(entry.path, copy)
    return copy


WHERE_BUILT = os.path.abspath(os.path.join(ROOT, os.environ.get("BUILD", "build")))
BUILD = reachable(WHERE_BUILT)
SOURCES = os.path.join(ROOT, "tests/programs")


# For tests without daemons, which find theirs by themselves.
CRIU = "/opt/perdure/criu/sbin/criu"
if not os.path.exists(CRIU):
    CRIU = shutil.which("criu") or CRIU


def program(name):
    return os.path.join(BUILD, name)


class Page:
    """tests/programs/shared.h: struct shared."""
    FIELDS = ("beats", "starts", "breaks", "resumed_at", "bad_pages", "sequence", "ask", "answer",
              "answer_ns", "pid")

    def __init__(self, path):
        self.path = path
        with open(path, "a+b") as f:
            f.truncate(4096)
            self.map = mmap.mmap(f.fileno(), 4096)
        os.chmod(path, 0o666)

    def __getattr__(self, name):
        try:
            at = 8 * self.FIELDS.index(name)
        except ValueError:
            raise AttributeError(name) from None
        return struct.unpack_from("<Q", self.map, at)[0]

    def set(self, name, value):
        struct.pack_into("<Q", self.map, 8 * self.FIELDS.index(name), value)

    def close(self):
        self.map.close()

    def wait_beat(self, timeout=10.0, more_than=None):
        """Until the program has beaten once more; returns the count."""
        deadline = time.monotonic() + timeout
        before = self.beats if more_than is None else more_than
        while self.beats == before if more_than is None else self.beats <= before:
            if time.monotonic() > deadline:
                raise AssertionError(f"no beat in {self.path} for {timeout} s")
            time.sleep(0.001)
        return self.beats

    def next_beat(self, timeout=30.0):
        """Asks for a beat that happens from now on; returns its time, CLOCK_REALTIME in ns."""
        number = self.ask + 1
        self.set("ask", number)
        deadline = time.monotonic() + timeout
        while self.answer != number:
            if time.monotonic() > deadline:
                raise AssertionError(f"no beat in {self.path} within {timeout} s")
            time.sleep(0.0005)
        return self.answer_ns
