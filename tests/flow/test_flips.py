"""One byte is flipped, or a file cut short, anywhere in a chain: `verify` says which checkpoints are
damaged, their children among them, and no others; none of them is restored, although the file's times
are put back; nothing crashes. `make campaign` does FLIPS=2000 of them, `make check` 200."""
import json
import os
import random

from harness import equal, needs_root
from lab import NAME, Lab, run

FLIPS = int(os.environ.get("FLIPS", "200"))
SEED = os.environ.get("SEED") or str(random.randrange(10**6))
CHAIN = {1: 0, 2: 1, 3: 2, 4: 3, 5: 4}  # number: parent; 2 is packed, 3 encrypted, 5 both


def make_chain(lab):
    store = lab.new_store("flips")
    for number, parent in CHAIN.items():
        lab.take(store, number, parent=parent)
    for words in (store.rebase(2, parent=1, zstd=3), store.rebase(3, parent=2, encrypt=True),
                  store.rebase(5, parent=4, zstd=3, encrypt=True)):
        equal(run(words).returncode, 0, "exit of rebase")
    for number in CHAIN:
        lab.restore(store, number)
    return store


class Damage:
    """Damage to one file, which is undone at the end."""

    def __init__(self, path, choose):
        self.path = path
        self.is_link = os.path.islink(path)
        self.what = self.damage_link(choose) if self.is_link else self.damage_file(choose)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.is_link:
            os.unlink(self.path)
            os.symlink(self.before, self.path)
        else:
            with open(self.path, "r+b") as f:
                f.write(self.before)
                f.truncate()

    def damage_link(self, choose):
        self.before = os.readlink(self.path)
        at = choose.randrange(len(self.before))
        if choose.random() < 0.5 and at > 0:
            target, what = self.before[:at], f"cut to {at}"
        else:
            letter = chr(1 + (ord(self.before[at]) - 1 ^ 1 << choose.randrange(6)) % 126)
            letter = letter if letter not in (self.before[at], "\0") else "x"
            target, what = self.before[:at] + letter + self.before[at + 1:], f"flipped at {at}"
        os.unlink(self.path)
        os.symlink(target, self.path)
        return what

    def damage_file(self, choose):
        st = os.stat(self.path)
        with open(self.path, "r+b") as f:
            self.before = f.read()
            at = choose.randrange(len(self.before))
            if choose.random() < 0.2:
                f.truncate(at)
                what = f"cut to {at} of {len(self.before)}"
            else:
                f.seek(at)
                f.write(bytes([self.before[at] ^ choose.randrange(1, 256)]))
                what = f"flipped at {at} of {len(self.before)}"
        os.utime(self.path, ns=(st.st_atime_ns, st.st_mtime_ns))
        return what


def files_of(store, number):
    """Small and large files alike; one that is empty has no byte to flip."""
    folder = store.folder(number)
    return sorted(n for n in os.listdir(folder)
                  if os.path.islink(f"{folder}/{n}") or os.path.getsize(f"{folder}/{n}") > 0)


def depends_on(number, damaged):
    while number and number != damaged:
        number = CHAIN[number]
    return number == damaged


def check(store, number, is_manifest, choose):
    bad = {n for n in CHAIN if depends_on(n, number)}
    verdicts = store.verify()
    equal({n for n, (ok, _) in verdicts.items() if not ok}, bad, "damaged, says verify")
    victim = choose.choice(sorted(bad))
    # Were criu run, it would fail in another way.
    result, _, message = store.restore(victim, "/bin/false")
    # A key that nobody has is no damage for sure: the key file may have been put back too old.
    refused = ("corrupt", "failed") if is_manifest and "key" in message else ("corrupt",)
    assert result in refused, f"restore of {victim}: {result}, {message}"
    if is_manifest:
        states = {n: c["state"] for n, c in store.listed().items()}
        equal({n for n in states if states[n] != "whole"}, bad, "not whole, says ckptd")


def test_flips_and_truncations():
    needs_root()
    choose = random.Random(SEED)
    count = {}
    with Lab() as lab:
        store = make_chain(lab)
        for turn in range(FLIPS):
            number = choose.choice(sorted(CHAIN))
            name = choose.choice(files_of(store, number))
            with Damage(f"{store.folder(number)}/{name}", choose) as damage:
                try:
                    check(store, number, name == "manifest.json", choose)
                except AssertionError as error:
                    raise AssertionError(f"{number}/{name} {damage.what}: {error} "
                                         f"(SEED={SEED}, turn {turn})") from None
            kind = damage.what.split()[0]
            count[kind] = count.get(kind, 0) + 1
        equal({n for n, (ok, _) in store.verify().items() if ok}, set(CHAIN), "whole in the end")
        lab.restore(store, 5)
    print(f"        {json.dumps(count)}, SEED={SEED}")


test_flips_and_truncations.limit = max(180, FLIPS)


def test_marks_with_damage():
    """That a mark is there counts; its text is for people and may be anything."""
    needs_root()
    choose = random.Random(SEED)
    with Lab() as lab:
        store = lab.new_store("marks")
        lab.take(store, 1)
        lab.take(store, 2, parent=1)
        for words in (("Pin", f"{NAME}@1", "1"), ("Poison", f"{NAME}@2", "why it died")):
            equal(run(store.ckptd(*words)).returncode, 0, f"exit of {words[0]}")
        for _ in range(10):
            for mark in ("1.pinned", "2.poisoned"):
                with open(f"{store.service}/{mark}", "wb") as f:
                    f.write(choose.choice((b"", b"\xff\xfe\n", b"\0", choose.randbytes(9000))))
            listed = store.listed()
            equal({n: c["state"] for n, c in listed.items()}, {1: "whole", 2: "poisoned"})
            equal(listed[1]["pinned"], True)
