#!/usr/bin/env python3
"""The worker of the fault tests: as deploy/demo/worker.py, but a line every 10 ms, the first one
when its process begins and the last one when it is told to end.

    worker.py FILE NODE ROLE NAME
"""
import os
import signal
import sys
import time

PERIOD_S = 0.01


def main():
    path, node, role, name = sys.argv[1:5]
    term = os.environ.get("UNDERSTUDY_TERM", "-")
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    rest = f" {node} {term} {os.getpid()} {role} {name}\n"

    def tell(*_):
        os.write(descriptor, f"{time.clock_gettime_ns(time.CLOCK_BOOTTIME)}{rest}".encode())

    def end(*_):
        tell()
        os._exit(0)

    tell()
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    while True:
        time.sleep(PERIOD_S)
        tell()


if __name__ == "__main__":
    main()
