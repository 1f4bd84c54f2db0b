#!/usr/bin/python3 -B
"""Seven voters: three die at once and four go on; a fourth, and nobody acts; they return."""

from cluster import ActingWatch, Cluster, check, run, say, wait_until
from test_failover import entry_after

VOTERS = 7


def roles(node):
    return [row["role"] for row in node.status()["members"]]


def commits(node, name):
    answer = node.cli("manager", "pause", name)
    check(answer.exit == 0, f"a change: {answer}")


def three_die(cluster, watch):
    leader = cluster.wait_leader()
    term = leader.status()["term"]
    dead = [leader] + [node for node in cluster.nodes if node is not leader][:2]
    living = [node for node in cluster.nodes if node not in dead]
    for node in dead:
        node.kill_both()
    successor = cluster.wait_leader(among=living)
    commits(successor, "four-of-seven")
    entry = entry_after(successor, term)
    check(entry["node"] == successor.name and entry["previous"] == leader.name, f"{entry}")
    say(f"three of seven dead, the leader among them: {entry['cause']}, acting after "
        f"{entry['acting_ms']} ms")
    watch.verify()
    return dead, living, successor


def a_fourth_dies(living, leader):
    leader.kill_both()
    left = [node for node in living if node is not leader]
    wait_until(lambda: all(node.cli("status").exit == 5 for node in left), "all say no quorum")
    return left


def seven():
    with Cluster(VOTERS, extra="leadership: {handover_below: 0}\n") as cluster:
        for node in cluster.nodes:
            node.environment["UNDERSTUDY_CLUSTER__VOTERS"] = str(VOTERS)
        leader = cluster.start()
        wait_until(lambda: roles(leader) == ["voter"] * VOTERS, "all seven vote")
        with ActingWatch(cluster.nodes) as watch:
            dead, living, successor = three_die(cluster, watch)
            left = a_fourth_dies(living, successor)
            check(all(node.cli("manager", "pause", "three-of-seven", timeout="1s").exit in (4, 5)
                      for node in left), "a change without a majority")
            for node in dead + [successor]:
                node.start()
            leader = cluster.wait_leader(members_alive=VOTERS)
            commits(leader, "seven-again")
            watch.verify()
        check(roles(leader) == ["voter"] * VOTERS, f"roles changed: {roles(leader)}")


if __name__ == "__main__":
    run(seven)
