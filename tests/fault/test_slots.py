#!/usr/bin/python3 -B
"""Schedules on three hosts of a network whose leader is cut off, both ways or one way, killed, frozen
and handed over: each slot has exactly one outcome and each run its effect once, as
tests/integration/test_schedules.py checks it; duties beside them never overlap.

    test_slots.py [--seconds N] [--rate N] [--seed N]
"""

import os
import random

from faults import Cuts, World, main  # finds the harness
import test_schedules as schedules


class Faults(Cuts, schedules.Faults):
    """Of nodes, and of the network between them."""


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


if __name__ == "__main__":
    main([cut_off], Slots, options=schedules.read_options())
