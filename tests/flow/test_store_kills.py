"""Whoever changes the store dies, or its disk fails, at every system call; whatever is listed after
that restores with its memory right, and nothing else is left.

Each operation runs alone under stepfail.c: killed before a call that others can see, the same with a
loss of power (disk.h), a call that changes the store failing with ENOSPC or EIO, and from there on
all of them. `make check` takes ROUNDS=250 of these, evenly spread; `make campaign` 1000, or as many
as ROUNDS says. SEED repeats a run."""
import contextlib
import json
import os
import random
import shutil
import time

import pages
from harness import equal, needs_root
from lab import CRIU, NAME, Lab, run, step
from programs import program

ROUNDS = int(os.environ.get("ROUNDS", "250"))
SEED = os.environ.get("SEED") or str(random.randrange(10**6))
RESTORES = 20  # every n-th round ends with a real restore
WHOLE = {1, 2, 3, 4, 5}  # what the store begins with
NEW = 6
EXIT_GROUP = 231, 94  # x86-64, arm64
ENOUGH = 10  # failures


class Operation:
    """What is run, and what must be there after it. `gone`: may be missing afterwards, must be when it
    was acknowledged. `new`: the other way round. `again`: a loss of power may bring back what went.
    `before`: what there is after `prepare`."""

    def __init__(self, name, words, gone=(), new=(), mark=None, prepare=None, by_ckptd=False,
                 dumps=False, again=False, before=WHOLE):
        self.name, self.words, self.prepare, self.before = name, words, prepare, set(before)
        self.gone, self.new, self.mark = set(gone), set(new), mark
        self.by_ckptd, self.dumps, self.again = by_ckptd, dumps, again


def worker(make):
    """A command line of a worker that stepfail goes before."""
    return lambda store, under: [*under, *make(store)]


def dump(**how):
    return lambda store, under: store.dump(NEW, under=under, **how)


def ckptd(*words):
    return lambda store, under: store.ckptd(*words, under=under)


def dump_by_ckptd(store, under):
    return store.ckptd("Checkpoint", NAME, str(store.lab.pid), CRIU, under=under)


def import_words(store):
    fd = os.open(store.lab.archive, os.O_RDONLY)
    os.set_inheritable(fd, True)
    store.lab.open_files.append(fd)
    return store.worker("import", NEW, "--uid", "0", "--report-fd", "1", "--file-fd", str(fd))


def litter(store):
    """What others left when they died: folders of every kind, half full, with marks beside."""
    shutil.copytree(store.folder(5), store.service + "/staging-6", symlinks=True)
    shutil.copytree(store.folder(3), store.service + "/rebase-3", symlinks=True)
    os.unlink(store.service + "/rebase-3/manifest.json")
    os.makedirs(store.service + "/unpack-2/deep")
    os.rename(store.folder(5), store.service + "/staging-5")
    for name in ("5.poisoned", "5.pinned"):
        with open(f"{store.service}/{name}", "w") as f:
            f.write("why\n")


def nothing_yet(store):
    shutil.rmtree(store.path)
    os.unlink(store.keys)


def no_service_yet(store):
    shutil.rmtree(store.service)


def pin(store):
    equal(run(store.ckptd("Pin", f"{NAME}@3", "1")).returncode, 0, "exit of pin")


OPERATIONS = [
    Operation("dump-full", dump(staging="disk"), new=[NEW], dumps=True),
    Operation("dump-delta", dump(parent=5, staging="tmpfs"), new=[NEW], dumps=True),
    Operation("dump-encrypted", dump(parent=5, encrypt=True), new=[NEW], dumps=True),
    Operation("dump-ckptd", dump_by_ckptd, new=[NEW], by_ckptd=True, dumps=True),
    Operation("dump-first", dump_by_ckptd, new=[1], by_ckptd=True, dumps=True,
              prepare=no_service_yet, before=()),
    Operation("first-start", ckptd("List", NAME), by_ckptd=True, prepare=nothing_yet, before=()),
    Operation("rebase-full", worker(lambda s: s.rebase(3))),
    Operation("rebase-packed", worker(lambda s: s.rebase(3, parent=1, zstd=3))),
    Operation("rebase-encrypted", worker(lambda s: s.rebase(2, parent=1, encrypt=True))),
    Operation("import", worker(import_words), new=[NEW]),
    Operation("import-ckptd", lambda store, under: store.ckptd(
        "Import", store.lab.archive, NAME, "0", under=under), new=[NEW], by_ckptd=True),
    Operation("pack-ckptd", ckptd("Upkeep", NAME, "1"), by_ckptd=True),
    Operation("check", ckptd("Verify", NAME), by_ckptd=True),
    Operation("prune", ckptd("Prune", NAME, "2"), gone=[1, 2, 3], by_ckptd=True, again=True),
    Operation("pin", ckptd("Pin", f"{NAME}@3", "1"), mark=(3, "pinned", True), by_ckptd=True),
    Operation("unpin", ckptd("Pin", f"{NAME}@3", "0"), mark=(3, "pinned", False), prepare=pin,
              by_ckptd=True),
    Operation("poison", ckptd("Poison", f"{NAME}@3", "it died"), gone=[3],
              mark=(3, "poisoned", True), by_ckptd=True),
    Operation("corrupt", ckptd("Corrupt", f"{NAME}@2", "a flip"), gone=[2, 3],
              mark=(2, "corrupt", True), by_ckptd=True),
    Operation("rotate-key", ckptd("RotateKey"), by_ckptd=True),
    Operation("sweep", ckptd("List", NAME), gone=[5], prepare=litter, by_ckptd=True),
]


class Campaign:
    def __init__(self, lab):
        self.lab, self.rounds, self.restores, self.times, self.failures = lab, 0, 0, {}, []
        lab.open_files = []
        self.base = lab.new_store("base")
        for number, parent in ((1, 0), (2, 1), (3, 2), (4, 0), (5, 4)):
            lab.take(self.base, number, parent=parent)
        equal(set(self.base.numbers()), WHOLE, "the store that all begins with")
        self.manifests = {n: self.manifest(self.base, n) for n in WHOLE}
        self.memory = {n: pages.memory(self.base.folder(n)) for n in WHOLE}
        equal(self.memory, {n: self.base.memory(n) for n in WHOLE}, "memory, unpacked")
        with open(self.base.keys) as f:
            self.key = f.read()
        lab.archive = lab.dir + "/archive"
        with open(lab.archive, "wb") as f:
            done = run(self.base.worker("export", 3, "--report-fd", "1", "--file-fd",
                                        str(f.fileno())), pass_fds=(f.fileno(),))
        equal(done.returncode, 0, f"exit of export: {done.stdout} {done.stderr}")

    @staticmethod
    def manifest(store, number):
        with open(store.folder(number) + "/manifest.json") as f:
            return f.read()

    # ---- one round ----

    def begin(self, operation):
        store = self.base.copy(f"{self.lab.dir}/round")
        if not operation.by_ckptd:
            store.count(NEW)  # as ckptd does before it starts a worker
        if operation.prepare:
            operation.prepare(store)
        return store

    def run(self, operation, store, what, number, turn):
        under = [program("stepfail"), store.state, what, str(number), str(turn)]
        try:
            return step(operation.words(store, under), pass_fds=self.lab.open_files)
        finally:
            while self.lab.open_files:
                os.close(self.lab.open_files.pop())

    def round(self, operation, what, number, turn):
        self.rounds += 1
        begin = time.monotonic()
        store, done = self.begin(operation), None
        try:
            done = self.run(operation, store, what, number, turn)
            self.check(operation, store, what, done)
            return done
        except AssertionError as error:
            if os.environ.get("KEEP"):
                shutil.copytree(store.state, f"/var/tmp/perdure-kept-{SEED}-{self.rounds}",
                                symlinks=True)
            raise AssertionError(f"{operation.name}, {what} at {number}, turn {turn}: {error}; "
                                 f"{describe(done)}") from None
        finally:
            shutil.rmtree(store.state)
            spent = self.times.setdefault(operation.name, [0, 0.0])
            spent[0], spent[1] = spent[0] + 1, spent[1] + time.monotonic() - begin

    def try_round(self, *what):
        """None: it failed, which is told at the end; the others go on."""
        try:
            return self.round(*what)
        except (AssertionError, OSError, ValueError) as error:
            self.failures.append(str(error).strip())
            if len(self.failures) >= ENOUGH:
                raise AssertionError("and so on") from None
            return None

    @staticmethod
    def acknowledged(operation, done):
        """Whoever asked has heard that it was done; a worker's word is its report, before it exits."""
        if operation.by_ckptd:
            return done.code == 0
        return done.call in EXIT_GROUP if done.died else done.status == 0

    def check(self, operation, store, what, done):
        if not done.died:
            assert done.status >= 0, f"it died of signal {-done.status}"
        if operation.dumps:
            self.lab.service_runs()
        sure = self.acknowledged(operation, done)
        assert sure or done.died or done.failed, f"refused: {done.rest} {done.errors}"
        listed = store.listed()
        whole = {n for n, c in listed.items() if c["state"] == "whole"}
        gone, new = operation.before - whole, whole - operation.before
        assert gone <= operation.gone, f"{sorted(gone)} are not whole: {store.verify()}"
        assert new <= operation.new, f"listed: {sorted(whole)}"
        if sure:
            equal(new, operation.new, "what was to come")
            if what != "power" or not operation.again:
                equal(gone, operation.gone, "what was to go")
        equal(store.leftovers(), [], "left behind")
        self.check_mark(operation, store, sure)
        self.check_keys(operation, store, sure)
        assert store.counter() >= max(operation.before | whole, default=0), "the counter went back"
        self.check_memory(operation, store, whole, new)
        if self.rounds % RESTORES == 0:
            self.check_restores(store, whole)

    @staticmethod
    def check_mark(operation, store, sure):
        if sure and operation.mark:
            number, mark, there = operation.mark
            equal(os.path.exists(f"{store.service}/{number}.{mark}"), there, f"mark {mark}")

    def check_keys(self, operation, store, sure):
        with open(store.keys) as f:
            text = f.read()
        if operation.name == "rotate-key":
            assert text.startswith(self.key), f"keys: {text!r}"
            assert not sure or text.count("\n") == 2, "the new key is not there"
        elif operation.name != "first-start":
            equal(text, self.key, "keys")

    def check_memory(self, operation, store, whole, new):
        verdicts = store.verify() if whole else {}
        bad = {n: verdicts.get(n) for n in whole if not verdicts.get(n, (False,))[0]}
        assert not bad, f"listed as whole: {bad}"
        for number in whole - new:
            if self.manifest(store, number) != self.manifests[number]:
                equal(store.memory(number) == self.memory[number], True, f"memory of {number}")
        for number in new:
            memory = store.memory(number)
            if operation.name.startswith("import"):
                equal(memory == self.memory[3], True, "memory of the import")
            else:
                equal(memory.keys(), self.memory[5].keys(), "processes of the dump")

    def check_restores(self, store, whole):
        for number in sorted(whole):
            self.lab.restore(store, number)
            self.restores += 1

    # ---- all of them ----

    def plan(self):
        """[(operation, what, number)], each kind evenly spread over the calls. Dying before anything
        was changed is tried only when there are rounds for all."""
        choose, kinds = random.Random(SEED), []
        for operation in OPERATIONS:
            done = self.try_round(operation, "count", 0, 0)
            if not done:
                continue
            kinds += [(operation, what, done.first, done.visible + 1)
                      for what in ("kill", "power", "power")]
            kinds += [(operation, what, 1, done.changes) for what in ("ENOSPC", "EIO", "full", "dead")]
        total = sum(last for *_, last in kinds)
        if ROUNDS >= total:
            kinds = [(operation, what, 1, last) for operation, what, _, last in kinds]
        calls = sum(last - first + 1 for *_, first, last in kinds)
        rounds = []
        for operation, what, first, last in kinds:
            count = last - first + 1
            share = max(1, round(ROUNDS * count / calls))
            start = choose.random()
            rounds += [(operation, what, first + int((i + start) * count / share) % count)
                       for i in range(share)]
        choose.shuffle(rounds)
        return rounds, total


def describe(done):
    if not done:
        return "not run"
    if done.died:
        return f"killed at call {done.call} ({done.lost_files} files, {done.lost_entries} entries lost)"
    return f"ended {done.status}, {done.failed} calls failed: {done.rest.strip()}"


def test_every_system_call():
    needs_root()
    with Lab() as lab:
        campaign, total = Campaign(lab), 0
        with contextlib.suppress(AssertionError):
            rounds, total = campaign.plan()
            for turn, (operation, what, number) in enumerate(rounds):
                campaign.try_round(operation, what, number, turn)
        summary = (f"{campaign.rounds} rounds of {total} possible, {campaign.restores} restores, "
                   f"{len(campaign.failures)} failures, SEED={SEED}")
        if os.environ.get("VERBOSE"):
            print(json.dumps({n: [c, round(1000 * t / c)] for n, (c, t) in campaign.times.items()}))
        assert not campaign.failures, "\n".join([summary, *campaign.failures])
        print("        " + summary)


test_every_system_call.limit = max(180, ROUNDS)
