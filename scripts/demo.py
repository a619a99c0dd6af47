#!/usr/bin/python3
"""make demo: a real redis-server with 64 MB of data is killed with -9 and comes back with its memory.

Everything lives in a folder under /var/tmp and is removed at the end; run it as often as you like.
"""
import os
import sys
import time

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests/flow"))

import clients  # noqa: E402
import procs  # noqa: E402
from harness import Instance, Skip, needs_command, wait_until  # noqa: E402

MEGABYTES = 64
CRASHES = 3


def say(text=""):
    print(text, flush=True)


def connect(port):
    """A connection as soon as redis answers."""
    def try_once():
        try:
            client = clients.Redis(port)
            client("PING")
            return client
        except (OSError, RuntimeError):
            return None
    return wait_until(try_once, f"redis answers on port {port}", every=0.001)


def write_until(client, seconds, until=None):
    """INCRs a counter for that long, and on until `until()`; returns the last value told to us."""
    value, deadline = 0, time.monotonic() + seconds
    while time.monotonic() < deadline or (until and not until()):
        value = client("INCR", "counter")
    return value


def crash(instance, port, number):
    """One kill -9 while a client writes; tells what came back."""
    client = connect(port)
    before = instance.service("redis")
    checkpoint = before["checkpoint"]["id"]
    told = write_until(client, 0.7,
                       lambda: instance.service("redis")["checkpoint"]["id"] != checkpoint)
    told = max(told, write_until(client, 0.3))
    begin = time.monotonic()
    procs.kill(before["pid"])
    client.close()
    client = connect(port)
    answered = time.monotonic() - begin
    counter, keys = int(client("GET", "counter")), client("DBSIZE")
    client.close()
    after = instance.wait_recovered("redis", number)
    newest = instance.json("show", after["recovered_from"])
    say(f"  {number}. kill -9 {before['pid']} after INCR number {told}")
    say(f"     answers again after {answered * 1000:.0f} ms, same pid {after['pid']}, "
        f"from {after['recovered_from']}")
    say(f"     {keys} keys, counter {counter}: work lost {after['work_lost_ms'] / 1000:.2f} s "
        f"({told - counter} INCRs); that checkpoint froze redis for "
        f"{newest['frozen_us'] / 1000:.0f} ms")
    assert after["pid"] == before["pid"] and 0 < counter <= told
    return keys


def story():
    redis = needs_command("redis-server")
    with Instance() as i:
        port = clients.free_port()
        i.policy("redis", f'{redis} --port {port} --bind 127.0.0.1 --save "" --appendonly no '
                          f"--dir {i.work}", checkpoint="Interval=1s\nKeep=3",
                 recovery="MinUptime=0")
        say("redis-server without any persistence of its own, a checkpoint every second:")
        with open(f"{i.config}/policies/redis.ini") as f:
            say("".join("    " + line for line in f if line.strip() and "=\n" not in line))
        i.start()
        i.up("redis")
        client = connect(port)
        keys = client.fill(MEGABYTES) + 1
        client("SET", "counter", 0)
        memory = int(client("INFO", "memory").split(b"used_memory:")[1].split()[0])
        client.close()
        wait_until(lambda: (i.service("redis")["checkpoint"] or {}).get("bytes", 0) > memory / 2,
                   "a checkpoint of all the data")
        say(f"It holds {keys} keys, {memory / 1e6:.0f} MB. A client counts with INCR; now kill -9, "
            f"{CRASHES} times:")
        say()
        for number in range(1, CRASHES + 1):
            assert crash(i, port, number) == keys, "keys"
        say()
        say("perdure status:")
        say("".join("    " + line + "\n" for line in i.ctl("status").stdout.splitlines()))
    say("All data survived; everything has been cleaned up.")


def main():
    if os.geteuid() != 0:
        sys.exit("make demo: needs root, because CRIU cannot dump a process without; try: sudo make demo")
    try:
        story()
    except Skip as reason:
        sys.exit(f"make demo: {reason}; ./bootstrap installs it")
    except AssertionError as error:
        log = getattr(error, "perdure_log", None)
        sys.exit(f"make demo: {error}\n{log() if log else ''}")


if __name__ == "__main__":
    procs.under_reaper()
    main()
