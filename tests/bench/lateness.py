#!/usr/bin/python3 -B
"""How late a slot's program starts, with a schedule of every second on three real nodes.

Each run appends the wall time of its first instruction to a file; lateness is that less the slot.
The slots in which the leader is killed (its node process, -9) are told apart. The time that a shell
takes to start is in the figures, as it is in cron's, where Debian's cron can be run.
"""

import calendar
import os
import tempfile
import time

import rows
from nodes import kill, wait_until
from trials import Part, begin, join_notes, with_cluster

GROUP = "lateness"
CRASHES = 20
SLOTS_AROUND = 3  # slots from just before a crash on count as those of the crash


def program(path):
    """Its first instruction tells the time: date of coreutils, without a fork in between."""
    return ["/bin/sh", "-c", f'exec date +"%s.%N $UNDERSTUDY_RUN" >> {path}']


def overlay(path):
    return {"managers": {"run": {"schedules": [
        {"name": "tick", "every": "1s", "run": program(path), "overlap": "allow",
         "start_deadline": "30s"}]}}}


def lateness(path):
    """Slot -> ms that its program began after it."""
    found = {}
    with open(path, encoding="ascii") as file:
        for line in file:
            at, run = line.split()
            slot = time.strptime(run.partition("@")[2], "%Y%m%dT%H%M%SZ")
            slot_s = calendar.timegm(slot)
            found.setdefault(slot_s, (float(at) - slot_s) * 1000)
    return found


def measure(cluster, note, options, path):
    wait_until(lambda: os.path.exists(path) and len(lateness(path)) >= 5, "slots are run")
    crashes = []
    quiet_s = 60 if not options.quick else 10
    time.sleep(quiet_s)  # the measurement: a slot every second
    for _ in range(CRASHES if not options.quick else 2):
        leader, _ = cluster.settle()
        crashes.append(time.time())
        kill(leader.pid("worker"))
        cluster.settle()
    time.sleep(5)  # what was decided last has begun
    found = lateness(path)
    near = {slot for slot in found for at in crashes if -1 <= slot - at <= SLOTS_AROUND}
    first, last = min(found), max(found)
    missing = [slot for slot in range(first, last + 1) if slot not in found]
    calm = [ms for slot, ms in found.items() if slot not in near]
    rows.emit(rows.make(GROUP, "a slot of every second, until its program's first instruction",
                        calm, "ms", profile="lan",
                        note=join_notes(note, "with the start of a shell and of date")))
    rows.emit(rows.make(GROUP, "the same, leader's node process killed -9 around it",
                        [found[slot] for slot in near], "ms", profile="lan",
                        note=f"{len(crashes)} crashes"))
    rows.emit(rows.make(GROUP, "slots without a run", [len(missing)], "slots", profile="lan",
                        goal=0, goal_worst=0, trials=last - first + 1, note=note))


def part(options):
    with tempfile.TemporaryDirectory(prefix="us-late-", dir="/tmp") as folder:
        path = os.path.join(folder, "lines")
        with_cluster(measure, options, path, overlay=overlay(path))


if __name__ == "__main__":
    chosen = begin(__doc__)
    parts = Part()
    parts.run(GROUP, part, chosen)
    parts.exit()
