#!/usr/bin/python3 -B
"""Leaders die while a real PM2 runs a backup: what need not stop goes on, and nothing runs twice."""

import writes
from cluster import alive, boot_s, check, history, kill, run, say, wait_until
from demo import ALWAYS, BACKUP, GRANT_S, PRIMARY, Demo
from test_failover import check_timeline, entry_after, others

BOTH = (BACKUP, ALWAYS)
CAUSES = ("crash_evidence", "obituary", "timeout")


def settled_after(demo, dead, whole):
    """Until a guard's deadline what it holds runs on, beside a dead node and parent too."""
    if not whole:
        return demo.settled(BOTH)

    def moved():
        found = demo.settled(BOTH, among=others(demo, dead))
        check(all(node is not dead for _, node in found.values()), f"still on {dead.name}: {found}")
        return found

    return wait_until(moved, f"nothing runs on {dead.name} any more", 60)


def leader_dies(demo, whole):
    """kill -9 of the leader's node process, or of parent and node too; the new leader's entry."""
    before = demo.settled(BOTH)
    leader = demo.leader()
    term = leader.status()["term"]
    worker = leader.worker()
    at = boot_s()
    if whole:
        leader.kill_both()
        demo.wait_leader(among=others(demo, leader))
    else:
        kill(worker)
        wait_until(lambda: leader.worker() not in (None, worker), "the parent started it again")
    witness = others(demo, leader)[0]
    entry = entry_after(witness, term)
    check_timeline(entry)
    check(entry["cause"] in CAUSES and entry["previous"] == leader.name, f"{entry}")
    check(entry["cause"] == "timeout" or entry["node"] != leader.name, f"the dead one: {entry}")
    check(not whole or entry["proof"] == "none", f"nobody could report this death: {entry}")
    after = settled_after(demo, leader, whole)
    kept = []
    for name in BOTH:
        pid, node = before[name]
        if node is not leader:
            check(after[name] == (pid, node),
                  f"{name} on {node.name} was stopped by the death of {leader.name}: {after[name]}")
            silent = writes.gaps([[line for line in file if line.time / 1e9 >= at] for file in
                                  writes.read(demo.writes)], name, 2_000_000_000)
            check(not silent, f"{name} went on, but was silent: {silent}")
            kept.append(name)
        else:
            check(after[name] == (pid, node) or not alive(pid), f"{name} {pid} lives on")
    if whole:
        leader.start()
        check(demo.settled(BOTH) == after, f"the return of {leader.name} moved something")
    demo.leader()
    return entry, kept


def trials(demo, whole):
    entries = []
    kept = []
    for _ in range(3):
        entry, names = leader_dies(demo, whole)
        entries.append(entry)
        kept += names
    what = "parent and node of the leader" if whole else "the leader's node process"
    say(f"kill -9 of {what}, {len(entries)} times: "
        f"{[entry['cause'] + '/' + entry['proof'] for entry in entries]}, acting after "
        f"{[entry['acting_ms'] for entry in entries]} ms; processes that went on: {len(kept)}")
    return kept


def node_process_dies(demo):
    return trials(demo, whole=False)


def whole_node_dies(demo):
    return trials(demo, whole=True)


def told_without_quorum(last):
    answer = last.cli("status")
    check(answer.exit == 5 and answer.envelope is not None, f"status without quorum: {answer}")
    check(answer.envelope["stale"] is True and answer.data["quorum"] is False, f"{answer}")
    check("quorum" in last.cli("status", json_output=False).stdout.lower(), "the page is silent")
    return True


def two_of_three_die(demo):
    found = demo.settled(BOTH)
    last = found[BACKUP][1]  # so that something runs there that has to end
    entries = history(last)
    for node in others(demo, last):
        node.kill_both()
    dead_at = boot_s()
    wait_until(lambda: told_without_quorum(last), "the last one says so")
    wait_until(lambda: not any(demo.workers(name) for name in BOTH), "nothing exclusive runs")
    for name in BOTH:
        late = demo.last_write_s(name) - dead_at
        # The last grant may have been sent until the lease's end, 350 ms after the deaths.
        check(late <= GRANT_S + 0.35, f"{name} wrote {late:.2f} s after its grants could be renewed")
    ended = max(demo.last_write_s(name) for name in BOTH) - dead_at
    wait_until(lambda: sum(row["state"] == "dead" for row in last.status()["members"]) == 2,
               "both are told dead")
    check(told_without_quorum(last), "the last one changed its mind")
    check(not any(demo.workers(name) for name in BOTH), "something exclusive runs alone")
    demo.up()  # as a person would
    demo.leader()
    again = demo.settled(BOTH)
    check(last.cli("status").exit == 0, "status does not exit 0 again")
    check({entry["term"] for entry in history(last)} >= {entry["term"] for entry in entries},
          "history was lost")
    say(f"two of three dead: exit 5 on {last.name}, the last exclusive line {ended:.2f} s after "
        f"the deaths; they return, {BACKUP} runs on {again[BACKUP][1].name}")


def begun(demo):
    demo.up()
    demo.settled((ALWAYS,), idle=(BACKUP,))
    demo.pm2(demo["n1"], "stop", PRIMARY)
    demo.settled(BOTH)


def ended(demo):
    demo.pm2(demo["n1"], "start", PRIMARY)
    demo.settled((ALWAYS,), idle=(BACKUP,))
    files = demo.check_writes()
    say("lives: " + ", ".join(f"{len(writes.writers(files, name))} of {name}, the closest "
                              f"{writes.closest_ms(files, name):.0f} ms apart" for name in BOTH))
    demo.stop()
    check(not demo.own_pids(), "something is left running")


def leader():
    writes.self_test()
    with Demo() as demo:
        kept = []
        for step in (begun, node_process_dies, whole_node_dies, two_of_three_die, ended):
            at = boot_s()
            kept += step(demo) or []
            say(f"  {step.__name__}: {boot_s() - at:.1f} s")
        check(kept, "every process was on a dying node: nothing shows that others go on")


if __name__ == "__main__":
    run(leader)
