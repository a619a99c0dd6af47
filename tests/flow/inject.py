"""kill -9 of one process at a chosen system call, by tests/programs/stepkill.c."""
import os
import select
import signal
import subprocess
import time

from programs import program

NEVER = 10**9


class Kill:
    """Counts from now on in `pid`, or with `word` in its next child that has this argument."""

    def __init__(self, pid, number, word=None):
        self.word = word
        self.process = subprocess.Popen(
            [program("stepkill"), str(pid), str(number), *([word] if word else [])],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        self.text = b""
        assert self.line(5.0) == "ready", f"cannot trace process {pid}"

    def line(self, timeout):
        """The next line, or None when there is none yet."""
        deadline = time.monotonic() + timeout
        while b"\n" not in self.text:
            left = max(0, deadline - time.monotonic())
            if not select.select([self.process.stdout], [], [], left)[0]:
                return None
            data = os.read(self.process.stdout.fileno(), 4096)
            if not data:
                return ""
            self.text += data
        line, self.text = self.text.split(b"\n", 1)
        return line.decode()

    def happened(self):
        """Has it been killed, or ended of itself?"""
        return self.process.poll() is not None

    def end(self):
        """(True, time of the kill in seconds, number of the call) or (False, calls counted, None)."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)
        words = (self.line(1.0) or "").split()
        self.process.stdout.close()
        assert words, "stepkill said nothing"
        if words[0] == "killed":
            return True, int(words[2]) / 1e9, int(words[1])
        return False, int(words[1]), None
