#!/usr/bin/python3 -B
"""Nodes that join, are removed and leave while the cluster runs."""

from cluster import Cluster, Node, check, run, say, wait_until


def roles(node):
    return {row["name"]: row["role"] for row in node.status()["members"]}


def new_node(cluster, number, founders):
    node = Node(cluster, number)
    cluster.make_keys(node.name)
    cluster.nodes.append(node)
    node.take_keys()
    node.write_config(founders, extra=cluster.extra)
    return node


def join(cluster, leader, node):
    """Admitted first, or started first: both must work."""
    answer = leader.cli("join", node.name, node.address, cluster.public_key(node.name))
    check(answer.exit == 0 and answer.data["changed"], f"join {node.name}: {answer}")


def caught_up(node, leader):
    status = node.status()
    return (status["leader"] == leader.name and
            status["applied_index"] >= leader.status()["applied_index"])


def members():
    with Cluster(extra="leadership: {handover_below: 0}\n") as cluster:
        leader = cluster.start()
        keys = {node.name: cluster.public_key(node.name) for node in cluster.nodes}
        fourth = new_node(cluster, 4, cluster.founders)
        check(keys == {name: cluster.public_key(name) for name in keys},
              "keys init changed other keys")

        # Not admitted yet: it is refused, as any unknown key is.
        fourth.start()
        wait_until(lambda: leader.metrics()["understudy_keys_refused_total"] > 0,
                   "the unknown node is refused")
        check("n4" not in roles(leader), f"{roles(leader)}")
        join(cluster, leader, fourth)
        wait_until(lambda: caught_up(fourth, leader), "n4 has caught up")
        role = wait_until(lambda: roles(leader)["n4"] in ("standby", "voter") and
                          roles(leader)["n4"], "n4 has a role")
        check(cluster.wait_leader() is leader, "leadership moved because a node joined")
        # Again is no change; another key under its name is refused.
        again = leader.cli("join", "n4", fourth.address, cluster.public_key("n4"))
        check(again.exit == 0 and not again.data["changed"], f"join again: {again}")
        bad = leader.cli("join", "n4", "nonsense", "key")
        check(bad.exit == 2, f"a malformed join: {bad}")

        # A fifth, admitted before it starts: then five vote.
        fifth = new_node(cluster, 5, cluster.founders)
        join(cluster, leader, fifth)
        fifth.start()
        wait_until(lambda: caught_up(fifth, leader), "n5 has caught up")
        wait_until(lambda: list(roles(leader).values()).count("voter") == 5, "five vote",
                   patience_s=120)
        say(f"n4 joined while running ({role} at first), n5 after; five vote: {roles(leader)}")

        # Five voters outlive two.
        dead = [node for node in cluster.founders if node is not leader]
        for node in dead:
            node.kill_both()
        living = [node for node in cluster.nodes if node not in dead]
        check(cluster.wait_leader(among=living) is leader, "two of five dead moved leadership")
        for node in dead:
            node.start()
        cluster.wait_leader()

        # remove: it is no member any more and cannot come back with its key.
        answer = leader.cli("remove", "n4")
        check(answer.exit == 0, f"remove: {answer}")
        wait_until(lambda: "n4" not in roles(leader), "n4 is out of the roster")
        wait_until(lambda: fourth.cli("status").exit in (3, 5), "n4 has no cluster")
        rest = [node for node in cluster.nodes if node is not fourth]
        check(cluster.wait_leader(among=rest) is leader, "remove moved leadership")
        wait_until(lambda: list(roles(leader).values()).count("voter") == 3, "three vote",
                   patience_s=120)
        check(leader.cli("remove", "n4").exit in (0, 7), "removed twice")
        check(leader.cli("remove", "n9").exit == 7, "an unknown node removed")
        if fourth.parent():
            fourth.kill_both()

        # leave: the asked node takes itself out and ends with 0; its parent does not restart it.
        answer = fifth.cli("leave")
        check(answer.exit == 0, f"leave: {answer}")
        wait_until(lambda: fifth.process.poll() is not None, "n5 has ended")
        check(fifth.process.returncode == 0, f"n5 ended with {fifth.process.returncode}")
        wait_until(lambda: set(roles(leader)) == {"n1", "n2", "n3"}, "n5 is out of the roster")
        # The leader too can leave; the others go on with two voters.
        two = [node for node in cluster.founders if node is not leader]
        answer = leader.cli("leave")
        check(answer.exit == 0, f"the leader leaves: {answer}")
        wait_until(lambda: leader.process.poll() is not None, "the leader has ended")
        successor = cluster.wait_leader(among=two)
        wait_until(lambda: set(roles(successor)) == {node.name for node in two},
                   "the former leader is out of the roster")
        say("remove and leave take nodes out, the leader too; the rest goes on")


if __name__ == "__main__":
    run(members)
