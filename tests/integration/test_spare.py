#!/usr/bin/python3 -B
"""Five vote, three stand by, the rest are spares: a spare gets no log and yet answers as the rest."""

import json
import os

from cluster import Cluster, Node, check, run, say, wait_until

COUNT = 9


def roles(node):
    return {row["name"]: row["role"] for row in node.status()["members"]}


def refused(node):
    return node.metrics()["understudy_keys_refused_total"]


def alive(node):
    """As the node's own page shows it, without asking the leader."""
    status, body = node.http("/api/v1/members")
    check(status == 200, f"{status}")
    return [row["state"] for row in json.loads(body)["data"]].count("alive")


def told(node):
    """The exit code with what a user asks for most."""
    answers = {words: node.cli(*words.split()) for words in ("status", "leader", "leader history",
                                                              "members", "manager list",
                                                              "coverage")}
    check(all(answer.exit == 0 and not answer.envelope["stale"] for answer in answers.values()),
          f"{node.name}: {answers}")
    return answers["leader"].data["leader"], answers["leader history"].data


def spare():
    with Cluster(3, extra="leadership: {handover_below: 0}\n") as cluster:
        leader = cluster.start()
        for number in range(4, COUNT + 1):
            node = Node(cluster, number)
            cluster.nodes.append(node)
            cluster.make_keys(node.name)
            for other in cluster.nodes:
                other.take_keys()
            node.write_config(cluster.founders, extra=cluster.extra)
            answer = leader.cli("join", node.name, node.address, cluster.public_key(node.name))
            check(answer.exit == 0, f"join: {answer}")
            node.start()
        wait_until(lambda: sorted(roles(leader).values()) ==
                   ["spare"] + ["standby"] * 3 + ["voter"] * 5, "five vote, three stand by")
        name = next(name for name, role in roles(leader).items() if role == "spare")
        outside = cluster[name]
        first = wait_until(lambda: told(outside), "the spare answers")
        check(first[0] == leader.name, f"the spare names {first[0]}")
        check(outside.cli("health").envelope["node"] == name, "health speaks of another node")
        # Its pages come from the leader, who holds the copy; the last one lets it go.
        file = os.path.join(cluster.folder, "spare.snap")
        for _ in range(3):
            saved = outside.cli("snapshot", "save", file, "--force")
            check(saved.exit == 0 and saved.data["node"] == leader.name, f"saved: {saved}")
        why = outside.cli("why", "leader", "--snapshot", file)
        check(why.exit == 0 and leader.name in why.data["answer"], f"{why}")
        changed = outside.cli("manager", "pause", "by-a-spare")
        check(changed.exit == 0, f"a change asked of a spare: {changed}")

        wait_until(lambda: alive(outside) == COUNT, "the spare hears all")
        before = refused(outside)
        # Two leaders later it is led by one that its own configuration does not name.
        joined = [node for node in cluster.nodes
                  if node not in cluster.founders and roles(leader)[node.name] == "voter"]
        moved = outside.cli("leader", "transfer", joined[0].name)
        check(moved.exit == 0, f"a transfer asked of a spare: {moved}")
        wait_until(lambda: told(outside)[0] == joined[0].name, "the spare names the new leader")
        joined[0].kill_both()
        living = [node for node in cluster.nodes if node not in (joined[0], outside)]
        last = wait_until(lambda: {node.status()["leader"] for node in living} -
                          {None, joined[0].name}, "another leads").pop()
        wait_until(lambda: told(outside)[0] == last, "the spare names the last leader")
        check(refused(outside) == before, "it does not know all nodes")
        say(f"{name} is a spare: it names {first[0]}, {joined[0].name}, then {last}, with their "
            "documents")


if __name__ == "__main__":
    run(spare)
