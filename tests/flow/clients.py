"""The smallest clients that can ask redis, memcached, nginx and our own programs for their state."""
import socket


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


class Redis:
    """RESP over one TCP connection."""

    def __init__(self, port, timeout=5.0):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        self.file = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.file.close()
        self.socket.close()

    @staticmethod
    def encode(words):
        parts = [str(w).encode() if not isinstance(w, bytes) else w for w in words]
        return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts)

    def send(self, *words):
        self.socket.sendall(self.encode(words))

    def reply(self):
        line = self.file.readline()
        if not line:
            raise ConnectionResetError("redis closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise RuntimeError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            if int(rest) < 0:
                return None
            return self.file.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return [self.reply() for _ in range(int(rest))]
        return rest

    def __call__(self, *words):
        self.send(*words)
        return self.reply()

    def fill(self, megabytes):
        """About that much data in values of 16 KB that do not compress into each other."""
        count = megabytes * 64
        block = bytes(range(256)) * 64
        for start in range(0, count, 64):
            numbers = range(start, min(start + 64, count))
            self.socket.sendall(b"".join(
                self.encode(("SET", f"data:{n}", b"%08d" % n + block[8:])) for n in numbers))
            for _ in numbers:
                self.reply()
        return count


class Memcached:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), 5)
        self.file = self.socket.makefile("rb")

    def close(self):
        self.file.close()
        self.socket.close()

    def set(self, key, value):
        self.socket.sendall(f"set {key} 0 0 {len(value)}\r\n{value}\r\n".encode())
        return self.file.readline() == b"STORED\r\n"

    def get(self, key):
        self.socket.sendall(f"get {key}\r\n".encode())
        value = None
        while True:
            line = self.file.readline()
            if line in (b"END\r\n", b""):
                return value
            if line.startswith(b"VALUE"):
                value = self.file.readline()[:-2].decode()


def ask_open(port):
    """Raises OSError while nothing listens."""
    socket.create_connection(("127.0.0.1", port), 1).close()


def ask(port, request=b"", timeout=5.0):
    """Sends `request`, returns everything until the end of the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout) as s:
        s.sendall(request)
        data = b""
        while chunk := s.recv(65536):
            data += chunk
        return data.decode()


def http(port, path="/"):
    answer = ask(port, f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
    return answer.split("\r\n\r\n", 1)[1]
