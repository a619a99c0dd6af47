"""One perdure instance in folders of its own, for a flow test: start, ask, kill, and a clean-up that
fails the test when anything is left behind."""
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import procs
from programs import BUILD, Page, program

TIMEOUT = 20.0
NOBODY = 65534


class Skip(Exception):
    """This machine lacks something; the text says what."""


def need(condition, why):
    if not condition:
        raise Skip(why)


def needs_root():
    need(os.geteuid() == 0, "needs root: CRIU cannot dump without")


def needs_command(name):
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    need(path, f"{name} is not installed")
    return path


def equal(value, wanted, what=""):
    assert value == wanted, f"{what or 'value'}: {value!r}, wanted {wanted!r}"


def contains(text, *words):
    for word in words:
        assert word.lower() in text.lower(), f"no {word!r} in: {text!r}"


def wait_until(condition, what, timeout=TIMEOUT, every=0.01):
    """Polls with a deadline; returns the first true value."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:g} s: {what() if callable(what) else what}")
        time.sleep(every)


class Instance:
    """`with Instance() as i:` starts nothing yet; write policies, then i.start()."""
    count = 0

    def __init__(self, user=None, state=None, settings=None):
        Instance.count += 1
        self.dir = tempfile.mkdtemp(prefix="perdure-", dir="/var/tmp")
        os.chmod(self.dir, 0o755)
        self.config = self.dir + "/etc"
        self.state = state or self.dir + "/state"
        self.runtime = self.dir + "/run"
        self.work = self.dir + "/work"
        self.log_path = self.dir + "/daemon.log"
        for folder in (self.config, self.config + "/policies", self.work):
            os.mkdir(folder)
        os.chmod(self.work, 0o777)
        self.user = user
        if user is not None:
            for folder in (self.dir, self.config, self.config + "/policies"):
                os.chown(folder, user, user)
        if settings:
            self.write(self.config + "/perdure.ini", settings)
        self.keeper_process = None
        self.gone_keepers = []
        self.pages = []
        self.cgroup = procs.cgroup_make(f"perdure-test-{os.getpid()}-{Instance.count}")
        self.mounts_before = procs.mounts()
        self.tables_before = procs.criu_tables()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, _):
        left = self.clean_up()
        if kind is None and left:
            raise AssertionError("left behind: " + "; ".join(left))
        if kind is not None and not issubclass(kind, Skip):
            value.perdure_log = self.log_tail
        return False

    # ---- configuration ----

    @staticmethod
    def write(path, text):
        with open(path, "wb") as f:
            f.write(text if isinstance(text, bytes) else text.encode())
        return path

    def raw_policy(self, name, text):
        return self.write(f"{self.config}/policies/{name}.ini", text)

    def policy(self, name, command, service="", checkpoint="Interval=0", recovery="",
               description=None):
        """`service`, `checkpoint`, `recovery` are the lines of those sections."""
        return self.raw_policy(name, f"[Unit]\nDescription={description or name}\n\n"
                                     f"[Service]\nExecStart={command}\n{service}\n\n"
                                     f"[Checkpoint]\n{checkpoint}\n\n[Recovery]\n{recovery}\n")

    def heartbeat(self, name="beat", options="", **keys):
        """A heartbeat service; returns its page."""
        page = self.page(name)
        self.policy(name, f"{program('heartbeat')} {options} {page.path}", **keys)
        return page

    def page(self, name):
        page = Page(f"{self.work}/{name}.page")
        self.pages.append(page)
        return page

    # ---- the daemons ----

    def command(self):
        return [program("supervisord"), "--config-dir", self.config, "--state-dir", self.state,
                "--runtime-dir", self.runtime]

    def start(self, timeout=TIMEOUT):
        """Starts supervisord and waits for its READY=1."""
        ready = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path = f"{self.dir}/ready"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        ready.bind(path)
        os.chmod(path, 0o777)
        ready.settimeout(0.1)
        argv = self.command()
        if self.user is not None:
            argv = ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups",
                    *argv]
        if self.cgroup:
            argv = ["sh", "-c", 'echo $$ >"$0" && exec "$@"', self.cgroup + "/cgroup.procs", *argv]
        with open(self.log_path, "ab") as log:
            self.keeper_process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env=dict(os.environ, NOTIFY_SOCKET=path), cwd="/")
        try:
            self.wait_ready(ready, time.monotonic() + timeout)
        finally:
            ready.close()
            os.unlink(path)
        return self

    def wait_ready(self, sock, deadline):
        while True:
            with contextlib.suppress(socket.timeout):
                if b"READY=1" in sock.recv(4096).split(b"\n"):
                    return
            code = self.keeper_process.poll()
            assert code is None, f"supervisord ended with {code}: {self.log_tail()}"
            assert time.monotonic() < deadline, f"supervisord is not ready: {self.log_tail()}"

    def stop(self, timeout=TIMEOUT):
        """SIGTERM: every service is stopped, supervisord exits 0."""
        process, self.keeper_process = self.keeper_process, None
        process.send_signal(signal.SIGTERM)
        try:
            equal(process.wait(timeout), 0, "exit status of supervisord")
        except subprocess.TimeoutExpired:
            self.keeper_process = process
            raise AssertionError(f"supervisord did not stop in {timeout} s") from None

    @property
    def keeper(self):
        return self.keeper_process.pid

    def daemon(self, name):
        found = [p for p in procs.children(self.keeper) if procs.exe(p) == name
                 and procs.is_alive(p)]
        return found[0] if len(found) == 1 else None

    def engine(self):
        return self.daemon("supervisord")

    def ckptd(self):
        return self.daemon("ckptd")

    def daemons(self):
        return {"keeper": self.keeper, "engine": self.engine(), "ckptd": self.ckptd()}

    def kill_daemon(self, name, timeout=5.0):
        """kill -9 of engine or ckptd; returns the seconds until another one runs."""
        old = wait_until(lambda: self.daemon(name), f"{name} runs")
        begin = time.monotonic()
        procs.kill(old)
        wait_until(lambda: self.daemon(name) not in (None, old), f"{name} is back", timeout, 0.001)
        return time.monotonic() - begin

    def kill_keeper(self):
        """kill -9 of the keeper; engine and ckptd end by themselves, services do not notice."""
        rest = [p for p in (self.engine(), self.ckptd()) if p]
        process, self.keeper_process = self.keeper_process, None
        process.kill()
        process.wait()
        self.gone_keepers.append(rest)
        return rest

    def power_loss(self):
        """Everything of this instance dies at once."""
        pids = [self.keeper, self.engine(), self.ckptd()]
        pids += self.service_pids()
        process, self.keeper_process = self.keeper_process, None
        for pid in pids:
            if pid:
                procs.kill(pid)
        process.wait()
        for pid in self.all_pids():
            procs.kill(pid)
        wait_until(lambda: not self.all_pids(), lambda: f"all dead: {self.leftover_processes()}")

    # ---- what is there ----

    def all_pids(self):
        if self.cgroup:
            return [p for p in procs.cgroup_pids(self.cgroup) if procs.is_alive(p)]
        return procs.with_argument(self.dir)

    def service_pids(self):
        ours = {"supervisord", "ckptd", "ckpt-worker", "ckpt-archive", "criu"}
        return [p for p in self.all_pids() if procs.exe(p) not in ours]

    def copies(self, name):
        """Living processes that run on the page of this name."""
        return procs.with_argument(f"{self.work}/{name}.page", self.all_pids())

    def leftover_processes(self):
        return [f"{p} {procs.stat(p)[0] if procs.stat(p) else '?'} {' '.join(procs.cmdline(p))}"
                for p in self.all_pids()]

    # ---- the command ----

    def environment(self):
        return dict(os.environ, PERDURE_RUNTIME_DIR=self.runtime)

    def popen(self, *words, **options):
        return subprocess.Popen([program("perdure"), *words], stdin=subprocess.DEVNULL, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                env=self.environment(), **options)

    def ctl(self, *words, code=0, timeout=60):
        """Runs a verb; `code` None accepts any exit status."""
        done = subprocess.run([program("perdure"), *words], stdin=subprocess.DEVNULL, text=True,
                              capture_output=True, env=self.environment(), timeout=timeout)
        assert code is None or done.returncode == code, (
            f"perdure {' '.join(words)}: exit {done.returncode}, wanted {code}; "
            f"{done.stdout.strip()} {done.stderr.strip()}")
        return done

    def json(self, *words, code=None):
        done = self.ctl(*words, "--json", code=code)
        try:
            return json.loads(done.stdout)
        except ValueError:
            raise AssertionError(f"perdure {' '.join(words)} --json: no JSON: {done.stdout!r} "
                                 f"{done.stderr!r}") from None

    def service(self, name):
        answer = self.json("status", name)
        assert answer.get("services"), f"status of {name}: {answer}"
        return answer["services"][0]

    def wait_state(self, name, *states, timeout=TIMEOUT):
        last = {}

        def reached():
            last.update(self.service(name))
            return last["state"] in states

        wait_until(reached, lambda: f"{name} is {'|'.join(states)}, not {last}", timeout, 0.02)
        return last

    def up(self, name):
        """Starts a service unless the daemon has; returns its status."""
        self.ctl("start", name)
        return self.wait_state(name, "up")

    def wait_recovered(self, name, restarts, timeout=TIMEOUT):
        """Until the service is up after that many automatic restarts."""
        last = {}

        def reached():
            last.update(self.service(name))
            return last["state"] == "up" and last["restarts"] >= restarts

        wait_until(reached, lambda: f"{name} up with {restarts} restarts, not {last}", timeout, 0.02)
        return last

    def crash(self, name, number=signal.SIGKILL):
        """Kills the main process and waits for the recovery; returns the new status."""
        before = self.service(name)
        procs.kill(before["pid"], number)
        return self.wait_recovered(name, before["restarts"] + 1)

    def checkpoint(self, name):
        done = self.ctl("checkpoint", name)
        identity = done.stdout.strip()
        assert identity.startswith(name + "@") and "\n" not in identity, done.stdout
        return identity

    def checkpoints(self, name):
        return self.json("list", name)["checkpoints"]

    def criu(self):
        """What the daemon knows of its criu: criu_path, criu (its version), usable, why, cure."""
        return wait_until(lambda: self.json("version")["daemon"]["checkpoints"], "facts of criu")

    def folder(self, identity):
        name, number = identity.rsplit("@", 1)
        return f"{self.state}/checkpoints/{name}/{number}"

    def log(self, name):
        with contextlib.suppress(FileNotFoundError):
            with open(f"{self.state}/logs/{name}.log", "rb") as f:
                return f.read().decode(errors="replace")
        return ""

    def log_tail(self, lines=25):
        with contextlib.suppress(FileNotFoundError):
            with open(self.log_path, errors="replace") as f:
                return "".join(f.readlines()[-lines:])
        return ""

    # ---- the end ----

    def clean_up(self):
        """Ends and removes everything; returns what should not have been left."""
        left = []
        if self.keeper_process and self.keeper_process.poll() is None:
            try:
                self.stop()
            except AssertionError as error:
                left.append(str(error))
        tail = self.log_tail(40)
        self.log_tail = lambda lines=40: tail
        if self.keeper_process:
            self.keeper_process.kill()
            self.keeper_process.wait()
        with contextlib.suppress(AssertionError):
            wait_until(lambda: not self.all_pids(), "", 2)
        left += ["process " + p for p in self.leftover_processes()]
        left += self.left_cgroups()
        left += self.left_mounts()
        left += [f"nft table {t}" for t in procs.criu_tables() - self.tables_before]
        for page in self.pages:
            page.close()
        if os.environ.get("KEEP"):
            procs.debug(f"kept: {self.dir}")
        else:
            shutil.rmtree(self.dir, ignore_errors=True)
        return left

    def left_cgroups(self):
        if not self.cgroup:
            return []
        left = ["cgroup " + f for f in procs.cgroup_folders(self.cgroup)]
        procs.cgroup_remove(self.cgroup)
        return left

    def left_mounts(self):
        left = [m for m in procs.mounts() - self.mounts_before if m.startswith(self.dir)]
        for path in left:
            subprocess.run(["umount", "-l", path], check=False)
        return ["mount " + m for m in left]


def other_uid(argv, uid=NOBODY):
    return ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", *argv]


__all__ = ["BUILD", "Instance", "NOBODY", "Page", "Skip", "contains", "equal", "need",
           "needs_command", "needs_root", "other_uid", "procs", "program", "wait_until"]
