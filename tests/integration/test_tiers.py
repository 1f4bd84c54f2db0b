#!/usr/bin/python3 -B
"""A guarded primary, its standard and its enhanced backup, on three nodes with a real PM2 each: each
takes over when the one before fails or its node dies, freezes or loses its PM2, and gives way when
that is back. All of them write under one name into one file: no two may ever do so at once."""

import os
import signal

import writes
from cluster import ROOT, boot_s, check, kill, process_state, run, say, wait_until
from demo import Demo

NAME = "work"
ROLES = {"primary": "guarded", "backup": "standard", "always": "enhanced"}  # as the worker writes
DUTIES = {"primary": "pm2/job", "backup": "pm2/job-standard", "always": "pm2/job-enhanced"}

SCRIPT = """#!/bin/sh
# A worker that ends at once while FOLDER/broken-ROLE exists.
[ ! -e "$1/broken-$2" ] || exit 1
exec python3 {worker} "$1/writes.log" "$UNDERSTUDY_NODE" "$2" {name}
"""

OVERLAY = """
leadership: {{handover_below: 0}}
managers:
  pm2:
    primaries:
      - name: job
        on: [n1]
        guarded: true
        script: {folder}/job.sh
        args: [{folder}, primary]
        max_restarts: 3
        settle: 2s
        start_within: 20s
        retry_after: 15s
    backups:
      - name: job-standard
        stands_in_for: job
        on: [n2, n3]
        script: {folder}/job.sh
        args: [{folder}, backup]
        max_restarts: 3
        settle: 2s
        start_within: 20s
        retry_after: 8s
        when_unreachable: {{start_after: 3s}}
      - name: job-enhanced
        stands_in_for: job
        tier: enhanced
        script: {folder}/job.sh
        args: [{folder}, always]
        settle: 2s
        when_unreachable: {{start_after: 3s}}
"""


class Tiers(Demo):
    """The quickstart's cluster with other processes."""

    def __init__(self):
        super().__init__()
        self.job = os.path.join(self.folder, "job")
        os.makedirs(self.job)
        self.writes = os.path.join(self.job, "writes.log")
        with open(os.path.join(self.job, "job.sh"), "w", encoding="ascii") as file:
            file.write(SCRIPT.format(worker=f"{ROOT}/deploy/demo/worker.py", name=NAME))
        os.chmod(file.name, 0o755)
        with open(self.overlay, "w", encoding="utf-8") as file:
            file.write(OVERLAY.format(folder=self.job))

    def break_(self, role):
        open(os.path.join(self.job, "broken-" + role), "w", encoding="ascii").close()

    def mend(self, role):
        os.unlink(os.path.join(self.job, "broken-" + role))

    def at_work(self):
        """(role, pid, node) of the only one at work; raises when there is not just one."""
        found = []
        for pid in self.workers(NAME):
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read().decode().rstrip("\0").split("\0")
            found.append((words[-2], pid, self[words[-3]]))
        check(len(found) == 1, f"at work: {found}")
        return found[0]

    def settled_on(self, role, node=None):
        """It works, writes, and the cluster says so; nothing has ever run beside another one."""
        def so():
            found = self.at_work()
            check(found[0] == role and node in (None, found[2]), f"at work: {found}")
            since = boot_s()
            wait_until(lambda: self.last_write_s(NAME, pid=found[1]) > since, "it writes", 5)
            for asked in self.nodes:
                if process_state(asked.worker() or 0) not in (None, "T"):
                    rows = self.duties(asked)
                    check(rows[DUTIES[role]]["state"] == "running", f"{rows[DUTIES[role]]}")
                    held = [each for each in DUTIES.values()
                            if each in rows and rows[each]["node"] is not None]
                    check(held == [DUTIES[role]], f"held: {held}")
            return found
        found = wait_until(so, f"the {ROLES[role]} one works", pause_s=0.1)
        writes.verify(self.writes, [NAME])
        return found

    def started(self, duty):
        return [event for event in self.events("backup.started") if duty in event["message"]]

    def rows(self, *words):
        answer = self.leader().cli(*words)
        check(answer.exit == 0, f"{answer}")
        return {row["name"]: row for row in answer.data}


def alerts_of(demo, kind):
    return [alert for alert in demo.leader().cli("alert", "list").data if kind in str(alert)]


def up(demo):
    """Without the demo's own primary, which would outlive its PM2."""
    demo.up()
    demo.pm2(demo["n1"], "delete", "demo-worker")


def begun(demo):
    up(demo)
    row = demo.settled_on("primary", demo["n1"])
    say(f"the guarded primary runs on n1: pid {row[1]}")
    listed = demo.rows("primary", "list")["job"]
    check(listed["guarded"] and listed["tier"] == "primary" and listed["node"] == "n1" and
          listed["state"] == "up" and listed["duty"] == "pm2/job", f"{listed}")
    covered, = demo.leader().cli("coverage").data["primaries"]
    check(covered["guarded"] and {row["tier"] for row in covered["backups"]} ==
          {"standard", "enhanced"} and not [row for row in covered["backups"]
                                            if row["reason"] == "not_in_this_version"], f"{covered}")
    check(not alerts_of(demo, "pm2."), f"{alerts_of(demo, 'pm2.')}")


def new_leader(demo):
    """It goes on in the tier where the one before was, and starts no worse one."""
    enhanced = len(demo.started(DUTIES["always"]))
    leader = demo.leader()
    leader.cli("leader", "transfer", next(each.name for each in demo.nodes if each is not leader))
    demo.wait_leader(other_than=leader)
    demo.settled_on("backup")
    wait_until(lambda: demo.rows("primary", "list")["job"]["tier"] in ("standard", "primary"),
               "the new leader knows the tier")
    check(len(demo.started(DUTIES["always"])) == enhanced, "the hand-over began another tier")


def crash_after_crash(demo):
    """It fails, then its standard backup does, then they come back one by one."""
    at = boot_s()
    demo.break_("primary")
    kill(demo.at_work()[1])
    demo.settled_on("backup")
    say(f"the primary fails for good: its standard backup works {boot_s() - at:.1f} s later")
    at = boot_s()
    demo.break_("backup")
    kill(demo.at_work()[1])
    demo.settled_on("always")
    say(f"that fails too: the enhanced one works {boot_s() - at:.1f} s later")
    alerts = wait_until(lambda: alerts_of(demo, "pm2.tier"), "an alert of the tier")
    check("job" in str(alerts), f"{alerts}")
    wait_until(lambda: "does not want it now" in
               demo.leader().cli("why", "duty", DUTIES["backup"]).stdout,
               "why tells that it is not the standard one's turn")
    check(demo.rows("backup", "list")["job-enhanced"]["tier"] == "enhanced", "its tier")
    at = boot_s()
    demo.mend("backup")
    demo.settled_on("backup")
    say(f"mended, the standard one works {boot_s() - at:.1f} s later, by its retry")
    new_leader(demo)
    at = boot_s()
    demo.mend("primary")
    demo.settled_on("primary", demo["n1"])
    say(f"and the primary {boot_s() - at:.1f} s after it was mended")


def host_killed(demo):
    """kill -9 of parent and node of its host: the guard ends it, the standard one takes over; the
    host comes back, and the primary with it."""
    at = boot_s()
    demo["n1"].kill_both()
    found = wait_until(lambda: demo.at_work() if demo.at_work()[0] == "backup" else None,
                       "the standard one works", pause_s=0.05)
    say(f"kill -9 of n1, parent and node: {found[2].name} works after {boot_s() - at:.1f} s")
    writes.verify(demo.writes, [NAME])
    demo["n1"].start()
    demo.settled_on("primary", demo["n1"])


def host_frozen(demo):
    """SIGSTOP of its node process: the guard, which is not frozen, ends it in time."""
    at = boot_s()
    process = demo["n1"].freeze()
    found = wait_until(lambda: demo.at_work() if demo.at_work()[0] == "backup" else None,
                       "the standard one works", pause_s=0.05)
    say(f"SIGSTOP of n1: {found[2].name} works after {boot_s() - at:.1f} s")
    check(process_state(process) == "T", "the node is not frozen any more")
    kill(process, signal.SIGCONT)
    demo.settled_on("primary", demo["n1"])


def pm2_killed(demo):
    """Its host's PM2 dies and comes back: whoever works meanwhile, in the end it is the primary, and
    never two."""
    god = demo.god(demo["n1"])
    kill(god)
    wait_until(lambda: demo.god(demo["n1"]) not in (None, god), "PM2 is back")
    demo.settled_on("primary", demo["n1"])


def handed_over(demo):
    """A process of the team's own under that name cannot be guarded: nothing of ours runs beside it,
    and people are told how to hand it over."""
    script = os.path.join(demo.job, "own.sh")
    with open(script, "w", encoding="ascii") as file:
        file.write("#!/bin/sh\nexec sleep 100000\n")
    demo.leader().cli("manager", "pause", "pm2")
    wait_until(lambda: all(row["state"] == "paused" for node in demo.nodes
                           for row in node.status()["managers"] if row["name"] == "pm2"), "a pause")
    demo.pm2(demo["n1"], "delete", "job")
    demo.pm2(demo["n1"], "start", script, "--name", "job", "--interpreter", "sh")
    demo.leader().cli("manager", "resume", "pm2")
    found = wait_until(lambda: alerts_of(demo, "pm2.unguarded"), "an alert that it is not guarded")
    check("pm2 delete job" in str(found), f"{found}")
    at = boot_s()
    wait_until(lambda: boot_s() - at > 9 or demo.workers(NAME), "longer than a failure is waited for")
    check(not demo.workers(NAME), "something of ours runs beside it")
    check(demo.pm2_status(demo["n1"], "job") == "online", "the team's own was touched")
    demo.pm2(demo["n1"], "delete", "job")
    demo.settled_on("primary", demo["n1"])


def ended(demo):
    demo.stop()
    check(not demo.own_pids(), "something is left running")


def tiers():
    with Tiers() as demo:
        for step in (begun, crash_after_crash, host_killed, host_frozen, pm2_killed, handed_over,
                     ended):
            at = boot_s()
            step(demo)
            say(f"  {step.__name__}: {boot_s() - at:.1f} s")
        files = writes.verify(demo.writes, [NAME])
        say(f"{len(writes.writers(files, NAME))} writers one after another, the closest "
            f"{writes.closest_ms(files, NAME):.0f} ms apart")


if __name__ == "__main__":
    run(tiers)
