#!/usr/bin/python3 -B
"""How often leadership changes in a minute of stalls of the leader's disk, or of a busy machine.

The stalls come from tests/fault/slow_disk.c, preloaded into the nodes: syncs of the leader's disk
that begin in the first 500 ms of every 3 s end with those 500 ms.
"""

import contextlib
import os
import subprocess
import sys
import threading
import time

import rows
from client import Client
from network import Lacking
from nodes import BUILD
from observer import Missed
from trials import Part, begin, columns, join_notes, repeat, with_cluster

GROUP = "disk stalls and load"
SHIM = f"{BUILD}/tests/fault/libslow_disk.so"
STALL_MS, PERIOD_MS = 500, 3000
COMMIT_S = 0.1
BUSY = 8  # processes that do nothing but that
MINUTES_MAX = 3
SPIN = """import sys, time
end = time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    pass
"""


def preload(node):
    node.environment = {"LD_PRELOAD": SHIM, "SLOW_DISK_CONTROL": f"{node.folder}/disk",
                        "SLOW_DISK_FOLDER": f"{node.folder}/data"}


def order(node, text):
    with open(f"{node.folder}/disk.new", "w", encoding="ascii") as file:
        file.write(text)
    os.rename(f"{node.folder}/disk.new", f"{node.folder}/disk")


@contextlib.contextmanager
def stalls(cluster, _):
    leader, term = cluster.settle()
    order(leader, f"stall {STALL_MS} {PERIOD_MS}\n")
    try:
        yield leader, term
    finally:
        order(leader, "")


@contextlib.contextmanager
def load(cluster, seconds):
    leader, term = cluster.settle()
    busy = [subprocess.Popen([sys.executable, "-c", SPIN, str(seconds + 5)],
                             stdin=subprocess.DEVNULL) for _ in range(BUSY)]
    try:
        yield leader, term
    finally:
        for process in busy:
            process.kill()
            process.wait()


class Writer:
    """Has an entry committed every COMMIT_S, so that a disk that stalls is felt."""

    def __init__(self, node):
        self.client = Client(BUILD, f"ipc://{node.folder}/control.sock")
        self.name = node.name
        self.longest_s = 0.0
        self.committed = 0
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        self.thread.join()
        self.client.close()

    def run(self):
        while not self.ending.wait(COMMIT_S):
            began = time.monotonic()
            code, _ = self.client.call("undrain", node=self.name, timeout_ms=5000)
            self.committed += code == 0
            self.longest_s = max(self.longest_s, time.monotonic() - began)


def changes(cluster, trouble, seconds):
    """Leaders that were elected and committed while there was trouble."""
    with trouble(cluster, seconds) as (leader, term), Writer(cluster.others(leader)[0]) as writer:
        known = len(cluster.events.rows)
        time.sleep(seconds)
        terms = {row[3] for row in cluster.events.rows[known:] if row[2] == "leader.ready"}
    if writer.committed == 0:
        raise Missed("nothing was committed")
    if trouble is stalls and writer.longest_s < STALL_MS / 2000:
        raise Missed(f"no stall was felt: the longest commit took {writer.longest_s:.3f} s")
    return {"changes": len({each for each in terms if each > term}),
            "longest": writer.longest_s * 1000}


def measure(cluster, note, options, what, trouble):
    seconds = 4 if options.quick else 60
    results = repeat(1 if options.quick else min(options.trials, MINUTES_MAX), what,
                     lambda: changes(cluster, trouble, seconds))
    moves, longest = columns(results, "changes", "longest")
    rows.emit(rows.make(GROUP, f"{what}: changes of leader in {seconds} s", moves, "changes",
                        profile=cluster.profile, goal=1, goal_worst=1, note=note))
    rows.emit(rows.make(GROUP, f"{what}: the longest commit", longest, "ms",
                        profile=cluster.profile, note=join_notes(
                            f"one every {COMMIT_S * 1000:.0f} ms, by a follower", note)))


def on_stalls(options):
    if not os.path.exists(SHIM):
        raise Lacking(f"{SHIM} is not there: configure with -DUNDERSTUDY_TESTS=ON and build")
    with_cluster(measure, options, f"{STALL_MS} ms disk stalls every {PERIOD_MS / 1000:.0f} s on "
                 "the leader", stalls, prepare=preload)


def on_load(options):
    cores = os.cpu_count()
    with_cluster(measure, options, f"load {BUSY} on {cores} cores", load)


if __name__ == "__main__":
    chosen = begin(__doc__)
    part = Part()
    part.run("disk stalls", on_stalls, chosen)
    part.run("load", on_load, chosen)
    part.exit()
