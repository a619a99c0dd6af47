"""kill -9 of every daemon of ours right before and right after each system call that others can see
(stepkill.c), in every operation. After each death the four promises hold.

`make check` takes some calls of each operation, evenly spread; `make chaos` takes every one."""
import os
import time

import images
import inject
import test_logs
from harness import Instance, equal, needs_root, procs, program, wait_until

FULL = float(os.environ.get("CHAOS_SECONDS", "0")) > 120
SAMPLES = 4
BACK = 0.1  # seconds from the death of a daemon to its answer


class Steps:
    """An instance with the service `lines`, on which operations work, and the bystander `beat`."""

    def __init__(self, instance, **keys):
        self.i = instance
        keys = {"checkpoint": "Interval=0\nKeep=2\nMaxChain=0",
                "service": "Restart=always\nRestartSec=20ms\nStartLimitIntervalSec=0",
                "recovery": "MinUptime=0\nLadder=newest older", **keys}
        self.page = test_logs.writer(instance, rate=400, **keys)
        self.other = instance.heartbeat("beat")
        instance.start()
        instance.up("lines")
        self.other_pid = instance.up("beat")["pid"]
        self.page.wait_beat(more_than=5)
        self.seen = set()
        self.kills = self.deaths = 0  # of daemons; of the service
        self.times = []
        self.whole = set()
        self.starts = 1
        self.first_of_two()

    def first_of_two(self):
        for _ in range(2):
            self.i.checkpoint("lines")
        self.look_at_checkpoints()

    # ---- the target ----

    def aim(self, target, number):
        i = self.i
        if target in ("dump", "selftest"):
            return inject.Kill(self.daemon("ckptd"), number, target)
        if target in ("restore", "engine-again", "ckptd-again"):
            return inject.Kill(i.keeper, number, {"engine-again": "engine",
                                                   "ckptd-again": program("ckptd")}.get(target, target))
        return inject.Kill(i.keeper if target == "keeper" else self.daemon(target), number)

    def daemon(self, name):
        exe = {"engine": "supervisord", "ckptd": "ckptd"}[name]
        return wait_until(lambda: self.i.daemon(exe), f"{name} runs")

    def step(self, target, number, operate, check):
        """One operation with one kill; false when it was over before the kill."""
        if hasattr(operate, "prepare"):
            operate.prepare(self)
        self.before, self.target = self.i.service("lines"), target
        kill = self.aim(target, number)
        try:
            done, finish = operate(self)
            wait_until(lambda: kill.happened() or done(), f"the end of the operation, kill {number}",
                       every=0.001)
        finally:
            killed, when, call = kill.end()
        self.call = call
        if killed:
            self.kills += 1
            if target == "keeper":
                self.i.kill_keeper()
                self.i.start()
            self.i.service("lines")
            if target in ("engine", "ckptd"):
                self.times.append(time.monotonic() - when)
        acknowledged = finish()
        check(self, killed, acknowledged)
        self.promises()
        return killed, when

    def every_step(self, target, operate, check):
        for _ in range(5):
            killed, count = self.step(target, inject.NEVER, operate, check)
            if count:
                break  # a reload is answered before ckptd hears of it
        assert not killed and count > 0, f"{target}: {count} steps"
        number, stride = 1, 1 if FULL else max(1, -(-count // SAMPLES))
        while True:
            try:
                killed, _ = self.step(target, number, operate, check)
            except AssertionError as error:
                raise AssertionError(
                    f"{target} killed at step {number} of {count} (call {self.call}): {error}") from error
            if not killed and number > count:
                return count
            if number > 3 * count + 100:
                raise AssertionError(f"{target}: no end at step {number}")
            number += stride

    # ---- the promises ----

    def wait_for_list(self):
        """Without ckptd there is no list, for the moment until it is back."""
        return wait_until(lambda: self.i.json("list", "lines").get("checkpoints"), "a list", 2)

    def look_at_checkpoints(self):
        listed = self.wait_for_list()
        for checkpoint in listed:
            identity = checkpoint["id"]
            equal(checkpoint["state"], "whole", identity)
            if identity not in self.seen:
                number = int(identity.split("@")[1])
                assert all(int(s.split("@")[1]) < number for s in self.seen), f"{identity} is reused"
                images.verify(self.i.folder(identity), may_go=True)
        self.seen |= {c["id"] for c in listed}
        return listed

    def promises(self):
        i = self.i
        wait_until(lambda: not images.staging(i, "lines"),
                   lambda: f"no staging: {images.staging(i, 'lines')}")
        status = i.wait_state("lines", "up")
        self.page.next_beat()
        equal(i.copies("lines"), [status["pid"]], "copies of lines")
        with open(f"/proc/{status['pid']}/cgroup") as f:
            folder = [line[3:].strip() for line in f if line.startswith("0::")][0]
        root = procs.cgroup2_root()
        if root and folder != "/":
            equal(procs.cgroup_pids(root + folder), [status["pid"]], "processes in the cgroup")
        equal(self.page.starts, self.starts, "cold starts of lines")
        other = i.service("beat")
        equal((other["state"], other["pid"], other["restarts"]), ("up", self.other_pid, 0), "beat")
        equal(i.copies("beat"), [self.other_pid], "copies of beat")
        equal(self.other.breaks, 0, "breaks of beat")
        self.look_at_checkpoints()
        return status

    def end(self):
        test_logs.all_written(self.i, self.page, kills=self.deaths)
        if self.times:
            median = sorted(self.times)[len(self.times) // 2]
            assert median < BACK, f"daemons back after {median:.3f} s (median of {len(self.times)})"
        if os.environ.get("VERBOSE"):
            times = sorted(self.times) or [0]
            procs.debug(f"  {self.kills} kills; back after {1000 * times[len(times) // 2]:.0f} ms, "
                        f"at most {1000 * times[-1]:.0f} ms")


# ---- operations: start one, return (is it over?, wait and tell whether it was acknowledged) ----

def command(*words):
    def operate(s):
        process = s.i.popen(*words)

        def finish():
            s.output = process.communicate(timeout=60)
            return process.returncode == 0

        return (lambda: process.poll() is not None), finish

    return operate


def dump(s):
    over, finish = command("checkpoint", "lines")(s)
    return (lambda: over() and not images.staging(s.i, "lines")), finish


def crash(s):
    marks = s.i.log("lines").count("restored from")
    s.deaths += 1
    procs.kill(s.before["pid"])
    return (lambda: s.i.log("lines").count("restored from") > marks), lambda: True


# ---- what must be true after one ----

def same_pid(s, killed, acknowledged):
    assert killed or acknowledged, s.output
    equal(s.i.service("lines")["pid"], s.before["pid"], "pid of lines")


def recovered(s, killed, acknowledged):
    status = s.i.wait_recovered("lines", s.before["restarts"] + 1)
    equal(status["restarts"], s.before["restarts"] + 1, "one crash is one restart")
    assert status["last_exit"]["signal"] == 9 or s.target == "keeper", f"last exit: {status}"


def stop_check(s, killed, acknowledged):
    """As acknowledged; a request that was lost with its daemon must do when it is repeated."""
    assert killed or acknowledged, s.output
    if not acknowledged:
        s.i.ctl("stop", "lines")
    s.i.wait_state("lines", "stopped")
    equal(s.i.copies("lines"), [], "copies after stop")
    s.deaths += 1
    s.starts += 1
    s.i.up("lines")


def start(s):
    return command("start", "lines")(s)


def stop_before(s):
    s.i.ctl("stop", "lines")
    s.deaths += 1
    s.starts += 1


start.prepare = stop_before


def start_check(s, killed, acknowledged):
    assert killed or acknowledged, s.output
    if not acknowledged:
        s.i.ctl("start", "lines")


def restore(s):
    s.deaths += 1
    return command("restore", "lines")(s)


def restore_check(s, killed, acknowledged):
    """By hand: that image, the older one, or what ran before it was stopped; up it is."""
    assert killed or acknowledged, s.output


def reload(s):
    return command("reload")(s)


def change_policy(s):
    s.keep = 5 - getattr(s, "keep", 2)
    path = s.i.config + "/policies/lines.ini"
    with open(path) as f:
        text = f.read()
    s.i.write(path, text.replace(f"Keep={5 - s.keep}", f"Keep={s.keep}"))


reload.prepare = change_policy


def reload_check(s, killed, acknowledged):
    assert killed or acknowledged, s.output
    if not acknowledged:
        s.i.ctl("reload")
    same_pid(s, killed, True)
    while s.i.checkpoint("lines") and len(s.wait_for_list()) < s.keep:
        pass
    wait_until(lambda: len(s.wait_for_list()) == s.keep,
               lambda: f"Keep={s.keep}: {[c['id'] for c in s.wait_for_list()]}", 5)


def death_of(name):
    """A daemon dies; the target is its successor, or who deals with that."""
    exe = {"engine": "supervisord", "ckptd": "ckptd"}[name]
    victim = {}

    def prepare(s):
        victim["pid"] = s.daemon(name)  # before the kill is armed, which may hit at once

    def operate(s):
        procs.kill(victim["pid"])
        over, finish = command("list", "lines")(s)
        return ((lambda: over() and s.i.daemon(exe) not in (None, victim["pid"])),
                lambda: finish() or True)

    operate.prepare = prepare
    return operate


# ---- every operation with every target ----

def campaign(target, operate, check):
    needs_root()
    with Instance() as i:
        s = Steps(i)
        s.every_step(target, operate, check)
        s.end()


def add(operation, targets, operate, check):
    for target in targets.split():
        def test(target=target):
            campaign(target, operate, check)

        test.__name__ = f"test_{operation}_{target.replace('-', '_')}"
        test.limit = 1200 if FULL else 60
        globals()[test.__name__] = test


add("dump", "engine ckptd keeper dump", dump, same_pid)
add("crash", "engine ckptd keeper restore", crash, recovered)
add("restore", "engine ckptd keeper restore", restore, restore_check)
add("stop", "engine ckptd keeper", command("stop", "lines"), stop_check)
add("start", "engine ckptd keeper", start, start_check)
add("reload", "engine ckptd", reload, reload_check)
add("death_of_engine", "keeper ckptd engine-again", death_of("engine"), same_pid)
add("death_of_ckptd", "keeper engine ckptd-again", death_of("ckptd"), same_pid)


# ---- what no single kill shows ----

def restart_keeper(i, before=lambda: None):
    """Every daemon at once, then `before`, then another supervisord."""
    rest, process = [i.keeper, i.engine(), i.ckptd()], i.keeper_process
    i.keeper_process = None
    for pid in rest:
        procs.kill(pid)
    process.wait()
    i.gone_keepers.append(rest[1:])
    before()
    i.start()


def test_all_daemons_at_once_and_a_full_pipe():
    """Nobody pumps: the writer blocks at a full pipe, and gets neither SIGPIPE nor loses a line."""
    needs_root()
    with Instance() as i:
        page = test_logs.writer(i, rate=100000)
        i.start()
        pid = i.up("lines")["pid"]
        page.wait_beat(more_than=3)

        def blocks():
            last = page.sequence
            time.sleep(0.05)
            return page.sequence == last

        restart_keeper(i, lambda: wait_until(blocks, "the writer blocks"))
        equal(i.wait_state("lines", "up")["pid"], pid)
        page.next_beat()
        equal(i.copies("lines"), [pid])
        test_logs.all_written(i, page)


def test_two_supervisords_at_once():
    """One of them is it and has the services, the other says so and goes."""
    with Instance() as i:
        page = i.heartbeat()
        i.start()
        pid = i.up("beat")["pid"]
        for _ in range(20 if FULL else 5):
            i.kill_keeper()
            with open(i.log_path, "ab") as log:
                pair = [procs.subprocess.Popen(i.command(), stdin=procs.subprocess.DEVNULL,
                                               stdout=log, stderr=log, start_new_session=True)
                        for _ in range(2)]
            try:
                wait_until(lambda: any(p.poll() is not None for p in pair), "one of them goes")
            finally:
                running = [p for p in pair if p.poll() is None]
                i.keeper_process = running[0] if running else None
                for extra in running[1:]:
                    extra.kill()
            equal([p.returncode for p in pair if p not in running], [1], "exit of the other")
            wait_until(lambda: i.ctl("status", "beat", code=None).returncode == 0, "it answers")
            equal(i.service("beat")["pid"], pid)
            equal(i.copies("beat"), [pid], "copies")
        equal((page.starts, page.breaks), (1, 0), "starts and breaks")


def test_takeover_killed_at_every_step():
    """A new supervisord on running services dies while it takes over; the one after it manages."""
    needs_root()
    with Instance() as i:
        s = Steps(i)
        pid = i.service("lines")["pid"]
        i.kill_keeper()
        killed, count = takeover(i, inject.NEVER)
        assert not killed
        number, stride = 1, 1 if FULL else max(1, count // (2 * SAMPLES))
        while True:
            i.kill_keeper()
            killed, _ = takeover(i, number)
            if not killed:
                break
            s.kills += killed
            equal(i.service("lines")["pid"], pid, f"pid after a kill at step {number}")
            s.promises()
            number += stride
        s.end()


def takeover(i, number):
    """supervisord from its first system call on, killed at that one; the next is left alone."""
    with open(i.log_path, "ab") as log:
        process = procs.subprocess.Popen(
            ["sh", "-c", "read go; exec \"$@\"", "sh", *i.command()], stdin=procs.subprocess.PIPE,
            stdout=log, stderr=log, start_new_session=True)
    kill = inject.Kill(process.pid, number)
    try:
        process.stdin.write(b"go\n")
        process.stdin.close()
        wait_until(lambda: kill.happened() or
                   i.ctl("status", "lines", code=None, timeout=10).returncode == 0, "taken over")
    finally:
        killed, calls, _ = kill.end()
        i.keeper_process = process
    if killed:
        process.wait()
        i.keeper_process = None
        i.start()
    return killed, calls


def test_stock_criu_restores_what_was_committed_beside_kills():
    """The newest image after a dump whose ckptd was killed: a bare `criu restore` takes it."""
    needs_root()
    with Instance() as i:
        s = Steps(i)
        s.step("ckptd", 20, dump, same_pid)
        newest = s.wait_for_list()[0]["id"]
        folder = i.folder(newest)
        pid = i.service("lines")["pid"]
        inode = os.stat(f"/proc/{pid}/fd/1").st_ino
        s.i.ctl("stop", "lines")
        breaks = s.page.breaks
        out = os.open(i.work + "/bare", os.O_RDWR | os.O_CREAT, 0o600)
        done = procs.subprocess.run(
            [i.criu()["criu_path"], "restore", "-D", folder, "-W", i.work, "-o", "bare.log", "-d",
             "--shell-job", "--tcp-close", "--inherit-fd", f"fd[{out}]:pipe:[{inode}]"], pass_fds=[out],
            stdin=procs.subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
        os.close(out)
        try:
            with open(i.work + "/bare.log") as f:
                equal(done.returncode, 0, f"bare criu restore: {f.read()[-400:]}")
            s.page.next_beat()
            equal(s.page.breaks, breaks + 1, "the memory of the image")
        finally:
            procs.kill(pid)


for name, test in list(globals().items()):
    if name.startswith("test_") and not hasattr(test, "limit"):
        test.limit = 600 if FULL else 60
