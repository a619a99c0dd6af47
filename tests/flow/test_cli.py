"""The command: verbs, exit codes, JSON as documented, `run`, the control socket."""
import json
import os
import re
import signal
import subprocess
import time

from harness import (Instance, contains, equal, needs_command, needs_root, other_uid, procs, program,
                     wait_until)

RFC3339 = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"
SERVICE_KEYS = {"name", "state", "pid", "restarts", "recovered_from", "work_lost_ms", "last_exit",
                "checkpoint", "error"}
STATES = {"up", "starting", "restoring", "backoff", "stopping", "stopped", "failed"}
CHECKPOINT_KEYS = {"id", "service", "time", "kind", "parent", "bytes", "frozen_us", "state"}


def test_status_json():
    needs_root()
    with Instance() as i:
        page = i.heartbeat()
        i.policy("bad", "/bin/sh -c 'exit 3'", service="Restart=no")
        i.start()
        pid = i.up("beat")["pid"]
        i.ctl("start", "bad", code=None)
        i.wait_state("bad", "failed")
        page.wait_beat()
        answer = i.json("status")
        equal(answer["version"], 1)
        services = {s["name"]: s for s in answer["services"]}
        equal(sorted(services), ["bad", "beat"])
        for service in services.values():
            assert SERVICE_KEYS <= set(service), f"keys {SERVICE_KEYS - set(service)} are missing"
            assert service["state"] in STATES
            equal(set(service["last_exit"] or {"code": 0, "signal": 0}), {"code", "signal"})
        beat, bad = services["beat"], services["bad"]
        equal((beat["pid"], beat["restarts"], beat["recovered_from"], beat["work_lost_ms"],
               beat["last_exit"], beat["checkpoint"], beat["error"]),
              (pid, 0, None, None, None, None, None))
        equal((bad["pid"], bad["last_exit"]), (None, {"code": 3, "signal": None}))
        assert bad["error"]
        i.checkpoint("beat")
        checkpoint = i.service("beat")["checkpoint"]
        equal(set(checkpoint), {"id", "time", "frozen_us", "bytes", "kind"})
        equal((checkpoint["id"], checkpoint["kind"]), ("beat@1", "full"))
        assert re.fullmatch(RFC3339, checkpoint["time"]), checkpoint["time"]
        assert 0 < checkpoint["frozen_us"] < 10**6 and checkpoint["bytes"] > 4096
        begin = time.time()
        i.crash("beat")
        beat = i.service("beat")
        assert 0 <= beat["work_lost_ms"] <= (time.time() - begin + 5) * 1000
        equal(beat["last_exit"], {"code": None, "signal": 9})


def test_list_and_show_json():
    needs_root()
    with Instance() as i:
        page = i.heartbeat(checkpoint="Interval=0\nKeep=2\nMaxChain=0")
        i.start()
        pid = i.up("beat")["pid"]
        page.wait_beat()
        equal(i.json("list", "beat"), {"version": 1, "checkpoints": []})
        for _ in range(3):
            i.checkpoint("beat")
        wait_until(lambda: len(i.checkpoints("beat")) == 2, "Keep=2")
        found = i.checkpoints("beat")
        equal([c["id"] for c in found], ["beat@3", "beat@2"], "newest first")
        for c in found:
            assert CHECKPOINT_KEYS <= set(c), f"keys {CHECKPOINT_KEYS - set(c)} are missing"
            equal((c["service"], c["kind"], c["parent"], c["state"]),
                  ("beat", "full", None, "whole"))
            assert re.fullmatch(RFC3339, c["time"])
        assert found[0]["time"] > found[1]["time"]
        equal(i.json("list")["checkpoints"], found, "all services")
        shown = i.json("show", "beat@3")
        assert os.path.exists(shown["path"] + "/inventory.img"), shown["path"]
        equal(os.stat(i.state + "/checkpoints").st_mode & 0o077, 0, "images are root's alone")
        contains(i.ctl("list", "beat").stdout, "beat@3")
        contains(i.ctl("show", "beat@3").stdout, shown["path"])
        contains(i.ctl("status", "beat").stdout, "beat", str(pid), "up")
        i.ctl("show", "beat@1", code=1)


def test_exit_codes():
    with Instance() as i:
        i.heartbeat()
        i.start()
        i.up("beat")
        i.ctl("status", "beat", code=0)
        i.ctl("status", "nobody", code=4)
        for verb in ("start", "stop", "restart", "checkpoint", "restore", "logs", "list"):
            contains(i.ctl(verb, "nobody", code=4).stderr, "nobody")
        i.ctl("stop", "beat")
        i.ctl("status", "beat", code=3)
        i.ctl(code=2)
        i.ctl("checkpoint", code=2)
        i.ctl("status", "--nonsense", code=2)
        contains(i.ctl("strat", "beat", code=2).stderr, "strat", "start")
        i.ctl("version")
        i.ctl("--help")


def test_error_shapes():
    with Instance() as i:
        i.heartbeat()
        i.start()
        for words in (("status", "nobody"), ("checkpoint", "nobody"), ("show", "nobody@1"),
                      ("start", "nobody")):
            done = i.ctl(*words, "--json", code=None)
            assert done.returncode != 0, words
            answer = json.loads(done.stdout)
            equal((set(answer), answer["version"]), ({"version", "error"}, 1), words)
            equal(set(answer["error"]), {"message", "cure"}, words)
            contains(answer["error"]["message"], "nobody")
            done = i.ctl(*words, code=None)
            equal(done.stdout, "", "without --json nothing on stdout")
            contains(done.stderr, "nobody")


def test_odd_names():
    with Instance() as i:
        page = i.heartbeat()
        i.start()
        i.up("beat")
        for name in ("../beat", "a/b", "..", ".", "/etc/passwd", "beat@../1", "", "x" * 300, "a\nb",
                     "beat@18446744073709551616", "beat@-1", "beat@"):
            for verb in ("status", "start", "checkpoint", "logs", "list", "show", "restore"):
                done = i.ctl(verb, name, code=None)
                assert done.returncode in (1, 2, 4), (verb, name, done.returncode, done.stdout)
                assert done.stderr.strip(), (verb, name)
        page.wait_beat()
        equal(i.service("beat")["restarts"], 0)


def test_no_daemon_is_a_clear_error():
    with Instance() as i:
        os.mkdir(i.runtime)
        done = i.ctl("status", code=None)
        assert done.returncode not in (0, 4), done.returncode
        contains(done.stderr, i.runtime, "supervisord")
        done = subprocess.run([program("perdure"), "--runtime-dir", i.dir + "/nowhere", "status"],
                              capture_output=True, text=True, timeout=10)
        contains(done.stderr, i.dir + "/nowhere")


def test_start_stop_restart():
    with Instance() as i:
        page = i.heartbeat()
        i.start()
        pid = i.up("beat")["pid"]
        i.up("beat")
        equal(i.service("beat")["pid"], pid, "start of a running service changes nothing")
        i.ctl("restart", "beat")
        assert i.wait_state("beat", "up")["pid"] != pid
        starts = page.starts
        i.ctl("stop", "beat")
        i.ctl("stop", "beat")
        equal((i.service("beat")["state"], i.service("beat")["pid"]), ("stopped", None))
        time.sleep(0.3)
        equal((page.starts, i.copies("beat")), (starts, []), "stays stopped")
        equal(i.service("beat")["restarts"], 0, "restarts counts automatic ones")


def test_stop_ends_the_whole_tree():
    with Instance() as i:
        page = i.page("child")
        i.policy("tree", f"/bin/sh -c 'setsid setsid {program('heartbeat')} {page.path} & trap \"\" "
                         "TERM; while :; do sleep 1; done'", service="TimeoutStopSec=300ms")
        i.start()
        i.up("tree")
        page.wait_beat()
        begin = time.monotonic()
        i.ctl("stop", "tree")
        assert time.monotonic() - begin > 0.2, "TimeoutStopSec= before SIGKILL"
        equal((i.copies("child"), i.service_pids()), ([], []))


def test_stop_uses_exec_stop_and_kill_signal():
    with Instance() as i:
        note, page = i.work + "/note", i.heartbeat("usr")
        i.policy("usr", f"{program('heartbeat')} {page.path}",
                 service=f"ExecStop=/bin/sh -c 'echo $$MAINPID > {note}'\nKillSignal=SIGUSR2")
        i.start()
        pid = i.up("usr")["pid"]
        i.ctl("stop", "usr")
        with open(note) as f:
            equal(f.read().strip(), str(pid), "MAINPID of ExecStop=")
        equal(i.service("usr")["last_exit"], {"code": None, "signal": 12})


def test_periodic_checkpoints():
    needs_root()
    with Instance() as i:
        page = i.heartbeat(checkpoint="Interval=200ms\nKeep=2\nMaxChain=0")
        i.start()
        i.up("beat")
        wait_until(lambda: (i.service("beat")["checkpoint"] or {}).get("id") in
                   (f"beat@{n}" for n in range(4, 50)), "the fourth checkpoint")
        wait_until(lambda: len(i.checkpoints("beat")) <= 2, "Keep=2")
        page.wait_beat()
        equal((page.breaks, page.starts), (0, 1))


def test_reload():
    with Instance() as i:
        page = i.heartbeat()
        i.heartbeat("old")
        i.start()
        pid = i.up("beat")["pid"]
        i.up("old")
        new = i.heartbeat("new")
        os.unlink(i.config + "/policies/old.ini")
        i.policy("beat", f"{program('heartbeat')} {page.path}", service="RestartSec=7s")
        answer = i.json("reload", code=0)
        equal((answer["added"], answer["removed"], answer["changed"]), (["new"], ["old"], ["beat"]))
        equal(answer["errors"], [])
        equal(i.service("beat")["pid"], pid, "a running service stays")
        i.up("new")
        new.wait_beat()
        names = [s["name"] for s in i.json("status")["services"]]
        assert "new" in names, names


def test_version():
    with Instance() as i:
        i.start()
        answer = i.json("version", code=0)
        equal(answer["version"], 1)
        equal(answer["daemon"]["kernel"], os.uname().release)
        equal(answer["daemon"]["perdure"], answer["perdure"])


def test_busctl():
    busctl = needs_command("busctl")
    with Instance() as i:
        i.heartbeat()
        i.start()
        i.up("beat")
        address = f"--address=unix:path={i.runtime}/control.sock"
        at = ("org.perdure.Supervisor1", "/org/perdure/Supervisor1")

        def bus(*words):
            done = subprocess.run([busctl, address, "--no-pager", *words], capture_output=True,
                                  text=True, timeout=10, stdin=subprocess.DEVNULL)
            equal(done.returncode, 0, f"busctl {words}: {done.stderr}")
            return done.stdout

        contains(bus("introspect", *at), "Checkpoint", "Status", "Restore", "Changed")
        contains(bus("tree", at[0]), at[1])
        contains(bus("call", *at, at[0] + ".Manager", "Status", "as", "1", "beat"), "beat")


def test_other_users_may_not_act():
    needs_root()
    with Instance(settings="[Daemon]\nControlMode=0666\n") as i:
        page = i.heartbeat()
        i.start()
        pid = i.up("beat")["pid"]
        os.chmod(i.runtime, 0o755)

        def as_nobody(*words):
            return subprocess.run(other_uid([program("perdure"), *words]), capture_output=True,
                                  text=True, env=i.environment(), timeout=10,
                                  stdin=subprocess.DEVNULL)

        equal(as_nobody("status").returncode, 0, "others may look when the socket allows")
        for words in (("stop", "beat"), ("checkpoint", "beat"), ("restore", "beat"), ("reload",),
                      ("restart", "beat"), ("start", "beat")):
            done = as_nobody(*words)
            assert done.returncode not in (0, 3), words
            contains(done.stderr, "root")
        equal(i.service("beat")["pid"], pid)
        page.wait_beat()


def test_socket_is_closed_to_others_by_default():
    needs_root()
    with Instance() as i:
        i.start()
        done = subprocess.run(other_uid([program("perdure"), "status"]), capture_output=True,
                              text=True, env=i.environment(), timeout=10, stdin=subprocess.DEVNULL)
        assert done.returncode not in (0, 3)
        contains(done.stderr, "permission")


# ---- perdure run ----

class Runs:
    """`perdure run` with a home of its own."""

    def __init__(self, instance):
        self.instance = instance
        self.environment = dict(os.environ, HOME=instance.dir,
                                XDG_STATE_HOME=instance.dir + "/xdg-state",
                                XDG_CONFIG_HOME=instance.dir + "/xdg-config",
                                XDG_RUNTIME_DIR=instance.dir + "/xdg-run")
        self.environment.pop("PERDURE_RUNTIME_DIR", None)
        os.mkdir(instance.dir + "/xdg-run", 0o700)

    def popen(self, *words):
        argv = [program("perdure"), "run", *words]
        cgroup = self.instance.cgroup
        if cgroup:
            argv = ["sh", "-c", 'echo $$ >"$0" && exec "$@"', cgroup + "/cgroup.procs", *argv]
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                                stderr=subprocess.PIPE, env=self.environment,
                                start_new_session=True)

    def __call__(self, *words):
        process = self.popen(*words)
        out, err = process.communicate(timeout=30)
        return process.returncode, out, err


def test_run_exit_status():
    with Instance() as i:
        run = Runs(i)
        equal(run("--", "sh", "-c", "echo out; echo err >&2; exit 7"),
              (7, "out\n", "err\n"), "status, stdout, stderr")
        equal(run("--", "true")[0], 0)
        equal(run("--", "sh", "-c", "kill -TERM $$")[0], 128 + 15)
        plain = i.write(i.work + "/plain", "not executable\n")
        code, _, err = run("--", plain)
        equal(code, 126)
        contains(err, plain)
        code, _, err = run("--", "no-such-command-anywhere")
        equal(code, 127)
        contains(err, "no-such-command-anywhere")
        equal(run()[0], 2)


def test_run_ctrl_c():
    with Instance() as i:
        run, page = Runs(i), i.page("beat")
        process = run.popen("--name", "beat", "--", program("heartbeat"), page.path)
        try:
            page.wait_beat()
            os.kill(process.pid, signal.SIGINT)
            process.communicate(timeout=10)
        finally:
            procs.kill(process.pid)
        assert process.returncode in (0, 130, 143), process.returncode
        equal(i.copies("beat"), [], "the tree is gone")


def test_run_brings_back_memory():
    needs_root()
    with Instance() as i:
        run, page = Runs(i), i.page("beat")
        process = run.popen("--name", "beat", "--interval", "200ms", "--", program("heartbeat"),
                            page.path)
        try:
            page.wait_beat(more_than=700)
            procs.kill(page.pid)
            page.next_beat()
            equal((page.starts, page.breaks), (1, 1))
            os.kill(process.pid, signal.SIGINT)
            process.communicate(timeout=10)
            assert os.path.isdir(i.dir + "/xdg-state"), "its state is under the user's state folder"
            counted = page.beats
            process = run.popen("--name", "beat", "--resume", "--", program("heartbeat"), page.path)
            page.next_beat()
            equal(page.starts, 1, "--resume is not cold")
            assert page.resumed_at > 100 and counted > 100
            os.kill(process.pid, signal.SIGINT)
            process.communicate(timeout=10)
            process = run.popen("--name", "beat", "--", program("heartbeat"), page.path)
            wait_until(lambda: page.starts == 2, "without --resume it is cold")
            os.kill(process.pid, signal.SIGINT)
            process.communicate(timeout=10)
        finally:
            procs.kill(process.pid)
