#!/usr/bin/python3 -B
"""A voter's data folder is lost: the leader says so; removed and joined anew it votes again."""

import glob
import os
import shutil

from cluster import Cluster, check, history, run, say, wait_until

LOST = "n1"


def lose_folder(node):
    for path in glob.glob(f"{node.folder}/data/*"):
        shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)


def join_anew(cluster, node, leader):
    answer = leader.cli("remove", node.name)
    check(answer.exit == 0, f"remove: {answer}")
    node.kill_both()
    lose_folder(node)
    key = cluster.public_key(node.name)
    exits = []

    def joined():  # 8 while its removal is under way
        exits.append(leader.cli("join", node.name, node.address, key).exit)
        check(exits[-1] in (0, 8), f"join: {exits}")
        return exits[-1] == 0

    wait_until(joined, "it is admitted")
    node.start()


def lost_folder():
    with Cluster(extra="leadership: {handover_below: 0}\n") as cluster:
        leader = cluster.start()
        node = cluster[LOST]
        others = [other for other in cluster.nodes if other is not node]
        if leader is node:
            check(leader.cli("leader", "transfer", others[0].name).exit == 0, "transfer")
            leader = cluster.wait_leader(other_than=node)
        node.terminate()
        lose_folder(node)
        node.start()
        wait_until(lambda: "member.memory_lost" in leader.log_text(), "the leader says so")
        check(cluster.wait_leader() is leader, "leadership moved")
        join_anew(cluster, node, leader)
        wait_until(lambda: [row["role"] for row in leader.status()["members"]] == ["voter"] * 3,
                   "it votes again")
        wait_until(lambda: {entry["term"] for entry in history(node)} ==
                   {entry["term"] for entry in history(leader)}, "it has the whole history")
        check(leader.log_text().count("member.memory_lost") == 1, "told more than once")
        say(f"{LOST} lost its folder, the leader said so, and it is a voter again")


if __name__ == "__main__":
    run(lost_folder)
