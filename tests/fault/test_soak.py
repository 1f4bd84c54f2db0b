#!/usr/bin/python3 -B
"""A day's faults in minutes: a random sequence of everything that this folder knows, some at the
same time, with real duties under real PM2 and people who give commands meanwhile.

    test_soak.py [--minutes M] [--seed S] [--nodes N]

The schedule follows from the seed alone and is printed; what "leader" means in it is found when a
fault begins. After each round everything is healed; now and then, and at the end, all must come
back, and checker.py proves that nothing ran twice.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import time

import checker
from faults import World, alive, boot_s, check, kill, run, say, wait_until

CAUSES = ("transfer", "drain", "health", "gray")
POLICY = "leadership: {hold: 1s, min_tenure: 2s}\n"
HEAL_EVERY = 4  # rounds between two looks whether all came back


def quality(chance):
    return {"delay": chance.choice((0, 1, 10, 40, 120)), "jitter": chance.choice((0, 1, 20)),
            "loss": chance.choice((0, 0, 3, 15, 40)), "dup": chance.choice((0, 0, 20)),
            "late": (chance.choice((0, 0, 20)), chance.choice((5, 30)))}


# Each fault: plan(chance) -> what the schedule says of it; begin(world, node, plan) -> heal or None.


def begin_network(world, _, plan):
    world.network.all_links(**plan)
    return world.network.heal


def begin_cut(world, node, plan):
    world.network.cut(world.number(node), outgoing=plan["out"], incoming=plan["in"])
    return world.network.heal


def begin_apart(world, node, plan):
    other = world.others(node)[plan["other"] % len(world.others(node))]
    a, b = world.number(node), world.number(other)
    world.network.link(a, b, cut=True)
    world.network.link(b, a, cut=True)
    return world.network.heal


def begin_flap(world, node, plan):
    for pause in plan["pauses"]:
        world.network.cut(world.number(node))
        time.sleep(pause)
        world.network.heal()
        time.sleep(pause / 3)


def begin_kill(world, node, plan):
    if plan["whole"]:
        node.kill_both()
        return node.start
    worker = node.worker()
    if worker is not None:
        kill(worker)
    return None


def begin_terminate(_, node, __):
    pid = node.parent()
    if pid is None:
        return None
    kill(pid, signal.SIGTERM)

    def heal():
        wait_until(lambda: node.reap() or not alive(pid), f"{node.name} has left", 30)
        node.start()
    heal.rank = 1  # what is frozen, or waits for its disk, cannot leave
    return heal


def begin_freeze(world, node, plan):
    pids = {"node": [node.worker()], "parent": [node.parent()],
            "both": [node.parent(), node.worker()], "managers": node.managers(),
            "host": list(world.all_pids(node)), "front": node.guards()[:1],
            "keeper": node.guards()[-1:]}[plan["what"]]
    pids = [pid for pid in pids if pid]
    if not pids:
        return None
    stopped = node.stop_pids(pids)

    def heal():
        if plan["what"] == "host":
            world.slept(node)
        node.thaw(stopped)
    return heal


def begin_disk(_, node, plan):
    node.disk(plan["order"])
    return lambda: node.disk("")


def begin_full(_, node, __):
    path = node.inside(f"{node.folder}/data/fill")
    with open(path, "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 65536)
        except OSError:
            pass
    return lambda: os.path.exists(path) and os.unlink(path)


def begin_clock(_, node, plan):
    node.clock(plan["shift"])
    return lambda: node.clock(0)


def begin_files(_, node, __):
    pid = node.worker()
    if pid is None:
        return None
    limit = len(os.listdir(f"/proc/{pid}/fd"))
    subprocess.run(["prlimit", "--pid", str(pid), f"--nofile={limit}:"], check=False)
    return lambda: subprocess.run(["prlimit", "--pid", str(pid), "--nofile=1024:"], check=False,
                                  stderr=subprocess.DEVNULL)


def begin_daemon(world, node, _):
    """PM2's daemon is killed; PM2 started again has lost its list, as after a reboot."""
    pid = node.god()
    if pid is None:
        return None
    kill(pid)
    return lambda: world.start_daemon(node)


def begin_primary(world, _, __):
    world.pm2(world["n1"], "stop", "worker", must=False)  # its PM2 may be dead at the moment
    world.primary_down = True

    def heal():
        world.start_primary()
        world.primary_down = False
    return heal


def begin_command(world, node, plan):
    """What people do; any answer but a hang is fine in the middle of faults."""
    words = {"transfer": ("leader", "transfer", node.name),
             "move": ("duty", "move", f"pm2/{plan['duty']}", node.name),
             "drain": ("drain", node.name)}[plan["what"]]
    asked = world.others(node)[0]
    answer = asked.cli(*words, timeout="2s")
    check(answer.exit in (0, 1, 3, 4, 5, 7, 8, 9), f"{words}: {answer}")
    if plan["what"] != "drain":
        return None

    def heal():
        wait_until(lambda: any(each.cli("undrain", node.name, timeout="2s").exit == 0
                               for each in world.nodes), "undrained", 60)
    heal.rank = 2  # it needs a quorum
    return heal


FAULTS = {
    "network": (3, begin_network, quality),
    "cut": (3, begin_cut, lambda c: c.choice(({"out": True, "in": True}, {"out": True, "in": False},
                                              {"out": False, "in": True}))),
    "apart": (2, begin_apart, lambda c: {"other": c.randrange(8)}),
    "flap": (1, begin_flap, lambda c: {"pauses": [round(c.uniform(0.02, 0.8), 2)
                                                  for _ in range(c.randint(2, 5))]}),
    "kill": (4, begin_kill, lambda c: {"whole": c.random() < 0.5}),
    "terminate": (2, begin_terminate, lambda c: {}),
    "freeze": (4, begin_freeze, lambda c: {"what": c.choice(
        ("node", "node", "parent", "both", "managers", "host", "front", "keeper"))}),
    "disk": (3, begin_disk, lambda c: {"order": c.choice(
        ("delay 50", "delay 400", "stall 300 1000", "hang", "fail 5", "fail 28 all"))}),
    "full": (1, begin_full, lambda c: {}),
    "clock": (1, begin_clock, lambda c: {"shift": c.choice((-3600, 3600))}),
    "files": (1, begin_files, lambda c: {}),
    "daemon": (1, begin_daemon, lambda c: {}),
    "primary": (2, begin_primary, lambda c: {}),
    "command": (3, begin_command, lambda c: {
        "what": c.choice(("transfer", "move", "move", "drain")),
        "duty": c.choice(("solo-a", "solo-b", "solo-c"))}),
}


def schedule(seed, minutes, nodes):
    """Rounds: (seconds, [(name, whom, plan), ...]); more than the time has room for."""
    chance = random.Random(seed)
    names = [name for name, (weight, _, _) in FAULTS.items() for _ in range(weight)]
    rounds = []
    planned_s = 0.0
    while planned_s < 60 * minutes or not rounds:
        count = chance.choice((1, 1, 1, 2, 2, 3))
        faults = []
        for name in dict.fromkeys(chance.choice(names) for _ in range(count)):
            whom = chance.choice(["leader", "leader"] + [f"n{i}" for i in range(1, nodes + 1)])
            faults.append((name, whom, FAULTS[name][2](chance)))
        seconds = round(chance.choice((0.1, 0.3, 0.6, 1, 2, 4, 8)) * chance.uniform(0.7, 1.3), 2)
        rounds.append((seconds, faults))
        planned_s += seconds
    return rounds


def node_meant(world, whom, last):
    if whom != "leader":
        return world[whom]
    for node in world.nodes:
        document = node.status()
        if document and document["acting"]:
            return node
    return last


def play_round(world, seconds, faults, last):
    heals = []
    try:
        for name, whom, plan in faults:
            last = node_meant(world, whom, last)
            heal = FAULTS[name][1](world, last, plan)
            if heal is not None:
                heals.append(heal)
        time.sleep(seconds)
    finally:
        world.network.heal()
        for heal in sorted(reversed(heals), key=lambda heal: getattr(heal, "rank", 0)):
            heal()
    return last


def soak(seed, minutes, nodes):
    rounds = schedule(seed, minutes, nodes)
    say(f"seed {seed}: as many of {len(rounds)} rounds as {minutes:g} minutes have room for")
    with World(count=nodes, seed=seed, small_disks=True, primary=True, extra=POLICY,
               asked=CAUSES) as world:
        last = world.nodes[0]
        until = boot_s() + 60 * minutes
        slowest = 0.0
        played = 0
        for number, (seconds, faults) in enumerate(rounds, 1):
            say(f"{boot_s():.3f} round {number}: " + "; ".join(
                f"{name} {whom} {plan}" for name, whom, plan in faults) + f" for {seconds} s")
            last = play_round(world, seconds, faults, last)
            played = number
            if number % HEAL_EVERY == 0 or number == len(rounds) or boot_s() > until:
                _, back_s = world.came_back(patience_s=120)
                slowest = max(slowest, back_s)
                verdict = world.verify()
                say(f"{boot_s():.3f} all is back after {back_s:.1f} s")
            if boot_s() > until:
                break
        say(f"seed {seed}: {played} rounds, always back within {slowest:.1f} s; " +
            checker.say_verdict(verdict))


def main():
    checker.self_test()
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--nodes", type=int, default=3)
    arguments = parser.parse_args()
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(10**6)
    sys.argv[1:] = []

    def test():
        soak(seed, arguments.minutes, arguments.nodes)

    test.__name__ = f"soak, seed {seed}"
    run(test)


if __name__ == "__main__":
    main()
