#!/usr/bin/env python3
"""The demo's worker: appends a line to a shared file ten times a second.

    worker.py FILE NODE ROLE NAME

Each line is "BOOTTIME_NS NODE TERM PID ROLE NAME". TERM is the fencing token that Understudy's
guard gives (UNDERSTUDY_TERM), "-" for a primary that runs without a guard. One write per line, so
lines of several writers do not mix. The file is bounded: past 64 MB it is moved to FILE.1.
"""
import fcntl
import os
import sys
import time

BYTES_MAX = 64 << 20
PERIOD_S = 0.1


def open_log(path):
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    too_big = os.fstat(descriptor).st_size > BYTES_MAX
    if too_big and os.path.samestat(os.fstat(descriptor), os.stat(path)):
        os.replace(path, path + ".1")
        os.close(descriptor)
        return open_log(path)
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return descriptor


def main():
    path, node, role, name = sys.argv[1:5]
    term = os.environ.get("UNDERSTUDY_TERM", "-")
    while True:
        descriptor = open_log(path)
        for _ in range(600):
            now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
            os.write(descriptor, f"{now} {node} {term} {os.getpid()} {role} {name}\n".encode())
            time.sleep(PERIOD_S)
        os.close(descriptor)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(0)
