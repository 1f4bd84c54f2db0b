"""Events of every node as they arrive over HTTP (server-sent events), with the time of arrival."""

import json
import socket
import threading
import time


def boottime_ms():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) / 1e6


class Missed(Exception):
    """What a trial waited for did not come; the text says what."""


class Events:
    """One connection to each node, opened again when it breaks; see network.py for where from."""

    def __init__(self, nodes):
        self.rows = []  # (arrived ms, node, kind, term, event)
        self.news = threading.Condition()
        self.connections = {}
        self.ending = False
        self.threads = [threading.Thread(target=self.follow, args=(node,), daemon=True)
                        for node in nodes]
        for thread in self.threads:
            thread.start()

    def follow(self, node):
        with node.inside():
            while not self.ending:
                try:
                    self.read(node)
                except OSError:
                    pass
                self.connections.pop(node.name, None)
                time.sleep(0.01)  # the node is down: its port is tried again

    def read(self, node):
        with socket.create_connection(("127.0.0.1", node.http_port), timeout=5) as link:
            link.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            link.settimeout(None)
            rest = b""
            while chunk := link.recv(65536):
                arrived = boottime_ms()
                self.connections[node.name] = link
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    if line.startswith(b"data:"):
                        self.add(arrived, node.name, line[5:])

    def add(self, arrived, name, text):
        try:
            event = json.loads(text)["data"]
        except (ValueError, KeyError):
            return
        with self.news:
            self.rows.append((arrived, name, event["kind"], event["term"], event))
            del self.rows[:-5000]
            self.news.notify_all()

    def connected(self, names):
        return all(name in self.connections for name in names)

    def find(self, since, matches, fields):
        for row in self.rows:
            if row[0] >= since and matches(*row[1:4]) and fields.items() <= row[4].items():
                return row
        return None

    def wait(self, since, what, matches, patience_s=60):
        """Arrival of the first event after `since` for which matches(node, kind, term)."""
        return self.wait_row(since, what, matches, patience_s)[0]

    def wait_row(self, since, what, matches, patience_s=60, fields=None):
        """The same, as a row; the event has `fields` too."""
        with self.news:
            row = None

            def found():
                nonlocal row
                row = self.find(since, matches, fields or {})
                return row is not None

            if not self.news.wait_for(found, patience_s):
                raise Missed(f"no {what} in {patience_s} s")
            return row

    def close(self):
        self.ending = True
        for link in list(self.connections.values()):
            try:
                link.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


