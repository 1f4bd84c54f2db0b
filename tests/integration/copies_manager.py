#!/usr/bin/python3 -B
"""A manager for test_placement.py: it wants one duty as the file `want` of its options says ("2
copies", "per_node"), and says that it runs what it is granted; it starts nothing."""

import os
import sys
import time

import msgpack
import zmq

HELLO, HEARTBEAT, DUTY_WANTED, DUTY_STATE, RELEASED, ROLE_ACK = 1, 2, 5, 6, 7, 8
CONFIGURE, ROLE, GRANT, REVOKE, STOP = 32, 33, 34, 35, 41
RUNNING = 1
NAME = "copier"
EVERY_MS = 200


def boot_ms():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000000


class Manager:
    def __init__(self):
        self.socket = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.setsockopt(zmq.IDENTITY, os.environ["UNDERSTUDY_MANAGER_IDENTITY"].encode())
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.connect(os.environ["UNDERSTUDY_MANAGER_ENDPOINT"])
        self.want = None
        self.term = self.deadline_ms = 0

    def send(self, kind, *fields):
        self.socket.send(msgpack.packb([1, kind, *fields], use_bin_type=True))

    def wish(self):
        try:
            with open(self.want, encoding="utf-8") as file:
                words = file.read().split()
        except FileNotFoundError:
            return
        per_node = words == ["per_node"]
        copies = 0 if per_node else int(words[0])
        self.send(DUTY_WANTED, NAME + "/thing", True, True, self.term, "a test wants it", [], [],
                  0, "", [], copies, per_node)

    def take(self, message):
        kind, fields = message[1], message[2:]
        if kind == CONFIGURE:
            self.want = msgpack.unpackb(fields[9], raw=False)["options"]["want"]
        elif kind == ROLE:
            active, term, deadline_ms = fields[:3]
            if not active and self.deadline_ms != 0:
                self.send(ROLE_ACK, self.term)
            self.term = term
            self.deadline_ms = deadline_ms if active else 0
        elif kind == GRANT:
            self.send(DUTY_STATE, fields[0], fields[1], RUNNING, "")
        elif kind == REVOKE:
            self.send(RELEASED, fields[0], fields[1])
        elif kind == STOP:
            sys.exit(0)

    def run(self):
        self.send(HELLO, NAME, "1", os.getpid(), 1, [])
        beat_at = wish_at = 0
        while os.getppid() == int(os.environ["UNDERSTUDY_MANAGER_PARENT"]):
            now = boot_ms()
            if now >= beat_at and self.want is not None:
                beat_at = now + 1000
                self.send(HEARTBEAT, 100.0, 100.0, False, "ready", [])
            if now >= wish_at and now < self.deadline_ms:
                wish_at = now + EVERY_MS
                self.wish()
            if self.socket.poll(20):
                self.take(msgpack.unpackb(self.socket.recv(), raw=False))


if __name__ == "__main__":
    Manager().run()
