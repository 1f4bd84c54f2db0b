#!/usr/bin/python3 -B
"""Committed entries: how long one takes, and how many a second with 64 in flight.

From a program's request on the leader's Unix socket until its answer: an `undrain` of a node that
does not drain. The leader proposes it, a majority has it on disk, it is applied and changes
nothing. Beside it, what one durable write costs on the same disk.
"""

import os
import tempfile
import time

import rows
from trials import Part, begin, program, repeat, with_cluster

GROUP = "commits"
IN_FLIGHT = 64
ROUNDS = 5
PAGE = b"\1" * 4096


def one_sync_us(descriptor):
    began = time.monotonic()
    os.pwrite(descriptor, PAGE, 0)
    os.fdatasync(descriptor)
    return (time.monotonic() - began) * 1e6


def sync_floor(folder, count):
    """Durations in us of writing 4 KiB over existing bytes and fdatasync."""
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        one_sync_us(file.fileno())
        return [one_sync_us(file.fileno()) for _ in range(count)]


def measure(cluster, note, options):
    rounds = 1 if options.quick else ROUNDS
    few, many = ("50", "200") if options.quick else ("1000", "10000")
    leader, _ = cluster.settle()

    def commit(count, window):
        return program("bench_commit_rate", f"ipc://{leader.folder}/control.sock", count, window,
                       leader.name)["commits"]

    ones = repeat(rounds, "one at a time", lambda: commit(few, "1"))
    rows.emit(rows.make(GROUP, f"one client, one at a time, of {few}",
                        [one["p50_us"] / 1000 for one in ones], "ms", profile=cluster.profile,
                        worst=max((one["worst_us"] / 1000 for one in ones), default=None),
                        goal=1, note=note))
    waves = repeat(rounds, f"{IN_FLIGHT} in flight", lambda: commit(many, str(IN_FLIGHT)))
    rows.emit(rows.make(GROUP, f"{IN_FLIGHT} in flight", [one["per_second"] for one in waves],
                        "1/s", profile=cluster.profile, better="higher", goal=5000, note=note))
    rows.emit(rows.make(GROUP, f"{IN_FLIGHT} in flight, each",
                        [one["p50_us"] / 1000 for one in waves], "ms", profile=cluster.profile,
                        worst=max((one["worst_us"] / 1000 for one in waves), default=None),
                        note=note))
    rows.emit(rows.make(GROUP, "4 KiB written over and fdatasync, nothing else",
                        sync_floor(leader.folder, int(few)), "us", system="the disk"))


if __name__ == "__main__":
    chosen = begin(__doc__)
    part = Part()
    part.run(GROUP, with_cluster, measure, chosen)
    part.exit()
