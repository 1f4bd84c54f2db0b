#!/usr/bin/python3 -B
"""How late a slot's program starts, with a schedule of every second on three real nodes.

Each run appends the wall time of its first instruction to a file; lateness is that less the slot.
The leader's node process is killed (-9) so that slots fall into the failover: at most 40 ms before
one, or just after it, while its run begins. Those slots and the next ones are told apart. The time
that a shell takes to start is in the figures, as it is in those of Debian's cron (peers/cron.py).
A slot whose run was on its way to the node that was killed may end without one, as nobody saw
whether it had begun; such are counted. None may be without an outcome, or run twice.
"""

import calendar
import collections
import os
import random
import tempfile
import time

import rows
from nodes import kill, wait_until
from observer import Missed
from trials import Part, begin, join_notes, with_cluster

GROUP = "lateness"
SCHEDULE = "run/tick"
CRASHES = 20
CALM_S = 60
EARLIEST_S, LATEST_S = -0.04, 0.01  # of a crash, beside the slot that it is aimed at
AROUND_S = 1.5  # a slot that comes so soon after a crash is one of the crash's
PATIENCE_S = 120
GOAL_MS = 20
GOAL_WORST_MS = 200
GOAL_CRASH_WORST_MS = 2000


def program(path):
    """Its first instruction tells the time: date of coreutils, without a fork in between."""
    return ["/bin/sh", "-c", f'exec date +"%s.%N $UNDERSTUDY_RUN" >> {path}']


def overlay(path):
    return {"managers": {"run": {"schedules": [
        {"name": "tick", "every": "1s", "run": program(path), "overlap": "allow",
         "start_deadline": "30s"}]}}}


def begun(path):
    """Slot -> ms after it at which its program began, of each time that it did."""
    found = collections.defaultdict(list)
    with open(path, encoding="ascii") as file:
        for line in file:
            at, run = line.split()
            slot = time.strptime(run.partition("@")[2], "%Y%m%dT%H%M%SZ")
            slot_s = calendar.timegm(slot)
            found[slot_s].append((float(at) - slot_s) * 1000)
    return found


def outcomes(node):
    """Slot -> (outcome, reason), as recorded; a row of several slots has one each second."""
    data = node.client.data("ticks ledger")
    if data is None:
        raise Missed("no ledger of the slots")
    row = next(row for row in data["schedules"] if row["id"] == SCHEDULE)
    return {slot: (outcome, reason) for first, last, _, outcome, reason, _ in row["slots"]
            for slot in range(first, last + 1)}


def crash(cluster, options):
    """When the leader's node process was killed, again and again."""
    crashes = []
    for _ in range(CRASHES if not options.quick else 2):
        leader, _ = cluster.settle()
        pid = leader.pid("worker")
        at = int(time.time()) + 1 + random.uniform(EARLIEST_S, LATEST_S)
        at += 1 if at < time.time() else 0
        time.sleep(at - time.time())
        crashes.append(time.time())
        kill(pid)
        time.sleep(AROUND_S)  # its slots come
    cluster.settle()
    return crashes


def settled(cluster, until_s):
    """Outcomes of all slots, once none up to then is under way."""
    found = outcomes(cluster.settle()[0])
    waiting = any(outcome == "under_way" for slot, (outcome, _) in found.items() if slot <= until_s)
    return found if found and max(found) > until_s and not waiting else None


def emit_counts(found, told, span, note):
    """Of the slots in `span`: those that are missing in some way."""
    without = [slot for slot in span if told.get(slot, ("under_way",))[0] == "under_way"]
    idle = collections.Counter(" ".join(told[slot]) for slot in span
                               if slot not in found and slot in told)
    twice = [slot for slot in span if len(found.get(slot, ())) > 1]
    for what, count, goal, more in (
            ("slots without an outcome", len(without), 0, ""),
            ("slots run twice", len(twice), 0, ""),
            ("slots recorded and not run", sum(idle.values()), None,
             ", ".join(f"{count} {words}" for words, count in idle.items()))):
        rows.emit(rows.make(GROUP, what, [count], "slots", profile="lan", goal=goal,
                            goal_worst=goal, trials=len(span), note=join_notes(more, note)))


def measure(cluster, note, options, path):
    wait_until(lambda: os.path.exists(path) and len(begun(path)) >= 5, "slots are run", PATIENCE_S)
    from_s = int(time.time()) + 1
    time.sleep(CALM_S if not options.quick else 10)  # the measurement: a slot every second
    crashes = crash(cluster, options)
    until_s = int(time.time())
    told = wait_until(lambda: settled(cluster, until_s), "all slots have an outcome", PATIENCE_S)
    found = begun(path)
    span = range(from_s, until_s + 1)
    near = {slot for slot in span for at in crashes
            if -2 * LATEST_S <= slot - at <= AROUND_S}
    calm, around = ([found[slot][0] for slot in span if slot in found and (slot in near) == which]
                    for which in (False, True))
    rows.emit(rows.make(GROUP, "a slot of every second, until its program's first instruction",
                        calm, "ms", profile="lan", goal=GOAL_MS, goal_worst=GOAL_WORST_MS,
                        note=join_notes("with the start of a shell and of date", note)))
    rows.emit(rows.make(GROUP, "the same, leader's node process killed -9 around the slot",
                        around, "ms", profile="lan", goal=GOAL_MS, goal_worst=GOAL_CRASH_WORST_MS,
                        note=join_notes(f"{len(crashes)} crashes", "and the slot after it")))
    emit_counts(found, told, span, note)


def part(options):
    with tempfile.TemporaryDirectory(prefix="us-late-", dir="/tmp") as folder:
        path = os.path.join(folder, "lines")
        with_cluster(measure, options, path, overlay=overlay(path))


if __name__ == "__main__":
    chosen = begin(__doc__)
    parts = Part()
    parts.run(GROUP, part, chosen)
    parts.exit()
