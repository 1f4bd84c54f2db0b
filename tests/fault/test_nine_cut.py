#!/usr/bin/python3 -B
"""The nine of deploy/examples/nine on three hosts of a network, whose nodes are cut off, both ways or
one way, killed and frozen while primaries fail: every primary is back or stood in for, no backup runs
twice, and each slot of the cron backups has one outcome.

    test_nine_cut.py [--seconds N] [--rate N] [--seed N]
"""

import os
import random
import shutil
import subprocess
import time

from faults import Cuts, World, check, main, say, wait_until  # finds the harness
import nine
import test_schedules as schedules


class Faults(Cuts, nine.Faults):
    """Of nodes, of the network between them, of primaries, and of what stands in."""


class Hosts(World):
    def __init__(self, options):
        super().__init__(seed=options.seed, asked=("transfer",), extra=schedules.settings(options))
        self.options = options
        self.work = os.path.join(self.folder, "nine")
        self.units = self.writes
        shutil.copytree(os.path.join(nine.EXAMPLE, "sample"), self.work)
        os.symlink(self.writes, os.path.join(self.work, "units.log"))
        with open(self.writes, "w", encoding="ascii"):
            pass
        remote, seed = os.path.join(self.work, "remote.git"), os.path.join(self.folder, "seed")
        for words in (("init", "-q", "--bare", "--initial-branch", "main", remote),
                      ("clone", "-q", remote, seed),
                      ("-C", seed, "-c", "user.name=n", "-c", "user.email=n@x", "commit", "-q",
                       "--allow-empty", "-m", "first"),
                      ("-C", seed, "push", "-q", "origin", "HEAD:main")):
            subprocess.run(["git", *words], check=True, capture_output=True)

    exclusive = nine.BACKUPS

    def wanted_duties(self):
        return ()

    def pm2_config(self, node):
        """The section of the example, with its paths and this node's PM2."""
        text = nine.overlay().partition("managers:\n")[2].replace("/srv/nine/work", self.work)
        text = text.replace("/srv/nine", nine.EXAMPLE).replace(
            'NINE_PERIOD_MS: "5000"', f'NINE_PERIOD_MS: "{nine.PERIOD_MS}"')
        return text.replace("  pm2:\n", f'  pm2:\n    homes: ["{node.home()}"]\n', 1)

    def _start_pm2(self):
        super()._start_pm2()
        nine.start_primaries(self, *nine.PRIMARIES)

    def own_pids(self):
        return sorted({*super().own_pids(), *nine.all_pids(self.work)})


def cut_off(world):
    faults = Faults(world, random.Random(world.options.seed))
    rows = schedules.Ledger()
    nine.wait_calm(world, "the primaries work, and nothing stands in")
    wait_until(lambda: rows.read(world.wait_leader()), "the schedules are known")
    until = nine.boot_s() + world.options.seconds
    while nine.boot_s() < until:
        time.sleep(faults.random.uniform(0.2, 2))  # between faults, work goes on
        faults.one()
    nine.verdict(world, faults)
    leader = world.wait_leader()
    told = wait_until(lambda: schedules.settled(leader), "ticks verify is content")
    say(f"ticks verify: {told}")
    wait_until(lambda: rows.read(leader), "the slots are told")
    outcomes = schedules.check_slots(rows.schedules, "pm2")
    check(outcomes["ran"] > 0, f"nothing ran: {outcomes}")
    nine.check_units(world, rows.schedules)
    return f"{dict(faults.done)}"


if __name__ == "__main__":
    main([cut_off], Hosts, options=schedules.read_options(seconds=40, rate=600))
