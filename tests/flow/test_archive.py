"""Checkpoints leave the store as one file and come into another one; whatever was changed on the
way does not. A plain image is for stock CRIU."""
import contextlib
import io
import json
import os
import stat
import subprocess
import tarfile

import images
from harness import (Instance, NOBODY, contains, equal, need, needs_command, needs_root, procs,
                     program, wait_until)

MEGABYTES = 8


@contextlib.contextmanager
def exported(**keys):
    """An instance with a service that was checkpointed (twice, so that there can be a delta),
    stopped, and its newest checkpoint in a file: (instance, page, path)."""
    with Instance() as i:
        page = i.heartbeat(options=f"-m {MEGABYTES}", **keys)
        i.start()
        i.up("beat")
        page.wait_beat()
        i.checkpoint("beat")
        page.wait_beat()
        identity = i.checkpoint("beat")
        i.ctl("stop", "beat")
        path = i.work + "/beat.ckpt"
        i.ctl("export", identity, path)
        yield i, page, path


@contextlib.contextmanager
def another(name="beat", **keys):
    """Another store, with a policy of that name and its own key."""
    with Instance() as i:
        i.heartbeat(name, options=f"-m {MEGABYTES}", **keys)
        i.start()
        i.ctl("stop", name)
        yield i


def unpacked(path):
    """The tar in an archive, as bytes."""
    return subprocess.run([needs_command("zstd"), "-dc", path], capture_output=True,
                          check=True).stdout


def members(path):
    with tarfile.open(fileobj=io.BytesIO(unpacked(path))) as tar:
        return tar.getmembers()


def staged(instance, name="beat"):
    return [n for n in os.listdir(f"{instance.state}/checkpoints/{name}") if "-" in n]


def refused(instance, path, *words, options=("--trust",)):
    """Not imported: said why, with a cure, and nothing is left of it."""
    before = instance.checkpoints("beat")
    done = instance.ctl("import", path, "--name", "beat", *options, code=None)
    assert done.returncode == 1, f"{path} was taken: {done.stdout}{done.stderr}"
    contains(done.stderr, *words)
    equal(len(done.stderr.strip().splitlines()), 2, "lines of the error")
    equal(instance.checkpoints("beat"), before)
    equal(staged(instance), [])


def test_goes_on_in_another_store():
    needs_root()
    with exported() as (a, page, path), another() as b:
        equal(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        refused(b, path, "key", "--trust", options=())
        identity = b.ctl("import", path, "--name", "beat", "--trust").stdout.strip()
        assert identity.startswith("beat@"), identity
        equal([c["id"] for c in b.checkpoints("beat")], [identity])
        beats, starts = page.beats, page.starts
        b.ctl("restore", identity)
        page.wait_beat(more_than=beats)
        wait_until(lambda: page.breaks == 1, "the break is seen")
        equal((page.bad_pages, page.starts), (0, starts))
        b.wait_state("beat", "up")
        assert b.checkpoint("beat"), "it can be checkpointed again"


def test_comes_back_into_its_own_store():
    """Sealed with this store's key: no --trust. By pipes both ways."""
    needs_root()
    with exported() as (a, page, _):
        path = a.work + "/piped.ckpt"
        command = f"perdure=$0; $perdure export beat@2 - | cat >{path}; cat {path} | " \
                  "$perdure import - --name beat"
        done = subprocess.run(["sh", "-c", command, program("perdure")], env=a.environment(),
                              capture_output=True, text=True, timeout=60)
        equal((done.returncode, done.stdout.strip()), (0, "beat@3"), done.stderr)
        images.verify(a.folder("beat@3"))
        beats = page.beats
        a.ctl("restore", "beat@3")
        page.wait_beat(more_than=beats)
        equal(page.bad_pages, 0)


def test_not_for_automatic_recovery():
    """An imported one is newer than the service's own, stays whatever Keep= says, and is restored
    by hand only."""
    needs_root()
    keys = {"checkpoint": "Interval=0\nKeep=1\nMaxChain=0", "recovery": "MinUptime=0"}
    with exported() as (_, _, path), Instance() as b:
        page = b.heartbeat(options=f"-m {MEGABYTES}", **keys)
        b.start()
        b.up("beat")
        page.wait_beat()
        equal(b.checkpoint("beat"), "beat@1")
        equal(b.ctl("import", path, "--name", "beat", "--trust").stdout.strip(), "beat@2")
        equal(b.service("beat")["checkpoint"]["id"], "beat@1", "newest of its own")
        equal(b.crash("beat")["recovered_from"], "beat@1")
        page.wait_beat()
        equal(b.checkpoint("beat"), "beat@3")
        wait_until(lambda: [c["id"] for c in b.checkpoints("beat")] == ["beat@3", "beat@2"],
                   lambda: f"Keep=1 beside the imported one: {b.checkpoints('beat')}")
        imported = b.checkpoints("beat")[1]
        equal((imported["imported"], imported["pinned"]), (True, True))
        b.ctl("unpin", "beat@2")
        b.ctl("prune", "beat")
        equal([c["id"] for c in b.checkpoints("beat")], ["beat@3"])


def test_encrypted_chain():
    """An encrypted delta goes out whole and plain, and comes in encrypted again."""
    needs_root()
    with exported(checkpoint="Interval=0\nEncrypt=yes") as (a, page, path):
        equal([c["kind"] for c in a.checkpoints("beat")], ["delta", "full"])
        assert all(not e.name.endswith(".enc") for e in members(path))
        equal(a.ctl("import", path, "--name", "beat").stdout.strip(), "beat@3")
        folder = a.folder("beat@3")
        images.verify(folder)
        plain = [n for n in os.listdir(folder) if n.endswith(".img")]
        equal(plain, [], "files that are not encrypted")
        beats = page.beats
        a.ctl("restore", "beat@3")
        page.wait_beat(more_than=beats)
        equal(page.bad_pages, 0)


def worker_of(instance):
    return [p for p in procs.children(instance.ckptd()) if procs.exe(p) == "ckpt-archive"]


def test_killed_import_leaves_nothing():
    """It hangs in the middle of the archive, and is killed there."""
    needs_root()
    with exported() as (a, _page, path):
        before = a.checkpoints("beat")
        with open(path, "rb") as f:
            data = f.read()
        process = subprocess.Popen([program("perdure"), "import", "-",
                                    "--name", "beat"], stdin=subprocess.PIPE, text=False,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env=a.environment())
        process.stdin.write(data[:len(data) // 2])
        process.stdin.flush()
        wait_until(lambda: staged(a), "the import is at work")
        for pid in wait_until(lambda: worker_of(a), "its worker"):
            procs.kill(pid)
        _, errors = process.communicate(timeout=20)
        equal(process.returncode, 1, errors)
        equal(a.checkpoints("beat"), before)
        a.kill_daemon("ckptd")
        wait_until(lambda: staged(a) == [], lambda: f"swept: {staged(a)}")
        equal(a.json("list", "beat")["checkpoints"], before)


def run_archiver(instance, mode, *options, file):
    """One run of ckpt-archive where memory is short: what it needs for a while goes to the disk.
    Returns its report."""
    meminfo = instance.write(instance.work + "/meminfo", "MemTotal: 1 kB\nMemAvailable: 1 kB\n")
    store = instance.state + "/checkpoints"
    keys = instance.state + "/store.keys"
    argv = [program("ckpt-archive"), mode, "--store", store, "--keys", keys,
            "--name", "beat", "--file-fd", "1", "--report-fd", "2", *options]
    command = 'mount --bind "$0" /proc/meminfo && exec "$@"'
    done = subprocess.run(["unshare", "-m", "sh", "-c", command, meminfo, *argv],
                          stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.PIPE, text=True,
                          timeout=60)
    equal(done.returncode, 0, done.stderr)
    lines = done.stderr.splitlines()
    told = [tuple(map(int, line[1:].split("/"))) for line in lines[:-1]]
    assert told and told[-1][0] == told[-1][1] and told == sorted(told), lines
    return json.loads(lines[-1])


def test_short_memory():
    needs_root()
    with exported() as (a, page, path):
        with open(path + ".2", "wb") as f:
            equal(run_archiver(a, "export", "--number", "2", file=f)["id"], "beat@2")
        equal(unpacked(path + ".2"), unpacked(path))
        with open(path + ".2", "rb") as f:
            equal(run_archiver(a, "import", "--number", "7", "--uid", "0", file=f)["uids"], [0])
        equal(staged(a), [])
        images.verify(f"{a.state}/checkpoints/beat/7")


def test_layout_is_that_of_checkpointctl():
    """What its lib/metadata.go and internal/utils.go look for."""
    needs_root()
    with exported() as (_, _page, path):
        entries = members(path)
        names = [e.name for e in entries]
        equal(names[0], "manifest.json")
        for name in ("config.dump", "spec.dump", "stats-dump", "checkpoint/pstree.img"):
            assert name in names, names
        assert any(e.name == "checkpoint" and e.isdir() for e in entries), names
        assert any(n.startswith("checkpoint/pages-") for n in names), names
        assert not [n for n in names if n.endswith((".zst", ".enc", ".log", "/parent"))], names
        pages = sum(e.size for e in entries if e.name.startswith("checkpoint/pages-"))
        assert pages >= MEGABYTES << 20, "parents are in it"
        equal({(e.mode, e.uid) for e in entries if e.isfile()}, {(0o600, 0)})


def changed(path, change):
    """The archive with one byte changed; `change` names the member."""
    data = bytearray(unpacked(path))
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        member = tar.getmember(change)
    data[member.offset_data + member.size // 2] ^= 1
    with open(path + ".bad", "wb") as f:
        f.write(data)
    return path + ".bad"


def test_changed_archives_are_refused():
    needs_root()
    with exported() as (a, _page, path):
        for member in [m.name for m in members(path) if m.isfile() and m.size > 0]:
            if member == "manifest.json":
                refused(a, changed(path, member), "seal", "changed", options=())
            else:
                refused(a, changed(path, member), "changed", member.split("/")[-1], options=())
        for size in (0, 1, 100, 4096, os.path.getsize(path) // 2):
            with open(path, "rb") as f, open(path + ".cut", "wb") as cut:
                cut.write(f.read(size))
            refused(a, path + ".cut", "archive")


def test_another_user_is_refused():
    needs_root()
    with exported() as (_, _page, path), another(service=f"User={NOBODY}") as b:
        refused(b, path, "user 0", f"user {NOBODY}")


def test_same_user_is_taken():
    needs_root()
    with exported(service=f"User={NOBODY}") as (a, page, path):
        answer = a.json("import", path, "--name", "beat", code=0)
        equal((answer["id"], answer["uids"]), ("beat@3", [NOBODY]))
        a.ctl("restore", "beat@3")
        page.next_beat()
        equal(page.bad_pages, 0)
    with exported(service=f"User={NOBODY}") as (_, _page, path), another() as b:
        refused(b, path, f"user {NOBODY}", "user 0")


def forged(path, change):
    """The archive, plain, with a manifest of which `change` has changed one file's facts."""
    with tarfile.open(fileobj=io.BytesIO(unpacked(path))) as tar, \
            tarfile.open(path + ".forged", "w") as out:
        for member in tar:
            data = tar.extractfile(member).read() if member.isfile() else None
            if member.name == "manifest.json":
                seal = data[data.rindex(b",", 0, data.rindex(b",")):]
                manifest = json.loads(data)
                del manifest["key"], manifest["mac"]
                manifest["files"][0].update(change)
                data = json.dumps(manifest)[:-1].encode() + seal
                member.size = len(data)
            out.addfile(member, io.BytesIO(data) if data is not None else None)
    return path + ".forged"


def test_files_of_others_are_refused():
    """What a restore would write with root's rights."""
    needs_root()
    copy = {"path": "/etc/shadow", "snapshot": "pages-1.img", "deleted": False, "mode": 0o600}
    with exported(service=f"User={NOBODY}") as (a, _, path):
        refused(a, forged(path, {**copy, "uid": 0}), "/etc/shadow", "user 0")
        refused(a, forged(path, {**copy, "uid": NOBODY, "mode": 0o4755}), "permissions")
        equal([n for n in os.listdir(f"{a.state}/checkpoints/beat") if n.endswith(".pinned")], [])


def test_import_needs_a_service():
    needs_root()
    with exported() as (a, _page, path):
        contains(a.ctl("import", path, code=2).stderr, "--name")
        contains(a.ctl("import", path, "--name", "nobody", code=4).stderr, "nobody", "policy")
        contains(a.ctl("import", path + ".none", "--name", "beat", code=1).stderr, "No such file")


def test_export_replaces_nothing():
    needs_root()
    with exported() as (a, _page, path):
        size = os.path.getsize(path)
        contains(a.ctl("export", "beat@1", path, code=1).stderr, path, "--force")
        equal(os.path.getsize(path), size)
        a.ctl("export", "beat@1", path, "--force")
        equal(a.json("export", "beat@2", path + ".2")["id"], "beat@2")
        assert a.ctl("export", "beat@9", path + ".9", code=None).returncode != 0
        equal(sorted(n for n in os.listdir(a.work) if "ckpt" in n), ["beat.ckpt", "beat.ckpt.2"])


def test_unpack_is_a_plain_image():
    """Stock CRIU restores it."""
    needs_root()
    with exported() as (a, page, _):
        folder = a.work + "/plain"
        a.ctl("unpack", "beat@2", folder)
        contains(a.ctl("unpack", "beat@2", folder, code=1).stderr, "not empty")
        assert not [n for n in os.listdir(folder) if n.endswith((".zst", ".enc"))
                    or n in ("parent", "manifest.json")], os.listdir(folder)
        pid_file = a.work + "/restored.pid"
        done = subprocess.run(
            [a.criu()["criu_path"], "restore", "-D", folder, "-d", "-v1", "-o", "r.log",
             "--pidfile", pid_file, "--manage-cgroups=ignore", "--tcp-close"], capture_output=True,
            text=True, timeout=30, stdin=subprocess.DEVNULL)
        try:
            equal(done.returncode, 0, done.stderr)
            page.next_beat()
            wait_until(lambda: page.breaks == 1, "the break is seen")
            equal(page.bad_pages, 0)
        finally:
            if os.path.exists(pid_file):
                with open(pid_file) as f:
                    procs.kill_and_wait(int(f.read()))


def test_full_disk_fails_the_import_only():
    """ENOSPC is clean: nothing of it stays."""
    needs_root()
    import test_checkpoint
    with exported() as (_, _page, path), test_checkpoint.SmallDisk("8m") as disk, \
            Instance(state=disk) as b:
        b.heartbeat(options="-m 1")
        b.start()
        pid = b.up("beat")["pid"]
        refused(b, path, "room")
        equal(b.service("beat")["pid"], pid)


def test_others_may_not():
    needs_root()
    with exported() as (a, _page, path):
        need(os.path.exists("/usr/bin/setpriv"), "setpriv is not installed")
        for words in (("export", "beat@2", "/tmp/x"), ("import", path, "--name", "beat")):
            done = subprocess.run(
                ["setpriv", f"--reuid={NOBODY}", "--clear-groups", program("perdure"), *words],
                env=a.environment(), capture_output=True, text=True)
            assert done.returncode in (1, 5), (words, done)
