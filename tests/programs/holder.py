#!/usr/bin/python3
"""holder.py - holds one kind of thing open and counts in a file; a drill must leave both alone.

usage: holder.py FOLDER KIND [ARGUMENT]
"""
import fcntl
import mmap
import os
import socket
import sys
import time

folder, kind, argument = sys.argv[1], sys.argv[2], sys.argv[3:]
held = []


def listen(address):
    server = socket.socket(socket.AF_UNIX)
    server.bind(address)
    server.listen()
    held.append(server)


def files(_):
    for name, mode in (("data", "w+b"), ("log", "ab"), ("gone", "w+b")):
        f = open(f"{folder}/{name}", mode)
        f.write(b"x" * 100000)
        f.flush()
        held.append(f)
    fcntl.flock(held[0], fcntl.LOCK_EX)
    fcntl.lockf(held[1], fcntl.LOCK_EX)
    os.unlink(folder + "/gone")
    held.append(open("/etc/passwd"))


def unix(where):
    """A pid file and a socket there, a socket in /tmp, an abstract one; it also works there."""
    os.makedirs(where)
    os.chmod(where, 0o711)
    held.append(open(where + "/pid", "w"))
    held[0].write(str(os.getpid()))
    held[0].flush()
    fcntl.lockf(held[0], fcntl.LOCK_EX)
    listen(where + "/socket")
    listen("/tmp/" + os.path.basename(where) + ".socket")
    listen("\0" + os.path.basename(where))
    os.chdir(where)


def datagrams(to):
    for address in (to, "\0" + to):
        held.append(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        held[-1].connect(address)


def shared_memory(name):
    f = open("/dev/shm/" + name, "w+b")
    f.truncate(1 << 20)
    memory = os.memfd_create("holder")
    os.ftruncate(memory, 1 << 20)
    for fd in (f.fileno(), memory, -1):
        held.append(mmap.mmap(fd, 1 << 20))
        held[-1][:4] = b"held"
    held.append(f)


def fifos(name):
    for path in (folder + "/fifo", "/run/" + name):
        os.mkfifo(path)
        held.append(os.open(path, os.O_RDWR))
        os.write(held[-1], b"inside")


def tcp(port):
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        server = socket.socket(family)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((address, int(port)))
        server.listen()
        held.append(server)
    held.append(socket.create_connection(("127.0.0.1", int(port))))
    held.append(held[0].accept())


def reading(path):
    held.append(os.open(path, os.O_RDONLY))


def writing(path):
    held.append(os.open(path, os.O_RDWR))


def locking(path):
    reading(path)
    fcntl.flock(held[0], fcntl.LOCK_SH)


{"files": files, "unix": unix, "datagrams": datagrams, "shm": shared_memory, "fifos": fifos,
 "tcp": tcp, "reading": reading, "writing": writing, "locking": locking}[kind](*argument or [None])
with open(folder + "/counter", "wb", buffering=0) as counter:
    count = 0
    while True:
        count += 1
        os.pwrite(counter.fileno(), b"%020d" % count, 0)
        time.sleep(0.002)
