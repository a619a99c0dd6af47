"""The store's rows of make bench: what a checkpoint a second of redis costs, deltas, long chains.

Changed bytes are not our own count: a second redis under the same load is dumped in full by bare
criu, and its dumps are compared page by page here."""
import json
import mmap
import os
import random
import shlex
import shutil
import struct
import subprocess
import threading
import time

import clients
import procs
from harness import wait_until
from programs import program

MEGABYTES = 256
WRITES_PER_SECOND = 1000
VALUE = 1000
SECONDS = int(os.environ.get("STORE_SECONDS", "60"))
PAGE = 4096
DEPTH = 16
RESTORES = 7


# ---- redis under a steady load ----

class Load:
    """A thread that sets WRITES_PER_SECOND random keys of those that are there."""

    def __init__(self, port, seed):
        self.port = port
        self.keys = MEGABYTES * 1000
        self.random = random.Random(seed)
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def command(self, key):
        return clients.Redis.encode(("SET", f"key:{key}", self.random.randbytes(VALUE)))

    def send_all(self, connection, commands):
        connection.socket.sendall(b"".join(commands))
        for _ in commands:
            connection.reply()

    def fill(self):
        with clients.Redis(self.port, timeout=60) as redis:
            for start in range(0, self.keys, 500):
                self.send_all(redis, [self.command(k) for k in range(start, start + 500)])

    def run(self):
        batch = WRITES_PER_SECOND // 50
        due = time.monotonic()
        with clients.Redis(self.port, timeout=60) as redis:
            while not self.stopping.is_set():
                self.send_all(redis, [self.command(self.random.randrange(self.keys))
                                      for _ in range(batch)])
                due += 0.02
                time.sleep(max(0, due - time.monotonic()))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()


def answers(port):
    try:
        with clients.Redis(port, timeout=1) as redis:
            return redis("PING") == b"PONG"
    except (OSError, RuntimeError):
        return False


def redis_command(port, folder):
    return (f"{shutil.which('redis-server')} --port {port} --bind 127.0.0.1 --save '' "
            f"--appendonly no --dir {folder} --activedefrag no")


# ---- pages of a bare full dump ----

def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def fields(record):
    at, found = 0, {}
    while at < len(record):
        key, at = varint(record, at)
        found[key >> 3], at = varint(record, at)
    return found


def page_runs(path):
    """(pages_id, [(address, pages)]) of a pagemap-*.img of a full dump."""
    with open(path, "rb") as f:
        data = f.read()
    at, records = 8, []
    while at < len(data):
        size, = struct.unpack_from("<I", data, at)
        records.append(fields(data[at + 4:at + 4 + size]))
        at += 4 + size
    return records[0][1], [(r[1], r.get(5) or r[2]) for r in records[1:]]


def pages_of(folder):
    """{(pagemap, address): page} as slices of the mapped files."""
    found = {}
    for name in os.listdir(folder):
        if not name.startswith("pagemap-"):
            continue
        number, runs = page_runs(f"{folder}/{name}")
        with open(f"{folder}/pages-{number}.img", "rb") as f:
            if os.fstat(f.fileno()).st_size == 0:
                continue
            view = memoryview(mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ))
        at = 0
        for address, count in runs:
            for page in range(count):
                found[name, address + page * PAGE] = view[at:at + PAGE]
                at += PAGE
    return found


def changed_bytes(old, new):
    return sum(PAGE for key, page in new.items() if key not in old or old[key] != page)


# ---- a checkpoint a second ----

class BareRedis:
    """Full dumps by the criu command, a second apart; only the last two are kept."""

    def __init__(self, folder, criu):
        self.folder, self.criu = folder, criu
        os.makedirs(folder)
        self.port = clients.free_port()

    def __enter__(self):
        with open(os.devnull, "r+b") as null:
            self.process = subprocess.Popen(shlex.split(redis_command(self.port, self.folder)),
                                            stdin=null, stdout=null, stderr=null,
                                            start_new_session=True, cwd="/")
        wait_until(lambda: answers(self.port), "bare redis")
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder)

    def dump(self, number):
        images = f"{self.folder}/{number}"
        os.mkdir(images)
        subprocess.run([self.criu, "dump", "-t", str(self.process.pid), "-D", images, "-o",
                        "criu.log", "-v1", "--leave-running", "--tcp-close", "--file-locks",
                        "--manage-cgroups=ignore"], check=True)
        return images

    def changed(self, seconds):
        """Bytes of pages that changed from dump to dump, each."""
        found, old, due = [], None, time.monotonic()
        for number in range(seconds + 1):
            images = self.dump(number)
            new = pages_of(images)
            if old is not None:
                found.append(changed_bytes(old[0], new))
                old[0].clear()
                shutil.rmtree(old[1])
            old = (new, images)
            due += 1
            time.sleep(max(0, due - time.monotonic()))
        return found


def folder_bytes(path):
    total = 0
    for where, _, names in os.walk(path):
        total += sum(os.lstat(f"{where}/{name}").st_blocks * 512 for name in names)
    return total


class Redis:
    """A redis service with its data loaded."""

    def __init__(self, instance, name, checkpoint):
        self.instance, self.name = instance, name
        self.port = clients.free_port()
        folder = f"{instance.work}/{name}"
        os.mkdir(folder)
        instance.policy(name, redis_command(self.port, folder), checkpoint=checkpoint,
                        service="StartLimitIntervalSec=0", recovery="MinUptime=0")
        instance.ctl("reload")
        instance.up(name)
        wait_until(lambda: answers(self.port), f"{name} answers")
        self.load = Load(self.port, 1)
        self.load.fill()

    def checkpoint(self):
        return self.instance.ctl("checkpoint", self.name, timeout=120).stdout.strip()

    def bytes(self):
        return folder_bytes(f"{self.instance.state}/checkpoints/{self.name}")

    def minute(self):
        """A checkpoint a second under load; the bytes that the store has grown by."""
        self.checkpoint()
        first, due = self.bytes(), time.monotonic()
        with self.load:
            for _ in range(SECONDS):
                due += 1
                time.sleep(max(0, due - time.monotonic()))
                self.checkpoint()
        return self.bytes() - first

    def write(self, count):
        with clients.Redis(self.port, timeout=60) as redis:
            self.load.send_all(redis, [self.load.command(self.load.random.randrange(self.load.keys))
                                       for _ in range(count)])

    def recover(self):
        """kill -9 to the first answer, ms."""
        pid = self.instance.service(self.name)["pid"]
        begin = time.monotonic()
        procs.kill(pid)
        wait_until(lambda: answers(self.port), f"{self.name} is back", every=0.0005)
        taken = (time.monotonic() - begin) * 1000
        self.instance.wait_state(self.name, "up")
        return taken

    def restore(self, identity):
        """A restore by hand, ms from the command to the first answer."""
        begin = time.monotonic()
        self.instance.ctl("restore", identity, timeout=120)
        wait_until(lambda: answers(self.port), f"{self.name} is back", every=0.0005)
        return (time.monotonic() - begin) * 1000


# ---- rows: (name, unit, ours, peer, what the peer is) ----

def minute_rows(instance):
    """All of a minute's checkpoints kept in one chain: what is stored and what it costs."""
    redis = Redis(instance, "minute", f"Interval=0\nKeep={SECONDS + 2}\nMaxChain=64\nCompress=none")
    added = redis.minute()
    shown = [instance.json("show", c["id"]) for c in instance.checkpoints("minute")]
    gigabytes = sum(m["pages"] for m in shown) * PAGE / 2**30
    delta = sum(m["delta_cpu_us"] for m in shown) / 1e6 / gigabytes
    hashing = sum(m["hash_cpu_us"] for m in shown) / 1e6 / gigabytes
    instance.ctl("stop", "minute")
    with BareRedis(f"{instance.dir}/bare", instance.criu()["criu_path"]) as bare:
        load = Load(bare.port, 1)
        load.fill()
        with load:
            changed = bare.changed(SECONDS)
    return [("store_bytes_redis", "MB", [added / 1e6], [sum(changed) / 1e6], "changed pages"),
            ("store_cpu_per_gb", "s", [delta], None, None),
            ("store_hash_per_gb", "s", [hashing], None, None)]


def default_rows(instance):
    """The same minute with the defaults of Keep= and MaxChain=: all that the store takes at its end."""
    redis = Redis(instance, "default", "Interval=0\nCompress=none")
    redis.minute()
    total = redis.bytes()
    one = max(c["memory_bytes"] for c in instance.checkpoints("default"))
    instance.ctl("stop", "default")
    return [("store_default_redis", "MB", [total / 1e6], [one / 1e6], "one full dump")]


def depth_rows(instance):
    """The same redis after the same writes, out of DEPTH deltas and out of one, in turns."""
    deep = Redis(instance, "deep", f"Interval=0\nKeep={DEPTH + 2}\nMaxChain={DEPTH}\nCompress=none")
    flat = Redis(instance, "flat", f"Interval=0\nKeep=9\nMaxChain={DEPTH}\nCompress=none")
    for redis, deltas in ((deep, DEPTH), (flat, 1)):
        redis.checkpoint()
        for _ in range(deltas):
            redis.write(DEPTH // deltas * WRITES_PER_SECOND)
            redis.checkpoint()
    depths = [instance.checkpoints(n)[0]["depth"] for n in ("deep", "flat")]
    assert depths == [DEPTH, 1], depths
    found = ([], [])
    for run in range(-1, RESTORES):
        for side, redis in enumerate((deep, flat)):
            taken = redis.recover()
            if run >= 0:
                found[side].append(taken)
    for name in ("deep", "flat"):
        instance.ctl("stop", name)
    return [("restore_depth16", "ms", *found, "depth 1")]


def compressed_rows(instance):
    """An older, compressed full image brought back by hand, and a plain one."""
    redis = Redis(instance, "packed", "Interval=0\nKeep=9\nMaxChain=0\nCompress=zstd")
    packed = redis.checkpoint()
    redis.write(WRITES_PER_SECOND)
    plain = redis.checkpoint()
    wait_until(lambda: any(c["packed"] for c in instance.checkpoints("packed")), "it is packed", 60)
    found = ([], [])
    for run in range(-1, 3):
        for side, identity in enumerate((packed, plain)):
            taken = redis.restore(identity)
            if run >= 0:
                found[side].append(taken)
    sizes = {c["id"]: c["bytes"] for c in instance.checkpoints("packed")}
    instance.ctl("stop", "packed")
    return [("restore_compressed", "ms", *found, "not compressed"),
            ("store_compressed", "MB", [sizes[packed] / 1e6], [sizes[plain] / 1e6], "not compressed")]


def delta_rows(instance):
    """The delta of 1 GB of which 10 MB have changed, and reading both sides with memcmp."""
    ours, peer = [], []
    for _ in range(RESTORES):
        done = subprocess.run([program("deltatool"), "bench", instance.work, "1024", "10"],
                              check=True, capture_output=True, text=True)
        found = json.loads(done.stdout)
        ours.append(found["delta_seconds"] * 1000)
        peer.append(found["read_seconds"] * 1000)
    return [("delta_1g", "ms", ours, peer, "read twice + memcmp")]


ROWS = {
    "store_bytes_redis store_cpu_per_gb store_hash_per_gb": minute_rows,
    "store_default_redis": default_rows,
    "delta_1g": delta_rows,
    "restore_depth16": depth_rows,
    "restore_compressed store_compressed": compressed_rows,
}
WHAT = {
    "store_bytes_redis": "a checkpoint a second for a minute, all kept",
    "store_cpu_per_gb": "processor time of the deltas per GB of memory",
    "store_hash_per_gb": "processor time of SHA-256 per GB of memory",
    "store_default_redis": "that minute with the default Keep= and MaxChain=",
    "delta_1g": "delta of 1 GB",
    "restore_depth16": "kill -9 to the first answer, 16 parents",
    "restore_compressed": "restore by hand of a compressed image",
    "store_compressed": "size of a compressed image",
}
