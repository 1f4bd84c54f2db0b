#!/usr/bin/python3 -B
"""What holds managers still, checked at the effect on a real PM2: maintenance, a pause, shadow; each
through a change of leaders. What was held back is told, and carried out when the hold ends."""

import datetime

import writes
from cluster import boot_s, check, run, say, wait_until
from demo import ALWAYS, BACKUP, PRIMARY, Demo, duty


def answer(node, *words):
    done = node.cli(*words)
    check(done.exit == 0, f"{words}: {done}")
    return done.data


def maintenance_of(node):
    return answer(node, "status")["maintenance"]


def deferred(node, what, name):
    """The rows of `status` about that duty, when there are any."""
    maintenance = maintenance_of(node)
    check(maintenance is not None, "maintenance is off")
    return [row for row in maintenance["deferred"] if row["what"] == what and
            row["duty"] == duty(name)]


def managers(demo, key, value):
    """Every manager says so; asked again until then."""
    def all_say():
        rows = answer(demo.leader(), "manager", "list")
        check(len(rows) == len(demo.nodes) and all(row[key] == value for row in rows), f"{rows}")
        return rows
    return wait_until(all_say, f"{key} of every manager is {value}")


def leaders_manager(demo):
    leader = demo.leader()
    rows = {row["node"]: row for row in answer(leader, "manager", "show", "pm2")}
    return rows[leader.name]


def held(demo, name, wanted):
    """The leader's manager holds back that decision."""
    row = leaders_manager(demo)
    check(row["role"] == "active", f"{row}")
    return [item for item in row["held"] or [] if item["duty"] == duty(name) and
            item["wanted"] is wanted]


def seconds_of(event):
    return datetime.datetime.fromisoformat(event["time"].replace("Z", "+00:00")).timestamp()


def other_leader(demo):
    """Hand leadership over; the new leader."""
    old = demo.leader()
    target = next(node for node in reversed(demo.nodes) if node is not old)
    answer(old, "leader", "transfer", target.name)
    return demo.wait_leader(other_than=old)


def begun(demo):
    demo.up()
    found = demo.settled((ALWAYS,), idle=(BACKUP,))
    if found[ALWAYS][1] is demo["n1"]:  # n1 has the primary, and shall not die below
        # Refused until n2's manager has said that it can take it.
        wait_until(lambda: answer(demo["n1"], "duty", "move", duty(ALWAYS), "n2"), "it may move")
        wait_until(lambda: demo.worker_of(ALWAYS)[1] is demo["n2"], "it moved")
        demo.settled((ALWAYS,), idle=(BACKUP,))


def maintenance_starts_nothing(demo):
    refused = demo["n2"].cli("maintenance", "on", "--for", "8d")
    check(refused.exit == 2, f"eight days: {refused}")
    answer(demo["n2"], "maintenance", "on", "--for", "1h", "--why", "a new kernel")
    for node in demo.nodes:
        told = wait_until(lambda node=node: maintenance_of(node), f"{node.name} knows of it")
        check(told["why"] == "a new kernel" and 3500 < told["left_s"] <= 3600, f"{told}")
    managers(demo, "state", "paused")
    demo.pm2(demo["n1"], "stop", PRIMARY)
    wait_until(lambda: deferred(demo.leader(), "start", BACKUP), "the start is deferred")
    other_leader(demo)
    wait_until(lambda: deferred(demo.leader(), "start", BACKUP), "the new leader defers it, too")
    check(not demo.workers(BACKUP), "a backup was started in maintenance")


def maintenance_moves_nothing(demo):
    """Neither by `drain` nor because a node died."""
    pid, node = demo.worker_of(ALWAYS)
    answer(demo["n1"], "drain", node.name)
    wait_until(lambda: deferred(demo["n1"], "move", ALWAYS), "the move is deferred")
    check(demo.worker_of(ALWAYS) == (pid, node), "a drain moved a duty in maintenance")
    answer(demo["n1"], "undrain", node.name)
    wait_until(lambda: not deferred(demo["n1"], "move", ALWAYS), "there is nothing to move")
    assignment = demo.duties(demo["n1"])[duty(ALWAYS)]["assignment"]
    node.kill_both()
    others = [other for other in demo.nodes if other is not node]
    leader = demo.wait_leader(among=others, members_alive=2)
    wait_until(lambda: deferred(leader, "move", ALWAYS) or deferred(leader, "start", ALWAYS),
               "its move is deferred")
    wait_until(lambda: not demo.workers(ALWAYS), "its grant has ended, and its guard ended it")
    node.start()
    leader = demo.wait_leader()
    wait_until(lambda: len(managers(demo, "state", "paused")) == len(demo.nodes), "all are paused")
    row = demo.duties(leader)[duty(ALWAYS)]
    check(row["assignment"] in (None, assignment), f"it was placed in maintenance: {row}")
    check(not demo.workers(BACKUP), "a backup was started in maintenance")


def off_carries_out(demo):
    check(not demo.workers(ALWAYS), "what died was started again in maintenance")
    at = boot_s()
    answer(demo["n1"], "maintenance", "off")
    again = demo["n1"].cli("maintenance", "off")
    check(again.exit == 0 and again.data["changed"] is False, f"off, twice: {again}")
    demo.settled((ALWAYS, BACKUP))
    say(f"  maintenance off: all runs again {demo.first_write_s(BACKUP, at) - at:.2f} s later")


def it_ends_by_itself(demo):
    """The primary comes back at once; its backup ends only when the maintenance has."""
    answer(demo["n1"], "maintenance", "on", "--for", "8s")
    demo.pm2(demo["n1"], "start", PRIMARY)
    wait_until(lambda: maintenance_of(demo["n1"]) is None, "it is over")
    demo.settled((ALWAYS,), idle=(BACKUP,))
    off = demo.events("maintenance.off")[-1]
    stopped = wait_until(lambda: [event for event in demo.events("backup.stopped")
                                  if BACKUP in event["message"]], "the event of its end")[-1]
    check(seconds_of(stopped) >= seconds_of(off) - 0.5,
          f"the backup ended in maintenance: {stopped} {off}")
    told = demo.events("maintenance.on")  # one node was killed in between, and forgot the first
    check(len(told) >= 2 * len(demo.nodes) - 1, f"each node tells it: {told}")


def a_pause_holds_on_the_next_leader(demo):
    answer(demo["n1"], "manager", "pause", "pm2")
    managers(demo, "state", "paused")
    other_leader(demo)
    demo.pm2(demo["n1"], "stop", PRIMARY)
    wait_until(lambda: held(demo, BACKUP, True), "the new leader's manager holds its decision back")
    managers(demo, "state", "paused")
    check(not demo.workers(BACKUP), "a paused manager started a backup")
    answer(demo["n1"], "manager", "resume", "pm2")
    demo.settled((ALWAYS, BACKUP))


def shadow_of(demo):
    """What the leader's manager tells of its shadow."""
    return leaders_manager(demo)["shadow"]


def judged(demo, would):
    """The newest decision of the shadow is that one, and was right."""
    shadow = shadow_of(demo)
    check(shadow is not None and shadow["log"], f"nothing was decided: {shadow}")
    newest = shadow["log"][0]
    check(newest["would"] == would and newest["duty"] == duty(BACKUP) and
          newest["verdict"] == "right", f"{shadow}")
    return shadow


def shadow_decides_and_does_nothing(demo):
    unknown = demo["n1"].cli("manager", "mode", "nothing", "shadow")
    check(unknown.exit == 7, f"{unknown}")
    answer(demo["n1"], "manager", "mode", "pm2", "shadow")
    managers(demo, "mode", "shadow")
    before = demo.worker_of(BACKUP)
    demo.pm2(demo["n1"], "start", PRIMARY)
    first = wait_until(lambda: judged(demo, "stop"), "it would have stopped the backup, rightly")
    check(demo.worker_of(BACKUP) == before, "a manager in shadow stopped a backup")
    other_leader(demo)
    demo.pm2(demo["n1"], "stop", PRIMARY)
    wait_until(lambda: judged(demo, "start"), "it would have started it, rightly")
    shadow = shadow_of(demo)
    check(shadow["right"] == first["right"] + 1, f"the score began anew: {first} {shadow}")
    check(demo.worker_of(BACKUP) == before, "a manager in shadow moved a backup")
    text = demo["n1"].cli("manager", "show", "pm2", json_output=False).stdout
    check("Shadow on" in text and "right" in text, text)
    answer(demo["n1"], "manager", "mode", "pm2", "armed")
    managers(demo, "mode", "armed")
    demo.settled((ALWAYS, BACKUP))
    check(demo.worker_of(BACKUP) == before, "arming it moved a backup that was wanted all along")


def holds():
    writes.self_test()
    with Demo() as demo:
        for step in (begun, maintenance_starts_nothing, maintenance_moves_nothing, off_carries_out,
                     it_ends_by_itself, a_pause_holds_on_the_next_leader,
                     shadow_decides_and_does_nothing):
            at = boot_s()
            step(demo)
            say(f"  {step.__name__} ({boot_s() - at:.1f} s)")
        demo.check_writes()
        demo.stop()


if __name__ == "__main__":
    run(holds)
