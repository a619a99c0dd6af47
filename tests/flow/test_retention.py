"""What stays and what goes: pins, readers, limits of the store, leftovers of work; the proven rung."""
import fcntl
import os
import stat

from harness import Instance, equal, needs_root, wait_until


def ids(instance, name):
    return [c["id"] for c in instance.checkpoints(name)]


def some_checkpoints(instance, name, page, count):
    for _ in range(count):
        page.wait_beat(more_than=page.beats + 5)
        instance.checkpoint(name)


def read_again(instance):
    """Another ckptd, which finds what was done to the folders."""
    instance.kill_daemon("ckptd")
    wait_until(lambda: instance.ctl("list", code=None).returncode == 0, "the next ckptd answers")


def test_proven_rung():
    """The newest proven one; without one that is whole, the newest of all."""
    needs_root()
    with Instance() as i:
        page = i.heartbeat(checkpoint="Interval=0\nMaxChain=0",
                           recovery="Ladder=proven newest older cold\nMinUptime=0")
        i.start()
        i.up("beat")
        some_checkpoints(i, "beat", page, 3)
        i.write(f"{i.state}/checkpoints/beat/1.proven", "")
        read_again(i)
        equal(i.crash("beat")["recovered_from"], "beat@1")
        i.write(i.folder("beat@1") + "/manifest.json", "{")
        equal(i.crash("beat")["recovered_from"], "beat@3")
        equal((page.starts, page.bad_pages), (1, 0), "starts, bad pages")


def test_pinned_ones_stay():
    needs_root()
    with Instance() as i:
        page = i.heartbeat(checkpoint="Interval=0\nKeep=1\nMaxChain=0")
        i.start()
        i.up("beat")
        some_checkpoints(i, "beat", page, 1)
        i.ctl("pin", "beat@1")
        some_checkpoints(i, "beat", page, 2)
        wait_until(lambda: ids(i, "beat") == ["beat@3", "beat@1"], lambda: ids(i, "beat"))
        read_again(i)
        equal([c["pinned"] for c in i.checkpoints("beat")], [False, True])
        i.ctl("unpin", "beat@1")
        some_checkpoints(i, "beat", page, 1)
        wait_until(lambda: ids(i, "beat") == ["beat@4"], lambda: ids(i, "beat"))


def test_periods():
    """One of this hour is kept for the hour and for the day, but not two."""
    needs_root()
    with Instance() as i:
        page = i.heartbeat(checkpoint="Interval=0\nKeep=2\nKeepHourly=5\nKeepDaily=5\nMaxChain=0")
        i.start()
        i.up("beat")
        some_checkpoints(i, "beat", page, 4)
        # The hour may have ended in between: then the last one of it stays, too.
        wait_until(lambda: len(ids(i, "beat")) in (2, 3), lambda: ids(i, "beat"))
        equal(ids(i, "beat")[:2], ["beat@4", "beat@3"])


def test_readers_are_left_alone():
    """Whoever holds the folder's lock reads on; it goes when he is done."""
    needs_root()
    with Instance() as i:
        page = i.heartbeat(checkpoint="Interval=0\nKeep=1\nMaxChain=0")
        i.start()
        i.up("beat")
        some_checkpoints(i, "beat", page, 1)
        reader = os.open(i.folder("beat@1"), os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(reader, fcntl.LOCK_SH)
            some_checkpoints(i, "beat", page, 2)
            wait_until(lambda: ids(i, "beat") == ["beat@3", "beat@1"], lambda: ids(i, "beat"))
            assert os.path.exists(i.folder("beat@1") + "/manifest.json")
        finally:
            os.close(reader)
        some_checkpoints(i, "beat", page, 1)
        wait_until(lambda: ids(i, "beat") == ["beat@4"], lambda: ids(i, "beat"))


def test_limit_of_the_store():
    """The oldest go, whosever they are; each service keeps its newest."""
    needs_root()
    with Instance(settings="[Checkpoint]\nMaxBytes=60M\n") as i:
        pages = {name: i.heartbeat(name, options="-m 12",
                                   checkpoint="Interval=0\nKeep=9\nMaxChain=0")
                 for name in ("a", "b")}
        i.start()
        for name, count in (("a", 3), ("b", 3)):
            i.up(name)
            some_checkpoints(i, name, pages[name], count)
        everything = i.json("list")["checkpoints"]
        total = sum(c["bytes"] for c in everything)
        assert total <= 60 << 20, f"{total} bytes in {[c['id'] for c in everything]}"
        assert ids(i, "a") and ids(i, "a")[0] == "a@3", ids(i, "a")
        assert ids(i, "b")[:2] == ["b@3", "b@2"], ids(i, "b")


def test_leftovers_of_work_are_swept():
    """Folders of a re-base or an unpacking go when nobody holds them; their checkpoint stays."""
    needs_root()
    with Instance() as i:
        page = i.heartbeat()
        i.start()
        i.up("beat")
        some_checkpoints(i, "beat", page, 1)
        i.ctl("pin", "beat@1")
        folder = f"{i.state}/checkpoints/beat/"
        for left in ("rebase-1", "unpack-1", "rebase-7"):
            os.mkdir(folder + left)
            i.write(folder + left + "/pages-1.img", "x")
        held = os.open(folder + "rebase-7", os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(held, fcntl.LOCK_EX)
            read_again(i)
            equal(sorted(n for n in os.listdir(folder) if n[0] in "ru"), ["rebase-7"])
        finally:
            os.close(held)
        read_again(i)
        equal(sorted(n for n in os.listdir(folder) if n[0] in "ru"), [])
        equal([(c["id"], c["pinned"], c["state"]) for c in i.checkpoints("beat")],
              [("beat@1", True, "whole")])


def test_key_file():
    """KeyFile= is where the keys are, root's alone; without them nothing is restored."""
    needs_root()
    with Instance() as i:
        keys = i.dir + "/keys"
        i.write(i.config + "/perdure.ini", f"[Checkpoint]\nKeyFile={keys}\n")
        page = i.heartbeat(recovery="MinUptime=0")
        i.start()
        i.up("beat")
        some_checkpoints(i, "beat", page, 1)
        mode = os.stat(keys).st_mode
        equal((stat.S_IMODE(mode), stat.S_ISREG(mode)), (0o600, True))
        assert not os.path.exists(i.state + "/store.keys")
        equal(i.crash("beat")["recovered_from"], "beat@1")
        os.unlink(keys)
        read_again(i)
        equal(i.crash("beat")["recovered_from"], "cold")
