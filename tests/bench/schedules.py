#!/usr/bin/python3 -B
"""What 10 000 schedules cost three real nodes: CPU and memory of the node process beside the same
cluster's a moment before, with none.

A plugin manager (many_manager.py) has the schedules, of the mix of mix.py; each slot becomes a run
that ends at once, so that what is measured is the cluster's part: deciding slots, placing runs,
recording their ends, and hearing the list of schedules again and again. What runs keep beside it
(the ring of 16 384 ended ones) grows with them and is not the schedules'.
"""

import importlib.util
import os
import statistics
import tempfile
import time

import idle
import mix
import rows
from network import Lacking
from nodes import HERE, wait_until
from observer import Missed
from trials import Part, begin, join_notes, with_cluster

GROUP = "schedules"
COUNT = 10000
COUNT_QUICK = 300
PATIENCE_S = 300  # until all are known: the list is said 200 a second
SPAN_S = 180  # whole minutes: cron's slots come at their beginning
GOAL_CPU = 1.0
GOAL_MIB = 19.07  # 20 MB
MANAGER = "many"


def overlay(count_file):
    return {"managers": {MANAGER: {"program": os.path.join(HERE, "many_manager.py"),
                                   "options": {"count": count_file}}}}


def want(count_file, count):
    with open(count_file + ".new", "w", encoding="ascii") as file:
        file.write(str(count))
    os.rename(count_file + ".new", count_file)


def known(node):
    return idle.metric(node, "schedules")


def look(cluster, options):
    """(leader, rates by node, (resident, proportional) MiB by node, commits a second)"""
    index = idle.metric(cluster.founders[0], "raft_commit_index")
    began = time.monotonic()
    leader, rates = idle.rest(cluster, cluster.founders, options.quick,
                              5 if options.quick else SPAN_S)
    mib = {node.name: idle.memory_mib(node.pid("worker")) for node in cluster.founders}
    more = idle.metric(cluster.founders[0], "raft_commit_index") - index
    return leader, rates, mib, more / (time.monotonic() - began)


def emit(what, values, unit, note, goal=None):
    rows.emit(rows.make(GROUP, what, values, unit, profile="lan", goal=goal, note=note))


def told(before, after, unit):
    return f"{statistics.median(before):.3g} {unit} before, {statistics.median(after):.3g} after"


def emit_cost(name, nodes, before, after, note, goal_cpu=None, goal_mib=None):
    """Rows of what is more afterwards, of the leader or of the followers."""
    cpu = [[look[1][node.name]["cpu"] * 100 for node in nodes] for look in (before, after)]
    emit(f"{name}, CPU of a core", [b - a for a, b in zip(*cpu)], "%",
         join_notes(told(*cpu, "%"), idle.by_thread([after[1][node.name] for node in nodes]), note),
         goal_cpu)
    for place, word in ((1, "proportional"), (0, "resident")):
        mib = [[look[2][node.name][place] for node in nodes] for look in (before, after)]
        emit(f"{name}, memory ({word})", [b - a for a, b in zip(*mib)], "MiB", told(*mib, "MiB"),
             goal_mib if place == 1 else None)


def load_note():
    return f"load {os.getloadavg()[0]:.1f} meanwhile"


def change(cluster, count_file, count):
    """Seconds until every node knows of so many."""
    began = time.monotonic()
    want(count_file, count)
    wait_until(lambda: all(known(node) == count for node in cluster.founders),
               f"{count} schedules are known", PATIENCE_S)
    return time.monotonic() - began


def measure(cluster, note, options, count_file):
    count = COUNT_QUICK if options.quick else COUNT
    before = look(cluster, options)
    took_s = change(cluster, count_file, count)
    after = look(cluster, options)
    leader = after[0]
    if leader is not before[0]:
        raise Missed("leadership moved between the measurements")
    about = join_notes(mix.words(), f"{mix.slots_per_second(count):.2g} slots a second",
                       f"{after[3]:.2g} commits a second", load_note(), note)
    text = f"{count:,} schedules".replace(",", " ")
    emit_cost(f"{text}, leader", [leader], before, after, about, GOAL_CPU, GOAL_MIB)
    emit_cost(f"{text}, follower", cluster.others(leader), before, after, note)
    emit(f"{text}, until all are replicated", [took_s], "s", "one plugin says 200 a second")
    emit(f"{text}, until all are gone again", [change(cluster, count_file, 0)], "s",
         "the plugin says that it wants none")


def part(options):
    for module in ("zmq", "msgpack"):
        if importlib.util.find_spec(module) is None:
            raise Lacking(f"python3-{module} is not installed")
    with tempfile.TemporaryDirectory(prefix="us-many-", dir="/tmp") as folder:
        count_file = os.path.join(folder, "count")
        want(count_file, 0)
        with_cluster(measure, options, count_file, overlay=overlay(count_file))


if __name__ == "__main__":
    chosen = begin(__doc__)
    parts = Part()
    parts.run(GROUP, part, chosen)
    parts.exit()
