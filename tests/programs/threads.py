"""A threaded Python program: nine threads count, one serves the counts over TCP. usage: threads.py PORT"""
import socket
import sys
import threading
import time

counts = [0] * 9


def count(index):
    while True:
        counts[index] += 1
        time.sleep(0.005)


for n in range(len(counts)):
    threading.Thread(target=count, args=(n,), daemon=True).start()
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    connection, _ = server.accept()
    with connection:
        connection.sendall(" ".join(map(str, counts)).encode() + b"\n")
