#!/usr/bin/python3 -B
"""Disk stalls of 500 ms every three seconds under whoever leads: one change of leader at most, then
none, because the election timeouts have adapted."""

import re
import threading

import disk
from cluster import Cluster, boot_s, check, history, run, say, wait_until

QUIET = "leadership: {handover_below: 0}\n"  # a busy machine must not move leadership here
STALL_MS = 500
PERIOD_MS = 3000
STALLS = 8  # that the leader's writes meet
LOST_MS = 100  # a command that waited so much longer than the quickest met a stall


class Writer:
    """Commits small commands one after the other and keeps how long each took."""

    def __init__(self, nodes):
        self.nodes = nodes
        self.took_ms = []
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        words = ("pause", "resume")
        while not self.over.is_set():
            count = len(self.took_ms)
            began = boot_s()
            answer = self.nodes[count % len(self.nodes)].cli(
                "manager", words[count % 2], "pm2", timeout="3s")
            self.took_ms.append((1000 * (boot_s() - began), answer.exit))
            self.over.wait(0.02)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

    def stalls(self):
        quickest = min((ms for ms, _ in self.took_ms), default=0)
        return sum(ms > quickest + LOST_MS for ms, _ in self.took_ms)


def timeouts(node):
    """The election timeouts that the node has had, oldest first."""
    return [int(ms) for ms in re.findall(r"event=raft\.election_timeout .*?timeout_ms=(\d+)",
                                         node.log_text())]


def follow_leader(cluster, stalled):
    """The stalls go where leadership goes; the node that has them now."""
    for node in cluster.nodes:
        document = node.status()
        if document and document["acting"] and node is not stalled:
            if stalled is not None:
                disk.order(stalled, "")
            disk.order(node, f"stall {STALL_MS} {PERIOD_MS}")
            return node
    return stalled


def disk_stalls():
    disk.require()
    with Cluster(extra=QUIET) as cluster:
        cluster.prepare()
        for node in cluster.nodes:
            disk.start(node)
        stalled = follow_leader(cluster, cluster.wait_leader() and None)
        before = max(node.status()["term"] for node in cluster.nodes)
        with Writer(cluster.nodes) as writer:
            def enough():
                nonlocal stalled
                stalled = follow_leader(cluster, stalled)
                return writer.stalls() >= STALLS
            wait_until(enough, f"{STALLS} stalls were met")
        for node in cluster.nodes:
            disk.order(node, "")
        leader = cluster.wait_leader()
        changes = [entry for entry in history(leader) if entry["term"] > before]
        adapted = {node.name: timeouts(node) for node in cluster.nodes}
        say(f"{writer.stalls()} stalls of {STALL_MS} ms met by {len(writer.took_ms)} commands: "
            f"{len(changes)} changes of leader; election timeouts {adapted}")
        check(len(changes) <= 1, f"more than one change of leader: {changes}")
        check(all(max(seen) <= 3000 for seen in adapted.values()), "adapted beyond 3 s")
        check(sum(max(seen) > STALL_MS for seen in adapted.values()) >= 2,
              f"a majority did not adapt: {adapted}")


if __name__ == "__main__":
    run(disk_stalls)
