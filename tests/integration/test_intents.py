#!/usr/bin/python3 -B
"""Effects outside the cluster happen once, whatever dies at whatever step: a leader's node process,
its parent too, or the manager alone. The manager is a plugin, the outside a file."""

import json
import os
import signal

from cluster import ROOT, Cluster, Skip, alive, boot_s, check, kill, run, say, wait_until

try:
    import msgpack  # noqa: F401  (the plugin needs both)
    import zmq  # noqa: F401
except ImportError:
    zmq = None

QUIET = "leadership: {handover_below: 0}\n"  # a busy machine must not move leadership here
STEPS = ("wanted", "perform", "performed", "told", "verify", "verified")
VICTIMS = ("node", "both", "manager", "frozen")


class World:
    """The folder that the plugin of every node reads and writes."""

    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder)
        self.count = 0

    def path(self, name):
        return os.path.join(self.folder, name)

    def lines(self, name):
        try:
            with open(self.path(name), encoding="utf-8") as file:
                return [line.split() for line in file if line.endswith("\n")]
        except FileNotFoundError:
            return []

    def arm(self, step):
        if os.path.exists(self.path("reached")):
            os.remove(self.path("reached"))
        with open(self.path("arm.new"), "w", encoding="utf-8") as file:
            file.write(step + "\n")
        os.rename(self.path("arm.new"), self.path("arm"))

    def ask_for(self, number, kind_of_all=None):
        """New keys, each fourth of which the other side cannot tell about."""
        keys = []
        for _ in range(number):
            self.count += 1
            kind = kind_of_all or ("blind" if self.count % 4 == 0 else "key")
            keys.append(f"outside/{kind}-{self.count}")
        with open(self.path("keys.new"), "w", encoding="utf-8") as file:
            file.writelines(key + "\n" for line in self.lines("keys") for key in line)
            file.writelines(key + "\n" for key in keys)
        os.rename(self.path("keys.new"), self.path("keys"))
        return keys

    def reached(self):
        """(key, node, pid) of the manager that stopped at the step, or None."""
        lines = self.lines("reached")
        return (lines[1][0], lines[1][1], int(lines[1][2])) if len(lines) == 2 else None

    def closed(self):
        return {line[0] for line in self.lines("closed")}

    def check_key(self, key, times):
        found = [line for line in self.lines("effects") if line[0] == key]
        check(len(found) == times, f"{key} happened {len(found)} times instead of {times}: {found}")

    def check(self):
        written = {}
        for line in self.lines("effects"):
            written.setdefault(line[0], []).append(line[1:])
        for key in [line[0] for line in self.lines("keys")]:
            times = len(written.pop(key, []))
            least = 1 if "/key-" in key else 0  # the others' policies give some up
            check(least <= times <= 1, f"{key} happened {times} times: {self.lines('effects')}")
            verdicts = {line[2] for line in self.lines("closed")
                        if line[0] == key and line[1] == "done"}
            check(len(verdicts) == 1, f"{key} ended as {verdicts}")
            check(verdicts & {"skipped", "dropped"} or times == 1,
                  f"{key}: {verdicts}, {times} times")
        check(not written, f"nobody asked for {written}")


def strike(cluster, victim, name, pid):
    """End what is to end; true when a thawed node is to go on afterwards."""
    node = cluster[name]
    worker = node.worker()
    if victim == "manager":
        kill(pid)
    elif victim == "both":
        node.kill_both()
    elif victim == "node":
        kill(worker)
    else:
        node.freeze()
        cluster.wait_leader(among=[other for other in cluster.nodes if other is not node])
        kill(worker, signal.SIGCONT)
    wait_until(lambda: not alive(pid), f"the manager {pid} is dead")
    if victim == "both":
        node.start()


def one_round(cluster, world, step, victim):
    if step in ("verify", "verified"):
        # Something must be left to verify: its first manager dies with the key open.
        world.arm("performed" if world.count % 2 == 0 else "perform")
        world.ask_for(2)
        reached = wait_until(world.reached, "an effect is under way")
        world.arm(step)
        strike(cluster, "node", reached[1], reached[2])
    else:
        world.arm(step)
    keys = world.ask_for(3)
    key, name, pid = wait_until(world.reached, f"a manager reaches {step}")
    strike(cluster, victim, name, pid)
    wait_until(lambda: set(keys) <= world.closed() and
               {line[0] for line in world.lines("keys")} <= world.closed(), f"{keys} are closed")
    world.check()
    say(f"{victim} died at {step} of {key}: {len(world.lines('effects'))} effects so far")


def held_still(cluster, world):
    """In maintenance nothing is performed, although the plugin asks on."""
    leader = cluster.wait_leader()
    check(leader.cli("maintenance", "on", "--for", "30m").exit == 0, "no maintenance")
    keys = world.ask_for(3)
    wait_until(lambda: set(keys) <= {line[0] for line in world.lines("asked")},
               "the plugin wants them")
    for _ in range(10):
        check(leader.status(), "no status")
    until = boot_s()
    check(leader.cli("maintenance", "off").exit == 0, "maintenance does not end")
    wait_until(lambda: set(keys) <= world.closed(), "they are closed after it")
    world.check()
    early = [line for line in world.lines("effects")
             if line[0] in keys and int(line[4]) < 1000 * until]
    check(not early, f"performed in maintenance: {early}")


def parked(cluster, world):
    """Its manager dies with the effect under way, and the other side cannot tell."""
    world.arm("perform")
    key, = world.ask_for(1, "ask")
    reached = wait_until(world.reached, "an effect is under way")
    strike(cluster, "node", reached[1], reached[2])
    leader = cluster.wait_leader()

    def waits():
        rows = {row["key"]: row for row in leader.cli("intent", "list").data}
        return key in rows and rows[key]["state"] == "parked"

    wait_until(waits, f"{key} is parked")
    wait_until(lambda: f"intent.parked/{key}" in {row["key"] for row in
                                                  leader.cli("alert", "list").data},
               "people are told")
    check(not any(line[0] == key for line in world.lines("effects")), "performed after all")
    return leader, key


def settled_by_people(cluster, world):
    """What nobody else can settle: performed again, or given up, and never both."""
    leader, key = parked(cluster, world)
    for words in (("retry", "outside/none"), ("drop", "outside/none")):
        check(leader.cli("intent", *words).exit == 7, f"{words}")
    check(leader.cli("intent", "retry", key).exit == 0, "no retry")
    wait_until(lambda: [key, "done", "happened"] in [line[:3] for line in world.lines("closed")],
               f"{key} is performed")
    answer = leader.cli("intent", "drop", key)
    check(answer.exit == 8 and answer.error["code"] == "not_parked", f"drop of a done one: {answer}")
    wait_until(lambda: f"intent.parked/{key}" not in {row["key"] for row in
                                                      leader.cli("alert", "list").data},
               "the alert is resolved")
    leader, key = parked(cluster, world)
    check(leader.cli("intent", "drop", key, "--why", "seen by eye").exit == 0, "no drop")
    rows = {row["key"]: row for row in leader.cli("intent", "list", "--all").data}
    check(rows[key]["verdict"] == "dropped" and rows[key]["text"] == "seen by eye", f"{rows[key]}")
    check(leader.cli("intent", "retry", key).exit == 8, "what was given up is performed")
    world.check_key(key, 0)


def intents():
    if zmq is None:
        raise Skip("python3-zmq or python3-msgpack is missing")
    program = os.path.join(ROOT, "tests", "integration", "outside_manager.py")
    with Cluster(extra=QUIET) as cluster:
        world = World(os.path.join(cluster.folder, "world"))
        cluster.managers = (f'pm2: {{enabled: false}}\n  outside: {{program: "{program}", '
                            f'options: {{world: "{world.folder}"}}}}')
        leader = cluster.start()
        keys = world.ask_for(4)
        wait_until(lambda: set(keys) <= world.closed(), "the first keys are closed")
        world.check()
        kinds = {json.loads(line)["data"]["kind"]
                 for line in leader.cli("events", "--since", "1h").stdout.splitlines()}
        check({"intent.open", "intent.done"} <= kinds, f"events tell nothing of it: {kinds}")
        held_still(cluster, world)
        settled_by_people(cluster, world)
        for step in STEPS:
            for victim in VICTIMS:
                one_round(cluster, world, step, victim)
        say(f"{world.count} keys, {len(world.lines('effects'))} effects")


if __name__ == "__main__":
    run(intents)
