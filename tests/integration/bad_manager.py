#!/usr/bin/python3 -B
"""A manager that behaves as its options say, badly: for test_plugin.py.

crash     ends at its configuration
hang      says nothing any more after its configuration
flood     sends events as fast as it can
garbage   sends bytes that are no messages, and messages with nonsense in them
version   says hello in another version of the protocol
newer     says everything in another version of the wire
forge     tells things that are not its to tell: wishes of others, under terms of its making
"""
import os
import sys
import time

import msgpack
import zmq

HELLO, HEARTBEAT, OBSERVATION, EVENT, DUTY_WANTED, DUTY_STATE, RELEASED, ROLE_ACK = range(1, 9)
CONFIGURE = 32


def connect():
    socket = zmq.Context.instance().socket(zmq.DEALER)
    socket.setsockopt(zmq.ROUTING_ID, os.environ["UNDERSTUDY_MANAGER_IDENTITY"].encode())
    socket.setsockopt(zmq.LINGER, 0)
    socket.connect(os.environ["UNDERSTUDY_MANAGER_ENDPOINT"])
    return socket


def garbage():
    """One after the other, for ever."""
    whole = msgpack.packb([1, EVENT, "x", 1, "y", None])
    messages = [b"", b"\xc1", b"\x00" * 100, os.urandom(1000), whole[:-1], whole + whole,
                msgpack.packb([1]), msgpack.packb({"v": 1}), msgpack.packb([1, 999, "?"]),
                msgpack.packb([1, HELLO, "n", "v", -1, 1, []]),
                msgpack.packb([1, HEARTBEAT, float("nan"), 100.0, False, "", []]),
                msgpack.packb([1, HEARTBEAT, 1e300, -5, 7, None, {}]),
                msgpack.packb([1, OBSERVATION, b"\xc1" * 60000]),
                msgpack.packb([1, OBSERVATION, b"\x90" * 70000]),
                msgpack.packb([1, EVENT, "a/b\n", 1, "y" * 100000, None]),
                msgpack.packb([1, DUTY_WANTED, "x" * 5000, True, True, 1, "", [], []]),
                msgpack.packb([1, DUTY_STATE, "a/b", 2 ** 63, 99, ""]),
                b"\x91" * 5000 + b"\x01"]
    while True:
        yield from messages


def beat(socket):
    socket.send(msgpack.packb([1, HEARTBEAT, None, 100.0, False, "bad", []]))


def send_some(socket, mode, messages):
    if mode == "flood":
        for _ in range(2000):
            socket.send(msgpack.packb([1, EVENT, "flood", 1, "one more", None]))
        return
    if mode == "garbage":
        for _ in range(20):
            socket.send(next(messages))
    elif mode == "forge":
        for term in (0, 1, 2, 3, 2 ** 40):
            for duty in ("watched/standin", f"{os.environ['UNDERSTUDY_MANAGER_NAME']}/x", "/", "x"):
                socket.send(msgpack.packb([1, DUTY_WANTED, duty, True, True, term, "mine", [], []]))
            socket.send(msgpack.packb([1, ROLE_ACK, term]))
        for assignment in range(1, 100):  # numbers of log entries: it hits the real one
            socket.send(msgpack.packb([1, RELEASED, "watched/standin", assignment]))
            socket.send(msgpack.packb([1, DUTY_STATE, "watched/standin", assignment, 3, "forged"]))
    beat(socket)
    time.sleep(0.05)


def main():
    name = os.environ["UNDERSTUDY_MANAGER_NAME"]
    parent = int(os.environ["UNDERSTUDY_MANAGER_PARENT"])
    mode = name.removeprefix("bad-")
    socket = connect()
    wire = 2 if mode == "newer" else 1
    protocol = 2 if mode == "version" else 1
    socket.send(msgpack.packb([wire, HELLO, name, "0.bad", os.getpid(), protocol, ["trouble"]]))
    messages = garbage()
    configured = False
    while os.getppid() == parent:
        if socket.poll(0 if configured and mode == "flood" else 20):
            kind = msgpack.unpackb(socket.recv())[1]
            configured = configured or kind == CONFIGURE
            if kind == CONFIGURE and mode == "crash":
                sys.exit(3)
            while kind == CONFIGURE and mode == "hang":
                time.sleep(60)
        elif configured:
            send_some(socket, mode, messages)


if __name__ == "__main__":
    main()
