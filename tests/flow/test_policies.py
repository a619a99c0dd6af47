"""Every shipped policy is accepted without a word, started, checkpointed, crashed and recovered."""
import glob
import os
import re
import socket

import clients
from harness import Instance, equal, need, needs_root, procs
from programs import ROOT

CAP_SYS_RESOURCE = 24


def with_free_ports(text):
    """The sample on ports that nobody uses here."""
    for port in set(re.findall(r"(?:--port|-p) (\d{4,5})\b", text)):
        text = re.sub(rf"(--port|-p) {port}\b", rf"\1 {clients.free_port()}", text)
    return text


def needs_of_nginx(text):
    """It listens where the machine's own configuration says, on 80 usually, and is root and www-data."""
    if "nginx" in text:
        need(procs.has_capability(CAP_SYS_RESOURCE),
             "root lacks CAP_SYS_RESOURCE here: CRIU cannot dump a tree of several users")
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("0.0.0.0", 80))
            except OSError:
                need(False, "port 80 is taken")


def try_sample(path):
    needs_root()
    with open(path) as f:
        text = f.read()
    program = re.search(r"^ExecStart=(\S+)", text, re.M)[1]
    need(os.access(program, os.X_OK), f"{program} is not installed")
    needs_of_nginx(text)
    name = os.path.basename(path)[:-4]
    with Instance() as i:
        i.raw_policy(name, with_free_ports(text))
        if name.endswith("@"):
            os.symlink(name + ".ini", f"{i.config}/policies/{name}west.ini")
            name += "west"
        done = i.ctl("check", f"{i.config}/policies/{os.path.basename(path)}")
        equal(done.stderr, "", "what check says")
        i.start()
        pid = i.up(name)["pid"]
        identity = i.checkpoint(name)
        status = i.crash(name)
        equal((status["pid"], status["recovered_from"]), (pid, identity))


def add_tests():
    for path in sorted(glob.glob(ROOT + "/policies/*.ini")):
        def test(path=path):
            try_sample(path)
        name = re.sub(r"\W", "_", os.path.basename(path)[:-4])
        globals()["test_" + name] = test


add_tests()
