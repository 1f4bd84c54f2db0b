#!/usr/bin/python3 -B
"""Profile wan over links of 150 ms there and back with jitter and loss, and profile local on this
machine: start, rest, handover, crash, freeze, and never two that act."""

import signal
import time

import disk  # noqa: F401  (finds the harness)
from cluster import (ActingWatch, Cluster, boot_s, check, history, kill, run, say, wait_until)
from network import Network

QUIET = "leadership: {handover_below: 0}\n"  # a busy machine must not move leadership here
ON_EVIDENCE = ("crash_evidence", "obituary")


def others(cluster, node):
    return [other for other in cluster.nodes if other is not node]


def prepare(cluster, profile, network=None):
    cluster.prepare()
    for i, node in enumerate(cluster.nodes):
        with open(node.config, encoding="utf-8") as file:
            text = file.read()
        check("profile: lan" in text, "the configuration has no profile")
        with open(node.config, "w", encoding="utf-8") as file:
            file.write(text.replace("profile: lan", f"profile: {profile}"))
        if network is not None:
            node.namespace = network.names[i]


def entry_after(cluster, term, but):
    """The first leader after `term`, as the nodes but one tell."""
    def find():
        later = [entry for node in others(cluster, but) for entry in history(node)
                 if entry["term"] > term]
        return min(later, key=lambda entry: entry["term"], default=None)
    return wait_until(find, f"a leader after term {term}")


def rests(cluster, seconds, changes_max):
    term = cluster.wait_leader().status()["term"]
    until = boot_s() + seconds
    while boot_s() < until:  # nothing must happen, so time must pass
        time.sleep(0.2)
    grown = cluster.wait_leader().status()["term"] - term
    check(grown <= changes_max, f"{grown} terms in {seconds} s in which nothing happened")
    return grown


def hands_over(cluster):
    leader = cluster.wait_leader()
    term = leader.status()["term"]
    answer = leader.cli("leader", "transfer", timeout="20s")
    check(answer.exit == 0, f"leader transfer: {answer}")
    entry = entry_after(cluster, term, leader)
    check(entry["cause"] == "transfer", f"cause of a transfer: {entry}")
    return entry["acting_ms"]


def crashes(cluster):
    leader = cluster.wait_leader()
    term = leader.status()["term"]
    worker = leader.worker()
    kill(worker)
    entry = entry_after(cluster, term, leader)
    wait_until(lambda: leader.worker() not in (None, worker), "the parent started it again")
    cluster.wait_leader()
    return entry["acting_ms"], f"{entry['cause']}/{entry['proof']}"


def freezes(cluster, watch):
    leader = cluster.wait_leader()
    term = leader.status()["term"]
    at = boot_s()
    pid = leader.freeze()
    entry = entry_after(cluster, term, leader)
    acting_at = wait_until(lambda: watch.first_acting(cluster[entry["node"]], at), "it acts")
    check(entry["cause"] == "timeout", f"cause of a freeze: {entry}")
    watch.thawing(leader)
    kill(pid, signal.SIGCONT)
    cluster.wait_leader()
    return 1000 * (acting_at - at)


def works(cluster, profile, changes_max):
    at = boot_s()
    for node in cluster.nodes:
        node.start()
    cluster.wait_leader()
    started_s = boot_s() - at
    with ActingWatch(cluster.nodes) as watch:
        grown = rests(cluster, 8, changes_max)
        transfer_ms = hands_over(cluster)
        crash = [crashes(cluster) for _ in range(3)]
        freeze_ms = [freezes(cluster, watch) for _ in range(2)]
        watch.verify()
    check(any(how.split("/")[0] in ON_EVIDENCE for _, how in crash),
          f"no crash was noticed from its connections: {crash}")
    say(f"{profile}: all settled {started_s:.1f} s after the start, {grown} changes at rest; "
        f"transfer {transfer_ms} ms, crash {crash} ms, freeze "
        f"{[round(ms) for ms in freeze_ms]} ms, {len(watch.seen)} answers \"I act\"")


def local():
    with Cluster(extra=QUIET) as cluster:
        prepare(cluster, "local")
        works(cluster, "local", 1)


def wan():
    network = Network(3)
    try:
        network.all_links(delay=75, jitter=15, loss=0.5)
        with Cluster(hosts=network.addresses, extra=QUIET) as cluster:
            prepare(cluster, "wan", network)
            works(cluster, "wan", 0)
    finally:
        network.remove()


if __name__ == "__main__":
    run(local, wan)
