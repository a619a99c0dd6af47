"""Real programs are checkpointed, killed with -9 and come back with the state they had."""
import os
import sys
import time

import clients
from harness import (Instance, NOBODY, contains, equal, needs_command, needs_root, procs, program,
                     wait_until)
from programs import SOURCES

PYTHON = os.path.realpath(sys.executable)


def redis(instance, name="redis", **keys):
    """A redis service; returns its port."""
    port = clients.free_port()
    instance.policy(name, f'{needs_command("redis-server")} --port {port} --bind 127.0.0.1 '
                          f'--save "" --appendonly no --dir {instance.work}', **keys)
    return port


def answers(port):
    def connected():
        try:
            clients.ask_open(port)
            return True
        except OSError:
            return False
    wait_until(connected, f"port {port} answers")


def recovered(instance, name, identity, pid=None):
    """The service is up again, from that image, under its old pid."""
    status = instance.wait_recovered(name, 1)
    equal(status["recovered_from"], identity, "recovered_from")
    if pid:
        equal(status["pid"], pid, "pid")
    assert status["work_lost_ms"] is not None and status["work_lost_ms"] >= 0, status
    equal(status["last_exit"]["signal"], 9, "last signal")
    return status


def test_redis():
    needs_root()
    with Instance() as i:
        port = redis(i)
        i.start()
        pid = i.up("redis")["pid"]
        answers(port)
        with clients.Redis(port) as r:
            keys = r.fill(8)
            r("SET", "color", "green")
        identity = i.checkpoint("redis")
        with clients.Redis(port) as r:
            r("SET", "color", "red")
        procs.kill(pid)
        recovered(i, "redis", identity, pid)
        with clients.Redis(port) as r:
            equal(r("GET", "color"), b"green", "value at the checkpoint")
            equal(r("DBSIZE"), keys + 1, "keys")
            equal(r("GET", "data:17")[:8], b"00000017")
            equal(r("SET", "color", "blue"), b"OK", "writes go on")


def test_redis_client_is_undisturbed_by_checkpoints():
    needs_root()
    with Instance() as i:
        port = redis(i)
        i.start()
        i.up("redis")
        answers(port)
        with clients.Redis(port) as r:
            r("SET", "n", 0)
            for n in range(1, 4):
                working = i.popen("checkpoint", "redis")
                while working.poll() is None:
                    before = r("GET", "n")
                    equal(r("INCR", "n"), int(before) + 1, "INCR on the connection")
                assert working.wait() == 0, working.stderr.read()
                contains(working.stdout.read(), f"redis@{n}")
                working.stdout.close()
                working.stderr.close()
            total = int(r("GET", "n"))
        i.crash("redis")
        answers(port)
        with clients.Redis(port) as r:
            assert 0 < int(r("GET", "n")) <= total, "state of the newest image"


def test_memcached():
    needs_root()
    with Instance() as i:
        port = clients.free_port()
        i.policy("cache", f"{needs_command('memcached')} -u root -l 127.0.0.1 -p {port} -U 0 -t 4")
        i.start()
        pid = i.up("cache")["pid"]
        answers(port)
        m = clients.Memcached(port)
        assert m.set("a", "one") and m.set("b", "two")
        identity = i.checkpoint("cache")
        assert m.set("a", "lost")
        procs.kill(pid)
        recovered(i, "cache", identity, pid)
        m.close()
        m = clients.Memcached(port)
        equal((m.get("a"), m.get("b")), ("one", "two"))
        m.close()


NGINX = """daemon off; user root; worker_processes 2; pid {work}/nginx.pid; error_log stderr;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {work}/t1; proxy_temp_path {work}/t2; fastcgi_temp_path {work}/t3;
    uwsgi_temp_path {work}/t4; scgi_temp_path {work}/t5;
    server {{
        listen 127.0.0.1:{port};
        location / {{ return 200 "hello from $pid"; }}
        location /status {{ stub_status; }}
    }}
}}
"""


def test_nginx_with_workers():
    needs_root()
    with Instance() as i:
        port = clients.free_port()
        conf = i.write(i.work + "/nginx.conf", NGINX.format(work=i.work, port=port))
        i.policy("web", f"{needs_command('nginx')} -p {i.work} -c {conf}")
        i.start()
        pid = i.up("web")["pid"]
        answers(port)
        for _ in range(20):
            clients.http(port)

        def requests():
            return int(clients.http(port, "/status").splitlines()[2].split()[2])

        workers = sorted(procs.children(pid))
        equal(len(workers), 2, "workers")
        served = requests()
        identity = i.checkpoint("web")
        for _ in range(20):
            clients.http(port)
        procs.kill(pid)
        recovered(i, "web", identity, pid)
        equal(sorted(procs.children(pid)), workers, "the same workers")
        contains(clients.http(port), "hello from")
        assert served < requests() <= served + 3, f"{requests()} requests, {served} at the image"


def test_threaded_python():
    needs_root()
    with Instance() as i:
        port = clients.free_port()
        i.policy("threads", f"{PYTHON} {SOURCES}/threads.py {port}")
        i.start()
        pid = i.up("threads")["pid"]
        answers(port)
        counts = [0]

        def grown():
            counts[:] = map(int, clients.ask(port).split())
            return min(counts) > 50

        wait_until(grown, "fifty counts")
        identity = i.checkpoint("threads")
        at_dump = [int(n) for n in clients.ask(port).split()]
        procs.kill(pid)
        recovered(i, "threads", identity, pid)
        after = [int(n) for n in clients.ask(port).split()]
        assert all(a >= c for a, c in zip(after, counts)), (counts, after)
        assert len(os.listdir(f"/proc/{pid}/task")) >= 10, "threads"
        time.sleep(0.05)
        later = [int(n) for n in clients.ask(port).split()]
        assert all(b > a for a, b in zip(after, later)), f"every thread runs: {after} {later}"
        assert len(at_dump) == 9


def test_shell_with_children_and_pipeline():
    needs_root()
    with Instance() as i:
        i.policy("family", f"{SOURCES}/family.sh {i.work}")
        i.start()
        pid = i.up("family")["pid"]

        def counts():
            found = {}
            for name in ("a", "b", "c", "pipe"):
                try:
                    with open(f"{i.work}/{name}") as f:
                        found[name] = int(f.read().split("\n")[-2])
                except (OSError, IndexError):
                    return None
            return found

        wait_until(lambda: (counts() or {}).get("pipe", 0) > 20, "twenty counts")
        before = counts()
        identity = i.checkpoint("family")
        tree = len(i.service_pids())
        assert tree >= 6, f"{tree} processes"
        procs.kill(pid)
        recovered(i, "family", identity, pid)
        after = counts()
        assert all(after[n] >= before[n] for n in before), (before, after)
        wait_until(lambda: all(counts()[n] > after[n] + 5 for n in after), "all four go on")


def test_eventful():
    needs_root()
    with Instance() as i:
        port = clients.free_port()
        watched = i.work + "/watched"
        os.mkdir(watched)
        i.policy("events", f"{program('eventful')} {port} {watched}")
        i.start()
        pid = i.up("events")["pid"]
        answers(port)

        def counts():
            return procs.loads(clients.ask(port))

        for n in range(3):
            procs.kill(pid, 10)
            i.write(f"{watched}/{n}", "")
            time.sleep(0.03)
        before = counts()
        equal(before["signals"], 3, "signals")
        assert before["notices"] >= 1 and before["events"] > 0, before
        identity = i.checkpoint("events")
        procs.kill(pid)
        recovered(i, "events", identity, pid)
        after = counts()
        assert all(after[k] >= before[k] for k in before), (before, after)
        equal(after["signals"], 3, "signals after the restore")
        procs.kill(pid, 10)
        i.write(f"{watched}/new", "")
        wait_until(lambda: counts()["signals"] == 4 and counts()["notices"] > before["notices"]
                   and counts()["ticks"] > after["ticks"] + 5
                   and counts()["events"] > after["events"] + 5, lambda: f"all go on: {counts()}")


def test_timers_go_on_after_every_restore():
    """Whatever the moment of the dump: a periodic timerfd may have expired and not been read."""
    needs_root()
    with Instance() as i:
        port = clients.free_port()
        i.policy("events", f"{program('eventful')} {port} {i.work}", recovery="MinUptime=0",
                 service="StartLimitIntervalSec=0")
        i.start()
        i.up("events")
        for _ in range(10):
            i.checkpoint("events")
            i.crash("events")
            before = procs.loads(clients.ask(port))["ticks"]
            wait_until(lambda b=before: procs.loads(clients.ask(port))["ticks"] > b + 3, "ticks", 3)


def test_appender():
    needs_root()
    with Instance() as i:
        page, log = i.page("append"), i.work + "/own.log"
        i.policy("append", f"{program('appender')} {log} {page.path}")
        i.start()
        pid = i.up("append")["pid"]
        page.wait_beat(more_than=20)
        identity = i.checkpoint("append")
        page.wait_beat(more_than=page.beats + 20)
        procs.kill(pid)
        recovered(i, "append", identity, pid)
        page.wait_beat()
        assert page.resumed_at >= 20, page.resumed_at
        size = os.path.getsize(log)
        wait_until(lambda: os.path.getsize(log) > size, "the log grows on")
        with open(log) as f:
            numbers = [int(line) for line in f if line.endswith("\n")]
        steps = [b - a for a, b in zip(numbers, numbers[1:])]
        equal(len([s for s in steps if s != 1]), 1, "breaks in the log")


def test_ghost():
    needs_root()
    with Instance() as i:
        page = i.page("ghost")
        i.policy("ghost", f"{program('ghost')} {i.work}/gone {page.path}")
        i.start()
        pid = i.up("ghost")["pid"]
        page.wait_beat(more_than=20)
        identity = i.checkpoint("ghost")
        procs.kill(pid)
        recovered(i, "ghost", identity, pid)
        page.wait_beat()
        assert page.resumed_at >= 20, "the deleted file's content is back"
        assert not os.path.exists(i.work + "/gone")


def test_forking_daemon_with_pid_file():
    needs_root()
    with Instance() as i:
        page, pid_file = i.page("old"), i.work + "/old.pid"
        i.policy("old", f"{program('forker')} {pid_file} {page.path}",
                 service=f"Type=forking\nPIDFile={pid_file}")
        i.start()
        pid = i.up("old")["pid"]
        with open(pid_file) as f:
            equal(pid, int(f.read()), "main pid")
        page.wait_beat(more_than=20)
        identity = i.checkpoint("old")
        procs.kill(pid)
        recovered(i, "old", identity, pid)
        page.wait_beat()
        assert page.resumed_at >= 20, page.resumed_at
        i.ctl("stop", "old")
        equal(i.copies("old"), [], "processes after stop")


def test_pid_file_of_a_stranger_is_refused():
    with Instance() as i:
        page, pid_file = i.page("old"), i.work + "/old.pid"
        command = f"/bin/sh -c 'echo {os.getpid()} > {pid_file}; sleep 100 & exit 0'"
        i.policy("old", command, service=f"Type=forking\nPIDFile={pid_file}\nTimeoutStartSec=2s\n"
                                         "Restart=no")
        i.start()
        i.ctl("start", "old", code=None)
        status = i.wait_state("old", "failed", "stopped")
        assert status["pid"] != os.getpid()
        contains(str(status["error"]), "pid")
        assert page


def test_other_uid():
    needs_root()
    with Instance() as i:
        page = i.heartbeat("user", service="User=nobody\nUMask=0077\nNice=5\nOOMScoreAdjust=100")
        i.start()
        pid = i.up("user")["pid"]
        equal(os.stat(f"/proc/{pid}").st_uid, NOBODY, "uid")
        page.wait_beat(more_than=20)
        identity = i.checkpoint("user")
        procs.kill(pid)
        recovered(i, "user", identity, pid)
        page.wait_beat()
        assert page.resumed_at >= 20
        equal(os.stat(f"/proc/{pid}").st_uid, NOBODY, "uid after the restore")
        equal(int(procs.stat(pid)[16]), 5, "nice after the restore")


def test_notify_type():
    needs_root()
    with Instance() as i:
        page = i.page("note")
        i.policy("note", f"{program('notifier')} 400 {page.path}", service="Type=notify")
        i.start()
        begin = time.monotonic()
        pid = i.up("note")["pid"]
        assert time.monotonic() - begin > 0.1, "start waits for READY=1"
        equal(pid, page.pid)
        identity = i.checkpoint("note")
        procs.kill(pid)
        recovered(i, "note", identity, pid)
        page.wait_beat()


def test_notify_main_pid():
    with Instance() as i:
        page = i.page("note")
        i.policy("note", f"{program('notifier')} -m 10 {page.path}", service="Type=notify")
        i.start()
        i.up("note")
        wait_until(lambda: i.service("note")["pid"] == page.pid, "MAINPID= is the main process")
        time.sleep(2.2)
        equal(i.service("note")["state"], "up", "the first process has ended, the main one has not")


def test_notify_timeout():
    with Instance() as i:
        page = i.page("note")
        i.policy("note", f"{program('notifier')} 60000 {page.path}",
                 service="Type=notify\nTimeoutStartSec=500ms\nRestart=no")
        i.start()
        i.ctl("start", "note", code=None)
        status = i.wait_state("note", "failed")
        contains(str(status["error"]), "TimeoutStartSec")
        equal(i.copies("note"), [], "processes")
