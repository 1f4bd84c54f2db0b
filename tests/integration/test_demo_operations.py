#!/usr/bin/python3 -B
"""What an operator does to running duties: move, drain, pause, stop and start; nothing runs twice."""

import writes
from cluster import check, run, say, wait_until
from demo import ALWAYS, BACKUP, PRIMARY, SETTLE_S, Demo, duty

SETTLED_ENTRIES = 30  # a few commits per step; a storm of them is hundreds


def answer(demo, *words):
    done = demo["n1"].cli(*words)
    check(done.exit == 0, f"{words}: {done}")
    return done.data


def applied(demo):
    return demo["n1"].status()["applied_index"]


def begun(demo):
    demo.up()
    demo.pm2(demo["n1"], "stop", PRIMARY)
    demo.settled((ALWAYS, BACKUP))


def moved(demo):
    _, node = demo.worker_of(BACKUP)
    target = next(other for other in demo.nodes if other is not node)
    wait_until(lambda: answer(demo, "duty", "move", duty(BACKUP), target.name), "it may move")
    wait_until(lambda: demo.worker_of(BACKUP)[1] is target, f"the backup is on {target.name}")
    demo.settled((ALWAYS, BACKUP))
    refused = demo["n1"].cli("duty", "move", duty(BACKUP), "nobody")
    check(refused.exit == 7, f"{refused}")


def stopped_and_started(demo):
    answer(demo, "stop", "--yes")
    wait_until(lambda: not demo.workers(BACKUP) and not demo.workers(ALWAYS), "all duties ended")
    rows = wait_until(lambda: all_paused(demo), "every manager is paused")
    check(demo.pm2_status(demo["n1"], PRIMARY) == "stopped", "stop touched the primary")
    say(f"  {len(rows)} managers paused")
    answer(demo, "start")
    demo.settled((ALWAYS, BACKUP))


def all_paused(demo):
    rows = answer(demo, "manager", "list")
    check(len(rows) == len(demo.nodes), f"{rows}")
    check(all(row["state"] == "paused" for row in rows), f"{rows}")
    return rows


def drained(demo):
    _, node = demo.worker_of(ALWAYS)
    answer(demo, "drain", node.name)

    def empty():
        found = demo.consistent((ALWAYS, BACKUP))
        check(all(place is not node for _, place in found.values()), f"{node.name} runs something")
        check(demo.leader() is not node, f"{node.name} leads")
        return True
    wait_until(empty, f"{node.name} is drained", pause_s=0.1)
    demo.settled((ALWAYS, BACKUP))
    answer(demo, "undrain", node.name)


def paused_manager_decides_nothing(demo):
    answer(demo, "manager", "pause", "pm2")
    wait_until(lambda: all_paused(demo), "every manager is paused")
    before = demo.consistent((ALWAYS, BACKUP))
    demo.pm2(demo["n1"], "start", PRIMARY)
    wait_until(lambda: well_for_s(demo) > SETTLE_S + 2, "the primary was well past its settle time")
    check(demo.consistent((ALWAYS, BACKUP)) == before, "a paused manager moved something")
    answer(demo, "manager", "resume", "pm2")
    demo.settled((ALWAYS,), idle=(BACKUP,))


def well_for_s(demo):
    """For how long the primary has been up, as its own node's manager sees it."""
    row = next(row for row in answer(demo, "primary", "list") if row["name"] == PRIMARY)
    return row["for_ms"] / 1000 if row["state"] == "up" else 0


def ended(demo):
    demo.stop()
    check(not demo.own_pids(), "something is left running")


def operations():
    writes.self_test()
    with Demo() as demo:
        for step in (begun, moved, stopped_and_started, drained, paused_manager_decides_nothing):
            before = applied(demo) if step is not begun else 0
            step(demo)
            more = applied(demo) - before
            check(more < SETTLED_ENTRIES, f"{step.__name__} committed {more} entries")
            say(f"  {step.__name__}: {more} entries")
        demo.check_writes()
        ended(demo)


if __name__ == "__main__":
    run(operations)
