"""A service and a store of it without daemons: workers and ckptd are run one by one, so that each can
be made to fail wherever one likes, and what they leave is looked at."""
import contextlib
import json
import os
import re
import shutil
import struct
import subprocess
import tempfile

import images
import pages
import procs
from harness import equal, wait_until
from programs import CRIU, Page, program

NAME = "beat"
LIMIT = 60  # seconds for one program
UNKNOWN = 2**64 - 1
MARKS = ("poisoned", "corrupt", "pinned", "proven", "unprovable", "checked")
RESULTS = ("ok", "failed", "corrupt", "unrestorable", "interrupted")  # enum worker_result


class Done:
    """How a program under stepfail ended."""

    def __init__(self, process):
        self.code, self.output, self.errors = process.returncode, process.stdout, process.stderr
        found = re.search(r"(died|ended) ([-\d ]+)\n", self.output)
        assert found, f"stepfail said nothing: {self.output!r} {self.errors!r}"
        numbers = [int(n) for n in found[2].split()]
        self.died = found[1] == "died"
        self.rest = self.output[:found.start()] + self.output[found.end():]
        if self.died:
            self.call, self.visible, self.lost_files, self.lost_entries = numbers
        else:
            status, self.visible, self.changes, self.failed, self.first = numbers
            self.status = os.waitstatus_to_exitcode(status)


class Store:
    """STATE with the checkpoints of one service, in a folder of its own."""

    def __init__(self, lab, state):
        self.lab, self.state = lab, state
        self.path = state + "/checkpoints"
        self.service = f"{self.path}/{NAME}"
        self.keys = state + "/store.keys"

    def folder(self, number):
        return f"{self.service}/{number}"

    def numbers(self):
        return sorted(int(n) for n in self.entries() if n.isdigit())

    def entries(self):
        return os.listdir(self.service) if os.path.exists(self.service) else []

    def copy(self, state):
        """Files are shared: nothing writes into one that is there."""
        shutil.copytree(self.state, state, symlinks=True, copy_function=link)
        return Store(self.lab, state)

    def real_copy(self, state):
        shutil.copytree(self.state, state, symlinks=True)
        return Store(self.lab, state)

    # ---- workers ----

    def worker(self, mode, number=0, *more):
        archives = mode in ("export", "import")
        words = [program("ckpt-archive" if archives else "ckpt-worker"), mode, "--store", self.path,
                 "--keys", self.keys]
        if mode != "dump":
            words += ["--name", NAME]
        return words + (["--number", str(number)] if number else []) + list(more)

    def dump(self, number, parent=0, staging="disk", encrypt=False, under=()):
        more = ["--parent", str(parent)] if parent else []
        return [*under, program("asengine"), "dump", NAME, str(self.lab.pid), staging,
                "1" if encrypt else "0", *self.worker("dump", number, "--criu", CRIU, "--spec-fd",
                                                      "3", "--report-fd", "1", *more)]

    def rebase(self, number, parent=0, zstd=0, encrypt=False):
        return self.worker("rebase", number, "--report-fd", "1",
                           *(["--parent", str(parent)] if parent else []),
                           *(["--zstd", str(zstd)] if zstd else []),
                           *(["--encrypt"] if encrypt else []))

    def verify(self):
        """{number: (ok, why)}"""
        done = run(self.worker("verify", 0, "--report-fd", "1"))
        equal(done.returncode, 0, f"exit of verify: {done.stdout} {done.stderr}")
        answer = json.loads(done.stdout[done.stdout.rindex('{"version"'):])
        return {int(c["id"].split("@")[1]): (c["ok"], c["why"]) for c in answer["checkpoints"]}

    def restore(self, number, criu=CRIU, *more):
        """(result, pid, message)"""
        read, write = os.pipe()
        null = os.open("/dev/null", os.O_RDWR)

        def descriptors():
            ends = [os.dup2(n, 100 + i, False) for i, n in enumerate((write, null, null))]
            for i, end in enumerate(ends):
                os.dup2(end, 3 + i)

        with open(self.lab.dir + "/restore.log", "wb") as log:
            process = subprocess.Popen(
                self.worker("restore", number, "--criu", criu, *more), stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, close_fds=False, preexec_fn=descriptors,
                start_new_session=True)
        os.close(write)
        os.close(null)
        with os.fdopen(read, "rb") as f:
            report = f.read()
        code = process.wait(LIMIT)
        assert code in (0, 1), f"restore worker of {number}: exit {code}"
        result, pid = struct.unpack_from("<Ii", report)
        return RESULTS[result], pid, report[16:272].split(b"\0")[0].decode(errors="replace")

    # ---- ckptd ----

    def ckptd(self, *words, under=()):
        return [program("asengine"), "call", *words, "--", *under, program("ckptd"), "--state-dir",
                self.state, "--config-dir", self.lab.dir, "--runtime-dir", self.lab.dir, "--criu",
                "/bin/true", "--log-level", "3"]

    def listed(self):
        """What a ckptd lists that is started now, after it has swept: {number: checkpoint}"""
        done = run(self.ckptd("List", NAME))
        equal(done.returncode, 0, f"exit of ckptd: {done.stdout} {done.stderr}")
        assert done.stdout.startswith("{"), f"answer of ckptd: {done.stdout!r} {done.stderr!r}"
        answer = json.loads(done.stdout)
        return {int(c["id"].split("@")[1]): c for c in answer["checkpoints"]}

    # ---- what is there ----

    def leftovers(self):
        """Every path that belongs to no listed checkpoint."""
        numbers = self.numbers()
        left = [n for n in os.listdir(self.state) if n not in ("checkpoints", "store.keys")]
        left += [n for n in os.listdir(self.path) if n not in (NAME, ".tools")]
        marks = {f"{n}.{m}" for n in numbers for m in MARKS}
        left += [n for n in self.entries() if n != "counter" and not n.isdigit() and n not in marks]
        for number in numbers:
            with contextlib.suppress(FileNotFoundError, ValueError):
                known = {n for n, _ in images.hashed_files(self.folder(number))}
                left += [f"{number}/{n}" for n in os.listdir(self.folder(number))
                         if n not in known | {"manifest.json", "parent"}]
        return left

    def count(self, number):
        """Gives the number out."""
        path = self.service + "/counter"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        with open(path, "w") as f:
            f.write(f"{number}\n")

    def counter(self):
        """0: none was ever given out."""
        with contextlib.suppress(FileNotFoundError), open(self.service + "/counter") as f:
            return int(f.read())
        return 0

    def memory(self, number):
        """Through our unpacking, of a checkpoint in any form."""
        folder = tempfile.mkdtemp(dir=self.lab.dir)
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            done = run(self.worker("unpack", number, "--report-fd", "1", "--file-fd", str(fd)),
                       pass_fds=(fd,))
            equal(done.returncode, 0, f"exit of unpack: {done.stdout} {done.stderr}")
            return pages.memory(folder)
        finally:
            os.close(fd)
            shutil.rmtree(folder)


class Lab:
    """`with Lab() as lab:` a running heartbeat, which stores are made of."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="perdure-lab-", dir="/var/tmp")
        self.mounts_before, self.tables_before = procs.mounts(), procs.criu_tables()
        self.process, self.pid = None, 0
        self.page = Page(self.dir + "/page")

    def __enter__(self):
        try:
            self.start_service()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind, *_):
        self.stop_service()
        self.page.close()
        left = [m for m in procs.mounts() - self.mounts_before if m.startswith(self.dir)]
        left += sorted(procs.criu_tables() - self.tables_before)
        shutil.rmtree(self.dir, ignore_errors=True)
        if kind is None and left:
            raise AssertionError(f"left behind: {left}")

    # ---- the service ----

    def start_service(self):
        self.process = subprocess.Popen(
            [program("heartbeat"), "-m", "1", self.page.path], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, cwd="/")
        self.pid = self.process.pid
        self.page.wait_beat()

    def stop_service(self):
        if self.pid:
            procs.kill(self.pid)
        if self.process:
            self.process.wait()
            self.process = None
        elif self.pid:
            procs.wait_gone(self.pid)
        self.pid = 0

    def service_runs(self):
        """It is not stopped, and not a second one."""
        self.page.next_beat(10)

    def restore(self, store, number):
        """Takes the service's place; its memory is checked by itself."""
        self.stop_service()
        self.page.set("beats", 0)  # whatever it goes on with, it sees that it was restored
        self.page.set("bad_pages", UNKNOWN)
        result, pid, message = store.restore(number)
        equal(result, "ok", f"restore of {number}: {message}")
        self.pid = pid
        wait_until(lambda: self.page.bad_pages != UNKNOWN, f"{number} came back")
        equal(self.page.bad_pages, 0, f"bad pages of {number}")

    # ---- the store that all begins with ----

    def new_store(self, name):
        store = Store(self, f"{self.dir}/{name}")
        os.makedirs(store.service, 0o700)
        os.chmod(store.path, 0o700)
        store.listed()  # makes the keys
        return store

    def take(self, store, number, **how):
        """A dump as it should be; the service has beaten since the one before."""
        self.page.next_beat()
        done = run(store.dump(number, **how))
        equal(done.returncode, 0, f"exit of a dump: {done.stdout} {done.stderr}")
        store.count(number)


def link(source, target):
    if os.path.islink(source):
        os.symlink(os.readlink(source), target)
    else:
        os.link(source, target)


def run(words, **options):
    return subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          errors="replace", timeout=LIMIT, **options)


def step(words, **options):
    """Runs a command line that has stepfail in it."""
    return Done(run(words, **options))
