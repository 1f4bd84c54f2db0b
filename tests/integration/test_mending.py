#!/usr/bin/python3 -B
"""A primary that PM2 has given up is brought back on its own host, while its backup stands in:
attempts are counted across leaders, escalate, and end when a person stops it."""

import os

import writes
from cluster import boot_s, check, run, say, wait_until
from demo import OVERLAY, PRIMARY, Demo, duty

FRAGILE, SECOND = "fragile", "second"
STAND_IN = "fragile-backup"
COMPONENT = f"ailing/n1/pm2/{FRAGILE}"
ALERT = f"recovery.escalated/{COMPONENT}"
SECTION = """managers:
  pm2:
    primaries:
      - {{name: demo-worker, on: [n1]}}
      - {{name: fragile, on: [n1], critical: true}}
      - {{name: second, on: [n1]}}
    backups:
      - {{name: fragile-backup, stands_in_for: fragile, script: "{folder}/stay.sh",
          cwd: "{folder}", settle: 3s}}
      - {{name: demo-always, mode: always, script: "{folder}/stay.sh", cwd: "{folder}"}}
"""
STAY = "#!/bin/sh\nwhile :; do sleep 1; done\n"
# Runs while its file is there, and ends at once without it.
FAIL = "#!/bin/sh\ntest -e {folder}/{name}.well || exit 3\nexec sleep 100000\n"


def answer(node, *words):
    done = node.cli(*words)
    check(done.exit == 0, f"{words}: {done}")
    return done.data


class Mending(Demo):
    def __init__(self):
        super().__init__()
        self.script("stay.sh", STAY)
        for name in (FRAGILE, SECOND):
            self.script(f"{name}.sh", FAIL.format(folder=self.folder, name=name))
        with open(self.overlay, "w", encoding="utf-8") as file:
            file.write(OVERLAY + SECTION.format(folder=self.folder))

    def script(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, 0o755)

    def well(self, name):
        with open(os.path.join(self.folder, f"{name}.well"), "w", encoding="utf-8"):
            pass

    def ill(self, name):
        """It fails whenever PM2 starts it again. PM2 gives up soon after a restart only, and would
        otherwise go on for ever by itself."""
        os.unlink(os.path.join(self.folder, f"{name}.well"))
        self.pm2(self["n1"], "restart", name)

    def begin(self, name):
        self.pm2(self["n1"], "start", os.path.join(self.folder, f"{name}.sh"), "--name", name,
                 "--interpreter", "sh")

    def primary(self, name, asked=None):
        rows = answer(asked or self.leader(), "primary", "list")
        return next(row for row in rows if row["name"] == name and row["node"] == "n1")

    def is_up(self, name):
        row = self.primary(name)
        check(row["state"] == "up" and row["pid"], f"{row}")
        return row

    def stands_in(self, wanted):
        state = self.duties(self.leader()).get(duty(STAND_IN), {}).get("state", "idle")
        check((state == "running") == wanted and (wanted or state == "idle"), f"{STAND_IN}: {state}")
        return True

    def row(self, node):
        return next((row for row in answer(node, "recovery") if row["component"] == COMPONENT), None)

    def stops(self):
        return [row for row in self.events("backup.stopped") if STAND_IN in row["message"]]

    def phase(self, node, wanted):
        row = self.row(node)
        check(row is not None and row["phase"] == wanted, f"{row}")
        return row

    def attempt(self, node, least):
        row = self.row(node)
        check(row is not None and row["attempt"] >= least, f"{row}")
        return row["attempt"]

    def alert(self, node):
        rows = {row["key"]: row for row in answer(node, "alert", "list")}
        return rows.get(ALERT)


def begun(demo):
    demo.up()
    wait_until(lambda: demo.is_up(PRIMARY), "the demo's primary is up")
    for name in (FRAGILE, SECOND):
        demo.well(name)
        demo.begin(name)
        wait_until(lambda name=name: demo.is_up(name), f"{name} is up")
    demo.neighbour = demo.is_up(PRIMARY)["pid"]
    demo.god_before = demo.god(demo["n1"])
    wait_until(lambda: demo.stands_in(False), "nothing stands in")


def errored_comes_back(demo):
    """Not before its cause has gone; its backup runs meanwhile, and gives way after its settle."""
    demo.ill(FRAGILE)
    wait_until(lambda: demo.attempt(demo.leader(), 2), "a second attempt")
    wait_until(lambda: demo.stands_in(True), "its backup stands in")
    before = len(demo.stops())
    wait_until(lambda: demo.attempt(demo.leader(), 3), "a third attempt")
    wait_until(lambda: demo.phase(demo.leader(), "waiting"), "it did not help")
    check(len(demo.stops()) == before, "its backup gave way to a primary that died at once")
    check(not demo.events("primary.mended"), "mended too early")
    at = boot_s()
    demo.well(FRAGILE)
    wait_until(lambda: demo.is_up(FRAGILE), "it is back by itself")
    back = boot_s() - at
    told = wait_until(lambda: demo.events("primary.mended"), "the event")
    check(len(told) == 1 and told[0]["node"] == "n1" and FRAGILE in told[0]["message"], f"{told}")
    wait_until(lambda: demo.stands_in(False), "its backup gives way")
    check(demo.row(demo.leader()) is not None, "attempts are forgotten too early")
    say(f"  up {back:.1f} s after its cause had gone")


def the_next_leader_goes_on(demo):
    """And the attempts escalate; the leader dies in the middle."""
    leader = demo.leader()
    if leader is demo["n1"]:
        answer(leader, "leader", "transfer", "n2")
        leader = demo.wait_leader(other_than=leader)
    others = [node for node in demo.nodes if node is not leader]
    demo.ill(FRAGILE)
    before = wait_until(lambda: demo.attempt(leader, 3), "the third attempt")
    leader.kill_both()
    leader, dead = demo.wait_leader(among=others, members_alive=2), leader
    seen = [demo.attempt(leader, before)]

    def escalated():
        seen.append(demo.attempt(leader, before))
        row = demo.alert(leader)
        check(row is not None and row["state"] == "firing", f"{row}")
        return row

    row = wait_until(escalated, "its attempts are used up", patience_s=240, pause_s=0.3)
    check(seen == sorted(seen) and max(seen) >= 6, f"attempts went back: {seen}")
    check(row["severity"] == "critical", f"{row}")
    demo.phase(leader, "escalated")
    dead.start()
    demo.wait_leader()
    chain = answer(demo.leader(), "why", "alert", ALERT)
    texts = [step["text"] for step in chain["steps"]]
    check(chain["whole"] or len(texts) >= 12, f"{chain}")
    check(any("errored" in text for text in texts) and any("6 attempts" in text for text in texts),
          f"{texts}")
    wait_until(lambda: demo.stands_in(True), "its backup stands in")
    say(f"  {max(seen)} attempts, {before} of them before the leader died; told by `why alert` in "
        f"{len(texts)} steps")


def by_hand(demo):
    check(demo.leader().cli("recovery", "ailing/n1/pm2/nobody").exit == 7, "an unknown component")
    demo.well(FRAGILE)
    at = boot_s()
    answer(demo["n3"], "recovery", COMPONENT)
    wait_until(lambda: demo.is_up(FRAGILE), "tried by hand: it is up")
    say(f"  tried by hand it is up after {boot_s() - at:.1f} s")


def stopped_stays_stopped(demo):
    """Another one that fails at the same time is brought back: so there was time enough."""
    demo.pm2(demo["n1"], "stop", FRAGILE)
    wait_until(lambda: demo.stands_in(True), "its backup stands in")
    wait_until(lambda: demo.row(demo.leader()) is None, "its attempts are over")
    mended = len(demo.events("primary.mended"))
    demo.ill(SECOND)
    wait_until(lambda: demo.pm2_status(demo["n1"], SECOND) == "errored", "PM2 gives it up")
    demo.well(SECOND)
    wait_until(lambda: demo.is_up(SECOND), "the other one is back")
    wait_until(lambda: len(demo.events("primary.mended")) > mended, "and that is told")
    check(demo.pm2_status(demo["n1"], FRAGILE) == "stopped", "a stopped primary was started")
    check(demo.row(demo.leader()) is None, "it is being recovered")
    wait_until(lambda: demo.alert(demo.leader()) is None, "its alert is resolved")
    demo.pm2(demo["n1"], "start", FRAGILE)
    wait_until(lambda: demo.stands_in(False), "started by a person: its backup gives way")


def maintenance_mends_nothing(demo):
    answer(demo["n1"], "maintenance", "on", "--for", "1h")
    wait_until(lambda: all(row["state"] == "paused" for row in
                           answer(demo.leader(), "manager", "list")), "every manager is paused")
    demo.ill(FRAGILE)
    wait_until(lambda: demo.primary(FRAGILE)["status"] == "errored", "it is errored")
    wait_until(lambda: demo.primary(FRAGILE)["for_ms"] > 3000, "for a while")
    check(demo.row(demo.leader()) is None, "it is being recovered in maintenance")
    demo.well(FRAGILE)
    answer(demo["n1"], "maintenance", "off")
    wait_until(lambda: demo.is_up(FRAGILE), "it is back")


def ended(demo):
    """Nobody else in that PM2 was touched."""
    check(demo.is_up(PRIMARY)["pid"] == demo.neighbour, "another primary has another process")
    check(demo.god(demo["n1"]) == demo.god_before, "PM2 itself was started again")
    demo.stop()
    check(not demo.own_pids(), "something is left running")


def mending():
    writes.self_test()
    with Mending() as demo:
        for step in (begun, errored_comes_back, the_next_leader_goes_on, by_hand,
                     stopped_stays_stopped, maintenance_mends_nothing, ended):
            at = boot_s()
            step(demo)
            say(f"  {step.__name__} ({boot_s() - at:.1f} s)")


if __name__ == "__main__":
    run(mending)
