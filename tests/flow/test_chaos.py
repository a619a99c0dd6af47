"""Every daemon of ours, and now and then a service, is killed at random while services run; afterwards
the four promises hold. CHAOS_SECONDS sets how long (default 20); CHAOS_SEED repeats a run."""
import os
import random
import time

import clients
import images
import test_logs
import test_services
from harness import Instance, equal, needs_root, procs, wait_until

SECONDS = float(os.environ.get("CHAOS_SECONDS", "20"))


def kill_something(instance, choose, pages, counts):
    """One random death; the keeper is started again by hand, as an init system would."""
    victim = choose.choices(("engine", "ckptd", "keeper", "beat", "lines"), (5, 5, 2, 2, 2))[0]
    counts[victim] = counts.get(victim, 0) + 1
    if victim in ("engine", "ckptd"):
        pid = instance.daemons()[victim]
        if pid:
            procs.kill(pid)
    elif victim == "keeper":
        instance.kill_keeper()
        time.sleep(choose.uniform(0, 0.2))
        instance.start()
    else:
        pid = pages[victim].pid
        if pid in instance.copies(victim):
            procs.kill(pid)


def test_chaos():
    needs_root()
    seed = os.environ.get("CHAOS_SEED") or str(random.randrange(10**6))
    choose = random.Random(seed)
    every = "Interval=700ms\nKeep=3"
    ladder = "MinUptime=0\nLadder=newest older cold"
    always = "Restart=always\nRestartSec=20ms\nStartLimitIntervalSec=0"
    with Instance() as i:
        beat = i.heartbeat(options="-m 16", checkpoint=every, recovery=ladder, service=always)
        lines = test_logs.writer(i, rate=1000, checkpoint=every, recovery=ladder, service=always)
        port = test_services.redis(i, checkpoint=every, recovery=ladder, service=always)
        i.start()
        for name in ("beat", "lines", "redis"):
            i.up(name)
        test_services.answers(port)
        with clients.Redis(port) as r:
            r("SET", "kept", "yes")
        i.checkpoint("redis")
        i.checkpoint("beat")
        i.checkpoint("lines")
        redis_pid = i.service("redis")["pid"]
        counts, deadline = {}, time.monotonic() + SECONDS
        try:
            while time.monotonic() < deadline:
                kill_something(i, choose, {"beat": beat, "lines": lines}, counts)
                time.sleep(choose.choice((0, 0.02, 0.1, 0.5, 1.0)))
            promises_hold(i, beat, lines, port, redis_pid, counts)
        except AssertionError as error:
            raise AssertionError(f"{error} (CHAOS_SEED={seed}, kills {counts})") from error


def restores(counts, name):
    """At most: one per kill, and one more for a keeper that died before it heard the worker's word."""
    return counts.get(name, 0) + counts.get("keeper", 0)


def promises_hold(i, beat, lines, port, redis_pid, counts):
    for name in ("beat", "lines", "redis"):
        i.wait_state(name, "up", timeout=30)
    # 1 memory survives, 4 supervision never harms: redis was never killed by us
    equal(i.service("redis")["pid"], redis_pid, "redis was left alone")
    equal(i.service("redis")["restarts"], 0, "restarts of redis")
    with clients.Redis(port) as r:
        equal(r("GET", "kept"), b"yes")
    equal(beat.bad_pages, 0, "bad pages")
    equal(beat.starts, 1, "cold starts of beat")
    # 2 never two
    for name, page in (("beat", beat), ("lines", lines)):
        page.wait_beat()
        equal(len(i.copies(name)), 1, f"copies of {name}")
        breaks = page.breaks
        time.sleep(0.3)
        equal(page.breaks, breaks, f"{name} is alone on its page")
        assert breaks <= restores(counts, name), f"{breaks} breaks of {name}"
    # 3 what is listed can be restored
    for name in ("beat", "lines", "redis"):
        i.checkpoint(name)
        wait_until(lambda n=name: not images.staging(i, n), f"no staging of {name}")
        for checkpoint in i.checkpoints(name):
            equal(checkpoint["state"], "whole", checkpoint["id"])
    for checkpoint in i.checkpoints("beat"):
        i.ctl("restore", checkpoint["id"])
        beat.next_beat()
    # not a line lost or doubled
    test_logs.all_written(i, lines, kills=restores(counts, "lines"))


test_chaos.limit = int(SECONDS) + 120
