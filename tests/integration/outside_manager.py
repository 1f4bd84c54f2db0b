#!/usr/bin/python3 -B
"""A manager for test_intents.py, in another language than the runtime of managers/common: it writes
each key that the test asks for into a file, which is the world outside. It keeps to the protocol of
managers/common/protocol.h; at the step that the file `arm` names it stops for good, once, so that
the test can kill what it wants to kill just there.

Files in the folder `world` of its options: keys (one a line: what is wanted), asked (the same, when it
wants it), effects (KEY NODE TERM PID BOOT_MS, one line an effect), closed (KEY STATE VERDICT NODE),
arm, reached. It does not heed `pause`: the node must hold it."""

import os
import signal
import sys
import time

import msgpack
import zmq

HELLO, HEARTBEAT, ROLE_ACK, WANTED, VERIFIED, PERFORMED = 1, 2, 8, 12, 13, 14
CONFIGURE, ROLE, STOP, INTENT = 32, 33, 41, 42
WAIT, PERFORM, VERIFY, CLOSED, LEFT_OPEN = range(5)
HAPPENED, DID_NOT, CANNOT_TELL = range(3)
SKIP, RETRY, PARK = range(3)
STATES = ("open", "done", "parked", "none")
VERDICTS = ("happened", "refused", "skipped", "dropped")
NAME = "outside"


def boot_ms():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000000


class Wish:
    def __init__(self, ticket):
        self.ticket = ticket
        self.begun = 0
        self.told = None  # verdict and outcome, told until it is closed


class Manager:
    def __init__(self):
        self.socket = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.setsockopt(zmq.IDENTITY, os.environ["UNDERSTUDY_MANAGER_IDENTITY"].encode())
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.connect(os.environ["UNDERSTUDY_MANAGER_ENDPOINT"])
        self.node = ""
        self.world = None
        self.term = 0
        self.deadline_ms = 0  # 0: standby
        self.last_ticket = 0
        self.wishes = {}
        self.closed = set()

    # -- the world --

    def path(self, name):
        return os.path.join(self.world, name)

    def lines(self, name):
        try:
            with open(self.path(name), encoding="utf-8") as file:
                return [line.split() for line in file]
        except FileNotFoundError:
            return []

    def append(self, name, *words):
        file = os.open(self.path(name), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(file, (" ".join(map(str, words)) + "\n").encode())
        os.close(file)

    def stop_if_armed(self, step, key):
        """The file can be moved once: so one process of all nodes stops."""
        if self.lines("arm") != [[step]]:
            return
        try:
            os.rename(self.path("arm"), self.path("reached"))
        except FileNotFoundError:
            return
        self.append("reached", key, self.node, os.getpid())
        while True:
            signal.pause()

    # -- messages --

    def send(self, kind, *fields):
        self.socket.send(msgpack.packb([1, kind, *fields], use_bin_type=True))

    def want(self, key):
        wish = self.wishes[key]
        policy = SKIP if "blind" in key else PARK if "ask" in key else RETRY
        self.send(WANTED, key, "the-file", policy, 3600000, self.term, wish.ticket)
        self.stop_if_armed("wanted", key)

    def tell(self, key):
        wish = self.wishes[key]
        verdict, outcome = wish.told
        self.send(PERFORMED, key, verdict, False, outcome, self.term, wish.begun)
        self.stop_if_armed("told", key)

    def new_wish(self, key):
        if key not in self.wishes:
            self.last_ticket += 1
            self.wishes[key] = Wish(self.last_ticket)
            self.append("asked", key)
            self.want(key)

    def may_act(self):
        return boot_ms() < self.deadline_ms

    def begin(self, wish):
        wish.begun = wish.ticket
        self.last_ticket += 1
        wish.ticket = self.last_ticket

    def perform(self, key):
        self.stop_if_armed("perform", key)
        if self.may_act():
            self.append("effects", key, self.node, self.term, os.getpid(), boot_ms())
            self.stop_if_armed("performed", key)
            self.wishes[key].told = (HAPPENED, "written")
            self.tell(key)

    def verify(self, key):
        self.stop_if_armed("verify", key)
        written = any(line[0] == key for line in self.lines("effects"))
        blind = "blind" in key or "ask" in key
        evidence = CANNOT_TELL if blind else HAPPENED if written else DID_NOT
        self.send(VERIFIED, key, evidence, "read the file", self.term, self.wishes[key].begun)
        self.stop_if_armed("verified", key)
        self.want(key)

    def take_intent(self, fields):
        key, step, term, deadline_ms, state, verdict, _, ticket = fields[:8]
        if self.deadline_ms == 0 or term != self.term:
            return
        if step == LEFT_OPEN:
            self.new_wish(key)
        wish = self.wishes.get(key)
        if wish is None:
            return
        if step == CLOSED:
            del self.wishes[key]
            self.closed.add(key)
            self.append("closed", key, STATES[state], VERDICTS[verdict], self.node)
        elif wish.told is None and ticket == wish.ticket:
            if step == VERIFY:
                self.begin(wish)
                self.verify(key)
            elif step == PERFORM and self.may_act() and boot_ms() < deadline_ms:
                self.begin(wish)
                self.perform(key)

    # -- role --

    def standby(self):
        self.deadline_ms = 0
        self.wishes.clear()
        self.closed.clear()
        self.send(ROLE_ACK, self.term)

    def take_role(self, active, term, deadline_ms):
        if not active or term != self.term and self.deadline_ms != 0:
            self.standby()
        if active and term >= self.term:
            self.term = term
            self.deadline_ms = deadline_ms

    def take(self, message):
        kind, fields = message[1], message[2:]
        if kind == CONFIGURE:
            self.node = fields[0]
            self.world = msgpack.unpackb(fields[9], raw=False)["options"]["world"]
        elif kind == ROLE:
            self.take_role(*fields[:3])
        elif kind == INTENT:
            self.take_intent(fields)
        elif kind == STOP:
            sys.exit(0)

    # -- life --

    def repeat(self):
        for line in self.lines("keys"):
            if line[0] not in self.closed:
                self.new_wish(line[0])
        for key in list(self.wishes):
            if self.wishes[key].told is None:
                self.want(key)
            else:
                self.tell(key)

    def run(self):
        self.send(HELLO, NAME, "1", os.getpid(), 1, [])
        beat_at = repeat_at = 0
        while True:
            now = boot_ms()
            if self.deadline_ms != 0 and now >= self.deadline_ms:
                self.standby()
            if self.world is not None and now >= beat_at:
                beat_at = now + 1000
                self.send(HEARTBEAT, 100.0, 100.0, False, "ready", [])
            if self.deadline_ms != 0 and now >= repeat_at:
                repeat_at = now + 100
                self.repeat()
            if self.socket.poll(10):
                self.take(msgpack.unpackb(self.socket.recv(), raw=False, strict_map_key=False))


Manager().run()
