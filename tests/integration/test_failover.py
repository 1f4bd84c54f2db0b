#!/usr/bin/python3 -B
"""Leaders that die, freeze, leave and return: another leads, two never act, history says why."""

import signal

from cluster import (ActingWatch, Cluster, alive, boot_s, check, history, kill, median, run, say,
                     wait_until)

QUIET = "leadership: {handover_below: 0}\n"  # a busy machine must not move leadership here
ON_EVIDENCE = ("crash_evidence", "obituary")


def entry_after(node, term):
    """The history entry of the first leader after `term`."""
    def find():
        later = [entry for entry in history(node) if entry["term"] > term]
        return min(later, key=lambda entry: entry["term"], default=None)
    return wait_until(find, f"history has a leader after term {term}")


def check_timeline(entry):
    check(0 <= entry["detected_ms"] <= entry["elected_ms"] <= entry["acting_ms"],
          f"the timeline runs backwards: {entry}")


def others(cluster, node):
    return [other for other in cluster.nodes if other is not node]


def kill_leader(cluster, watch, whole):
    """kill -9 of the leader's node process, or of parent and node; the new leader's entry."""
    leader = cluster.wait_leader()
    term = leader.status()["term"]
    worker = leader.worker()
    at = boot_s()
    if whole:
        leader.kill_both()
    else:
        kill(worker)
    successor = cluster.wait_leader(among=others(cluster, leader)) if whole else None
    entry = entry_after(successor or others(cluster, leader)[0], term)
    check_timeline(entry)
    check(entry["cause"] in ON_EVIDENCE + ("timeout",), f"cause of a crash: {entry}")
    if entry["cause"] in ON_EVIDENCE:
        check(entry["node"] != leader.name, f"the dead one leads: {entry}")
    acting_at = wait_until(lambda: watch.first_acting(cluster[entry["node"]], at),
                           f"{entry['node']} is seen to act")
    if whole:
        check(entry["proof"] == "none", f"proof of a death that nobody could report: {entry}")
        leader.start()
    else:
        wait_until(lambda: leader.worker() not in (None, worker), "the parent started it again")
    return entry, 1000 * (acting_at - at)


def trials(cluster, watch, whole):
    """At least three, and on until evidence was the cause: a busy machine may time out first."""
    entries = []
    for _ in range(8):
        entries.append(kill_leader(cluster, watch, whole))
        if len(entries) >= 3 and any(entry["cause"] in ON_EVIDENCE for entry, _ in entries):
            break
    check(any(entry["cause"] in ON_EVIDENCE for entry, _ in entries),
          f"no election on evidence in {len(entries)} deaths: {entries}")
    if not whole:
        check(any(entry["proof"] == "obituary" for entry, _ in entries),
              f"no obituary was proof in {len(entries)} deaths: {entries}")
    say(f"kill -9 of {'parent and node' if whole else 'the node process'}, {len(entries)} times: "
        f"acting after {median([ms for _, ms in entries]):.0f} ms in the median as seen from "
        f"outside; by the leader: elected "
        f"{[entry['elected_ms'] for entry, _ in entries]}, acting "
        f"{[entry['acting_ms'] for entry, _ in entries]} ms; causes "
        f"{[entry['cause'] + '/' + entry['proof'] for entry, _ in entries]}")


def freeze_and_thaw(cluster, watch):
    leader = cluster.wait_leader()
    term = leader.status()["term"]
    at = boot_s()
    pid = leader.freeze()
    successor = cluster.wait_leader(among=others(cluster, leader))
    acting_at = wait_until(lambda: watch.first_acting(successor, at), "the successor acts")
    entry = entry_after(successor, term)
    check_timeline(entry)
    check(entry["node"] != leader.name, f"the frozen one leads: {entry}")
    check(entry["cause"] == "timeout", f"cause of a freeze: {entry}")
    check(entry["proof"] == "none", f"nobody is dead: {entry}")
    watch.thawing(leader)
    kill(pid, signal.SIGCONT)
    wait_until(lambda: (leader.status() or {}).get("leader") not in (None, leader.name),
               "the thawed node follows")
    now = cluster.wait_leader()
    check(leader.worker() == pid, "the frozen process did not live on")
    check(now is not leader, "the thawed node leads again")
    say(f"SIGSTOP of the leader: another acts after {1000 * (acting_at - at):.0f} ms "
        f"({entry['cause']}); thawed, it follows {now.name}")


def rolling_restart(cluster):
    taken = []
    for node in list(cluster.nodes):
        leader = cluster.wait_leader()
        term = leader.status()["term"]
        code = node.terminate()
        check(code == 0, f"{node.name} ended with {code}")
        successor = cluster.wait_leader(among=others(cluster, node))
        if node is leader:
            entry = entry_after(successor, term)
            check_timeline(entry)
            check(entry["cause"] == "drain", f"cause of SIGTERM: {entry}")
            taken.append(entry["acting_ms"])
        else:
            check(successor is leader, "a follower's restart moved leadership")
            check(successor.status()["term"] == term, "a follower's restart changed the term")
        node.start()
    cluster.wait_leader()
    check(taken, "no leader was restarted")
    say(f"each node restarted in turn by SIGTERM: {len(taken)} handovers, acting after {taken} ms")


def all_down_and_up(cluster, number):
    leader = cluster.wait_leader()
    before = history(leader)
    term = leader.status()["term"]
    applied = leader.status()["applied_index"]
    pids = [pid for node in cluster.nodes for pid in (node.parent(), node.worker())]
    for pid in pids[::2] if number == signal.SIGTERM else pids:
        kill(pid, number)
    wait_until(lambda: [node.reap() for node in cluster.nodes] and not any(map(alive, pids)),
               "all are down")
    at = boot_s()
    for node in cluster.nodes:
        node.start()
    leader = cluster.wait_leader()
    status = leader.status()
    check(status["term"] >= term, "the term went back")
    check(status["applied_index"] > applied, "entries were lost")
    kept = {entry["term"] for entry in history(leader)}
    check(kept >= {entry["term"] for entry in before}, "history was lost")
    say(f"all down ({number.name}) and up: a leader acts again after {boot_s() - at:.2f} s")


def failover():
    with Cluster(extra=QUIET) as cluster:
        cluster.start()
        with ActingWatch(cluster.nodes) as watch:
            trials(cluster, watch, whole=False)
            trials(cluster, watch, whole=True)
            freeze_and_thaw(cluster, watch)
            freeze_and_thaw(cluster, watch)
            rolling_restart(cluster)
            all_down_and_up(cluster, signal.SIGTERM)
            all_down_and_up(cluster, signal.SIGKILL)
            watch.verify()
        say(f"{watch.asked} questions who acts, {len(watch.seen)} answers \"I\": never two at once")


if __name__ == "__main__":
    run(failover)
