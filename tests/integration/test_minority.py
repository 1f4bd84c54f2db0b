#!/usr/bin/python3 -B
"""Two of three dead: the last one says so and does not act; they return, all is as before."""

import json

from cluster import ActingWatch, Cluster, boot_s, check, history, run, say, wait_until


def lost_quorum(last):
    answer = last.cli("status")
    check(answer.exit == 5, f"status without quorum: {answer}")
    envelope = answer.envelope
    check(envelope is not None, f"no document: {answer}")
    check(envelope["stale"] is True, "the document is not marked stale")
    data = envelope["data"]
    check(data["quorum"] is False and data["acting"] is False and data["lease_ms"] is None,
          f"{data}")
    check(data["leader_acting"] in (False, None), f"{data}")
    return data


def minority():
    with Cluster(extra="leadership: {handover_below: 0}\n") as cluster:
        leader = cluster.start()
        # The last one is the leader in one round (its lease must end) and a follower in the other.
        for stays in ("leader", "follower"):
            leader = cluster.wait_leader()
            last = leader if stays == "leader" else next(
                node for node in cluster.nodes if node is not leader)
            dead = [node for node in cluster.nodes if node is not last]
            changed = last.cli("manager", "pause", f"mark-{stays}")
            check(changed.exit == 0, f"{changed}")
            before = last.status()
            entries = history(last)
            with ActingWatch(cluster.nodes) as watch:
                wait_until(lambda: watch.names(), "somebody acts")
                for node in dead:
                    node.kill_both()
                data = wait_until(lambda: lost_quorum(last), "the last one says so")
                alone_since = boot_s()
                check({row["name"] for row in data["members"]} ==
                      {node.name for node in cluster.nodes}, f"not the whole document: {data}")
                check(last.http("/livez")[0] == 200, "/livez depends on the quorum")
                status, body = last.http("/leader")
                check(status == 503 and json.loads(body)["acting"] is False, f"/leader: {body}")
                check(last.cli("leader").exit == 5, "leader without quorum")
                refused = last.cli("drain", last.name, timeout="2s")
                check(refused.exit in (4, 5), f"a change without quorum: {refused}")
                # Settled: it stays so while both peers are told dead.
                wait_until(lambda: sum(row["state"] == "dead" for row in
                                       lost_quorum(last)["members"]) == 2, "both are told dead")
                check(not watch.names(since=alone_since), "somebody acts without a majority")
                text = last.cli("status", json_output=False)
                check(text.exit == 5 and "quorum" in (text.stdout + text.stderr).lower(),
                      f"the page for people: {text}")
                for node in dead:
                    node.start()
                leader = cluster.wait_leader()
                watch.verify()
            after = leader.status()
            check(after["term"] >= before["term"], "the term went back")
            check(after["applied_index"] >= before["applied_index"], "entries were lost")
            check({row["name"]: row["role"] for row in after["members"]} ==
                  {row["name"]: row["role"] for row in before["members"]}, "roles changed")
            kept = {entry["term"] for entry in history(leader)}
            check(kept >= {entry["term"] for entry in entries}, "history was lost")
            check(leader.cli("status").exit == 0, "status does not exit 0 again")
            draining = [row for row in leader.status()["members"] if row["draining"]]
            if draining:  # accepted late is allowed for exit 4; it must not stay
                check(refused.exit == 4, f"a refused change was made: {draining}")
                leader.cli("undrain", last.name)
            say(f"two of three dead, a {stays} stays: exit 5, stale, nobody acts; back in term "
                f"{before['term']} -> {after['term']}")


if __name__ == "__main__":
    run(minority)
