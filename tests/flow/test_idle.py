"""Nothing of ours wakes up between intervals, and all of it is small."""
import time

from harness import Instance, equal, needs_root, procs, wait_until


def test_no_wakeups_when_idle():
    needs_root()
    with Instance() as i:
        i.policy("sleep", "/bin/sleep 100000", checkpoint="Interval=1h")
        i.start()
        i.up("sleep")
        i.checkpoint("sleep")
        wait_until(lambda: i.ckptd() and i.engine(), "daemons")
        time.sleep(0.5)
        before = {n: procs.wakeups(p) for n, p in i.daemons().items()}
        time.sleep(3)
        equal({n: procs.wakeups(p) for n, p in i.daemons().items()}, before, "context switches")


def test_small_with_one_service():
    needs_root()
    with Instance() as i:
        i.policy("sleep", "/bin/sleep 100000")
        i.start()
        i.up("sleep")
        i.checkpoint("sleep")
        sizes = {n: procs.pss_kb(p) for n, p in i.daemons().items()}
        assert sum(sizes.values()) <= 8192, f"PSS in kB: {sizes}"


def held(i):
    """Open descriptors by daemon."""
    return {n: len(procs.os.listdir(f"/proc/{p}/fd")) for n, p in i.daemons().items()}


def held_at_rest(i):
    """As held(), once the connections of earlier commands have been closed at the daemons' end."""
    seen = [held(i)]

    def at_rest():
        seen.append(held(i))
        return len(seen) > 20 and seen[-20:] == [seen[-1]] * 20

    wait_until(at_rest, lambda: f"descriptors at rest: {seen[-5:]}", every=0.02)
    return seen[-1]


def test_descriptors_do_not_leak():
    """Neither the service nor a worker inherits anything; the daemons hold as many as before."""
    needs_root()
    with Instance() as i:
        page = i.heartbeat(recovery="MinUptime=0", service="StartLimitIntervalSec=0")
        i.start()
        pid = i.up("beat")["pid"]
        page.wait_beat()
        equal(sorted(procs.os.listdir(f"/proc/{pid}/fd"), key=int), ["0", "1", "2"], "descriptors")

        def round_trip():
            i.checkpoint("beat")
            i.crash("beat")
            page.wait_beat()

        round_trip()
        i.checkpoint("beat")
        before = held_at_rest(i)
        for _ in range(3):
            round_trip()
        i.checkpoint("beat")
        wait_until(lambda: held(i) == before, lambda: f"descriptors {held(i)}, before {before}", 3)
        equal(sorted(procs.os.listdir(f"/proc/{pid}/fd"), key=int), ["0", "1", "2"], "descriptors")


def test_removed_services_leave_no_descriptors():
    """The engine holds copies of a service's pipe and log; they go with the policy."""
    with Instance() as i:
        i.policy("stays", "/bin/sleep 1000000")
        i.start()
        i.up("stays")

        before = held_at_rest(i)
        for _ in range(4):
            i.policy("goes", "/bin/sleep 1000000")
            i.ctl("reload")
            i.up("goes")
            procs.os.unlink(i.config + "/policies/goes.ini")
            i.ctl("reload")
            wait_until(lambda: len(i.json("status")["services"]) == 1, "the removed one is gone")
        wait_until(lambda: held(i) == before, lambda: f"descriptors {held(i)}, before {before}", 3)
