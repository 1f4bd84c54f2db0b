#!/usr/bin/python3 -B
"""How fast leadership moves after a crash: kill -9 of the node process, and of its parent too.

From just before the signal until the event arrives here: a leader commits (leader.ready), it acts
(lease.acquired).
"""

import rows
from nodes import kill
from observer import boottime_ms
from trials import Part, begin, columns, join_notes, repeat, with_cluster

GROUP = "crash failover"


def crash(cluster, with_parent):
    leader, term = cluster.settle()
    pids = leader.pids()
    victims = pids if with_parent else pids[-1:]
    began = boottime_ms()
    for pid in victims:
        kill(pid)
    try:
        wait = cluster.events.wait
        ready = wait(began, "leader.ready", lambda _, k, t: k == "leader.ready" and t > term)
        acting = wait(began, "lease.acquired", lambda _, k, t: k == "lease.acquired" and t > term)
    finally:
        if with_parent:
            leader.kill_all()
            leader.start()
    return {"leader": ready - began, "acting": acting - began}


def measure(cluster, note, options):
    for with_parent in (False, True):
        what = "kill -9 of node and parent" if with_parent else "kill -9 of the node process"
        results = repeat(options.trials, what, lambda p=with_parent: crash(cluster, p))
        leader, acting = columns(results, "leader", "acting")
        rows.emit(rows.make(GROUP, f"{what}, leader commits", leader, "ms",
                            profile=cluster.profile, goal=8, goal_worst=50, note=note))
        told = "no obituary: the lease is waited for" if with_parent else "by its obituary"
        rows.emit(rows.make(GROUP, f"{what}, leader acts", acting, "ms", profile=cluster.profile,
                            goal=400 if with_parent else 8, goal_worst=None if with_parent else 50,
                            note=join_notes(told, note)))


if __name__ == "__main__":
    chosen = begin(__doc__)
    part = Part()
    part.run(GROUP, with_cluster, measure, chosen)
    part.exit()
