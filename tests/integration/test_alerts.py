#!/usr/bin/python3 -B
"""Alerts and recoveries on a real cluster: raised once whoever leads, acknowledged, resolved; a backup
that cannot start is tried again with growing pauses, moved, escalated, and recovered by hand."""

import os
import signal

import writes
from cluster import alive, boot_s, check, kill, run, say, wait_until
from demo import ALWAYS, BACKUP, PRIMARY, Demo, duty

FRAGILE = "fragile"


def answer(node, *words):
    done = node.cli(*words)
    check(done.exit == 0, f"{words}: {done}")
    return done.data


def alert(node, key, *words):
    """The row of that key among those of `alert list`, or None."""
    return next((row for row in answer(node, "alert", "list", *words) if row["key"] == key), None)


def firing(node, key):
    row = alert(node, key)
    check(row is not None and row["state"] == "firing", f"{key}: {row}")
    return row


def others(demo, node):
    return [other for other in demo.nodes if other is not node]


def dead_member(demo):
    """The leader dies: the next one raises it; once, although leaders change again."""
    leader = demo.leader()
    key = f"member.dead/{leader.name}"
    leader.kill_both()
    rest = others(demo, leader)
    next_leader = demo.wait_leader(among=rest, members_alive=2)
    row = wait_until(lambda: firing(next_leader, key), f"{key} fires")
    check(row["severity"] == "critical" and row["kind"] == "member.dead" and
          row["object"] == leader.name and row["times"] == 1, f"{row}")
    wait_until(lambda: firing(next_leader, "quorum.thin/cluster"), "two of three are few")
    check(answer(next_leader, "status")["alerts"]["firing"] >= 2, "status counts them")
    target = next(node for node in rest if node is not next_leader)
    answer(next_leader, "leader", "transfer", target.name)
    demo.wait_leader(among=rest, members_alive=2, other_than=next_leader)
    answer(target, "alert", "ack", key)
    row = wait_until(lambda: [row for row in [alert(target, key)] if row["state"] == "acked"],
                     "it is acknowledged")[0]
    check(row["acked_by"] and row["times"] == 1, f"{row}")
    for node in rest:
        raised = [event for event in demo.events("alert.raised")
                  if event["alert"] == key and event["node"] == node.name]
        check(len(raised) == 1, f"{node.name} tells it {len(raised)} times")
    leader.start()
    demo.wait_leader()
    wait_until(lambda: alert(target, key) is None, "it is resolved")
    row = alert(target, key, "--all")
    check(row["state"] == "resolved" and row["times"] == 1, f"{row}")
    wait_until(lambda: alert(target, "quorum.thin/cluster") is None, "so is the quorum's")
    for words in (("alert", "ack", "no/such"), ("alert", "resolve", "no/such")):
        check(target.cli(*words).exit == 7, f"{words}")


def primary_without_a_backup(demo):
    key = f"primary.down/pm2/{PRIMARY}"
    node = demo["n1"]
    demo.settled((ALWAYS,), idle=(BACKUP,))
    answer(node, "manager", "pause", "pm2")
    wait_until(lambda: all(row["state"] == "paused" for row in answer(node, "manager", "list")),
               "every manager is paused")
    demo.pm2(node, "stop", PRIMARY)
    row = wait_until(lambda: firing(node, key), f"{key} fires")
    check("no backup" in row["text"], f"{row}")
    answer(node, "manager", "resume", "pm2")
    demo.settled((ALWAYS, BACKUP))
    wait_until(lambda: alert(node, key) is None, "its backup runs: it is resolved")
    status, body = node.http("/api/v1/alert/list")
    check(status == 200 and "understudy.alert.list/1" in body, f"/api/v1/alert/list: {status}")


def manager_pid(demo, node):
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/stat", "rb") as file:
                parent = int(file.read().rpartition(b")")[2].split()[1])
            with open(f"/proc/{entry}/cmdline", "rb") as file:
                words = file.read()
        except OSError:
            continue
        if parent == node.worker() and b"understudy-manager-pm2" in words:
            return int(entry)
    return None


def managers_restarts_are_attempts(demo):
    """kill -9 of a manager, three times: counted, replicated, told; the next leader goes on."""
    node = others(demo, demo.leader())[0]
    component = f"manager/{node.name}/pm2"

    def row_of(asked):
        return {row["node"]: row for row in answer(asked, "manager", "list")}[node.name]

    for count in (1, 2, 3):
        pid = wait_until(lambda: manager_pid(demo, node), "there is a manager")
        kill(pid, signal.SIGKILL)
        wait_until(lambda pid=pid: not alive(pid), "it is dead")
        if count > 1:  # before the leader has counted it, most often
            old = demo.leader()
            answer(old, "leader", "transfer",
                   next(other for other in demo.nodes if other not in (old, node)).name)
            demo.wait_leader(other_than=old)
        wait_until(lambda count=count: row_of(node)["recovery_attempts"] >= count,
                   f"attempt {count} is on record")
        wait_until(lambda: row_of(node)["state"] in ("standby", "running"), "it is back")
    rows = {row["component"]: row for row in answer(node, "recovery")}
    check(rows[component]["attempt"] >= 3 and rows[component]["phase"] in ("waiting", "escalated"),
          f"{rows}")
    wait_until(lambda: firing(node, f"manager.restarting/{node.name}/pm2"), "it is an alert")
    before = wait_until(lambda: manager_pid(demo, node), "there is a manager")
    answer(node, "recovery", component)
    wait_until(lambda: manager_pid(demo, node) not in (None, before), "started anew by hand")


def alerts():
    writes.self_test()
    with Demo() as demo:
        demo.up()
        demo.settled((ALWAYS,), idle=(BACKUP,))
        for step in (dead_member, primary_without_a_backup, managers_restarts_are_attempts):
            at = boot_s()
            step(demo)
            say(f"  {step.__name__} ({boot_s() - at:.1f} s)")
        demo.check_writes()
        demo.stop()


# ---- a backup that cannot start ----

OVERLAY = """leadership: {{handover_below: 0}}
managers:
  pm2:
    backups:
      - {{name: fragile, mode: always, script: "{folder}/fragile.sh", cwd: "{folder}"}}
"""


class Fragile(Demo):
    def __init__(self):
        super().__init__()
        self.script = os.path.join(self.folder, "fragile.sh")
        with open(self.overlay, "w", encoding="utf-8") as file:
            file.write(OVERLAY.format(folder=self.folder))

    def mend(self):
        with open(self.script + ".new", "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\nwhile :; do sleep 1; done\n")
        os.chmod(self.script + ".new", 0o755)
        os.rename(self.script + ".new", self.script)


def recovery_row(node):
    return next((row for row in answer(node, "recovery") if row["component"] == duty(FRAGILE)), None)


def attempts(node, least):
    row = recovery_row(node)
    check(row is not None and row["attempt"] >= least, f"{row}")
    return row


def recoveries():
    with Fragile() as demo:
        demo.up()
        leader = demo.leader()
        first = wait_until(lambda: attempts(leader, 2), "the second attempt")
        place = wait_until(lambda: demo.duties(leader)[duty(FRAGILE)]["node"], "it is assigned")
        old = demo.leader()
        answer(old, "leader", "transfer", others(demo, old)[0].name)
        leader = demo.wait_leader(other_than=old)
        seen = [recovery_row(leader)["attempt"]]
        check(seen[0] >= first["attempt"], f"a new leader began anew: {first} {seen}")

        def escalated():
            seen.append(recovery_row(leader)["attempt"])
            return firing(leader, f"recovery.escalated/{duty(FRAGILE)}")
        row = wait_until(escalated, "its attempts are used up", patience_s=180, pause_s=0.2)
        check(seen == sorted(seen), f"attempts went back: {seen}")
        check(row["severity"] == "critical", f"{row}")
        wait_until(lambda: demo.duties(leader)[duty(FRAGILE)]["node"] not in (None, place),
                   "another node tries")
        check(leader.cli("recovery", "pm2/nothing").exit == 7, "an unknown component")
        demo.mend()
        answer(leader, "recovery", duty(FRAGILE))
        at = boot_s()
        wait_until(lambda: demo.duties(leader)[duty(FRAGILE)]["state"] == "running", "it runs")
        say(f"  {max(seen)} attempts, escalated, moved; by hand it ran after {boot_s() - at:.1f} s")
        wait_until(lambda: recovery_row(leader) is None, "well for a minute: forgotten",
                   patience_s=180, pause_s=0.5)
        wait_until(lambda: alert(leader, f"recovery.escalated/{duty(FRAGILE)}") is None,
                   "and resolved")
        demo.stop()


if __name__ == "__main__":
    run(alerts, recoveries)
