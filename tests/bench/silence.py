#!/usr/bin/python3 -B
"""How fast leadership moves when the leader falls silent: frozen (SIGSTOP), or cut off the network.

From just before the signal, or before the leader's port leaves the bridge, until another node's
leader.ready (it commits) and lease.acquired (it acts) arrive here.
"""

import signal

import rows
from network import Lacking
from nodes import kill
from observer import boottime_ms
from trials import Part, begin, columns, repeat, with_cluster

FREEZE, CUT = "freeze failover", "cut failover"
GOALS = {"lan": (600, 1500), "local": (100, None)}


def successor(cluster, began, leader, term):
    def of(kind):
        return cluster.events.wait(began, kind, lambda n, k, t: n != leader.name and k == kind and
                                   t > term)

    return {"leader": of("leader.ready") - began, "acting": of("lease.acquired") - began}


def freeze(cluster):
    leader, term = cluster.settle()
    pids = leader.pids()
    began = boottime_ms()
    try:
        for pid in pids:
            kill(pid, signal.SIGSTOP)
        return successor(cluster, began, leader, term)
    finally:
        for pid in pids:
            kill(pid, signal.SIGCONT)


def cut(cluster):
    leader, term = cluster.settle()
    began = boottime_ms()
    try:
        cluster.network.cut(leader.number)
        result = successor(cluster, began, leader, term)
        lost = cluster.events.wait(began, "lease.lost", lambda n, k, _: n == leader.name and
                                   k == "lease.lost")
        return result | {"overlap": max(0.0, lost - began - result["acting"])}
    finally:
        cluster.network.heal(leader.number)


def emit(group, what, results, profile, note):
    goal, goal_worst = GOALS[profile]
    leader, acting = columns(results, "leader", "acting")
    rows.emit(rows.make(group, f"{what}, leader commits", leader, "ms", profile=profile, goal=goal,
                        goal_worst=goal_worst, note=note))
    rows.emit(rows.make(group, f"{what}, leader acts", acting, "ms", profile=profile, note=note))


def measure(cluster, note, options):
    if rows.wanted(options, FREEZE):
        what = "SIGSTOP of node and parent"
        emit(FREEZE, what, repeat(options.trials, what, lambda: freeze(cluster)), cluster.profile,
             note)
    if rows.wanted(options, CUT):
        if not cluster.network.cuts:
            raise Lacking(f"nothing can be cut {note}")
        what = "the leader's port leaves the bridge"
        results = repeat(options.trials, what, lambda: cut(cluster))
        emit(CUT, what, results, cluster.profile, note)
        rows.emit(rows.make(CUT, "two act as leader at once", columns(results, "overlap")[0], "ms",
                            profile=cluster.profile, goal=0, goal_worst=0,
                            note="from the successor's lease.acquired to the old one's lease.lost"))


if __name__ == "__main__":
    chosen = begin(__doc__)
    part = Part()
    for name in GOALS:
        part.run(f"silence, {name}", lambda n=name: with_cluster(measure, chosen, profile=n))
    part.exit()
