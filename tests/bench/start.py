#!/usr/bin/python3 -B
"""How long three nodes need from their start to a leader that acts.

From just before the first of them is started (they are started one right after the other) until the
instant that the first lease.acquired has in a log; of new nodes, and of nodes with data that were
killed.
"""

import calendar
import re
import shutil
import time

import rows
from nodes import Cluster, wait_until
from trials import Part, begin, repeat
from network import best_network

GROUP = "start"
GOALS = {"lan": 700, "local": 170}
ACQUIRED = re.compile(r"^ts=(\S+)\.(\d{3})Z \S+ event=lease\.acquired", re.MULTILINE)


def acquired_ms(cluster):
    """Wall times, in ms, of every lease.acquired in the logs."""
    found = []
    for node in cluster.nodes:
        for second, millisecond in ACQUIRED.findall(node.log_text()):
            whole = calendar.timegm(time.strptime(second, "%Y-%m-%dT%H:%M:%S"))
            found.append(1000 * whole + int(millisecond))
    return found


def start(cluster, pristine):
    for node in cluster.nodes:
        node.kill_all()
        shutil.rmtree(f"{node.folder}/log")
        if pristine:
            shutil.rmtree(f"{node.folder}/data")
        node.write_config(cluster.founders, cluster.overlay)
    began = time.time() * 1000
    for node in cluster.nodes:
        node.start()
    found = wait_until(lambda: acquired_ms(cluster), "a leader acts", pause_s=0.05)
    wait_until(lambda: cluster.opinion(cluster.nodes), "all know it")
    return min(found) - began


def measure(profile, options):
    network, note = best_network(3)
    try:
        with Cluster(network, 3, profile) as cluster:
            cluster.prepare()
            for pristine in (True, False):
                what = "three new nodes" if pristine else "three nodes with data, killed before"
                values = repeat(options.trials, f"{what}, {profile}",
                                lambda p=pristine: start(cluster, p))
                rows.emit(rows.make(GROUP, f"{what}, to an acting leader", values, "ms",
                                    profile=profile, goal=GOALS[profile],
                                    goal_worst=2 * GOALS[profile], note=note))
    finally:
        network.remove()


if __name__ == "__main__":
    chosen = begin(__doc__)
    part = Part()
    for name in GOALS:
        part.run(f"{GROUP}, {name}", measure, name, chosen)
    part.exit()
