#!/usr/bin/python3 -B
"""Leadership moved on purpose: transfer, a low score, drain; and left alone without a reason."""

import os
import random

from cluster import ActingWatch, Cluster, check, history, median, run, say, wait_until

# Short pauses so that the test is short; a margin past what a busy machine does to single scores.
POLICY = """leadership: {margin: 30, hold: 1s, min_tenure: 1s}
"""
HOLD_S, PERIOD_S = 1.0, 0.1


def inject(nodes, number):
    for node in nodes:
        path = os.path.join(node.folder, "health.inject")
        with open(path + ".new", "w", encoding="ascii") as file:
            file.write(f"{number}\n")
        os.rename(path + ".new", path)


def injected_everywhere(cluster, number):
    """Every node's own score has `number` taken off, and every node knows all the scores."""
    low = max(0, 100 - number)
    for node in cluster.nodes:
        row = node.cli("health").data["node"]
        check(abs(row["injected"] - number) < 0.05, f"{node.name} has {row}")
        for member in node.status()["members"]:
            if number > 0:
                check(member["health"] <= low + 0.05, f"{node.name} sees {member}")
            else:
                check(member["health"] > 50, f"{node.name} sees {member}")
    return True


def newest(node):
    return max(history(node), key=lambda entry: entry["term"])


def transfer():
    with Cluster(extra=POLICY) as cluster:
        cluster.start()
        leaderless = []
        with ActingWatch(cluster.nodes) as watch:
            for i in range(6):
                leader = cluster.wait_leader()
                target = random.choice([node for node in cluster.nodes if node is not leader])
                asked = random.choice(cluster.nodes)
                words = ("leader", "transfer", target.name)
                answer = asked.cli(*words)
                check(answer.exit == 0 and answer.data["leader"] == target.name, f"{answer}")
                check(cluster.wait_leader() is target, f"{target.name} does not lead")
                entry = newest(target)
                check(entry["node"] == target.name and entry["cause"] == "transfer" and
                      entry["proof"] == "release", f"{entry}")
                check(entry["term"] == answer.data["term"], f"{entry} {answer}")
                leaderless.append(entry["elected_ms"])
            again = cluster.nodes[0].cli("leader", "transfer", target.name)
            check(again.exit == 0 and not again.data["changed"], f"a transfer to itself: {again}")
            unknown = cluster.nodes[0].cli("leader", "transfer", "n9")
            check(unknown.exit == 7, f"a transfer to nobody: {unknown}")
            anywhere = cluster.nodes[0].cli("leader", "transfer")
            check(anywhere.exit == 0 and anywhere.data["leader"] != target.name, f"{anywhere}")
            cluster.wait_leader()
            watch.verify()
        say(f"leader transfer: elected after {leaderless} ms, median {median(leaderless)} ms")


def health():
    with Cluster(extra=POLICY) as cluster:
        leader = cluster.start()
        inject(cluster.nodes, 0)
        wait_until(lambda: injected_everywhere(cluster, 0), "all are well")
        term = leader.status()["term"]
        inject([leader], 90)
        successor = cluster.wait_leader(other_than=leader)
        entry = newest(successor)
        check(entry["cause"] == "health" and entry["proof"] == "release" and
              entry["node"] == successor.name and entry["term"] > term, f"{entry}")
        say(f"health.inject of the leader moved it, elected after {entry['elected_ms']} ms")


def health_of_all():
    """The same taken off everywhere moves nothing; then one that recovers takes over at once."""
    with Cluster(extra=POLICY) as cluster:
        cluster.start()
        inject(cluster.nodes, 90)
        wait_until(lambda: injected_everywhere(cluster, 90), "all are equally unwell")
        # Some leaders may have changed while the numbers arrived one by one; from here on none may.
        leader = cluster.wait_leader()
        before = history(leader)
        term = leader.status()["term"]
        seen = leader.status()["uptime_s"]
        # Observed by the daemon's own clock: hold, tenure and many periods of the policy.
        wait_until(lambda: leader.status()["uptime_s"] >= seen + 3 * HOLD_S + 30 * PERIOD_S,
                   "the policy had its chances")
        check(leader.status()["term"] == term, "leadership moved although all were equally ill")
        check(history(leader) == before, "history grew although all were equally ill")
        # The positive control: the same daemons, same settings, do move when one is better.
        better = next(node for node in cluster.nodes if node is not leader)
        inject([better], 0)
        moved = cluster.wait_leader(other_than=leader)
        check(moved is better and newest(moved)["cause"] == "health", f"{newest(moved)}")
        say("the same in all nodes' health.inject moved nothing; one that recovered took over")


def drain():
    with Cluster(extra=POLICY) as cluster:
        leader = cluster.start()
        answer = leader.cli("drain", leader.name)
        check(answer.exit == 0, f"{answer}")
        successor = cluster.wait_leader(other_than=leader)
        entry = newest(successor)
        check(entry["cause"] == "drain" and entry["proof"] == "release", f"{entry}")
        rows = {row["name"]: row["draining"] for row in successor.status()["members"]}
        check(rows == {node.name: node is leader for node in cluster.nodes}, f"draining: {rows}")
        # A drained node is not chosen: of three, one drains and one leads, so the third is.
        third = next(node for node in cluster.nodes if node not in (leader, successor))
        answer = successor.cli("leader", "transfer")
        check(answer.exit == 0 and answer.data["leader"] == third.name, f"{answer}")
        check(cluster.wait_leader() is third, "a drained node leads")
        answer = third.cli("undrain", leader.name)
        check(answer.exit == 0, f"{answer}")
        wait_until(lambda: not any(row["draining"] for row in leader.status()["members"]),
                   "nobody drains")
        answer = third.cli("leader", "transfer", leader.name)
        check(answer.exit == 0 and cluster.wait_leader() is leader, f"{answer}")
        say(f"drain moved leadership (elected after {entry['elected_ms']} ms), undrain lets it "
            "back")


if __name__ == "__main__":
    run(transfer, health, health_of_all, drain)
