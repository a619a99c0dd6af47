"""Damage on the disk: whoever comes upon it, nothing builds on it and nobody is offered it."""
import os
import re
import subprocess

from beating import TIMEOUT, damage, listed, newest, page_file, running, two_chains
from harness import contains, equal, program, wait_until


SCRUB = "[Checkpoint]\nScrub=1\n"


def test_scrub_finds_damage():
    """Of an old image, and of what builds on it; nobody asks, and the newest is not touched."""
    with running(keys="Keep=6\nMaxChain=2\nCompress=none", settings=SCRUB) as (i, memory):
        two_chains(i, memory)
        damage(page_file(i, "beat@2"))
        wait_until(lambda: [c["state"] for c in i.checkpoints("beat")] ==
                   ["whole", "whole", "whole", "corrupt", "corrupt", "whole"],
                   lambda: f"the damage is found: {listed(i)}", TIMEOUT)
        contains(i.log_tail(), "beat@2", "damaged", os.path.basename(page_file(i, "beat@2")))
        contains(i.ctl("restore", "beat@3", code=1).stderr, "beat@2")
        contains(i.ctl("restore", "beat@2", code=1).stderr, "beat@2")
        memory.restore("beat@1")
        memory.restore("beat@6")


def test_scrub_of_the_newest_chain():
    """Nothing builds on damage: the next is a full image, recovery goes behind it."""
    with running(keys="Keep=6\nMaxChain=4\nCompress=none", settings=SCRUB) as (i, memory):
        for n in range(3):
            memory.checkpoint(n)
        damage(page_file(i, "beat@2"))
        wait_until(lambda: [c["state"] for c in i.checkpoints("beat")] ==
                   ["corrupt", "corrupt", "whole"], lambda: f"found: {listed(i)}", TIMEOUT)
        memory.crash("beat@1")
        damage(page_file(i, "beat@1"))
        wait_until(lambda: {c["state"] for c in i.checkpoints("beat")} == {"corrupt"},
                   lambda: f"found: {listed(i)}", TIMEOUT)
        equal(memory.checkpoint(4), "beat@4")
        equal((newest(i)["kind"], newest(i)["state"]), ("full", "whole"))
        contains(i.log_tail(), "beat@1", "damaged")
        memory.crash("beat@4")


def test_damaged_parent_is_not_written_anew():
    """A re-base that finds its image damaged says so to all: it and its children are corrupt."""
    with running(keys="Keep=2\nMaxChain=4\nCompress=none") as (i, memory):
        for n in range(3):
            memory.checkpoint(n)
        damage(page_file(i, "beat@2"))
        memory.checkpoint(3)
        wait_until(lambda: {c["id"]: c["state"] for c in i.checkpoints("beat")
                            if c["id"] != "beat@1"} ==
                   {"beat@2": "corrupt", "beat@3": "corrupt", "beat@4": "corrupt"},
                   lambda: f"the damage is known: {listed(i)}", TIMEOUT)
        memory.checkpoint(4)
        equal((newest(i)["id"], newest(i)["state"]), ("beat@5", "whole"))
        memory.crash("beat@5")


def test_drill_finds_damage():
    """In a parent, which others build on: all of them are corrupt."""
    with running(keys="Keep=9\nCompress=none") as (i, memory):
        for n in range(4):
            memory.checkpoint(n)
        damage(page_file(i, "beat@2"))
        answer = i.json("drill", "beat@3", code=1)
        equal(answer["proven"], False)
        contains(answer["why"], "damaged")
        wait_until(lambda: [c["state"] for c in i.checkpoints("beat")] ==
                   ["corrupt", "corrupt", "corrupt", "whole"], lambda: f"found: {listed(i)}")
        memory.checkpoint(4)
        equal(newest(i)["parent"], "beat@1")
        memory.crash("beat@5")


def test_verify_of_one_tells_of_its_parents():
    with running(keys="Keep=9\nCompress=none") as (i, memory):
        for n in range(4):
            memory.checkpoint(n)
        damage(page_file(i, "beat@2"))
        answer = i.json("verify", "beat@3", code=1)
        equal({c["id"]: c["ok"] for c in answer["checkpoints"]}, {"beat@3": False, "beat@2": False})
        equal([c["state"] for c in i.checkpoints("beat")],
              ["corrupt", "corrupt", "corrupt", "whole"])


# ---- hashes before a restore ----

def forge(instance, identity):
    """Damage that stat(2) cannot tell: only its hash in the manifest is of another file."""
    path, folder = page_file(instance, identity), instance.folder(identity)
    damage(path)
    with open(folder + "/manifest.json") as f:
        text = f.read()
    st, name = os.stat(path), os.path.basename(path)
    for key, value in (("inode", st.st_ino), ("mtime_ns", st.st_mtime_ns),
                       ("ctime_ns", st.st_ctime_ns)):
        text, count = re.subn(rf'("name":\s*"{name}"[^}}]*"{key}":\s*)\d+', rf"\g<1>{value}", text)
        equal(count, 1, f"{key} of {name}")
    instance.write(folder + "/manifest.json", text)
    done = subprocess.run([program("reseal"), instance.state + "/store.keys", folder],
                          capture_output=True, text=True)
    equal(done.returncode, 0, done.stderr)


def test_verify_always():
    """Every file is hashed before it is restored, whatever stat(2) says of it."""
    with running(keys="Keep=6\nMaxChain=0\nCompress=none\nVerify=always") as (i, memory):
        for n in range(3):
            memory.checkpoint(n)
        forge(i, "beat@3")
        equal(i.crash("beat")["recovered_from"], "beat@2")
        memory.check("beat@2")
        equal(listed(i)["beat@3"]["state"], "corrupt")
        contains(i.ctl("restore", "beat@3", code=1).stderr, "beat@3")


def test_verify_always_of_a_parent():
    with running(keys="Keep=6\nCompress=none\nVerify=always",
                 recovery="Ladder=newest cold") as (i, memory):
        for n in range(3):
            memory.checkpoint(n)
        forge(i, "beat@2")
        equal(i.crash("beat")["recovered_from"], "cold")
        wait_until(lambda: [c["state"] for c in i.checkpoints("beat")] ==
                   ["corrupt", "corrupt", "whole"], lambda: f"found: {listed(i)}")


def test_verify_changed():
    """By default a file is hashed again when stat(2) says that it is another."""
    with running(keys="Keep=6\nMaxChain=0\nCompress=none") as (i, memory):
        memory.checkpoint(1)
        memory.checkpoint(2)
        damage(page_file(i, "beat@2"))
        memory.crash("beat@1")
        equal(listed(i)["beat@2"]["state"], "corrupt")
