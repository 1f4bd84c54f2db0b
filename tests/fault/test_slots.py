#!/usr/bin/python3 -B
"""Schedules on three hosts of a network whose leader is cut off, both ways or one way, killed, frozen
and handed over: each slot has exactly one outcome and each run its effect once, as
tests/integration/test_schedules.py checks it; duties beside them never overlap.

    test_slots.py [--seconds N] [--rate N] [--seed N]
"""

import os
import random
import sys
import time

from faults import World, checker, run

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import test_schedules as schedules  # noqa: E402


class Faults(schedules.Faults):
    KINDS = ("cut", "cut", "mute", "deaf", "kill", "kill_both", "freeze", "transfer")

    def cut(self, node, **ways):
        network = self.cluster.network
        network.cut(self.cluster.number(node), **ways)
        time.sleep(self.random.uniform(0.2, 4))  # how long it is cut off
        network.heal()

    def mute(self, node):
        self.cut(node, incoming=False)

    def deaf(self, node):
        self.cut(node, outgoing=False)


class Slots(World):
    def __init__(self, options):
        super().__init__(seed=options.seed, asked=("transfer",))
        self.options = options
        self.effects = os.path.join(self.folder, "effects")
        with open(self.effects, "w", encoding="ascii"):
            pass
        self.extra = "  " + schedules.schedules(self.effects) + "\n" + schedules.settings(options)


def cut_off(world):
    faults = Faults(world, random.Random(world.options.seed))
    schedules.drive(world, faults, world.effects, world.options)
    return f"{sum(faults.done.values())} faults"


def slots():
    with Slots(chosen) as world:
        world.run_cases(cut_off)


if __name__ == "__main__":
    chosen = schedules.read_options()
    checker.self_test()
    run(slots)
