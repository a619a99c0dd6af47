"""Encrypt=yes: what the disk shows, keys that change, and keys that are away."""
import contextlib
import os

import images
from beating import PAGE, idle, ids, listed, next_ckptd, running
from harness import contains, equal, wait_until


def files_with(folder, marker):
    found = []
    for where, _, names in os.walk(folder):
        for name in names:
            # One that is in the way of the rules may go while we look.
            with contextlib.suppress(FileNotFoundError), open(f"{where}/{name}", "rb") as f:
                if marker in f.read():
                    found.append(f"{where}/{name}")
    return found


def plain_files(instance):
    return {name for c in instance.checkpoints("beat")
            for name in os.listdir(instance.folder(c["id"])) if not name.endswith(".enc")}


def test_encrypted_store():
    """No file of the store shows what was in memory, in no form; keys are changed on the way."""
    marker = b"a secret of the service, %d" % os.getpid()
    with running(size=2, keys="Keep=3\nMaxChain=3\nEncrypt=yes\nStaging=disk") as (i, memory):
        with open(f"/proc/{memory.pid}/mem", "r+b", buffering=0) as f:
            for number in (3, 70, 400):
                f.seek(memory.start + number * PAGE + 2048)
                f.write(marker)
        for n in range(3):
            memory.checkpoint(n, 3)
        equal(files_with(i.state, marker), [])
        memory.crash("beat@3")
        i.ctl("key", "rotate")
        for n in range(7):
            memory.checkpoint(n, 70)
            equal(files_with(i.state, marker), [], f"after beat@{n + 4}")
        wait_until(lambda: idle(i), "the background work is done")
        equal(files_with(i.state, marker), [], "re-based and packed")
        equal({c["packed"] for c in i.checkpoints("beat")}, {True})
        equal(plain_files(i) - {"manifest.json", "parent", "dump.log", "stats-dump"}, set())
        i.ctl("verify", "--all")
        memory.crash("beat@10")
        for identity in ids(i):
            memory.restore(identity)
        with open(f"/proc/{memory.pid}/mem", "rb", buffering=0) as f:
            f.seek(memory.start + 400 * PAGE + 2048)
            equal(f.read(len(marker)), marker)


def test_without_the_key():
    """Nothing of before can be restored, and everybody says why; the service runs on."""
    with running(keys="Encrypt=yes", settings="[Checkpoint]\nScrub=1\n") as (i, memory):
        memory.checkpoint(1)
        memory.checkpoint(2)
        keys = i.state + "/store.keys"
        os.rename(keys, i.dir + "/elsewhere")
        next_ckptd(i)
        contains(i.log_tail(), keys, "gone")
        done = i.ctl("restore", "beat@2", code=1)
        contains(done.stderr, "beat@2", "key")
        equal((i.service("beat")["pid"], i.service("beat")["state"]), (memory.pid, "up"))
        contains(i.ctl("show", "beat@2").stdout, "key")
        equal(memory.checkpoint(5), "beat@3")
        memory.crash("beat@3")
        os.rename(i.dir + "/elsewhere", keys + ".old")
        with open(keys + ".old") as old, open(keys) as new:
            text = old.read() + new.read()
        os.unlink(keys + ".old")
        i.write(keys, text)
        next_ckptd(i)
        wait_until(lambda: {c["state"] for c in i.checkpoints("beat")} == {"whole"},
                   lambda: f"the old ones are back: {listed(i)}")
        memory.restore("beat@1")


def test_key_file_that_is_away():
    """Under a running ckptd: what needs it fails and names it, the service runs on."""
    with running(size=1, keys="Encrypt=yes") as (i, memory):
        memory.checkpoint(1)
        keys = i.state + "/store.keys"
        os.rename(keys, i.dir + "/elsewhere")
        contains(i.ctl("checkpoint", "beat", code=1).stderr, keys, "put the key file back")
        contains(i.ctl("verify", "beat@1", code=1).stderr, keys)
        contains(i.ctl("restore", "beat@1", code=1).stderr, keys)
        contains(i.ctl("status", "beat").stdout, "Restorable: no", keys)
        memory.page.next_beat()
        equal((i.service("beat")["pid"], memory.page.breaks), (memory.pid, 0))
        os.rename(i.dir + "/elsewhere", keys)
        equal({c["state"] for c in i.checkpoints("beat")}, {"whole"})
        identity = memory.checkpoint(2)
        memory.crash(identity)
        equal(images.staging(i, "beat"), [])
