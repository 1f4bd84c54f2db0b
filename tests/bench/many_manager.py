#!/usr/bin/python3 -B
"""A manager for schedules.py: it wants as many schedules as the file `count` of its options says,
and answers each run that it is granted as one that went well at once; nothing is started.

The list is said again and again: 20 messages every 100 ms, the whole at most every 10 s."""

import os
import sys
import time

import msgpack
import zmq

import mix

HELLO, HEARTBEAT, RELEASED, ROLE_ACK, SCHEDULE_WANTED, RUN_ENDED = 1, 2, 7, 8, 10, 11
CONFIGURE, ROLE, GRANT, REVOKE, STOP, RUN = 32, 33, 34, 35, 41, 43
RAN, BY_EXIT = 1, 15
TICK_MS, PER_TICK, ROUND_MS = 100, 20, 10000
BEAT_MS, REPEAT_MS = 1000, 1000


def boot_ms():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000000


class Manager:
    def __init__(self):
        self.name = os.environ["UNDERSTUDY_MANAGER_NAME"]
        self.socket = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.setsockopt(zmq.IDENTITY, os.environ["UNDERSTUDY_MANAGER_IDENTITY"].encode())
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.SNDHWM, 100000)
        self.socket.connect(os.environ["UNDERSTUDY_MANAGER_ENDPOINT"])
        self.count_file = None
        self.term = self.deadline_ms = 0
        self.count = 0
        self.list = []  # of it, what stands behind version and kind in each message
        self.next = self.round_ms = 0
        self.ended = {}  # (duty, assignment) -> (when it was told, message)

    def send(self, kind, *fields):
        self.socket.send(msgpack.packb([1, kind, *fields], use_bin_type=True))

    # -- the list --

    def begin(self):
        """The edition is the count: the same count is the same list."""
        self.next = self.round_ms = 0
        rows = [mix.schedule(i) for i in range(self.count)]
        self.list = [msgpack.packb([1, SCHEDULE_WANTED, f"{self.name}/{name}", self.term,
                                    self.count + 1, i, self.count, definition, [], []])
                     for i, (name, definition) in enumerate(rows)]
        if not rows:
            self.list = [msgpack.packb([1, SCHEDULE_WANTED, "", self.term, 1, 0, 0,
                                        mix.schedule(0)[1], [], []])]

    def read_count(self):
        with open(self.count_file, encoding="ascii") as file:
            count = int(file.read() or 0)
        if count != self.count:
            self.count = count
            self.begin()

    def say_some(self, now_ms):
        if self.next >= len(self.list) and now_ms - self.round_ms >= ROUND_MS:
            self.next = 0
        if self.next == 0:
            self.round_ms = now_ms
        for message in self.list[self.next:self.next + PER_TICK]:
            self.socket.send(message)
        self.next += PER_TICK

    # -- runs --

    def run(self, duty, assignment):
        if (duty, assignment) not in self.ended:
            now_ms = int(time.time() * 1000)
            self.ended[duty, assignment] = [0, [duty, assignment, RAN, BY_EXIT, 0, now_ms, now_ms]]
            self.tell(boot_ms())

    def tell(self, now_ms):
        for row in self.ended.values():
            if now_ms - row[0] >= REPEAT_MS:
                row[0] = now_ms
                self.send(RUN_ENDED, *row[1])

    # -- the node --

    def role(self, active, term, deadline_ms):
        if not active and self.deadline_ms != 0:
            self.send(ROLE_ACK, self.term)
        changed = term != self.term
        self.term = term
        self.deadline_ms = deadline_ms if active else 0
        if changed:
            self.begin()

    def take(self, kind, fields):
        if kind == CONFIGURE:
            self.count_file = msgpack.unpackb(fields[9], raw=False)["options"]["count"]
        elif kind == ROLE:
            self.role(*fields[:3])
        elif kind == GRANT:
            self.run(fields[0], fields[1])
        elif kind == RUN:
            if self.ended.pop((fields[0], fields[1]), None) is not None:
                self.send(RELEASED, fields[0], fields[1])
        elif kind == REVOKE:
            self.ended.pop((fields[0], fields[1]), None)
            self.send(RELEASED, fields[0], fields[1])
        elif kind == STOP:
            sys.exit(0)

    def work(self):
        self.send(HELLO, self.name, "1", os.getpid(), 1, [])
        beat_ms = tick_ms = 0
        while os.getppid() == int(os.environ["UNDERSTUDY_MANAGER_PARENT"]):
            now_ms = boot_ms()
            if now_ms >= beat_ms and self.count_file is not None:
                beat_ms = now_ms + BEAT_MS
                self.send(HEARTBEAT, 100.0, 100.0, False, "ready", [])
                self.read_count()
                self.tell(now_ms)
            if now_ms >= tick_ms and now_ms < self.deadline_ms:
                tick_ms = now_ms + TICK_MS
                self.say_some(now_ms)
            if self.socket.poll(TICK_MS if self.deadline_ms == 0 else TICK_MS // 2):
                message = msgpack.unpackb(self.socket.recv(), raw=False, strict_map_key=False)
                self.take(message[1], message[2:])


if __name__ == "__main__":
    Manager().work()
