#!/usr/bin/python3
"""make bench: perdure and bare criu side by side, in one run, on the same kind of process.

usage: ROWS='frozen_* pss_1' bench.py      rows to run, default all (make bench ROWS='frozen_*')

bare criu is the same binary's command line with -v1, the same kernel-feature cache, the same file
system and a warm page cache; runs alternate, rows are medians. Writes $BUILD/bench.json, and the
pictures docs/bench-*.svg of every series that ran whole, unless PICTURES=0.
"""
import fnmatch
import json
import os
import select
import shutil
import signal
import statistics
import subprocess
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../flow"))

import procs  # noqa: E402
import store  # noqa: E402
from harness import Instance, wait_until  # noqa: E402
from programs import WHERE_BUILT, Page, program  # noqa: E402

SIZES = (1, 64, 256, 1024)  # MB
RUNS = {1: 15, 64: 11, 256: 7, 1024: 7}
METRICS = {  # name: unit, what it is
    "frozen": ("ms", "service frozen by a dump"),
    "dump": ("ms", "dump, wall"),
    "recover": ("ms", "kill -9 to first heartbeat"),
    "pss": ("MB", "keeper + engine + ckptd"),
}
SERVICES = (1, 100)
PEER = "criu"
BEAT_USEC = "50"


def kill_dead(pid):
    """kill -9, then until the process has ended (not: has been reaped). The pidfd comes first: who
    supervises it may be faster than we are."""
    fd = os.pidfd_open(pid)
    signal.pidfd_send_signal(fd, signal.SIGKILL)
    select.select([fd], [], [])
    os.close(fd)


class Perdure:
    """The heartbeat as a service of perdure."""

    def __init__(self, instance, size):
        self.instance = instance
        self.page = instance.heartbeat(f"mb{size}", options=f"-u {BEAT_USEC} -m {size}",
                                       checkpoint="Interval=0\nKeep=1", recovery="MinUptime=0",
                                       service="StartLimitIntervalSec=0")
        self.name = f"mb{size}"

    def start(self):
        self.instance.ctl("reload")
        self.instance.up(self.name)
        self.page.wait_beat(timeout=30)

    def dump(self):
        """(frozen ms, wall ms)"""
        begin = time.monotonic()
        identity = self.instance.checkpoint(self.name)
        wall = (time.monotonic() - begin) * 1000
        folder = self.instance.folder(identity)
        frozen = procs.criu_frozen_usec(folder)
        if frozen is None:
            frozen = self.instance.json("show", identity)["frozen_us"]
        return frozen / 1000, wall

    def recover(self):
        pid = self.page.pid
        begin = time.time_ns()
        kill_dead(pid)
        taken = (self.page.next_beat() - begin) / 1e6
        self.instance.wait_state(self.name, "up")
        return taken

    def stop(self):
        assert self.page.bad_pages == 0, "memory of the restored service"
        self.instance.ctl("stop", self.name)


class Bare:
    """The same process under nobody, dumped and restored by the criu command."""

    def __init__(self, folder, size, criu):
        self.folder = folder
        os.makedirs(folder)
        self.page = Page(f"{folder}/bare.page")
        self.criu = criu
        self.size = size
        self.count = 0
        self.images = None

    def start(self):
        self.pipe = os.pipe()
        os.set_inheritable(self.pipe[1], True)
        argv = [program("heartbeat"), "-u", BEAT_USEC, "-m", str(self.size), self.page.path]
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=self.pipe[1],
                                        stderr=self.pipe[1], start_new_session=True, cwd="/")
        self.page.wait_beat(timeout=30)

    def run(self, *words):
        """criu without anything of Python's process start in the time that is measured."""
        pid = os.posix_spawn(self.criu, [self.criu, *words], os.environ)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if status != 0:
            with open(self.images + "/criu.log") as f:
                raise AssertionError(f"criu {' '.join(words)}: exit {status}: {f.read()}")

    def dump(self):
        old, self.images = self.images, f"{self.folder}/{self.count}"
        self.count += 1
        os.mkdir(self.images)
        begin = time.monotonic()
        self.run("dump", "-t", str(self.page.pid), "-D", self.images, "-o", "criu.log", "-v1",
                 "--leave-running", "--tcp-close", "--file-locks", "--manage-cgroups=ignore")
        wall = (time.monotonic() - begin) * 1000
        if old:
            shutil.rmtree(old)
        return procs.criu_frozen_usec(self.images) / 1000, wall

    def recover(self):
        pid = self.page.pid
        inode = os.fstat(self.pipe[1]).st_ino
        begin = time.time_ns()
        kill_dead(pid)
        if self.process:
            self.process.wait()
            self.process = None
        while os.path.exists(f"/proc/{pid}"):
            time.sleep(0.0001)
        self.page.set("ask", self.page.ask + 1)
        self.run("restore", "-D", self.images, "-o", "criu.log", "-v1", "-d", "--tcp-close",
                 "--file-locks", "--manage-cgroups=ignore",
                 "--inherit-fd", f"fd[{self.pipe[1]}]:pipe:[{inode}]")
        wait_until(lambda: self.page.answer == self.page.ask, "the bare process beats")
        return (self.page.answer_ns - begin) / 1e6

    def stop(self):
        assert self.page.bad_pages == 0, "memory of the restored process"
        procs.kill(self.page.pid)
        if self.process:
            self.process.wait()
        for fd in self.pipe:
            os.close(fd)
        self.page.close()
        shutil.rmtree(self.folder)


def measure_size(instance, size, wanted):
    """{metric: ([perdure...], [peer...])} of one size, in turns."""
    sides = (Perdure(instance, size), Bare(f"{instance.dir}/bare{size}", size, instance.criu()["criu_path"]))
    found = {metric: ([], []) for metric in ("frozen", "dump", "recover")}
    for side in sides:
        side.start()
    try:
        for run in range(-1, RUNS[size]):  # the first one warms up
            turn = (0, 1) if run % 2 else (1, 0)
            for n in turn:
                os.sync()
                frozen, wall = sides[n].dump()
                if run >= 0:
                    found["frozen"][n].append(frozen)
                    found["dump"][n].append(wall)
            if "recover" not in wanted:
                continue
            for n in turn:
                os.sync()
                time.sleep(0.05)
                taken = sides[n].recover()
                if run >= 0:
                    found["recover"][n].append(taken)
    finally:
        for side in sides:
            side.stop()
    return found


def measure_pss(count):
    """MB of the three daemons with that many idle services."""
    with Instance() as i:
        for n in range(count):
            i.policy(f"sleep{n}", "/bin/sleep 1000000")
        i.start()
        names = [f"sleep{n}" for n in range(count)]
        i.ctl("start", *names, timeout=120)
        wait_until(lambda: all(s["state"] == "up" for s in i.json("status")["services"]), "all up")
        time.sleep(1)
        return sum(procs.pss_kb(p) for p in i.daemons().values()) / 1024


def row(name, unit, ours, peer=None, peer_name=PEER, what=None):
    perdure = round(statistics.median(ours), 3)
    other = round(statistics.median(peer), 3) if peer else None
    entry = {"name": name, "unit": unit, "perdure": perdure, "peer": other,
             "peer_name": peer_name if peer else None,
             "ratio": round(perdure / other, 3) if other else None, "runs": len(ours)}
    texts = (f"{other:12.2f}", f"{entry['ratio']:7.2f}") if peer else (f"{'':>12}", f"{'':>7}")
    print(f"{name:20}{perdure:12.2f}{texts[0]}{texts[1]} {unit:4}{len(ours):5}   "
          f"{what or METRICS[name.split('_')[0]][1]}{f' ({peer_name})' if what and peer else ''}",
          flush=True)
    return entry


def machine():
    """One line about this machine; ends the bench where perdure cannot checkpoint on it."""
    with Instance() as instance:
        instance.start()
        criu = instance.criu()
    if not criu["usable"]:
        sys.exit(f"make bench: {criu['why']}; {criu['cure']}")
    cpu = "unknown CPU"
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                cpu = line.split(":", 1)[1].strip()
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 30
    return (f"{cpu}, {os.cpu_count()} CPUs, {memory} GB, Linux {os.uname().release}, "
            f"CRIU {criu['criu']}, "
            f"kernel-feature cache {'yes' if os.path.exists('/run/criu.kdat') else 'no'}")


def run_rows(patterns):
    def want(name):
        return not patterns or any(fnmatch.fnmatch(name, p) for p in patterns)

    rows = []
    for size in SIZES:
        wanted = [m for m in ("frozen", "dump", "recover") if want(f"{m}_{size}m")]
        if not wanted:
            continue
        with Instance() as instance:
            instance.start()
            found = measure_size(instance, size, wanted)
        for metric in wanted:
            rows.append(row(f"{metric}_{size}m", METRICS[metric][0], *found[metric]))
    for count in SERVICES:
        if want(f"pss_{count}"):
            rows.append(row(f"pss_{count}", "MB", [measure_pss(count)]))
    for names, measure in store.ROWS.items():
        if any(want(name) for name in names.split()):
            with Instance() as instance:
                instance.start()
                for name, unit, ours, peer, peer_name in measure(instance):
                    rows.append(row(name, unit, ours, peer, peer_name, store.WHAT[name]))
    return rows


def picture(metric, rows):
    """docs/bench-METRIC.svg by gnuplot, both sides over the size."""
    unit, what = METRICS[metric]
    data = "".join(f"{size} {entry['perdure']} {entry['peer']}\n"
                   for size, entry in zip(SIZES, rows))
    path = os.path.join(HERE, f"../../docs/bench-{metric}.svg")
    script = f"""set terminal svg size 640,400 dynamic background rgb 'white' font 'sans-serif,13'
set output '{path}'
set title '{what}'
set xlabel 'memory of the service, MB'
set ylabel '{unit}'
set logscale xy
set grid
set key left top
set xtics (1, 64, 256, 1024)
$data << EOD
{data}EOD
plot $data using 1:2 with linespoints lw 2 pt 7 title 'perdure', \\
     $data using 1:3 with linespoints lw 2 pt 5 title 'criu {"restore" if metric == "recover" else "dump"}'
"""
    subprocess.run(["gnuplot"], input=script, text=True, check=True)


def pictures(rows):
    if os.environ.get("PICTURES") == "0" or not shutil.which("gnuplot"):
        return
    for metric in ("frozen", "dump", "recover"):
        series = [r for r in rows if r["name"].startswith(metric + "_")]
        if len(series) == len(SIZES):
            picture(metric, series)


def main():
    os.closerange(3, 1024)  # what a shell leaked would end up in the images
    patterns = os.environ.get("ROWS", "").split()
    try:
        where = machine()
        print(f"{where}\n\n{'':20}{'perdure':>12}{PEER:>12}{'ratio':>7} {'unit':4}{'runs':>5}")
        rows = run_rows(patterns)
    except AssertionError as error:
        log = getattr(error, "perdure_log", None)
        sys.exit(f"make bench: {error}\n{log() if log else ''}")
    with open(os.path.join(WHERE_BUILT, "bench.json"), "w") as f:
        json.dump({"machine": where, "rows": rows}, f, indent=2)
        f.write("\n")
    pictures(rows)


if __name__ == "__main__":
    procs.under_reaper()
    main()
