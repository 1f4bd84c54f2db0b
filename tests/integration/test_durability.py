#!/usr/bin/python3 -B
"""Ten times kill -9 of everything at once, at random moments, while changes are committed.

A change is acknowledged when the command line exits 0. After each restart every acknowledged change
is there, on every node, and neither term nor applied index went back.
"""

import itertools
import random
import signal
import threading

from cluster import Cluster, boot_s, check, history, kill, mentions, run, say, wait_until

ROUNDS = 10
NAMES = 6  # nodes that do not exist; drained or not is what changes, and what is looked at
Z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"


class Writer(threading.Thread):
    """Commits one change after the other: each name is drained and undrained in turn.

    For each name it knows what was acknowledged last, and what was asked for since without an
    answer (which may have happened or not).
    """

    def __init__(self, cluster, names, seed):
        super().__init__(daemon=True)
        self.cluster = cluster
        self.names = names
        self.rng = random.Random(seed)
        self.certain = {name: False for name in names}
        self.index = 0  # highest acknowledged log index
        self.acknowledged = 0
        self.unknown = 0
        self.stopping = threading.Event()
        self.error = None
        self.lock = threading.Lock()

    def run(self):
        for name in itertools.cycle(self.names):
            if self.stopping.is_set():
                return
            wanted = self.certain[name] is not True
            with self.lock:
                self.certain[name] = None  # asked: unknown until answered
            answer = self.rng.choice(self.cluster.nodes).cli(
                "drain" if wanted else "undrain", name, timeout="2s")
            with self.lock:
                if answer.exit == 0:
                    self.certain[name] = wanted
                    self.acknowledged += 1
                    self.index = max(self.index, answer.data["index"])
                elif answer.exit in (1, 3, 4, 5):
                    self.unknown += 1
                else:
                    self.error = f"{name}: {answer}"
                    return

    def finish(self):
        self.stopping.set()
        self.join()
        check(self.error is None, f"a change was refused: {self.error}")


def draining(node):
    return {row["name"]: row["draining"] for row in node.status()["members"]}


def kill_all(cluster):
    """SIGKILL to all in random order, and to what a parent started in its last instant."""
    pids = [pid for node in cluster.nodes for pid in (node.parent(), node.worker()) if pid]
    random.shuffle(pids)
    for pid in pids:
        kill(pid, signal.SIGKILL)

    def all_dead():
        for node in cluster.nodes:
            node.reap()
        late = [pid for pid in cluster.own_pids() if mentions(pid, "understudyd")]
        for pid in late:
            kill(pid, signal.SIGKILL)
        return not late

    wait_until(all_dead, "all are dead", pause_s=0.005)
    return len(pids)


def verify(cluster, writer, last):
    leader = cluster.wait_leader()
    for node in cluster.nodes:
        status = wait_until(lambda n=node: n.status(), f"{node.name} answers")
        check(status["term"] >= last["term"], f"the term of {node.name} went back: {status}")
        wait_until(lambda n=node: n.status()["applied_index"] >= max(last["index"], writer.index),
                   f"{node.name} has applied what was acknowledged", 20)
        rows = draining(node)
        for name, certain in writer.certain.items():
            check(name in rows, f"{node.name} lost the member {name}")
            check(certain is None or rows[name] is certain,
                  f"{node.name}: {name} draining {rows[name]}, acknowledged was {certain}")
        terms = {entry["term"] for entry in history(node)}
        check(terms >= last["history"], f"{node.name} lost history: {last['history'] - terms}")
    status = leader.status()
    return {"term": status["term"], "index": status["applied_index"],
            "history": {entry["term"] for entry in history(leader)}}


def durability():
    seed = random.randrange(1 << 30)
    rng = random.Random(seed)
    say(f"seed {seed}")
    with Cluster(extra="leadership: {handover_below: 0}\n") as cluster:
        leader = cluster.start()
        names = [f"x{i}" for i in range(NAMES)]
        for i, name in enumerate(names):
            key = "".join(rng.choice(Z85[:40]) for _ in range(40))
            answer = leader.cli("join", name, f"tcp://127.0.0.1:{cluster.base + 1 + i}", key)
            check(answer.exit == 0, f"join {name}: {answer}")
        last = {"term": 0, "index": 0, "history": set()}
        acknowledged, unknown, downtime = [], 0, []
        certain = {name: False for name in names}
        for number in range(ROUNDS):
            writer = Writer(cluster, names, seed + number)
            writer.certain = certain
            writer.start()
            # A random moment: after a random number of acknowledgements and a random instant more.
            after = rng.randrange(1, 12)
            wait_until(lambda w=writer, n=after: w.acknowledged >= n or w.error,
                       "changes are committed", pause_s=0.001)
            at = boot_s() + rng.random() * 0.05
            wait_until(lambda t=at: boot_s() >= t, "the random instant", pause_s=0.0005)
            killed = kill_all(cluster)
            check(killed == 2 * len(cluster.nodes), f"only {killed} processes were alive")
            writer.finish()
            begun = boot_s()
            for node in cluster.nodes:
                node.start()
            last = verify(cluster, writer, last)
            downtime.append(boot_s() - begun)
            # What is unknown is settled by what is there now.
            rows = draining(cluster.nodes[0])
            certain = {name: rows[name] for name in names}
            acknowledged.append(writer.acknowledged)
            unknown += writer.unknown
        say(f"{ROUNDS} times kill -9 of everything: {sum(acknowledged)} acknowledged changes "
            f"{acknowledged}, none lost; {unknown} without an answer; back after at most "
            f"{max(downtime):.2f} s; term {last['term']}, index {last['index']}")


if __name__ == "__main__":
    run(durability)
