"""Bad input: each is a clear error that names the thing, nothing is lost, nothing crashes."""
import os
import subprocess

from harness import (Instance, NOBODY, contains, equal, need, needs_root, procs, program, wait_until)


def supervisord(instance, timeout=10, **folders):
    """Runs a supervisord that should refuse to start; returns (exit status, stderr)."""
    done = subprocess.run(
        [program("supervisord"), "--config-dir", folders.get("config", instance.config),
         "--state-dir", folders.get("state", instance.state),
         "--runtime-dir", folders.get("runtime", instance.runtime)],
        capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)
    assert done.returncode > 0, f"exit {done.returncode}: {done.stderr}"
    return done.returncode, done.stderr


def test_bad_policies_do_not_stop_the_good_one():
    with Instance() as i:
        page = i.heartbeat("good")
        i.raw_policy("typo", "[Service]\nExecStart=/bin/true\nRestrat=always\n")
        i.raw_policy("binary", bytes(range(256)) * 64)
        i.raw_policy("huge", "[Service]\nExecStart=/bin/true\n" + "# filler\n" * 2_000_000)
        i.raw_policy("long", "[Service]\nExecStart=/bin/echo " + "x" * 5000 + "\n")
        i.raw_policy("empty", "")
        i.raw_policy("comment", "[Service]\nExecStart=/bin/echo a ; b\n")
        i.raw_policy("nosection", "ExecStart=/bin/true\n")
        i.raw_policy("value", "[Service]\nExecStart=/bin/true\nRestartSec=tomorrow\n")
        i.raw_policy("a b", "[Service]\nExecStart=/bin/true\n")
        os.mkdir(i.config + "/policies/folder.ini")
        os.symlink("nowhere", i.config + "/policies/dangling.ini")
        i.start()
        i.up("good")
        page.wait_beat()
        contains(i.log_tail(400), "typo.ini:3", "Restart=")
        contains(i.log_tail(400), "value.ini:3", "RestartSec", "tomorrow")
        contains(i.log_tail(400), "empty.ini", "binary.ini", "nosection.ini")
        done = i.ctl("check", f"{i.config}/policies/typo.ini", code=1)
        contains(done.stdout + done.stderr, "typo.ini:3", "Restrat", "Restart")
        i.ctl("check", f"{i.config}/policies/good.ini")
        equal(i.ctl("status", "typo", code=None).returncode, 4)


def test_random_bytes_as_policies():
    with Instance() as i:
        good = i.heartbeat("good")
        for n in range(40):
            i.raw_policy(f"noise{n}", os.urandom(1 << (n % 14)))
            i.raw_policy(f"half{n}", b"[Service]\nExecStart=/bin/sleep 9\n" + os.urandom(n))
        i.start()
        i.up("good")
        good.wait_beat()


def test_a_long_value_is_never_cut():
    with Instance() as i:
        note = i.work + "/note"
        text = "x" * 3000
        i.policy("long", f"/bin/sh -c 'printf %%s \"$$LONG\" > {note}; exec sleep 1000'",
                 service=f"Environment=LONG={text}")
        i.start()
        done = i.ctl("start", "long", code=None)
        if done.returncode == 0:
            wait_until(lambda: os.path.exists(note) and os.path.getsize(note) >= 3000, "the value")
            with open(note) as f:
                equal(f.read(), text)
        else:
            contains(i.log_tail(100), "long.ini:")


def test_command_not_found():
    with Instance() as i:
        i.policy("gone", "/no/such/command")
        i.policy("plain", i.write(i.work + "/plain", "text\n"))
        page = i.heartbeat()
        i.start()
        for name, path in (("gone", "/no/such/command"), ("plain", i.work + "/plain")):
            i.ctl("start", name, code=1)
            status = i.wait_state(name, "failed")
            contains(str(status["error"]), path)
        i.up("beat")
        page.wait_beat()


def test_bad_user_and_folder():
    with Instance() as i:
        i.policy("user", "/bin/sleep 1000", service="User=no-such-user-here\nRestart=no")
        i.policy("folder", "/bin/sleep 1000", service="WorkingDirectory=/no/such/folder\nRestart=no")
        i.start()
        for name, word in (("user", "no-such-user-here"), ("folder", "/no/such/folder")):
            done = i.ctl("start", name, code=None)
            assert done.returncode != 0
            contains(done.stderr + str(i.json("status").get("services")) + i.log_tail(100), word)


def test_unwritable_state_dir():
    with Instance() as i:
        blocked = i.write(i.dir + "/file", "")
        _, err = supervisord(i, state=blocked + "/state")
        contains(err, blocked + "/state")
        _, err = supervisord(i, state="/proc/perdure-state")
        contains(err, "/proc/perdure-state")


def test_unwritable_runtime_dir():
    with Instance() as i:
        blocked = i.write(i.dir + "/file", "")
        _, err = supervisord(i, runtime=blocked + "/run")
        contains(err, blocked + "/run")
        long = i.dir + "/" + "r" * 120
        _, err = supervisord(i, runtime=long)
        contains(err, long)


def test_broken_settings_and_options():
    with Instance() as i:
        i.write(i.config + "/perdure.ini", "[Daemon]\nControlMde=0666\n")
        done = subprocess.run([program("supervisord"), "--no-such-option"], capture_output=True,
                              text=True, timeout=10, stdin=subprocess.DEVNULL)
        assert done.returncode > 0
        contains(done.stderr, "no-such-option")
        i.heartbeat()
        i.start()
        contains(i.log_tail(), "perdure.ini:2", "ControlMode")
        i.up("beat")


def test_leftover_socket_and_odd_state_files():
    """A stale socket, a broken table, junk in the store: it starts all the same."""
    with Instance() as i:
        page = i.heartbeat()
        os.makedirs(i.state + "/services")
        os.makedirs(i.state + "/checkpoints/beat/7")
        os.makedirs(i.state + "/checkpoints/beat/staging-9")
        os.makedirs(i.runtime)
        i.write(i.state + "/keeper.table", os.urandom(5000))
        i.write(i.state + "/services/beat.state", os.urandom(300))
        i.write(i.state + "/checkpoints/beat/junk", "junk")
        i.write(i.state + "/checkpoints/beat/counter", "many\n")
        i.write(i.runtime + "/control.sock", "")
        i.start()
        i.up("beat")
        page.wait_beat()
        whole = [c for c in i.checkpoints("beat") if c["state"] == "whole"]
        equal(whole, [], "nothing half is offered")


def test_without_root():
    """It supervises, and says why it cannot checkpoint."""
    needs_root()
    need(subprocess.run(["setpriv", "--version"], capture_output=True).returncode == 0, "no setpriv")
    with Instance(user=NOBODY) as i:
        page = i.heartbeat(recovery="MinUptime=0")
        i.start()
        pid = i.up("beat")["pid"]
        equal(os.stat(f"/proc/{pid}").st_uid, NOBODY)
        page.wait_beat()
        done = i.ctl("checkpoint", "beat", code=1)
        contains(done.stderr, "root")
        contains(i.ctl("status", "beat").stdout, "root")
        procs.kill(pid)
        status = i.wait_recovered("beat", 1)
        equal((status["recovered_from"], status["last_exit"]["signal"]), ("cold", 9))
        wait_until(lambda: page.starts == 2, "a cold start")
        i.ctl("stop", "beat")
        equal(i.copies("beat"), [])
        i.up("beat")
        page.wait_beat()


def test_drop_ins_and_templates():
    with Instance() as i:
        i.raw_policy("game@", "[Unit]\nDescription=game %i\n[Service]\n"
                              f"ExecStart=/bin/sh -c 'echo map=%i color=$$COLOR > {i.work}/%i; "
                              "exec sleep 1000'\nEnvironment=COLOR=green\n")
        for name in ("west", "east"):
            os.symlink("game@.ini", f"{i.config}/policies/game@{name}.ini")
        os.mkdir(i.config + "/policies/game@east.ini.d")
        i.write(i.config + "/policies/game@east.ini.d/10-color.ini",
                "[Service]\nEnvironment=COLOR=red\n")
        i.start()
        for name, color in (("west", "green"), ("east", "red")):
            i.up("game@" + name)

            def text(path=f"{i.work}/{name}"):
                if not os.path.exists(path):
                    return ""
                with open(path) as f:
                    return f.read().strip()

            wait_until(text, "the note")
            equal(text(), f"map={name} color={color}")
        equal(sorted(s["name"] for s in i.json("status")["services"]), ["game@east", "game@west"])


def test_environment_of_a_service():
    with Instance() as i:
        note = i.work + "/note"
        i.write(i.work + "/env", "# comment\nFROM_FILE=yes\nQUOTED=\"two words\"\n")
        script = i.write(i.work + "/script", f"(env; umask; pwd; ulimit -n) > {note}.new\n"
                                             f"mv {note}.new {note}\nexec sleep 1000\n")
        i.policy("env", f"/bin/sh {script}",
                 service=f"Environment=A=1 \"B=two words\"\nEnvironmentFile={i.work}/env\n"
                         f"EnvironmentFile=-/no/such/file\nUMask=0027\nWorkingDirectory={i.work}\n"
                         "LimitNOFILE=333")
        i.start()
        i.up("env")
        wait_until(lambda: os.path.exists(note), "the note")
        with open(note) as f:
            lines = f.read().splitlines()
        for wanted in ("A=1", "B=two words", "FROM_FILE=yes", "QUOTED=two words", "0027", i.work,
                       "333"):
            assert wanted in lines, f"{wanted!r} in {lines}"
        assert not any(line.startswith("NOTIFY_SOCKET=" + i.dir + "/ready") for line in lines), \
            "supervisord's own NOTIFY_SOCKET is not the service's"
