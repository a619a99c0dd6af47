"""Drills: a checkpoint comes back in a sandbox beside the running service, and nobody notices.

While a drill runs the service is stopped by a signal, so that whatever changes was changed by it."""
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time

import clients
from harness import (Instance, contains, equal, need, needs_command, needs_root, procs, program,
                     wait_until)
from programs import SOURCES


def drill_command(i, name, number=1):
    return [program("ckpt-worker"), "drill", "--criu", i.criu()["criu_path"], "--store",
            f"{i.state}/checkpoints", "--name", name, "--number", str(number), "--keys",
            f"{i.state}/store.keys", "--nice", "5", "--report-fd", "1"]


def drill(i, name, number=1):
    """What the worker answers, a dict."""
    done = subprocess.run(drill_command(i, name, number), stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60)
    equal(done.returncode, 0, f"exit status of the drill ({done.stdout} {done.stderr})")
    answer = json.loads(done.stdout)
    equal((answer["version"], answer["id"]), (1, f"{name}@{number}"))
    assert answer["ms"] >= 0 and "\n" not in answer["why"], answer
    return answer


def read(path):
    with open(path) as f:
        return f.read()


def entries(folder):
    """Everything in a folder and below, as stat(2) tells it but for the access time."""
    found = {}
    for where, folders, files in os.walk(folder):
        for name in [".", *folders, *files]:
            with contextlib.suppress(FileNotFoundError):
                st = os.lstat(f"{where}/{name}")
                found[f"{where}/{name}"] = (st.st_ino, st.st_mode, st.st_uid, st.st_nlink,
                                            st.st_size, st.st_mtime_ns, st.st_ctime_ns)
    return found


def sockets(kind):
    """Lines of /proc/net; of TCP and UDP without their timers."""
    lines = read("/proc/net/" + kind).splitlines()[1:]
    return {line if kind == "unix" else " ".join(line.split()[1:4]) for line in lines}


def our_processes():
    """criu, and what runs a program of the tests."""
    return {p for p in procs.all_pids() if procs.exe(p) in ("criu", "ckpt-worker")}


class Unchanged:
    """`with Unchanged(i, name, folders):` nothing of the host is another one after it."""

    def __init__(self, instance, name, *folders):
        self.instance, self.name = instance, name
        self.folders = [instance.work, *folders]

    def look(self):
        # Other programs of this machine come and go: only what is named like ours is compared.
        mark, runtime = self.instance.dir.rsplit("-", 1)[1], self.instance.runtime
        return {
            "files": {f: entries(f) for f in self.folders},
            "mounts": read("/proc/self/mountinfo"),
            "unix": {s for s in sockets("unix") if mark in s and runtime not in s},
            "cgroups": procs.cgroup_folders(self.instance.cgroup) if self.instance.cgroup else [],
            "store": sorted(os.listdir(f"{self.instance.state}/checkpoints/{self.name}")),
            "locks": {" ".join(line.split()[1:]) for line in read("/proc/locks").splitlines()
                      if line.split()[4] == str(self.pid)},
        }

    def stop(self):
        running = [p for p in self.instance.service_pids() if (procs.stat(p) or "T")[0] != "T"]
        for pid in running:
            procs.kill(pid, signal.SIGSTOP)
        return not running

    def __enter__(self):
        self.pid = self.instance.service(self.name)["pid"]
        wait_until(self.stop, "the service is stopped")
        self.workers = our_processes()
        self.before = self.look()
        return self

    def __exit__(self, kind, *_):
        after = self.look()
        for pid in self.instance.service_pids():
            os.kill(pid, signal.SIGCONT)
        if kind is None:
            for what, before in self.before.items():
                assert after[what] == before, f"{what}: {before} became {after[what]}"
            equal(self.instance.service(self.name)["pid"], self.pid)
            equal(self.instance.service(self.name)["restarts"], 0)
            wait_until(lambda: not our_processes() - self.workers, "no process is left")
        return False


def mark_of(instance):
    """A word that only names of this test have."""
    return "drill-" + instance.dir.rsplit("-", 1)[1]


@contextlib.contextmanager
def held(kind, argument=None, *paths):
    """An instance with a checkpoint of holder.py; `{}` in `argument` becomes the mark."""
    needs_root()
    with Instance() as i:
        mark = mark_of(i)
        argument = argument.format(mark) if argument else ""
        try:
            i.policy("holder", f"/usr/bin/python3 {SOURCES}/holder.py {i.work} {kind} {argument}")
            i.start()
            i.up("holder")
            counts_on(i)
            i.checkpoint("holder")
            yield i
            counts_on(i)
            i.stop()
        finally:
            for path in [p.format(mark) for p in paths]:
                if os.path.isdir(path):
                    shutil.rmtree(path)
                elif os.path.lexists(path):
                    os.unlink(path)


def counts_on(i):
    def count():
        with contextlib.suppress(FileNotFoundError, ValueError):
            return int(read(i.work + "/counter") or 0)
        return 0

    before = count()
    wait_until(lambda: count() > before + 1, "the service counts")


def prove(i, name, *folders):
    with Unchanged(i, name, *folders):
        answer = drill(i, name)
    equal((answer["proven"], answer["unprovable"], answer["why"]), (True, False, ""))


def refuse(i, *words):
    """It cannot be had in a sandbox, and the answer names what is in the way."""
    with Unchanged(i, "holder"):
        answer = drill(i, "holder")
    equal((answer["proven"], answer["unprovable"]), (False, True), answer["why"])
    contains(answer["why"], *words)


def pid_inside(pid):
    """The number that a process has in its own pid namespace."""
    with contextlib.suppress(OSError):
        for line in read(f"/proc/{pid}/status").splitlines():
            if line.startswith("NSpid:") and len(line.split()) > 2:
                return int(line.split()[-1])
    return None


class Watcher(threading.Thread):
    """Takes hold of the page of the drilled copy: what is in it outlives the sandbox with us."""

    def __init__(self, path, pid):
        super().__init__(daemon=True)
        self.path, self.pid, self.file, self.end = path, pid, None, False

    def run(self):
        while not self.file and not self.end:
            for copy in [p for p in procs.all_pids() if pid_inside(p) == self.pid]:
                with contextlib.suppress(OSError):
                    self.file = open(f"/proc/{copy}/root{self.path}", "rb")


def test_beside_the_running_service():
    needs_root()
    with Instance() as i:
        page = i.heartbeat(options="-m 200")
        i.start()
        pid = i.up("beat")["pid"]
        page.wait_beat()
        i.checkpoint("beat")
        watcher = Watcher(page.path, pid)
        watcher.start()
        prove(i, "beat")
        watcher.end = True
        watcher.join()
        assert watcher.file, "the drilled process was not seen"
        with watcher.file as f:
            assert not os.path.samestat(os.fstat(f.fileno()), os.stat(page.path)), "the host's"
            assert f.read() == bytes(4096), "the program ran: its page is not empty"
        page.wait_beat()
        equal((page.breaks, page.starts, page.pid), (0, 1, pid))
        # Without a signal that stops it, too.
        for _ in range(2):
            equal(drill(i, "beat")["proven"], True)
        page.wait_beat()
        equal((page.breaks, i.service("beat")["pid"]), (0, pid))


def beating(policy, checkpoint="Interval=0"):
    needs_root()
    with Instance() as i:
        page = i.heartbeat(service=policy, checkpoint=checkpoint)
        i.start()
        i.up("beat")
        page.wait_beat()
        i.checkpoint("beat")
        prove(i, "beat")
        page.wait_beat()
        equal(page.breaks, 0)


def test_another_user():
    beating("User=nobody\nUMask=0077\nNice=5")


def test_pid_namespace():
    beating("", "Interval=0\nPidNamespace=yes")


def test_family():
    """A tree of processes: none of their numbers is criu's."""
    needs_root()
    with Instance() as i:
        i.policy("family", f"{SOURCES}/family.sh {i.work}")
        i.start()
        i.up("family")
        wait_until(lambda: os.path.exists(i.work + "/pipe") and read(i.work + "/pipe"), "it counts")
        i.checkpoint("family")
        prove(i, "family")
        before = len(read(i.work + "/pipe"))
        wait_until(lambda: len(read(i.work + "/pipe")) > before, "it goes on")


def test_threads():
    needs_root()
    port = clients.free_port()
    with Instance() as i:
        i.policy("threads", f"/usr/bin/python3 {SOURCES}/threads.py {port}")
        i.start()
        pid = i.up("threads")["pid"]
        wait_until(lambda: len(os.listdir(f"/proc/{pid}/task")) == 10, "ten threads")
        i.checkpoint("threads")
        prove(i, "threads")


def test_files_and_locks():
    with held("files") as i:
        prove(i, "holder", "/etc")


def test_a_file_larger_than_memory():
    """Open for writing, which in an overlay alone would copy all of it."""
    path = "/var/tmp/drill-large-%d" % os.getpid()
    with open(path, "w") as f:
        f.truncate(1 << 40)
    with held("writing", path, path) as i:
        prove(i, "holder")


@contextlib.contextmanager
def mounted(*options):
    """A mount point of its own with a name that mount options would have to escape."""
    needs_root()
    path = "/var/tmp/drill:mount,%d" % os.getpid()
    if options[0] == "--bind":
        open(path, "w").close()
    else:
        os.mkdir(path)
    try:
        need(subprocess.run(["mount", *options, path], capture_output=True).returncode == 0,
             "cannot mount")
        yield path
    finally:
        subprocess.run(["umount", "-l", path], check=False)
        shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)


def test_another_mount():
    with mounted("-t", "tmpfs", "drill") as folder:
        with open(folder + "/data", "w") as f:
            f.write("of the host")
        with held("writing", folder + "/data") as i:
            prove(i, "holder", folder)
        equal(read(folder + "/data"), "of the host")


def test_a_mount_that_cannot_be_overlaid():
    """A single file: it is read all right, but not written."""
    with mounted("--bind", "/etc/hostname") as path:
        with held("reading", path) as i:
            prove(i, "holder")
        with held("writing", path) as i:
            refuse(i, path)
        with held("locking", path) as i:
            refuse(i, "locks", path)


def test_unix_sockets():
    with held("unix", "/run/{}", "/run/{}", "/tmp/{}.socket") as i:
        prove(i, "holder", "/run/" + mark_of(i))
        for address in (f"/run/{mark_of(i)}/socket", f"/tmp/{mark_of(i)}.socket",
                        "\0" + mark_of(i)):
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(address)


def test_datagrams_to_the_host():
    """Whom the service writes to hears nothing of a drill, and is not needed for it."""
    needs_root()
    address = "/run/drill-peer-%d" % os.getpid()
    try:
        with (socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as path,
              socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as abstract):
            path.bind(address)
            abstract.bind("\0" + address)
            with held("datagrams", address) as i:
                prove(i, "holder")
                for s in (path, abstract):
                    s.setblocking(False)
                    with contextlib.suppress(BlockingIOError):
                        raise AssertionError(f"the host heard {s.recv(100)}")
    finally:
        os.unlink(address)


def test_shared_memory():
    with held("shm", "{}", "/dev/shm/{}") as i:
        prove(i, "holder", "/dev/shm")


def test_fifos():
    with held("fifos", "{}", "/run/{}") as i:
        prove(i, "holder")
        for path in (f"{i.work}/fifo", f"/run/{mark_of(i)}"):
            fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            equal(os.read(fd, 100), b"inside")
            os.close(fd)


def test_tcp():
    port = clients.free_port()
    with held("tcp", str(port)) as i:
        before = sockets("tcp"), sockets("tcp6")
        prove(i, "holder")
        ours = f":{port:04X}"
        for kind, lines in zip(("tcp", "tcp6"), before):
            equal({s for s in sockets(kind) if ours in s}, {s for s in lines if ours in s}, kind)
        socket.create_connection(("127.0.0.1", port)).close()


def test_event_loop():
    needs_root()
    port = clients.free_port()
    with Instance() as i:
        i.policy("loop", f"{program('eventful')} {port} {i.work}")
        i.start()
        i.up("loop")

        def ask():
            with contextlib.suppress(ConnectionRefusedError):
                with socket.create_connection(("127.0.0.1", port)) as s:
                    return json.loads(s.recv(1000))
            return None

        wait_until(ask, "it answers")
        i.checkpoint("loop")
        prove(i, "loop")
        before = ask()
        wait_until(lambda: ask()["ticks"] > before["ticks"], "its timer goes on")


def test_appender():
    needs_root()
    with Instance() as i:
        page = i.page("app")
        i.policy("app", f"{program('appender')} {i.work}/log {page.path}")
        i.start()
        i.up("app")
        page.wait_beat()
        i.checkpoint("app")
        page.wait_beat()
        prove(i, "app")
        page.wait_beat()
        lines = read(i.work + "/log").split("\n")[:-1]
        equal(lines, [str(n + 1) for n in range(len(lines))], "each line once")


def test_redis():
    needs_root()
    server = needs_command("redis-server")
    port = clients.free_port()
    with Instance() as i:
        config = i.write(i.work + "/conf", f"port {port}\ndir {i.work}\nsave ''\nio-threads 2\n"
                                           "unixsocket redis.sock\nlogfile log\n")
        i.policy("redis", f"{server} {config}")
        i.start()
        i.up("redis")

        def ask(*words):
            with socket.create_connection(("127.0.0.1", port)) as s:
                s.sendall((" ".join(words) + "\r\n").encode())
                return s.recv(1000)

        def ready():
            with contextlib.suppress(ConnectionRefusedError):
                return ask("PING") == b"+PONG\r\n"
            return False

        wait_until(ready, "redis answers")
        equal(ask("SET", "a", "1"), b"+OK\r\n")
        i.checkpoint("redis")
        equal(ask("SET", "a", "2"), b"+OK\r\n")
        prove(i, "redis")
        equal(ask("GET", "a"), b"$1\r\n2\r\n")


def test_a_delta_is_proven_with_its_parents():
    needs_root()
    with Instance() as i:
        page = i.heartbeat(options="-m 16")
        i.start()
        i.up("beat")
        for _ in range(3):
            page.wait_beat()
            i.checkpoint("beat")
        for number in (1, 2, 3):
            equal(drill(i, "beat", number)["proven"], True, f"beat@{number}")


def test_packed_images():
    """Encrypted ones are unpacked in memory: nothing plain reaches the disk."""
    needs_root()
    with Instance() as i:
        page = i.heartbeat(options="-m 16", checkpoint="Interval=0\nEncrypt=yes\nCompress=zstd")
        i.start()
        i.up("beat")
        for _ in range(2):
            page.wait_beat()
            i.checkpoint("beat")
        with Unchanged(i, "beat"):
            for number in (1, 2):
                equal(drill(i, "beat", number)["proven"], True, f"beat@{number}")


def test_kernel_log_is_unprovable():
    with held("reading", "/dev/kmsg") as i:
        refuse(i, "/dev/kmsg")


def test_file_of_sysfs_is_unprovable():
    path = "/sys/kernel/mm/transparent_hugepage/enabled"
    need(os.path.exists(path), "no " + path)
    with held("writing", path) as i:
        refuse(i, path[1:])


def test_own_proc_file():
    with held("writing", "/proc/self/oom_score_adj") as i:
        prove(i, "holder")


def test_damage_is_not_proven():
    needs_root()
    with Instance() as i:
        page = i.heartbeat(options="-m 1")
        i.start()
        i.up("beat")
        page.wait_beat()
        i.checkpoint("beat")
        folder = i.folder("beat@1")
        pages = next(n for n in sorted(os.listdir(folder)) if n.startswith("pages-"))
        with open(f"{folder}/{pages}", "r+b") as f:
            byte = f.read(1)
            os.pwrite(f.fileno(), bytes([byte[0] ^ 1]), 0)
        answer = drill(i, "beat")
        equal((answer["proven"], answer["unprovable"]), (False, False))
        contains(answer["why"], pages)


def test_what_is_missing_on_the_host_is_told():
    """CRIU's own reason."""
    with held("files") as i:
        os.rename(i.work + "/data", i.work + "/elsewhere")
        with Unchanged(i, "holder"):
            answer = drill(i, "holder")
        equal((answer["proven"], answer["unprovable"]), (False, False))
        contains(answer["why"], i.work[1:] + "/data")


def test_no_such_checkpoint():
    needs_root()
    with Instance() as i:
        i.heartbeat()
        i.start()
        i.up("beat")
        i.checkpoint("beat")
        done = subprocess.run(drill_command(i, "beat", 7), capture_output=True, text=True,
                              timeout=60)
        equal(done.returncode, 1)
        assert done.stdout.strip(), "it says why"


def test_killed_at_any_moment():
    """kill -9 of the worker: the sandbox and all in it goes with it."""
    needs_root()
    with Instance() as i:
        page = i.heartbeat(options="-m 64")
        i.start()
        pid = i.up("beat")["pid"]
        page.wait_beat()
        i.checkpoint("beat")
        begin = time.monotonic()
        equal(drill(i, "beat")["proven"], True)
        whole = time.monotonic() - begin
        command = drill_command(i, "beat")
        with Unchanged(i, "beat"):
            for n in range(24):
                worker = subprocess.Popen(command, stdin=subprocess.DEVNULL,
                                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                time.sleep(whole * n / 22)  # the moment is what is tried
                worker.kill()
                worker.wait()
                wait_until(lambda: set(procs.with_argument(page.path)) == {pid},
                           "only the service runs")
        page.wait_beat()
        equal((page.breaks, i.service("beat")["pid"]), (0, pid))
        equal(drill(i, "beat")["proven"], True)
