"""Output: where it goes, and that not a line is lost or doubled whoever dies."""
import re
import time

from harness import Instance, contains, equal, needs_root, procs, program, wait_until

RATE = 4000


def writer(instance, rate=RATE, **keys):
    page = instance.page("lines")
    instance.policy("lines", f"{program('linewriter')} {rate} {page.path}", **keys)
    return page


def numbers(text):
    return [int(n) for n in re.findall(r"^L (\d+)$", text, re.M)]


def stray_lines(text):
    return [line for line in text.splitlines() if not re.fullmatch(r"L \d+", line)]


def all_written(instance, page, kills=0):
    """After a stop every number is in the log once; a kill of the service itself may cost the number
    being written and repeat the one in the image (see linewriter.c)."""
    instance.ctl("stop", "lines")
    wait_until(lambda: numbers(instance.log("lines"))[-1:] and
               max(numbers(instance.log("lines"))[-500:]) >= page.sequence - 1,
               lambda: f"line {page.sequence} in the log", 5)
    found = numbers(instance.log("lines"))
    missing = set(range(1, page.sequence)) - set(found)
    doubled = len(found) - len(set(found))
    assert len(missing) <= kills and doubled <= kills, (
        f"{len(missing)} lost {sorted(missing)[:5]}, {doubled} doubled of {page.sequence}, "
        f"{kills} kills of the service")


def test_log_and_restore_mark():
    needs_root()
    with Instance() as i:
        page = writer(i, recovery="MinUptime=0")
        i.start()
        i.up("lines")
        page.wait_beat(more_than=20)
        i.checkpoint("lines")
        page.wait_beat(more_than=page.beats + 20)
        i.crash("lines")
        page.wait_beat(more_than=page.beats + 20)
        marks = stray_lines(i.log("lines"))
        assert any("lines@1" in m for m in marks), f"a mark of the restore: {marks}"
        contains(i.ctl("logs", "lines", "-n", "5").stdout, "L ")
        equal(len(i.ctl("logs", "lines", "-n", "5").stdout.splitlines()), 5, "logs -n 5")
        all_written(i, page, kills=1)


def test_service_killed_many_times():
    needs_root()
    with Instance() as i:
        page = writer(i, recovery="MinUptime=0", service="StartLimitIntervalSec=0")
        i.start()
        i.up("lines")
        page.wait_beat(more_than=5)
        for _ in range(6):
            i.checkpoint("lines")
            time.sleep(0.1)
            i.crash("lines")
        all_written(i, page, kills=6)


def test_no_line_lost_when_engine_and_ckptd_die():
    needs_root()
    with Instance() as i:
        page = writer(i)
        i.start()
        pid = i.up("lines")["pid"]
        for _ in range(5):
            for name in ("supervisord", "ckptd"):
                i.kill_daemon(name)
                time.sleep(0.05)
        page.wait_beat()
        equal(i.service("lines")["pid"], pid)
        equal(stray_lines(i.log("lines")), [], "nothing but its own lines")
        all_written(i, page)


def test_no_line_lost_when_the_keeper_dies():
    needs_root()
    with Instance() as i:
        page = writer(i)
        i.start()
        pid = i.up("lines")["pid"]
        for _ in range(4):
            time.sleep(0.1)
            i.kill_keeper()
            time.sleep(0.1)
            i.start()
            equal(i.wait_state("lines", "up")["pid"], pid)
        page.wait_beat()
        all_written(i, page)


def test_last_words_are_kept():
    with Instance() as i:
        i.policy("words", "/bin/sh -c 'echo first; echo second >&2; printf third; exit 4'",
                 service="Restart=no")
        i.start()
        i.ctl("start", "words", code=None)
        i.wait_state("words", "failed")
        text = wait_until(lambda: "third" in i.log("words") and i.log("words"), "the last word")
        contains(text, "first", "second", "third")


def test_output_targets():
    with Instance() as i:
        say = "/bin/sh -c 'echo to-out; echo to-err >&2; exec sleep 1000'"
        out, err, grow = (f"{i.work}/{n}" for n in ("out", "err", "grow"))
        i.write(out, "old text that goes\n" * 10)
        i.write(grow, "old text that stays\n")
        i.policy("split", say, service=f"StandardOutput=file:{out}\nStandardError=file:{err}")
        i.policy("grow", say, service=f"StandardOutput=append:{grow}\nStandardError=null")
        i.policy("both", say, service="StandardOutput=inherit\nStandardError=inherit")
        i.policy("none", say, service="StandardOutput=null\nStandardError=null")
        i.start()
        for name in ("split", "grow", "both", "none"):
            i.up(name)

        def text(path):
            try:
                with open(path) as f:
                    return f.read()
            except FileNotFoundError:
                return ""

        wait_until(lambda: "to-out" in text(out) and "to-err" in text(err), "file:")
        assert "to-err" not in text(out) and "to-out" not in text(err)
        wait_until(lambda: "to-out" in text(grow), "append:")
        assert text(grow).startswith("old text that stays\n") and "to-err" not in text(grow)
        wait_until(lambda: "to-out" in text(i.log_path) and "to-err" in text(i.log_path), "inherit")
        for name in ("split", "both", "none"):
            equal(i.log(name), "", f"default log of {name}")


def test_file_target_survives_a_restore():
    needs_root()
    with Instance() as i:
        out = i.work + "/out"
        page = writer(i, service=f"StandardOutput=file:{out}", recovery="MinUptime=0")
        i.start()
        i.up("lines")
        page.wait_beat(more_than=10)
        i.checkpoint("lines")
        i.crash("lines")
        page.wait_beat(more_than=page.beats + 10)
        i.ctl("stop", "lines")
        with open(out) as f:
            found = numbers(f.read())
        assert len(set(range(1, page.sequence)) - set(found)) <= 1, "lines before the crash are there"


def test_follow():
    with Instance() as i:
        i.policy("tick", "/bin/sh -c 'n=0; while :; do n=$$((n+1)); echo tick-$$n; sleep 0.05; done'")
        i.start()
        i.up("tick")
        follow = i.popen("logs", "tick", "-f", "-n", "1")
        try:
            seen = [follow.stdout.readline() for _ in range(5)]
            steps = [int(line.split("-")[1]) for line in seen]
            equal(steps, list(range(steps[0], steps[0] + 5)))
        finally:
            procs.kill(follow.pid, 2)
            follow.communicate(timeout=5)
