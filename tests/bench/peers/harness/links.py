"""Connections that stay: one question and its answer at a time, as cheap as Python can."""

import contextlib
import socket

TIMEOUT_S = 5


class Link:
    """A TCP connection that is made when it is needed, and again after an error."""

    def __init__(self, address, port, inside=contextlib.nullcontext):
        """inside: a host's entered(), for a connection that its cut cable does not end."""
        self.where = (address, port)
        self.inside = inside
        self.socket = None
        self.rest = b""

    def exchange(self, question):
        """Send, and let the subclass read one answer; any OSError closes the connection."""
        try:
            if self.socket is None:
                self.rest = b""
                with self.inside():
                    self.socket = socket.create_connection(self.where, timeout=TIMEOUT_S)
                self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.greet()
            self.socket.sendall(question)
            return self.answer()
        except OSError:
            self.close()
            raise

    def greet(self):
        """What has to be said first."""

    def answer(self):
        raise NotImplementedError

    def more(self):
        chunk = self.socket.recv(65536)
        if not chunk:
            raise ConnectionError("the other side closed")
        self.rest += chunk

    def line(self):
        while b"\r\n" not in self.rest:
            self.more()
        line, self.rest = self.rest.split(b"\r\n", 1)
        return line

    def exactly(self, count):
        while len(self.rest) < count:
            self.more()
        data, self.rest = self.rest[:count], self.rest[count:]
        return data

    def close(self):
        if self.socket is not None:
            self.socket.close()
        self.socket = None


def post(path, body):
    """An HTTP/1.1 request on a connection that stays open."""
    return (f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode() + body


class Http(Link):
    """Answers bodies; what is no 200 is an OSError with the body's text."""

    def post(self, path, body=b"{}"):
        return self.exchange(post(path, body))

    def answer(self):
        code = int(self.line().split()[1])
        length, chunked = 0, False
        while header := self.line():
            name, _, value = header.decode("latin1").partition(":")
            if name.lower() == "content-length":
                length = int(value)
            chunked = chunked or (name.lower() == "transfer-encoding" and "chunked" in value)
        body = self.chunks() if chunked else self.exactly(length)
        if code != 200:
            raise OSError(body.decode(errors="replace"))
        return body

    def chunks(self):
        body = b""
        while size := int(self.line(), 16):
            body += self.exactly(size)
            self.line()
        self.line()
        return body


class RedisError(OSError):
    """An answer that begins with a minus."""


class Redis(Link):
    """RESP2: commands are lists of words; answers bytes, numbers, lists, None."""

    def __call__(self, *words):
        parts = [b"*%d\r\n" % len(words)]
        for word in words:
            word = str(word).encode()
            parts.append(b"$%d\r\n%s\r\n" % (len(word), word))
        answer = self.exchange(b"".join(parts))
        if isinstance(answer, RedisError):
            raise answer
        return answer

    def answer(self):
        line = self.line()
        kind, text = line[:1], line[1:]
        if kind == b"-":
            return RedisError(text.decode())
        if kind == b":":
            return int(text)
        if kind == b"$":
            if int(text) < 0:
                return None
            return self.exactly(int(text) + 2)[:-2]
        if kind == b"*":
            return None if int(text) < 0 else [self.answer() for _ in range(int(text))]
        return text
