"""Files that belong to the memory: after a restore they are as Files= promises, or it says why not.

The service (tests/programs/journal.c) writes one number a line and keeps its place in memory alone:
lines 1 to N without a gap or a repeat mean that file and memory are of one moment."""
import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile

import inject
from harness import (Instance, NOBODY, contains, equal, need, needs_command, needs_root, procs,
                     program, wait_until)

LINE = 9


def numbers(path):
    """Of the whole lines; a line of zero bytes (a hole) is None."""
    with open(path, "rb") as f:
        lines = f.read().split(b"\n")[:-1]
    return [int(line) if line.isdigit() else None for line in lines]


def in_order(path):
    found = numbers(path)
    equal(found, list(range(1, len(found) + 1)), path)
    return len(found)


def grown(path, lines=20):
    """Until the service has written that many more lines; returns how many there are."""
    wait_until(lambda: os.path.exists(path), f"{path} is there")
    size = os.path.getsize(path)
    wait_until(lambda: os.path.getsize(path) >= size + lines * LINE, f"{path} grows")
    return os.path.getsize(path) // LINE


class Journal(Instance):
    """An instance with one service, `journal`; `keep` are the names of SnapshotPaths= in `data`."""

    def __init__(self, files, options="", keep="", data=None, user=None, more="", state=None,
                 recovery="MinUptime=0"):
        needs_root()
        super().__init__(state=state)
        self.data = data or self.work + "/data"
        os.makedirs(self.data, exist_ok=True)
        self.file = self.data + "/journal"
        if user is not None:
            os.chown(self.data, user, user)
        paths = f"SnapshotPaths={self.data}/{keep}\n" if keep else ""
        self.policy("journal", f"{program('journal')} {options} {self.file}",
                    service="StartLimitIntervalSec=0" + ("\nUser=nobody" if user else ""),
                    checkpoint=f"Interval=0\nFiles={files}\n{paths}{more}",
                    recovery=recovery)

    def pid(self):
        return self.service("journal")["pid"]

    def pause(self):
        pid = self.pid()
        procs.kill(pid, signal.SIGSTOP)
        wait_until(lambda: procs.stat(pid)[0] == "T", "stopped")

    def resume(self):
        procs.kill(self.pid(), signal.SIGCONT)

    def content(self):
        with open(self.file, "rb") as f:
            return f.read()

    def checkpointed(self):
        """Runs, has a checkpoint, and has gone on since. The checkpoint is of a stopped process: it
        comes back stopped, and its file can be compared before it writes again."""
        self.start()
        self.up("journal")
        grown(self.file)
        self.pause()
        self.kept = self.content()
        self.id = self.checkpoint("journal")
        self.resume()
        grown(self.file, 50)
        return self

    def die(self, change=lambda: None):
        """Stops the writing, lets `change` do something to the files, crashes, recovers."""
        self.pause()
        change()
        return self.crash("journal")["recovered_from"]

    def is_as_it_was(self):
        """The file is that of the freeze, and the service goes on in it."""
        equal(procs.stat(self.pid())[0], "T", "stopped as it was at the freeze")
        equal(self.content(), self.kept, "content")
        self.resume()
        grown(self.file)

    def entry(self, path=None):
        """What the manifest says of a file."""
        with open(self.folder(self.id) + "/manifest.json") as f:
            found = [e for e in json.load(f)["files"] if e["path"] == (path or self.file)]
        equal(len(found), 1, "entries of the file")
        return found[0]

    def went_cold(self, change, *words):
        """The image is refused with these words, and the service starts anew."""
        equal(self.die(change), "cold")
        contains(self.log_tail(200), *words)


def replace(path, text):
    with open(path + ".tmp", "w") as f:
        f.write(text)
    os.rename(path + ".tmp", path)


# ---- the modes ----

def test_ignore_is_criu_itself():
    with Journal("ignore") as i:
        i.checkpointed()
        contains(i.ctl("status", "journal").stdout, "restorable: no", i.file)
        equal(i.entry()["snapshot"], "")
        equal(i.die(), "cold")


def test_refuse_names_the_file():
    with Journal("refuse") as i:
        i.checkpointed()
        contains(i.ctl("status", "journal").stdout, "restorable: no", i.file, "Files=refuse")
        equal(i.die(), "cold")


def test_refuse_restores_what_is_unchanged():
    with Journal("refuse") as i:
        i.start()
        i.up("journal")
        grown(i.file)
        i.pause()
        i.kept = i.content()
        i.id = i.checkpoint("journal")
        equal(i.crash("journal")["recovered_from"], i.id)
        i.is_as_it_was()
        in_order(i.file)


def cut_back(options):
    with Journal("truncate", options) as i:
        i.checkpointed()
        equal(i.service("journal")["restorable"]["ok"], True)
        equal((i.entry()["size"], i.entry()["offset"]), (len(i.kept), len(i.kept)))
        for _ in range(2):
            equal(i.die(), i.id)
            i.is_as_it_was()
            in_order(i.file)


def test_truncate():
    cut_back("")


def test_truncate_a_log():
    cut_back("-a")


def test_truncate_with_a_reader_beside():
    cut_back("-h")


def mapped(i):
    with open(f"/proc/{i.pid()}/maps") as f:
        return any(line.endswith(i.file + "\n") and "rw-s" in line for line in f)


def test_truncate_a_mapped_file():
    with Journal("truncate", "-m") as i:
        i.start()
        i.up("journal")
        wait_until(lambda: mapped(i), "mapped")
        i.id = i.checkpoint("journal")

        def grow():
            with open(i.file, "ab") as f:
                f.write(b"x")
        equal(i.die(grow), i.id)
        equal(os.path.getsize(i.file), 1 << 20)


def test_truncate_refuses_a_file_that_shrank():
    with Journal("truncate") as i:
        i.checkpointed()
        i.went_cold(lambda: os.truncate(i.file, 3 * LINE), i.file, "cannot be cut back")


def test_truncate_refuses_a_replaced_file():
    with Journal("truncate") as i:
        i.checkpointed()
        os.link(i.file, i.data + "/kept")
        i.went_cold(lambda: replace(i.file, "1\n" * 1000), i.file, "replaced")
        assert in_order(i.data + "/kept") * LINE > len(i.kept), "the old inode is not cut"


def test_truncate_leaves_what_another_program_writes():
    with Journal("truncate") as i:
        i.checkpointed()
        with open(i.file, "ab"):
            i.went_cold(lambda: None, i.file, "another program", str(os.getpid()))


def planted(mode, keep, words):
    """The service's user puts a link to somebody else's file in the place of its own."""
    with Journal(mode, keep=keep, user=NOBODY, recovery="Ladder=newest") as i:
        i.checkpointed()
        victim = i.write(i.work + "/victim", "x" * 100000)
        os.chmod(victim, 0o600)
        i.pause()
        os.unlink(i.file)
        os.symlink(victim, i.file)
        procs.kill(i.pid())
        i.wait_state("journal", "failed")
        contains(i.log_tail(200), i.file, words)
        with open(victim) as f:
            equal(f.read(), "x" * 100000, "somebody else's file")


def test_planted_link_is_not_cut():
    planted("truncate", "", "replaced")


def test_planted_link_is_not_overwritten():
    planted("snapshot", "*", "symbolic link")


# ---- snapshots ----

def test_snapshot_by_copy():
    with Journal("snapshot", "-r", keep="*") as i:
        i.checkpointed()
        equal(i.entry()["snapshot"], "file-1.snap")
        inode = os.stat(i.file).st_ino
        os.link(i.file, i.data + "/link")
        equal(i.die(), i.id)
        equal((os.stat(i.file).st_ino, os.stat(i.data + "/link").st_ino), (inode, inode))
        i.is_as_it_was()
        equal(i.die(lambda: os.unlink(i.file)), i.id, "a lost file")
        equal(os.stat(i.file).st_mode & 0o7777, 0o640)
        i.is_as_it_was()
        equal(i.die(lambda: replace(i.file, "another")), i.id, "a replaced file")
        i.is_as_it_was()
        equal(i.die(lambda: os.truncate(i.file, 5)), i.id, "a file that shrank")
        i.is_as_it_was()


def test_snapshot_is_of_the_freeze():
    """The service writes on all the time, and copying the ballast takes the time of many lines:
    memory, size, offset and copy are of one moment all the same."""
    with Journal("snapshot", "-r", keep="*") as i:
        with open(i.data + "/ballast", "wb") as f:
            f.write(os.urandom(16 << 20))
        i.start()
        i.up("journal")
        for _ in range(3):
            grown(i.file)
            i.id = i.checkpoint("journal")
            grown(i.file)
            entry = i.entry()
            equal((entry["size"], entry["snapshot"]), (entry["offset"], "file-1.snap"))
            equal(i.die(), i.id)
            grown(i.file)
            found = numbers(i.file)
            equal(found[1:], list(range(2, len(found) + 1)))


def test_snapshot_of_a_users_file():
    with Journal("snapshot", "-r", keep="journal", user=NOBODY) as i:
        i.checkpointed()
        equal(i.die(lambda: os.unlink(i.file)), i.id)
        equal((os.stat(i.file).st_uid, os.stat(i.file).st_gid), (NOBODY, NOBODY))
        i.is_as_it_was()


def test_snapshot_encrypted():
    with Journal("snapshot", "-r", keep="*", more="Encrypt=yes") as i:
        i.checkpointed()
        folder = i.folder(i.id)
        assert os.path.exists(folder + "/file-1.snap.enc"), os.listdir(folder)
        for name in os.listdir(folder):
            with open(f"{folder}/{name}", "rb") as f:
                assert i.kept[:200] not in f.read(), f"{name} is readable"
        equal(i.die(), i.id)
        i.is_as_it_was()


def test_snapshot_of_a_file_that_is_not_open():
    with Journal("snapshot", keep="beside /nowhere/*") as i:
        beside = i.write(i.data + "/beside", "old")
        i.checkpointed()
        i.write(beside, "newer")
        equal(i.die(), i.id)
        with open(beside) as f:
            equal(f.read(), "old")
        i.is_as_it_was()  # not listed: cut back
        in_order(i.file)


def test_snapshot_takes_no_file_of_another_user():
    with Journal("snapshot", keep="*", user=NOBODY) as i:
        secret = i.write(i.data + "/secret", "root's")
        i.start()
        i.up("journal")
        grown(i.file)
        contains(i.ctl("checkpoint", "journal", code=1).stderr, secret, "another user",
                 "SnapshotPaths")
        os.chown(secret, NOBODY, NOBODY)
        i.checkpoint("journal")
        os.unlink(secret)
        os.symlink("/etc/shadow", secret)
        contains(i.ctl("checkpoint", "journal", code=1).stderr, secret, "symbolic link")
        grown(i.file)


def test_snapshot_of_older_checkpoints():
    """Each image has its own copy, also when it was compressed since."""
    with Journal("snapshot", "-r", keep="*", more="Keep=5\nMaxChain=0\nCompress=zstd") as i:
        i.write(i.data + "/beside", "old" * 100000)
        i.checkpointed()
        i.write(i.data + "/beside", "new" * 100000)
        first, kept = i.id, i.kept
        for _ in range(2):
            i.pause()
            i.kept = i.content()
            i.id = i.checkpoint("journal")
            i.resume()
            grown(i.file)
        wait_until(lambda: "file-2.snap.zst" in os.listdir(i.folder(first)), "packed")
        for identity, content, beside in ((first, kept, "old"), (i.id, i.kept, "new")):
            i.ctl("restore", identity)
            i.wait_state("journal", "up")
            i.kept = content
            i.is_as_it_was()
            with open(i.data + "/beside") as f:
                equal(f.read(), beside * 100000)


def test_snapshot_damaged_in_the_store():
    with Journal("snapshot", "-r", keep="*") as i:
        i.checkpointed()
        with open(i.folder(i.id) + "/file-1.snap", "r+b") as f:
            f.write(b"X")
        size = os.path.getsize(i.file)
        equal(i.die(), "cold", "a damaged copy is not put back")
        assert size > 0


def restore_killed_at(i, number, change):
    """A crash whose restore worker is killed before its N-th visible system call; was it?"""
    i.pause()
    change()
    restarts = i.service("journal")["restarts"]
    kill = inject.Kill(i.keeper, number, "restore")
    procs.kill(i.pid())
    status = i.wait_recovered("journal", restarts + 1)
    killed, calls, _ = kill.end()
    equal(status["recovered_from"], i.id)
    equal(sorted(os.listdir(i.data)), ["journal"], "nothing is left beside")
    i.is_as_it_was()
    return killed, calls


def killed_while_putting_back(change):
    """Whatever is half done, the next try makes it whole."""
    with Journal("snapshot", "-r", keep="*", recovery="MinUptime=0\nLadder=newest older") as i:
        i.checkpointed()
        killed, calls = restore_killed_at(i, inject.NEVER, lambda: change(i))
        assert not killed and calls > 20, calls
        hit = [restore_killed_at(i, number, lambda: change(i))[0] for number in range(1, 200, 3)
               if number < calls]
        assert hit.count(True) > len(hit) // 2, hit


def test_killed_while_rewriting():
    killed_while_putting_back(lambda i: os.truncate(i.file, 5))


def test_killed_while_making_anew():
    killed_while_putting_back(lambda i: os.unlink(i.file))


@contextlib.contextmanager
def other_file_system(kind):
    """A file system that shares blocks between files, in a file."""
    mkfs = needs_command(f"mkfs.{kind}")
    folder = tempfile.mkdtemp(prefix="perdure-files-", dir="/var/tmp")
    image, mount = folder + "/image", folder + "/mount"
    try:
        os.mkdir(mount)
        with open(image, "wb") as f:
            f.truncate(400 << 20)
        subprocess.run([mkfs, "-q", image], check=True, capture_output=True)
        done = subprocess.run(["mount", "-o", "loop", image, mount], capture_output=True, text=True)
        need(done.returncode == 0, f"cannot mount {kind} in a loop device: {done.stderr.strip()}")
        try:
            yield mount
        finally:
            subprocess.run(["umount", mount], check=True)
    finally:
        shutil.rmtree(folder)


def used(folder):
    subprocess.run(["sync", "-f", folder], check=True)
    st = os.statvfs(folder)
    return (st.f_blocks - st.f_bfree) * st.f_frsize


def shared_blocks(kind):
    """Without being named the file is kept: that costs neither space nor time."""
    needs_root()
    with other_file_system(kind) as mount:
        with Journal("snapshot", "-r", keep="ballast", data=mount + "/data",
                     state=mount + "/state") as i:
            with open(i.data + "/ballast", "wb") as f:
                f.write(os.urandom(32 << 20))
            with open(i.data + "/ballast", "rb") as f:
                ballast = f.read()
            before = used(mount)
            i.checkpointed()
            assert used(mount) - before < 16 << 20, "32 MB are not copied"
            os.unlink(i.data + "/ballast")
            equal(i.entry()["snapshot"], "file-1.snap", "not listed, but shared")
            equal(i.die(), i.id)
            with open(i.data + "/ballast", "rb") as f:
                assert f.read() == ballast
            i.is_as_it_was()


def test_snapshot_on_btrfs():
    shared_blocks("btrfs")


def test_snapshot_on_xfs():
    shared_blocks("xfs")


# ---- names that are gone ----

def test_deleted_file_within_the_limit():
    with Journal("truncate", "-u 0") as i:
        i.start()
        i.up("journal")
        wait_until(lambda: unlinked(i), "unlinked")
        i.id = i.checkpoint("journal")
        equal(i.entry()["deleted"], True)
        equal(i.die(), i.id)
        equal(os.listdir(i.data), [])


def unlinked(i):
    folder = f"/proc/{i.pid()}/fd"
    return any(os.readlink(f"{folder}/{fd}") == i.file + " (deleted)" for fd in os.listdir(folder))


def refused(options, *words):
    with Journal("truncate", options, more="GhostLimit=1M") as i:
        i.start()
        pid = i.up("journal")["pid"]
        wait_until(lambda: unlinked(i), "unlinked")
        done = i.ctl("checkpoint", "journal", code=1)
        contains(done.stderr, i.file, *words)
        equal(i.pid(), pid, "it runs on")
        equal(i.checkpoints("journal"), [])


def test_deleted_file_over_the_limit():
    refused("-u 3", "GhostLimit=")


def test_deleted_name_of_a_linked_file():
    other = "/var/tmp/perdure-link-%d" % os.getpid()
    try:
        refused(f"-n {other}", "another name")
    finally:
        os.unlink(other)


def test_deleted_folder():
    with Journal("truncate", "-u 0") as i:
        i.start()
        i.up("journal")
        wait_until(lambda: unlinked(i), "unlinked")
        os.rmdir(i.data)
        i.id = i.checkpoint("journal")
        equal(i.die(), i.id)
        assert not os.path.exists(i.data), "the folder is made for the restore only"


def test_name_of_a_deleted_file_is_taken():
    with Journal("truncate", "-u 0") as i:
        i.start()
        i.up("journal")
        wait_until(lambda: unlinked(i), "unlinked")
        i.id = i.checkpoint("journal")
        equal(i.die(lambda: i.write(i.file, "somebody's")), i.id)
        with open(i.file) as f:
            equal(f.read(), "somebody's")
        equal(os.listdir(i.data), ["journal"])


def test_file_with_another_hard_link():
    with Journal("truncate") as i:
        i.checkpointed()
        os.link(i.file, i.data + "/second")
        equal(i.die(), i.id)
        i.is_as_it_was()
        in_order(i.data + "/second")
