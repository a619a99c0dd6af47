"""kill -9 of our own daemons, at every step: services keep their pids, nothing is lost or doubled."""
import os
import signal
import time

import images
from harness import Instance, contains, equal, needs_root, procs, program, wait_until

OFFSETS_MS = (0, 2, 5, 10, 20, 40, 80, 160, 320)


def one_copy(instance, page, name, starts=1):
    """The service beats, once, without having been started again."""
    page.wait_beat()
    equal(len(instance.copies(name)), 1, "copies")
    equal(page.starts, starts, "cold starts")


def settle(instance, name):
    """No dump is under way any more."""
    wait_until(lambda: not images.staging(instance, name),
               lambda: f"no staging folder: {images.staging(instance, name)}")


def all_listed_are_whole(instance, name):
    for checkpoint in instance.checkpoints(name):
        equal(checkpoint["state"], "whole", checkpoint["id"])
        images.verify(instance.folder(checkpoint["id"]), may_go=True)


def test_daemons_are_back_within_100_ms():
    with Instance() as i:
        page = i.heartbeat()
        i.start()
        pid = i.up("beat")["pid"]
        for name in ("engine", "ckptd"):
            exe = {"engine": "supervisord", "ckptd": "ckptd"}[name]
            times = sorted(i.kill_daemon(exe) for _ in range(3))
            assert times[1] < 0.1, f"{name} back after {times} s"
        begin = time.monotonic()
        i.service("beat")
        usual = time.monotonic() - begin
        times = []
        for _ in range(3):
            old = wait_until(i.engine, "engine runs")
            procs.kill(old)
            begin = time.monotonic()
            equal(i.service("beat")["pid"], pid)
            times.append(time.monotonic() - begin - usual)
        assert sorted(times)[1] < 0.1, f"engine answers after {times} s"
        one_copy(i, page, "beat")


def killed_in_a_dump(daemon):
    needs_root()
    with Instance() as i:
        page = i.heartbeat(options="-m 96", checkpoint="Interval=0\nKeep=3\nMaxChain=0")
        i.start()
        pid = i.up("beat")["pid"]
        page.wait_beat()
        i.checkpoint("beat")
        last = 1
        for offset in OFFSETS_MS:
            dump = i.popen("checkpoint", "beat")
            time.sleep(offset / 1000)
            i.kill_daemon(daemon)
            dump.communicate(timeout=30)
            equal(i.service("beat")["pid"], pid, f"pid after a kill at {offset} ms")
            settle(i, "beat")
            one_copy(i, page, "beat")
            number = int(i.checkpoint("beat").split("@")[1])
            assert number > last, f"beat@{number} after beat@{last}"
            last = number
        equal(page.breaks, 0, "never restored")
        all_listed_are_whole(i, "beat")
        wait_until(lambda: len(i.checkpoints("beat")) == 3, "Keep=3")
        i.crash("beat")
        page.wait_beat()
        equal((page.breaks, page.bad_pages), (1, 0))


def test_engine_killed_at_every_step_of_a_dump():
    killed_in_a_dump("supervisord")


def test_ckptd_killed_at_every_step_of_a_dump():
    killed_in_a_dump("ckptd")


def killed_in_a_restore(daemon):
    needs_root()
    with Instance() as i:
        page = i.heartbeat(options="-m 96", recovery="MinUptime=0",
                           service="StartLimitIntervalSec=0")
        i.start()
        pid = i.up("beat")["pid"]
        page.wait_beat()
        i.checkpoint("beat")
        for n, offset in enumerate(OFFSETS_MS[:-1], 1):
            procs.kill(pid)
            time.sleep(offset / 1000)
            i.kill_daemon(daemon)
            page.next_beat()
            status = i.wait_recovered("beat", n)
            equal(status["pid"], pid, f"pid after a kill at {offset} ms")
            equal(status["last_exit"]["signal"], 9, f"exit status, kill at {offset} ms")
            equal(status["recovered_from"], "beat@1", f"kill at {offset} ms")
            one_copy(i, page, "beat")
            equal(page.breaks, n, f"one restore, kill at {offset} ms")
        equal(page.bad_pages, 0)


def test_engine_killed_at_every_step_of_a_restore():
    killed_in_a_restore("supervisord")


def test_ckptd_killed_at_every_step_of_a_restore():
    killed_in_a_restore("ckptd")


def test_exit_while_the_engine_is_dead_is_known():
    needs_root()
    with Instance() as i:
        page = i.heartbeat(service="Restart=no")
        other = i.page("nine")
        flag = i.work + "/die"
        i.policy("nine", f"{program('heartbeat')} -d {flag} {other.path}", service="Restart=no")
        i.start()
        pid = i.up("beat")["pid"]
        i.up("nine")
        other.wait_beat()
        procs.kill(i.engine())
        procs.kill(pid, 15)
        i.write(flag, "")
        equal(i.wait_state("beat", "stopped", "failed")["last_exit"], {"code": None, "signal": 15})
        equal(i.wait_state("nine", "failed")["last_exit"], {"code": 9, "signal": None})
        equal((page.starts, other.starts), (1, 1))


def test_keeper_killed_services_are_adopted():
    needs_root()
    with Instance() as i:
        page = i.heartbeat(recovery="MinUptime=0")
        i.start()
        pid = i.up("beat")["pid"]
        page.wait_beat(more_than=20)
        i.checkpoint("beat")
        i.kill_keeper()
        assert procs.is_alive(pid)
        page.wait_beat()
        i.start()
        status = i.wait_state("beat", "up")
        equal((status["pid"], status["restarts"]), (pid, 0))
        one_copy(i, page, "beat")
        equal(page.breaks, 0, "services do not notice")
        equal(i.checkpoint("beat"), "beat@2")
        status = i.crash("beat")
        equal((status["pid"], status["recovered_from"]), (pid, "beat@2"))
        equal(status["last_exit"]["signal"], 9, "exit status without the parent link")
        one_copy(i, page, "beat")


def test_keeper_killed_then_service_dies_before_adoption():
    needs_root()
    with Instance() as i:
        page = i.heartbeat(recovery="MinUptime=0")
        i.start()
        pid = i.up("beat")["pid"]
        page.wait_beat(more_than=20)
        i.checkpoint("beat")
        rest = i.kill_keeper()
        procs.kill_and_wait(pid)
        i.start()
        equal(i.wait_state("beat", "up")["recovered_from"], "beat@1")
        one_copy(i, page, "beat")
        wait_until(lambda: not any(map(procs.is_alive, rest)), "the old engine and ckptd are gone")


def test_keeper_killed_in_a_restore():
    needs_root()
    with Instance() as i:
        page = i.heartbeat(options="-m 96", recovery="MinUptime=0",
                           service="StartLimitIntervalSec=0")
        i.start()
        pid = i.up("beat")["pid"]
        page.wait_beat()
        i.checkpoint("beat")
        for offset in (5, 20, 60, 120):
            procs.kill(pid)
            time.sleep(offset / 1000)
            i.kill_keeper()
            i.start()
            i.wait_state("beat", "up")
            page.next_beat()
            one_copy(i, page, "beat")
            pid = i.service("beat")["pid"]
        equal(page.bad_pages, 0)


def test_keeper_killed_in_a_dump():
    needs_root()
    with Instance() as i:
        page = i.heartbeat(options="-m 96")
        i.start()
        pid = i.up("beat")["pid"]
        page.wait_beat()
        for offset in (5, 40, 120):
            dump = i.popen("checkpoint", "beat")
            time.sleep(offset / 1000)
            i.kill_keeper()
            i.start()
            dump.communicate(timeout=30)
            equal(i.wait_state("beat", "up")["pid"], pid)
            settle(i, "beat")
            i.checkpoint("beat")
        equal(page.breaks, 0)
        one_copy(i, page, "beat")
        all_listed_are_whole(i, "beat")


def test_dump_worker_killed():
    """A dead worker's half checkpoint is swept and the service is running."""
    needs_root()
    with Instance() as i:
        page = i.heartbeat(options="-m 96", recovery="MinUptime=0")
        i.start()
        i.up("beat")
        page.wait_beat()
        i.checkpoint("beat")
        for offset in (15, 60):
            dump = i.popen("checkpoint", "beat")
            time.sleep(offset / 1000)
            for pid in procs.children(i.ckptd()):
                if "dump" in procs.cmdline(pid):
                    procs.kill(pid)
            out, err = dump.communicate(timeout=60)
            assert dump.returncode in (0, 1), (out, err)
            settle(i, "beat")
            i.wait_state("beat", "up")
            one_copy(i, page, "beat")
        all_listed_are_whole(i, "beat")


def test_restore_worker_killed():
    """Without the worker's word nothing counts: the next rung comes up, and only that."""
    needs_root()
    with Instance() as i:
        page = i.heartbeat(options="-m 96", recovery="MinUptime=0",
                           service="StartLimitIntervalSec=0")
        i.start()
        i.up("beat")
        page.wait_beat()
        for _ in range(2):
            i.checkpoint("beat")
        before = i.service("beat")
        procs.kill(before["pid"])
        worker = wait_until(lambda: [p for p in procs.children(i.keeper)
                                     if procs.exe(p) == "ckpt-worker"], "a worker", every=0.001)
        time.sleep(0.02)
        procs.kill(worker[0])
        status = i.wait_recovered("beat", 1)
        assert status["recovered_from"] in ("beat@1", "beat@2", None), status
        page.next_beat()
        equal(len(i.copies("beat")), 1, "copies")


def test_sigquit_leaves_services_running():
    needs_root()
    with Instance() as i:
        page = i.heartbeat()
        i.start()
        pid = i.up("beat")["pid"]
        process, i.keeper_process = i.keeper_process, None
        process.send_signal(signal.SIGQUIT)
        equal(process.wait(10), 0, "exit status")
        page.wait_beat()
        i.start()
        equal(i.wait_state("beat", "up")["pid"], pid)
        one_copy(i, page, "beat")
        i.checkpoint("beat")
        procs.kill(i.keeper, signal.SIGHUP)
        i.heartbeat("new")
        procs.kill(i.keeper, signal.SIGHUP)
        i.wait_state("new", "up")


def test_second_supervisord_is_refused():
    with Instance() as i:
        page = i.heartbeat()
        i.start()
        pid = i.up("beat")["pid"]
        second = procs.subprocess.run(
            [program("supervisord"), "--config-dir", i.config, "--state-dir", i.state,
             "--runtime-dir", i.dir + "/run2"], capture_output=True, text=True, timeout=10,
            stdin=procs.subprocess.DEVNULL)
        assert second.returncode != 0
        contains(second.stderr, i.state)
        equal(i.service("beat")["pid"], pid)
        one_copy(i, page, "beat")
        assert not os.path.exists(i.dir + "/run2/control.sock")
