#!/usr/bin/python3 -B
"""Eight busy processes on a machine of few cores for half a minute (UNDERSTUDY_LOAD_S): one change
of leader at most, and everything still answers."""

import os
import subprocess
import sys

from disk import BUILD  # noqa: F401  (finds the harness)
from cluster import Cluster, boot_s, check, history, run, say, wait_until

QUIET = "leadership: {handover_below: 0}\n"  # health moves leadership elsewhere: not meant here
BUSY = 8
SECONDS = int(os.environ.get("UNDERSTUDY_LOAD_S", "30"))


class Load:
    def __enter__(self):
        self.processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"])
                          for _ in range(BUSY)]
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait()


def load():
    with Cluster(extra=QUIET) as cluster:
        leader = cluster.start()
        before = leader.status()["term"]
        answers = 0
        with Load():
            until = boot_s() + SECONDS
            while boot_s() < until:
                for node in cluster.nodes:
                    answers += node.status() is not None
        leader = cluster.wait_leader()
        changes = [entry for entry in history(leader) if entry["term"] > before]
        timeouts = {node.name: [line.rpartition("timeout_ms=")[2] for line in
                                node.log_text().splitlines() if "raft.election_timeout" in line]
                    for node in cluster.nodes}
        say(f"load {BUSY} for {SECONDS} s: {len(changes)} changes of leader, {answers} answers, "
            f"election timeouts {timeouts}")
        check(len(changes) <= 1, f"more than one change of leader: {changes}")
        check(answers > 0, "nobody answered")
        wait_until(lambda: leader.status()["acting"], "the leader acts")


if __name__ == "__main__":
    run(load)
