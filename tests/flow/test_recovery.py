"""The ladder: newest, older, cold, failed; poisoned and corrupt images; pids that are taken; power loss."""
import glob
import os
import time

from harness import Instance, contains, equal, needs_root, procs, program, wait_until


def states(instance, name):
    return {c["id"]: c["state"] for c in instance.checkpoints(name)}


def two_checkpoints(instance, name, page):
    """name@1 and name@2; returns the counts that each holds at least."""
    first = page.wait_beat(more_than=10)
    equal(instance.checkpoint(name), f"{name}@1")
    second = page.wait_beat(more_than=page.beats + 50)
    equal(instance.checkpoint(name), f"{name}@2")
    return first, second


def test_crash_and_restore_again_and_again():
    needs_root()
    with Instance() as i:
        page = i.heartbeat(recovery="MinUptime=0", options="-m 16")
        i.start()
        pid = i.up("beat")["pid"]
        page.wait_beat(more_than=20)
        for n in range(1, 4):
            count = page.beats
            equal(i.checkpoint("beat"), f"beat@{n}")
            page.wait_beat(more_than=page.beats + 20)
            status = i.crash("beat")
            page.wait_beat()
            equal((status["pid"], status["restarts"], status["recovered_from"]),
                  (pid, n, f"beat@{n}"))
            assert page.resumed_at >= count, "the state is the checkpoint's"
            equal((page.breaks, page.starts, page.bad_pages), (n, 1, 0), "breaks, starts, bad pages")
        i.crash("beat", 11)
        equal(i.service("beat")["last_exit"]["signal"], 11)


def test_restored_service_is_ours():
    """Its own cgroup, its parent the keeper, stop ends the tree, its exit status is known."""
    needs_root()
    with Instance() as i:
        page, flag = i.page("beat"), i.work + "/die"
        i.policy("beat", f"{program('heartbeat')} -d {flag} {page.path}",
                 service="Restart=on-abnormal", recovery="MinUptime=0")
        i.start()
        pid = i.up("beat")["pid"]
        page.wait_beat()
        with open(f"/proc/{pid}/cgroup") as f:
            cgroup = f.read()
        i.checkpoint("beat")
        i.crash("beat")
        equal(procs.stat(pid)[1], str(i.keeper), "parent")
        with open(f"/proc/{pid}/cgroup") as f:
            equal(f.read(), cgroup, "cgroups")
        i.write(flag, "")
        status = i.wait_state("beat", "failed", "stopped")
        equal(status["last_exit"], {"code": 9, "signal": None}, "exit status of a restored process")
        os.unlink(flag)
        i.up("beat")
        page.wait_beat()
        i.ctl("stop", "beat")
        equal(i.copies("beat"), [], "processes after stop")
        i.ctl("status", "beat", code=3)


def test_poisoned_images_then_cold():
    needs_root()
    with Instance() as i:
        flag = i.work + "/die"
        page = i.heartbeat(options=f"-d {flag}", service="StartLimitIntervalSec=0\nRestartSec=20ms",
                           recovery="MinUptime=1s")
        i.start()
        i.up("beat")
        two_checkpoints(i, "beat", page)
        i.write(flag, "")
        status = i.wait_recovered("beat", 3)
        equal((status["restarts"], status["recovered_from"], status["state"]), (3, "cold", "up"))
        equal(page.starts, 2, "cold starts")
        equal(states(i, "beat"), {"beat@1": "poisoned", "beat@2": "poisoned"})
        os.unlink(flag)
        time.sleep(1.1)
        i.crash("beat")
        equal(i.service("beat")["recovered_from"], "cold", "a poisoned image is never offered again")
        equal(i.checkpoint("beat"), "beat@3", "numbers only grow")


def test_ladder_used_up_is_failed():
    needs_root()
    with Instance() as i:
        flag = i.work + "/die"
        page = i.heartbeat(options=f"-d {flag}", service="StartLimitIntervalSec=0\nRestartSec=20ms",
                           recovery="Ladder=newest older")
        i.start()
        i.up("beat")
        two_checkpoints(i, "beat", page)
        i.write(flag, "")
        status = i.wait_state("beat", "failed")
        assert status["error"], "a failed service says why"
        equal(status["pid"], None)
        equal(page.starts, 1, "no cold start")
        i.ctl("status", "beat", code=3)
        os.unlink(flag)
        i.up("beat")
        equal(page.starts, 2, "a start by hand is cold")


def test_ladder_newest_only():
    needs_root()
    with Instance() as i:
        flag = i.work + "/die"
        page = i.heartbeat(options=f"-d {flag}", service="RestartSec=20ms",
                           recovery="Ladder=newest")
        i.start()
        i.up("beat")
        two_checkpoints(i, "beat", page)
        i.write(flag, "")
        i.wait_state("beat", "failed")
        equal(states(i, "beat"), {"beat@2": "poisoned", "beat@1": "whole"})


def test_ladder_cold_only():
    needs_root()
    with Instance() as i:
        page = i.heartbeat(recovery="Ladder=cold")
        i.start()
        i.up("beat")
        two_checkpoints(i, "beat", page)
        status = i.crash("beat")
        equal(status["recovered_from"], "cold")
        wait_until(lambda: page.starts == 2, "a cold start")


def test_survivor_of_min_uptime_is_no_poison():
    needs_root()
    with Instance() as i:
        page = i.heartbeat(recovery="MinUptime=300ms")
        i.start()
        i.up("beat")
        two_checkpoints(i, "beat", page)
        for _ in range(2):
            equal(i.crash("beat")["recovered_from"], "beat@2")
            page.wait_beat()
            time.sleep(0.5)
        equal(states(i, "beat"), {"beat@2": "whole", "beat@1": "whole"})


def test_restart_no_stays_down():
    needs_root()
    with Instance() as i:
        page = i.heartbeat(service="Restart=no")
        i.start()
        pid = i.up("beat")["pid"]
        page.wait_beat()
        i.checkpoint("beat")
        procs.kill(pid)
        status = i.wait_state("beat", "failed", "stopped")
        equal(status["last_exit"]["signal"], 9)
        equal(i.copies("beat"), [])


def test_clean_exit_is_no_crash():
    with Instance() as i:
        i.policy("short", "/bin/sh -c 'exit 0'", service="Restart=on-failure")
        i.start()
        i.ctl("start", "short", code=None)
        equal(i.wait_state("short", "stopped")["last_exit"], {"code": 0, "signal": None})


def test_start_limit():
    with Instance() as i:
        i.policy("loop", "/bin/sh -c 'exit 3'",
                 service="Restart=always\nRestartSec=10ms\nStartLimitBurst=4", recovery="MinUptime=0")
        i.start()
        i.ctl("start", "loop", code=None)
        status = i.wait_state("loop", "failed")
        equal(status["last_exit"], {"code": 3, "signal": None})
        assert 3 <= status["restarts"] <= 4, status["restarts"]
        assert status["error"], "says why"


def damaged(harm):
    """The newest image is damaged by `harm(folder)`: the older one is used, the list shows it."""
    needs_root()
    with Instance() as i:
        page = i.heartbeat(options="-m 4", checkpoint="Interval=0\nMaxChain=0",
                           recovery="MinUptime=0")
        i.start()
        i.up("beat")
        two_checkpoints(i, "beat", page)
        harm(i.folder("beat@2"))
        status = i.crash("beat")
        equal(status["recovered_from"], "beat@1")
        page.wait_beat()
        equal((page.starts, page.bad_pages), (1, 0))
        equal(states(i, "beat"), {"beat@2": "corrupt", "beat@1": "whole"})


def newest_pages(folder):
    return max(glob.glob(folder + "/pages-*.img"), key=os.path.getsize)


def test_flipped_byte():
    def harm(folder):
        with open(newest_pages(folder), "r+b") as f:
            middle = os.path.getsize(f.name) // 2
            f.seek(middle)
            byte = f.read(1)
            f.seek(middle)
            f.write(bytes([byte[0] ^ 1]))
    damaged(harm)


def test_missing_file():
    damaged(lambda folder: os.unlink(glob.glob(folder + "/core-*.img")[0]))


def test_truncated_pages():
    def harm(folder):
        pages = newest_pages(folder)
        os.truncate(pages, os.path.getsize(pages) // 2)
    damaged(harm)


def test_broken_manifest():
    def harm(folder):
        with open(folder + "/manifest.json", "r+b") as f:
            f.truncate(40)
    damaged(harm)


def test_every_image_damaged_is_cold():
    needs_root()
    with Instance() as i:
        page = i.heartbeat(options="-m 1")
        i.start()
        i.up("beat")
        two_checkpoints(i, "beat", page)
        for n in (1, 2):
            os.truncate(newest_pages(i.folder(f"beat@{n}")), 4096)
        equal(i.crash("beat")["recovered_from"], "cold")
        wait_until(lambda: page.starts == 2, "cold start")


def test_grown_file_is_said_and_not_restored():
    """CRIU cannot restore a file that grew unless it is O_APPEND: status says so before the crash."""
    needs_root()
    with Instance() as i:
        page, grown = i.page("beat"), i.work + "/grown"
        script = i.write(i.work + "/script", f"exec 3>{grown}; echo one >&3; exec "
                                             f"{program('heartbeat')} {page.path}\n")
        i.policy("beat", f"/bin/sh {script}")
        i.start()
        i.up("beat")
        page.wait_beat()
        i.checkpoint("beat")
        equal(i.service("beat")["restorable"]["ok"], True)
        with open(f"/proc/{page.pid}/fd/3", "w") as f:
            f.write("one and more\n")
        equal(i.service("beat")["restorable"]["ok"], False)
        contains(i.ctl("status", "beat").stdout, "restorable: no", grown)
        equal(i.crash("beat")["recovered_from"], "cold")
        wait_until(lambda: page.starts == 2, "a cold start")


def test_manual_restore():
    needs_root()
    with Instance() as i:
        page = i.heartbeat()
        i.start()
        i.up("beat")
        two_checkpoints(i, "beat", page)
        i.ctl("restore", "beat@1")
        i.wait_state("beat", "up")
        page.wait_beat()
        first = page.resumed_at
        equal(i.service("beat")["recovered_from"], "beat@1")
        i.ctl("restore", "beat")
        page.wait_beat()
        assert page.resumed_at > first, "the newest one has counted further"
        done = i.ctl("restore", "beat@99", code=1)
        contains(done.stderr, "beat@99")
        equal(i.service("beat")["state"], "up", "a restore of nothing harms nothing")
        equal(len(i.copies("beat")), 1)


def test_pid_taken():
    needs_root()
    with Instance() as i:
        page = i.heartbeat(recovery="Ladder=newest")
        i.start()
        pid = i.up("beat")["pid"]
        page.wait_beat()
        i.checkpoint("beat")
        i.ctl("stop", "beat")
        squatter = procs.take_pid(pid)
        try:
            done = i.ctl("restore", "beat", code=1)
            contains(done.stderr, str(pid))
            contains(done.stderr, "PidNamespace")
            assert procs.is_alive(squatter.pid), "the other process is unharmed"
        finally:
            squatter.kill()
            squatter.wait()
        equal(states(i, "beat"), {"beat@1": "whole"}, "a taken pid says nothing about the image")
        i.ctl("restore", "beat")
        equal(i.wait_state("beat", "up")["pid"], pid)
        page.wait_beat()


def test_pid_namespace_needs_no_pid():
    needs_root()
    with Instance() as i:
        page = i.heartbeat(checkpoint="Interval=0\nPidNamespace=yes", recovery="MinUptime=0")
        i.start()
        pid = i.up("beat")["pid"]
        page.wait_beat(more_than=20)
        i.checkpoint("beat")
        i.ctl("stop", "beat")
        squatter = procs.take_pid(pid)
        try:
            i.ctl("restore", "beat")
            status = i.wait_state("beat", "up")
            assert status["pid"] != pid
            page.wait_beat()
            assert page.resumed_at >= 20
            i.crash("beat")
            page.wait_beat()
        finally:
            squatter.kill()
            squatter.wait()
        i.ctl("stop", "beat")
        equal(i.copies("beat"), [])


def test_power_loss():
    needs_root()
    with Instance() as i:
        page = i.heartbeat()
        other = i.heartbeat("none", checkpoint="Enabled=no")
        i.start()
        i.up("beat")
        i.up("none")
        two_checkpoints(i, "beat", page)
        i.power_loss()
        i.start()
        equal(i.wait_state("beat", "up")["recovered_from"], "beat@2")
        i.wait_state("none", "up")
        page.wait_beat()
        wait_until(lambda: other.starts == 2, "the one without an image starts cold")
        equal((page.starts, len(i.copies("beat"))), (1, 1))


def test_stopped_stays_stopped():
    with Instance() as i:
        page = i.heartbeat()
        i.heartbeat("other")
        i.start()
        i.up("beat")
        i.up("other")
        i.ctl("stop", "beat")
        starts = page.starts
        i.stop()
        i.start()
        i.wait_state("other", "up")
        equal(i.service("beat")["state"], "stopped")
        i.power_loss()
        i.start()
        i.wait_state("other", "up")
        equal((i.service("beat")["state"], page.starts), ("stopped", starts))


def test_post_restore_hooks():
    needs_root()
    with Instance() as i:
        page, note = i.page("beat"), i.work + "/note"
        i.policy("beat", f"{program('heartbeat')} {page.path}",
                 recovery=f"MinUptime=0\nPostRestore=/bin/sh -c 'echo $PERDURE_RESTORED > {note}'")
        i.start()
        i.up("beat")
        page.wait_beat()
        i.checkpoint("beat")
        i.crash("beat")
        page.wait_beat()
        with open(note) as f:
            equal(f.read().strip(), "beat@1", "PERDURE_RESTORED")
        i.policy("beat", f"{program('heartbeat')} {page.path}",
                 recovery="MinUptime=0\nPostRestore=signal:USR1\nLadder=newest",
                 service="Restart=on-abnormal\nRestartPreventExitStatus=SIGUSR1")
        i.ctl("reload")
        procs.kill(i.service("beat")["pid"])
        equal(i.wait_state("beat", "failed", "stopped")["last_exit"]["signal"], 10,
              "the signal of PostRestore= arrived")
