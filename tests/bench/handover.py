#!/usr/bin/python3 -B
"""Leadership moved on purpose: transfer, drain, SIGTERM, and a health score that drops.

Leaderless is from the old leader's lease.lost until the new one's lease.acquired, as they arrive
here. By health it is from the taking of the sample that crosses until leader.ready of the next
leader, less the hold time.
"""

import os
import signal
import time

import rows
from nodes import kill, wait_until
from observer import Missed, boottime_ms
from trials import Part, begin, columns, join_notes, repeat, with_cluster

PLANNED, HEALTH = "planned handover", "health handover"
HOLD_MS = 1000
POINTS = 60  # taken off the leader's score


def leaderless(cluster, began, leader, term):
    wait = cluster.events.wait
    lost = wait(began, "lease.lost", lambda n, k, _: k == "lease.lost" and n == leader.name)
    gained = wait(began, "lease.acquired", lambda _, k, t: k == "lease.acquired" and t > term)
    return gained - lost


def transfer(cluster, as_process):
    leader, term = cluster.settle()
    asked = cluster.others(leader)[0]  # passes it on: an operator need not know who leads
    began = boottime_ms()
    if as_process:
        code, took_s = asked.command("leader", "transfer")
    else:
        code, _ = asked.client.call("leader transfer", timeout_ms=10000)
        took_s = (boottime_ms() - began) / 1000
    if code != 0:
        raise Missed(f"leader transfer exits {code}")
    return {"command": took_s * 1000, "leaderless": leaderless(cluster, began, leader, term)}


def drain(cluster):
    leader, term = cluster.settle()
    began = boottime_ms()
    code, _ = leader.client.call("drain", node=leader.name)
    try:
        if code != 0:
            raise Missed(f"drain exits {code}")
        return {"leaderless": leaderless(cluster, began, leader, term)}
    finally:
        wait_until(lambda: cluster.others(leader)[0].client.call(
            "undrain", node=leader.name)[0] == 0, "undrain is taken")


def terminate(cluster):
    leader, term = cluster.settle()
    pids = leader.pids()
    began = boottime_ms()
    kill(pids[0], signal.SIGTERM)
    try:
        return {"leaderless": leaderless(cluster, began, leader, term)}
    finally:
        wait_until(lambda: leader.gone(pids), f"{leader.name} has ended")
        leader.start()


def planned(cluster, note, options):
    def row(what, values, goal):
        rows.emit(rows.make(PLANNED, what, values, "ms", profile=cluster.profile, goal=goal,
                            note=note))

    as_process = repeat(options.trials, "leader transfer as a process",
                        lambda: transfer(cluster, True))
    by_call = repeat(options.trials, "leader transfer over a connection",
                     lambda: transfer(cluster, False))
    (gaps,) = columns(as_process + by_call, "leaderless")
    row("leader transfer, leaderless", gaps, 4)
    row("leader transfer as a process, until it returns", columns(as_process, "command")[0], 20)
    row("leader transfer over an open connection, until the answer",
        columns(by_call, "command")[0], 20)
    row("drain of the leader, leaderless",
        columns(repeat(options.trials, "drain", lambda: drain(cluster)), "leaderless")[0], 4)
    row("SIGTERM to the leader, leaderless",
        columns(repeat(options.trials, "SIGTERM", lambda: terminate(cluster)), "leaderless")[0], 4)


# ---- by health ----


def inject(node, points):
    path = os.path.join(node.folder, "health.inject")
    with open(path + ".new", "w", encoding="ascii") as file:
        file.write(f"{points}\n")
    os.rename(path + ".new", path)


def crossing(node, patience_s=30):
    """Boot time in ms at which the sample was taken that is the first to have the points off."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        data = node.client.data("health", local=True)
        now = boottime_ms()
        if data and data["node"]["injected"] > 0:
            return now - data["node"]["age_ms"]
        time.sleep(0.005)
    raise Missed("the score does not drop")


def fall_ill(cluster):
    # Every move by health makes the pause before the next one longer: all begin anew.
    for node in cluster.nodes:
        inject(node, 0)
        node.kill_all()
    for node in cluster.nodes:
        node.start()
    leader, term = cluster.settle()
    inject(leader, POINTS)
    crossed = crossing(leader)
    ready, name, *_ = cluster.events.wait_row(
        crossed, "leader.ready", lambda _, k, t: k == "leader.ready" and t > term, 30)
    decided = cluster.events.wait(crossed, "leader.handover",
                                  lambda n, k, _: k == "leader.handover" and n == leader.name)
    if name == leader.name:
        raise Missed(f"{leader.name} was elected again")
    return {"after_hold": ready - crossed - HOLD_MS, "decision": ready - decided}


def health(cluster, note, options):
    results = repeat(options.trials, "health", lambda: fall_ill(cluster))
    after_hold, decision = columns(results, "after_hold", "decision")
    told = f"hold {HOLD_MS} ms, sampled every second; the time of a sample is known to 1 ms"
    rows.emit(rows.make(HEALTH, "score drops: from the sample that crosses to a new leader, less "
                        "the hold time", after_hold, "ms", profile=cluster.profile, goal=10,
                        note=join_notes(told, note)))
    rows.emit(rows.make(HEALTH, "score drops: from the decision to a new leader", decision, "ms",
                        profile=cluster.profile, note=note))


HEALTH_CONFIG = {"leadership": {"handover_below": 80, "margin": 30, "hold": f"{HOLD_MS}ms",
                                "min_tenure": "100ms"}}


if __name__ == "__main__":
    chosen = begin(__doc__)
    part = Part()
    if rows.wanted(chosen, PLANNED):
        part.run(PLANNED, with_cluster, planned, chosen)
    if rows.wanted(chosen, HEALTH):
        part.run(HEALTH, lambda: with_cluster(health, chosen, overlay=HEALTH_CONFIG))
    part.exit()
