"""The store's verbs: list as a tree, show, diff, verify, pin, prune, drill, key."""
import json
import os
import pty
import re
import select
import subprocess

from harness import Instance, contains, equal, needs_root, procs, program, wait_until

MB = 1 << 20
PAGE = 4096


def big_mapping(pid, size):
    """Start of the private anonymous mapping that holds `size` bytes."""
    with open(f"/proc/{pid}/maps") as f:
        for line in f:
            found = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw-p 0+ 00:00 0\s*$", line)
            if found and int(found[2], 16) - int(found[1], 16) >= size:
                return int(found[1], 16)
    raise AssertionError(f"process {pid} has no mapping of {size} bytes")


def touch(pid, pages, start):
    """Changes a word of each page, one that the program does not look at."""
    with open(f"/proc/{pid}/mem", "r+b", buffering=0) as f:
        for page in pages:
            f.seek(start + page * PAGE + 512)
            old = f.read(1)
            f.seek(start + page * PAGE + 512)
            f.write(bytes([old[0] ^ 0xff]))


def running(instance, size=8, **keys):
    page = instance.heartbeat(options=f"-m {size}", **keys)
    instance.start()
    pid = instance.up("beat")["pid"]
    page.wait_beat()
    return page, pid


def own_pages(instance, identity):
    """The pages-*.img of the checkpoint's own folder, the largest first."""
    folder = instance.folder(identity)
    names = [n for n in os.listdir(folder) if n.startswith("pages-")]
    return sorted((f"{folder}/{n}" for n in names), key=os.path.getsize, reverse=True)


def flip(path):
    at = os.path.getsize(path) // 2
    with open(path, "r+b") as f:
        f.seek(at)
        old = f.read(1)
        f.seek(at)
        f.write(bytes([old[0] ^ 1]))


def test_list():
    needs_root()
    with Instance() as i:
        running(i)
        for _ in range(3):
            i.checkpoint("beat")
        found = i.checkpoints("beat")
        equal([c["id"] for c in found], ["beat@3", "beat@2", "beat@1"], "flat, newest first")
        by_id = {c["id"]: c for c in found}
        assert any(c["parent"] for c in found), "one of them is a delta"
        for c in found:
            equal(c["kind"], "delta" if c["parent"] else "full", c["id"])
            equal(c["depth"], by_id[c["parent"]]["depth"] + 1 if c["parent"] else 0, c["id"])
            assert c["memory_bytes"] >= 8 * MB, c
            assert c["bytes"] > 0
            equal((c["pinned"], c["proven"], c["unprovable"], c["packed"]),
                  (False, False, None, False))
        lines = i.ctl("list", "beat").stdout.splitlines()
        equal(lines[0].split(), "ID AGE TIME KIND SIZE ADDED FROZEN STATE FLAGS".split())
        column = {line.split("beat@")[1].split()[0]: line.index("beat@") for line in lines[1:]}
        equal(len(column), 3, "every one once")
        for c in found:
            wanted = column[c["parent"].split("@")[1]] + 3 if c["parent"] else 0
            equal(column[c["id"].split("@")[1]], wanted, f"{c['id']} under {c['parent']}")


def test_show():
    needs_root()
    with Instance() as i:
        _, pid = running(i)
        i.checkpoint("beat")
        shown = i.json("show", "beat@1")
        d = shown["description"]
        equal(d["totals"]["processes"], 1)
        (p,) = d["processes"]
        equal((p["pid"], p["comm"], p["threads"], p["uid"], p["state"]),
              (pid, "heartbeat", 1, 0, "running"))
        start = big_mapping(pid, 8 * MB)
        (big,) = [m for m in p["mappings"] if int(m["start"], 16) == start]
        equal((big["kind"], big["prot"], big["shared"], big["path"]), ("anon", "rw-", False, None))
        assert 8 * MB <= big["bytes"] <= big["size"], big
        with open(f"/proc/{pid}/maps") as f:
            mapped = {line.split("-")[0] for line in f}
        extra = {m["start"] for m in p["mappings"]} - {s.lstrip("0") for s in mapped} - mapped
        equal(extra, set(), "mappings that the process does not have")
        kinds = {m["kind"] for m in p["mappings"]}
        assert {"anon", "file", "stack", "heap", "vdso"} <= kinds, kinds
        assert any(m["path"] and m["path"].endswith("/heartbeat") for m in p["mappings"])
        assert any(m["path"] and m["path"].endswith("beat.page") and m["shared"]
                   for m in p["mappings"]), "the shared page"
        equal(sum(m["bytes"] for m in p["mappings"]), p["bytes"], "all pages are in a mapping")
        equal(d["totals"]["bytes"], shown["pages"] * PAGE, "as the manifest counts")
        equal({x["fd"] for x in d["files"] + d["sockets"] + d["pipes"]}, open_files(pid))
        equal([c["id"] for c in d["chain"]][0], "beat@1")
        text = i.ctl("show", "beat@1").stdout
        contains(text, "restorable: yes", "heartbeat", "memory of", "anon", "/dev/null", "others")


def open_files(pid):
    return {int(n) for n in os.listdir(f"/proc/{pid}/fd")}


def test_show_sockets_and_files():
    """A listening socket, a unix one and a file with an offset, as the kernel knows them."""
    needs_root()
    with Instance() as i:
        script = i.write(i.work + "/opener.py", f"""import socket, time
tcp = socket.socket(); tcp.bind(("127.0.0.1", 0)); tcp.listen()
unix = socket.socket(socket.AF_UNIX); unix.bind("{i.work}/u"); unix.listen()
f = open("{i.work}/data", "w"); f.write("x" * 100); f.flush()
print("port", tcp.getsockname()[1], flush=True)
while True: time.sleep(0.01)
""")
        i.policy("opener", f"/usr/bin/python3 {script}")
        i.start()
        i.up("opener")
        wait_until(lambda: "port" in i.log("opener"), "it has opened all")
        port = i.log("opener").split()[1]
        i.checkpoint("opener")
        d = i.json("show", "opener@1")["description"]
        tcp = [s for s in d["sockets"] if s["type"] == "tcp"]
        equal([(s["family"], s["state"], s["local"], s["remote"]) for s in tcp],
              [("inet", "listen", f"127.0.0.1:{port}", None)])
        unix = [s for s in d["sockets"] if s["family"] == "unix"]
        equal([(s["type"], s["state"], s["path"]) for s in unix],
              [("stream", "listen", i.work + "/u")])
        (data,) = [f for f in d["files"] if f["path"] == i.work + "/data"]
        equal((data["kind"], data["offset"], data["size"], data["flags"]), ("file", 100, 100, "w"))
        contains(i.ctl("show", "opener@1").stdout, f"127.0.0.1:{port}", i.work + "/u", "listen")


def test_diff():
    needs_root()
    with Instance() as i:
        page, pid = running(i)
        start = big_mapping(pid, 8 * MB)
        i.checkpoint("beat")
        touch(pid, range(100, 1700, 2), start)
        page.wait_beat()
        i.checkpoint("beat")
        d = i.json("diff", "beat@1", "beat@2", code=0)
        equal((d["version"], d["from"], d["to"]), (1, "beat@1", "beat@2"))
        rows = {m["start"]: m for m in d["mappings"]}
        big = rows["%x" % start]
        equal((big["pid"], big["kind"], big["added"], big["gone"], big["mapping"]),
              (pid, "anon", 0, 0, "same"))
        # The C library's variables may lie in the same mapping.
        assert 800 <= big["changed"] < 810, big
        equal(sum(m["changed"] for m in d["mappings"]), d["pages"]["changed"], "all are listed")
        assert d["pages"]["changed"] < 830, d["pages"]
        assert d["pages"]["same"] >= 1240, d["pages"]
        equal(d["processes"], {"started": [], "ended": [], "changed": []})
        equal(d["files"], {"opened": [], "closed": [], "changed": []})
        back = i.json("diff", "beat@2", "beat@1", code=0)
        equal(back["pages"]["changed"], d["pages"]["changed"], "the other way round")
        none = i.json("diff", "beat@1", "beat@1", code=0)
        equal((none["mappings"], none["pages"]["changed"]), ([], 0))
        contains(i.ctl("diff", "beat@1", "beat@2").stdout, "beat@1 -> beat@2", "%x" % start)


def test_diff_over_a_restore():
    """A restore gives pids, addresses and numbers back: nothing but the touched pages differs much."""
    needs_root()
    with Instance() as i:
        page, _ = running(i, recovery="MinUptime=0")
        i.checkpoint("beat")
        i.crash("beat")
        page.next_beat()
        i.checkpoint("beat")
        d = i.json("diff", "beat@1", "beat@2", code=0)
        assert d["pages"]["changed"] < 100, d["pages"]
        assert d["pages"]["same"] >= 2000, d["pages"]
        equal(d["processes"], {"started": [], "ended": [], "changed": []})
        equal((d["files"]["opened"], d["files"]["closed"]), ([], []))


def test_encrypted():
    """Nothing of the process can be read in the store; to its owner everything is as ever."""
    needs_root()
    with Instance() as i:
        _, pid = running(i, checkpoint="Interval=0\nEncrypt=yes")
        start = big_mapping(pid, 8 * MB)
        i.checkpoint("beat")
        touch(pid, range(100, 1700, 2), start)
        i.checkpoint("beat")
        (p,) = i.json("show", "beat@2", code=0)["description"]["processes"]
        equal((p["pid"], p["comm"]), (pid, "heartbeat"))
        rows = {m["start"]: m for m in i.json("diff", "beat@1", "beat@2", code=0)["mappings"]}
        assert 800 <= rows["%x" % start]["changed"] < 810, rows
        i.ctl("verify", "--all")
        folder = i.folder("beat@1")
        for name in os.listdir(folder):
            if ".img" in name:
                with open(f"{folder}/{name}", "rb") as f:
                    assert b"heartbeat" not in f.read(), name


def test_verify():
    needs_root()
    with Instance() as i:
        page, _ = running(i)
        i.checkpoint("beat")
        i.checkpoint("beat")
        for words in (("beat@1",), ("beat",), ("--all",), ()):
            answer = i.json("verify", *words, code=0)
            assert answer["checkpoints"] and all(c["ok"] for c in answer["checkpoints"]), answer
        equal({c["id"] for c in i.json("verify", "beat")["checkpoints"]}, {"beat@1", "beat@2"})
        equal([c["id"] for c in i.json("verify", "beat@2")["checkpoints"]], ["beat@2"])
        whole = [c for c in i.checkpoints("beat") if not c["parent"]]
        flip(own_pages(i, whole[0]["id"])[0])
        done = i.ctl("verify", whole[0]["id"], code=1)
        contains(done.stdout, whole[0]["id"], "BAD", "pages-")
        states = {c["id"]: c["state"] for c in i.checkpoints("beat")}
        equal(states[whole[0]["id"]], "corrupt")
        verdicts = {c["id"]: c["ok"] for c in i.json("verify", "--all", code=1)["checkpoints"]}
        equal(verdicts[whole[0]["id"]], False)
        for c in i.checkpoints("beat"):
            if c["parent"] == whole[0]["id"]:
                equal((c["state"], verdicts[c["id"]]), ("corrupt", False), "what depends on it")
        contains(i.ctl("restore", whole[0]["id"], code=1).stderr, whole[0]["id"])
        equal(i.json("show", whole[0]["id"], code=0)["description"], None)
        page.wait_beat()


def test_pin():
    needs_root()
    with Instance() as i:
        running(i, checkpoint="Interval=0\nKeep=1")
        i.checkpoint("beat")
        contains(i.ctl("pin", "beat@1").stdout, "beat@1")
        for _ in range(3):
            i.checkpoint("beat")
        found = {c["id"]: c["pinned"] for c in i.checkpoints("beat")}
        equal(found.get("beat@1"), True, found)
        equal(found.get("beat@4"), False, found)
        contains(i.ctl("list", "beat").stdout, "pinned")
        equal(i.json("unpin", "beat@1", code=0), {"version": 1, "verb": "unpin", "id": "beat@1"})
        equal({c["pinned"] for c in i.checkpoints("beat")}, {False})


def test_prune():
    needs_root()
    with Instance() as i:
        running(i, checkpoint="Interval=0\nKeep=1\nMaxChain=0\nCompress=none")
        i.checkpoint("beat")
        i.ctl("pin", "beat@1")
        i.checkpoint("beat")
        equal({c["id"] for c in i.checkpoints("beat")}, {"beat@1", "beat@2"})
        i.ctl("unpin", "beat@1")
        before = i.checkpoints("beat")
        dry = i.json("prune", "beat", "--dry-run", code=0)
        equal([r["id"] for r in dry["removed"]], ["beat@1"])
        assert dry["bytes"] > 8 * MB and dry["removed"][0]["why"], dry
        contains(i.ctl("prune", "--dry-run").stdout, "beat@1", "would free")
        equal(i.checkpoints("beat"), before, "nothing was removed")
        done = i.json("prune", "beat", code=0)
        equal(done["removed"], dry["removed"])
        equal([c["id"] for c in i.checkpoints("beat")], ["beat@2"])
        contains(i.ctl("prune", "beat").stdout, "nothing to remove")


def test_drill():
    needs_root()
    with Instance() as i:
        page, pid = running(i)
        i.checkpoint("beat")
        answer = i.json("drill", "beat@1")
        equal((answer["proven"], answer["id"]), (True, "beat@1"), str(answer))
        equal(i.checkpoints("beat")[0]["proven"], True)
        contains(i.ctl("list", "beat").stdout, "proven")
        contains(i.ctl("drill", "beat@1").stdout, "beat@1 proven")
        page.wait_beat()
        equal((i.service("beat")["pid"], page.breaks), (pid, 0), "the service did not notice")


def test_key_rotate():
    needs_root()
    with Instance() as i:
        running(i, recovery="MinUptime=0")
        i.checkpoint("beat")
        key = i.ctl("key", "rotate").stdout.strip()
        assert re.fullmatch("[0-9a-f]{8}", key), key
        other = i.json("key", "rotate", code=0)
        equal((other["verb"], len(other["key"])), ("key", 8))
        assert other["key"] != key
        i.checkpoint("beat")
        i.ctl("verify", "--all", code=0)
        equal(i.crash("beat")["recovered_from"], "beat@2")
        i.ctl("restore", "beat@1")


def test_keys_that_cannot_be_read():
    """A service that dies then starts cold, and is told why; put right, all is as before."""
    needs_root()
    with Instance() as i:
        running(i, recovery="MinUptime=0")
        i.checkpoint("beat")
        keys = i.state + "/store.keys"
        os.chmod(keys, 0o644)
        i.kill_daemon("ckptd")
        status = i.crash("beat")
        equal(status["recovered_from"], "cold")
        contains(i.log_tail(100), "store.keys", "others than root may read it")
        os.chmod(keys, 0o600)
        i.kill_daemon("ckptd")
        wait_until(lambda: i.checkpoints("beat"), "the store is open again")
        equal(i.crash("beat")["recovered_from"], "beat@1")


def test_wrong_use():
    with Instance() as i:
        i.heartbeat()
        i.start()
        i.up("beat")
        for verb in ("show", "drill", "pin", "unpin", "verify"):
            contains(i.ctl(verb, "beat@77", code=1).stderr, "beat@77", "perdure list")
        contains(i.ctl("diff", "beat@7", "beat@8", code=1).stderr, "beat@7")
        for words in (("show", "beat"), ("drill", "beat"), ("pin", "@3"), ("diff", "beat@1"),
                      ("diff", "beat@1", "x"), ("verify", "../x"), ("verify", "beat", "--all"),
                      ("key", "turn"), ("key",), ("prune", "a/b"), ("pin", "beat@1", "beat@2"),
                      ("list", "--dry-run"), ("prune", "--all")):
            done = i.ctl(*words, code=2)
            assert done.stderr.strip() and not done.stdout, words
            error = i.json(*words, code=2)["error"]
            assert error["message"], words
        for verb in ("list", "show", "diff", "verify", "drill", "pin", "unpin", "prune", "key"):
            contains(i.ctl(verb, "--help").stdout, f"usage: perdure {verb}")


def on_terminal(instance, *words):
    """What a verb writes to a terminal on standard error, and its exit status."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([program("perdure"), *words], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=theirs,
                               env=instance.environment())
    os.close(theirs)
    text = b""
    while True:
        if not select.select([ours], [], [], 60)[0]:
            raise AssertionError(f"{words} hangs: {text!r}")
        try:
            more = os.read(ours, 4096)
        except OSError:  # EIO: the last writer is gone
            break
        text += more
    os.close(ours)
    process.stdout.close()
    return process.wait(60), text.decode(errors="replace")


def test_progress_on_a_terminal():
    needs_root()
    with Instance() as i:
        running(i)
        i.checkpoint("beat")
        code, text = on_terminal(i, "verify", "beat@1")
        equal(code, 0)
        contains(text, "verifying beat@1 [", "100%")
        assert text.rstrip("\n").endswith("\r\x1b[K"), f"the line is left empty: {text!r}"
        code, text = on_terminal(i, "verify", "beat@1", "--json")
        equal(code, 0)
        done = i.ctl("verify", "beat@1")
        equal(done.stderr, "", "no bar without a terminal")
        assert json.loads(i.ctl("verify", "beat@1", "--json").stdout)
        equal(procs.is_alive(i.service("beat")["pid"]), True)
