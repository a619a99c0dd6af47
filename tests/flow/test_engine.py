"""The engine's own promises: nothing asked is lost, doubled or forgotten, whenever it dies."""
import os
import signal
import subprocess
import time

from harness import Instance, contains, equal, need, needs_root, procs, program, wait_until


def stopped(pid):
    """SIGSTOP and wait until it is true."""
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: procs.stat(pid)[0] in "Tt", f"{pid} is stopped")


def sleeper(i, name, options="", command="exec sleep 1000", **keys):
    i.policy(name, f"/bin/sh -c '{command}'", service=options, **keys)


# ---- many at once ----

def many(count):
    with Instance() as i:
        need(i.cgroup, "no cgroup2 here")
        for n in range(count):
            sleeper(i, f"s{n}", "TimeoutStartSec=60s", checkpoint="Enabled=no")
        begin = time.monotonic()
        i.start(timeout=60)
        wait_until(lambda: all(s["state"] == "up" for s in i.json("status")["services"]),
                   f"all {count} are up", 60, 0.1)
        started = time.monotonic() - begin
        services = i.json("status")["services"]
        equal(len({s["pid"] for s in services}), count, "processes")
        begin = time.monotonic()
        i.json("status")
        looked = time.monotonic() - begin
        procs.kill(i.engine())
        equal({s["pid"] for s in i.json("status")["services"]}, {s["pid"] for s in services},
              "pids after the engine's death")
        procs.debug(f"{count} services: up in {started:.2f} s, status in {looked * 1000:.0f} ms")
        i.stop(timeout=60)


def test_start_of_100():
    many(100)


def test_start_of_500():
    many(500)


def test_requests_wait_for_a_slow_keeper():
    """More requests than the socket holds while the keeper does not read: none is lost."""
    with Instance() as i:
        names = [f"s{n}" for n in range(150)]
        for name in names:
            sleeper(i, name, checkpoint="Enabled=no")
        i.start()
        wait_until(lambda: all(s["state"] == "up" for s in i.json("status")["services"]), "all up")
        stopped(i.keeper)
        try:
            stop = i.popen("stop", *names)
            time.sleep(0.5)
        finally:
            os.kill(i.keeper, signal.SIGCONT)
        stop.communicate(timeout=20)
        equal(stop.returncode, 0, "exit status of stop")
        equal(i.service_pids(), [], "processes")


# ---- the engine dies in the middle ----

def test_engine_killed_in_a_restart():
    """A restart whose ExecStop= runs: the service ends, and is started again."""
    with Instance() as i:
        mark = i.work + "/stops"
        sleeper(i, "s", f"ExecStop=/bin/sh -c 'echo stop >>{mark}; sleep 1; kill $MAINPID'")
        i.start()
        pid = i.up("s")["pid"]
        restart = i.popen("restart", "s")
        wait_until(lambda: os.path.exists(mark), "ExecStop= runs")
        procs.kill(i.engine())
        restart.communicate(timeout=20)
        status = i.wait_state("s", "up")
        wait_until(lambda: i.service("s")["pid"] not in (None, pid), "another process")
        equal((i.wait_state("s", "up")["desired"], status["restarts"]), ("up", 0))


def test_engine_killed_in_back_off():
    """Nobody starts it before RestartSec=, or by another way than the one that was chosen."""
    with Instance() as i:
        sleeper(i, "s", "Restart=always\nRestartSec=1s", "exit 0")
        i.start()
        i.wait_state("s", "backoff")
        restarts = i.service("s")["restarts"]
        procs.kill(i.engine())
        status = i.service("s")
        equal((status["state"], status["restarts"]), ("backoff", restarts))
        wait_until(lambda: i.service("s")["restarts"] == restarts + 1, "started once more", 5)


def test_failed_stays_failed():
    with Instance() as i:
        sleeper(i, "s", "Restart=no", "exit 3")
        i.start()
        error = i.wait_state("s", "failed")["error"]
        assert error
        procs.kill(i.engine())
        status = i.service("s")
        equal((status["state"], status["error"], status["last_exit"]["code"]), ("failed", error, 3))


def test_exit_is_counted_once():
    """The engine dies between writing an exit down and acknowledging it: its successor hears of the
    exit once more, and must not count it again."""
    with Instance() as i:
        sleeper(i, "s", "Restart=on-failure\nRestartSec=0")
        i.start()
        i.up("s")
        for round_ in range(1, 5):
            i.ctl("start", "s")
            pid, engine = i.service("s")["pid"], i.engine()
            stopped(i.engine())
            procs.kill(pid)
            time.sleep(0.05)
            os.kill(engine, signal.SIGCONT)
            time.sleep(round_ * 0.0004)
            procs.kill(engine)
            equal(i.wait_recovered("s", round_)["restarts"], round_)


def test_engine_killed_while_a_forking_daemon_starts():
    with Instance() as i:
        pid_file, go = i.work + "/d.pid", i.work + "/go"
        daemon = f"while [ ! -e {go} ]; do sleep 0.05; done; echo $$ >{pid_file}; exec sleep 1000"
        script = i.write(i.work + "/daemon.sh", f"#!/bin/sh\n(exec sh -c '{daemon}') &\nexit 0\n")
        os.chmod(script, 0o755)
        daemon_sh = daemon.replace("$$", "$$")
        i.write(script, f"#!/bin/sh\nsh -c '{daemon_sh}' &\nexit 0\n")
        i.policy("d", script, service=f"Type=forking\nPIDFile={pid_file}\nTimeoutStartSec=15s")
        i.start()
        i.wait_state("d", "starting")
        time.sleep(0.3)  # the parent has ended
        procs.kill(i.engine())
        equal(i.service("d")["state"], "starting")
        i.write(go, "")
        status = i.wait_state("d", "up")
        with open(pid_file) as f:
            equal(status["pid"], int(f.read()), "pid")


def test_start_timeout_survives_the_engine():
    with Instance() as i:
        sleeper(i, "s", "Type=notify\nTimeoutStartSec=1s\nRestart=no")
        i.start()
        i.wait_state("s", "starting")
        procs.kill(i.engine())
        contains(i.wait_state("s", "failed", timeout=5)["error"], "TimeoutStartSec")


def test_restored_while_the_engine_is_away():
    """What the keeper did alone is told by the next engine: image, work lost, the mark in the log."""
    needs_root()
    with Instance() as i:
        page = i.heartbeat(options="-m 64", service="StartLimitBurst=60", recovery="MinUptime=0")
        i.start()
        i.up("beat")
        page.wait_beat()
        identity = i.checkpoint("beat")
        for delay in (0.004, 0.008, 0.012, 0.016, 0.02, 0.03):
            before = i.service("beat")
            procs.kill(before["pid"])
            time.sleep(delay)
            procs.kill(wait_until(i.engine, "engine runs"))
            status = i.wait_recovered("beat", before["restarts"] + 1)
            equal(status["restarts"], before["restarts"] + 1, f"restarts, delay {delay}")
            equal(status["recovered_from"], identity, f"recovered_from, delay {delay}")
            assert status["work_lost_ms"] is not None, status
            equal(i.log("beat").count("restored from"), status["restarts"], "marks in the log")


# ---- shutdown ----

def of_another_boot(i, name):
    """What was recorded is now of a boot that is over: another boot id, and no keeper's table."""
    os.unlink(f"{i.state}/keeper.table")
    with open(f"{i.state}/services/{name}.state", "r+b") as f:
        f.seek(8)  # struct record: magic, size, boot_id
        f.write(b"x")


def test_engine_killed_in_a_shutdown():
    """The shutdown goes on, starts nothing, and the service is wanted again at the next start."""
    with Instance() as i:
        sleeper(i, "quick")
        sleeper(i, "slow", "ExecStop=/bin/sleep 1")
        i.start()
        i.up("quick")
        i.up("slow")
        i.keeper_process.send_signal(signal.SIGTERM)
        wait_until(lambda: len(i.service_pids()) == 2, "quick has ended, slow and its ExecStop= run")
        procs.kill(i.engine())
        equal(i.keeper_process.wait(20), 0, "exit status")
        i.keeper_process = None
        equal(i.service_pids(), [], "processes")
        i.start()
        equal([i.wait_state(n, "up")["desired"] for n in ("quick", "slow")], ["up", "up"])


def test_keeper_killed_in_a_shutdown():
    """What was being ended for the shutdown alone runs again under the next supervisord."""
    with Instance() as i:
        sleeper(i, "slow", "ExecStop=/bin/sleep 1")
        i.start()
        pid = i.up("slow")["pid"]
        i.keeper_process.send_signal(signal.SIGTERM)
        wait_until(lambda: len(i.service_pids()) == 2, "ExecStop= runs")
        i.kill_keeper()
        i.start()
        wait_until(lambda: i.service("slow")["pid"] not in (None, pid), "started again")
        equal(i.wait_state("slow", "up")["desired"], "up")


def test_memory_comes_back_after_a_clean_shutdown_and_a_power_loss():
    """A clean shutdown makes the next start cold, and only the next."""
    needs_root()
    with Instance() as i:
        page = i.heartbeat()
        i.start()
        i.up("beat")
        i.stop()
        i.start()
        i.wait_state("beat", "up")
        page.wait_beat()
        equal(page.starts, 2, "cold starts")
        i.checkpoint("beat")
        i.power_loss()
        of_another_boot(i, "beat")
        i.start()
        i.wait_state("beat", "up")
        page.wait_beat()
        equal(page.starts, 2, "cold starts")


# ---- ends of all sorts ----

def test_exec_stop_that_hangs():
    """systemd.service(5), TimeoutStopSec=: the command is killed, and the service gets its signal."""
    with Instance() as i:
        mark = i.work + "/term"
        sleeper(i, "s", "ExecStop=/bin/sleep 1000\nExecStop=/bin/touch " + mark + ".second\n"
                "TimeoutStopSec=1s", f'trap "touch {mark}; exit 0" TERM; while :; do sleep 0.1; done')
        i.start()
        i.up("s")
        begin = time.monotonic()
        i.ctl("stop", "s")
        assert time.monotonic() - begin < 3, "took too long"
        assert os.path.exists(mark), "SIGTERM did not come"
        assert not os.path.exists(mark + ".second"), "the second command was not passed over"
        equal(i.service_pids(), [], "processes")


def test_exec_stop_finishes_what_it_began():
    """The service ends by the command; KillMode=mixed must not kill the command with the rest."""
    with Instance() as i:
        mark = i.work + "/done"
        sleeper(i, "s", f"KillMode=mixed\nExecStop=/bin/sh -c 'kill $MAINPID; sleep 0.5; touch {mark}'")
        i.start()
        i.up("s")
        i.ctl("stop", "s")
        assert os.path.exists(mark), "ExecStop= was killed"


def test_kill_mode_none():
    with Instance() as i:
        sleeper(i, "s", "KillMode=none\nTimeoutStopSec=60s")
        i.start()
        pid = i.up("s")["pid"]
        begin = time.monotonic()
        i.ctl("stop", "s")
        assert time.monotonic() - begin < 5, "waited for nothing"
        assert procs.is_alive(pid)
        equal(i.service("s")["state"], "stopped")
        procs.kill(i.engine())
        equal(i.service("s")["state"], "stopped")
        i.ctl("start", "s")
        assert not procs.is_alive(pid), "two copies"
        procs.kill(i.service("s")["pid"])


def test_kill_mode_process_leftovers_do_not_block_a_start():
    with Instance() as i:
        sleeper(i, "s", "KillMode=process", "sleep 1000 & exec sleep 1000")
        i.start()
        pid = i.up("s")["pid"]
        wait_until(lambda: len(i.service_pids()) == 2, "main and child")
        i.ctl("stop", "s")
        left = i.service_pids()
        equal(len(left), 1, "leftovers")
        i.ctl("start", "s")
        assert i.service("s")["pid"] not in (None, pid)
        assert not procs.is_alive(left[0]), "leftover of an earlier life"
        wait_until(lambda: len(i.service_pids()) == 2, "main and child again")
        for p in i.service_pids():
            if p != i.service("s")["pid"]:
                procs.kill(p)


def test_start_that_cannot_work_is_no_loop():
    """RestartSec=0 and no limit: the engine neither recurses nor spins without reading its users."""
    with Instance() as i:
        sleeper(i, "s", "User=nobody-of-that-name\nRestart=always\nRestartSec=0\n"
                        "StartLimitIntervalSec=0")
        i.start()
        engine = i.engine()
        for _ in range(5):
            contains(str(i.service("s")["error"]), "nobody-of-that-name")
        equal(i.engine(), engine, "engine")
        i.ctl("stop", "s")
        equal(i.service("s")["state"], "stopped")


# ---- ckptd away or stuck ----

def test_stop_while_no_image_can_be_chosen():
    """A recovery that waits for a stuck ckptd: status answers, stop works."""
    needs_root()
    with Instance() as i:
        page = i.heartbeat()
        i.start()
        i.up("beat")
        page.wait_beat()
        i.checkpoint("beat")
        ckptd = i.ckptd()
        stopped(ckptd)
        try:
            procs.kill(i.service("beat")["pid"])
            i.wait_state("beat", "restoring")
            i.ctl("stop", "beat", timeout=10)
            equal(i.service("beat")["state"], "stopped")
        finally:
            os.kill(ckptd, signal.SIGCONT)
        time.sleep(0.3)  # its late answer must not start anything
        equal(i.service_pids(), [], "processes")


def test_status_during_a_restore():
    """Status answers while a restore is under way."""
    needs_root()
    with Instance() as i:
        page = i.heartbeat(options="-m 256")
        i.start()
        i.up("beat")
        page.wait_beat()
        i.checkpoint("beat")
        procs.kill(i.service("beat")["pid"])
        seen, restarts = set(), 0
        while not (restarts and "up" in seen):
            begin = time.monotonic()
            status = i.service("beat")
            restarts = status["restarts"]
            if restarts:
                seen.add(status["state"])
            assert time.monotonic() - begin < 1, "status waited for the restore"
        assert "restoring" in seen, seen


def test_poison_is_told_until_heard():
    """The mark is in the record, and survives engine and ckptd."""
    needs_root()
    with Instance() as i:
        page = i.heartbeat(recovery="MinUptime=60s")
        i.start()
        i.up("beat")
        page.wait_beat()
        identity = i.checkpoint("beat")
        i.crash("beat")
        ckptd = i.ckptd()
        stopped(ckptd)
        procs.kill(i.service("beat")["pid"])
        i.wait_state("beat", "restoring")
        procs.kill(i.engine())
        procs.kill(ckptd)
        wait_until(lambda: i.ckptd() not in (None, ckptd), "ckptd is back")
        wait_until(lambda: any(c["state"] == "poisoned" and c["id"] == identity
                               for c in i.checkpoints("beat")), f"{identity} is poisoned")


def test_clients_are_answered_when_ckptd_dies():
    needs_root()
    with Instance() as i:
        page = i.heartbeat()
        i.start()
        i.up("beat")
        page.wait_beat()
        ckptd = i.ckptd()
        stopped(ckptd)
        calls = [i.popen("list", "beat"), i.popen("restore", "beat"), i.popen("checkpoint", "beat")]
        time.sleep(0.3)
        procs.kill(ckptd)
        for call in calls:
            call.communicate(timeout=10)  # a clear error, or the next ckptd has done it
        equal(i.wait_state("beat", "up")["state"], "up")


# ---- reload ----

def test_removed_and_added_again():
    with Instance() as i:
        sleeper(i, "s", "ExecStop=/bin/sleep 0.5")
        i.start()
        pid = i.up("s")["pid"]
        path = f"{i.config}/policies/s.ini"
        with open(path) as f:
            text = f.read()
        os.unlink(path)
        equal(i.json("reload")["removed"], ["s"])
        i.raw_policy("s", text)
        equal(i.json("reload")["added"], ["s"])
        wait_until(lambda: i.service("s")["pid"] not in (None, pid), "started again")
        equal(i.wait_state("s", "up")["desired"], "up")


def test_engine_killed_after_a_removal():
    """The service is not kept as one whose policy was lost."""
    with Instance() as i:
        sleeper(i, "s", "ExecStop=/bin/sleep 1")
        sleeper(i, "other")
        i.start()
        i.up("s")
        os.unlink(f"{i.config}/policies/s.ini")
        i.ctl("reload")
        procs.kill(i.engine())
        wait_until(lambda: [s["name"] for s in i.json("status")["services"]] == ["other"], "s is gone")
        wait_until(lambda: len(i.service_pids()) == 1, i.leftover_processes)


def test_a_crash_after_going_back_does_not_go_forward():
    """Restored by hand to an older image: a crash before the next dump comes back to that one."""
    needs_root()
    with Instance() as i:
        page = i.heartbeat()
        i.start()
        i.up("beat")
        for n in range(1, 4):
            page.wait_beat()
            equal(i.checkpoint("beat"), f"beat@{n}")
        i.ctl("restore", "beat@1")
        i.wait_state("beat", "up")
        page.wait_beat()
        i.crash("beat")
        equal(i.service("beat")["recovered_from"], "beat@1")
        equal(i.checkpoint("beat"), "beat@4")
        i.crash("beat")
        equal(i.service("beat")["recovered_from"], "beat@4")


def test_going_back_holds_for_an_engine_that_knows_no_checkpoint():
    """The engine that carries out the restore was started a moment ago and has not asked ckptd for facts."""
    needs_root()
    with Instance() as i:
        page = i.heartbeat()
        i.start()
        i.up("beat")
        for n in range(1, 4):
            page.wait_beat()
            equal(i.checkpoint("beat"), f"beat@{n}")
        pid = i.service("beat")["pid"]
        i.kill_daemon("supervisord")
        # Not by the command: that one asks for the status first.
        subprocess.run(["busctl", f"--address=unix:path={i.runtime}/control.sock", "call",
                        "org.perdure.Supervisor1", "/org/perdure/Supervisor1",
                        "org.perdure.Supervisor1.Manager", "Restore", "ss", "beat", "beat@1"],
                       check=True, capture_output=True, timeout=20)
        page.wait_beat()
        procs.kill(pid)
        i.wait_recovered("beat", 1)
        equal(i.service("beat")["recovered_from"], "beat@1")
