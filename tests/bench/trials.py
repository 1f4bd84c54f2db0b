"""What the measuring scripts share: trials and parts that may fail, a clean end."""

import os
import signal
import subprocess
import sys
import traceback

import rows
from network import Lacking, best_network
from nodes import BUILD, Cluster, Skip, hurry
from observer import Missed

SKIPPED = 77
FAILURES_MAX = 3  # of trials in a row, before a part is given up


def repeat(count, what, trial):
    """Results of `count` calls of trial(); those that missed something are told and left out."""
    results = []
    failures = 0
    for number in range(1, count + 1):
        try:
            results.append(trial())
            failures = 0
        except (Missed, AssertionError, OSError, subprocess.SubprocessError) as why:
            rows.say(f"{what}, trial {number}: {why!r}")
            failures += 1
            if failures == FAILURES_MAX:
                rows.say(f"{what}: given up after {number} trials")
                break
    return results


def columns(results, *names):
    """Of dictionaries: a list of the values of each name, None left out."""
    return [[result[name] for result in results if result.get(name) is not None]
            for name in names]


class Part:
    """The parts of a script: one that cannot be measured does not keep the others from it."""

    def __init__(self):
        self.lacking = 0
        self.failed = 0

    def run(self, name, function, *arguments):
        rows.say(f"-- {name}")
        try:
            function(*arguments)
        except (Lacking, Skip) as why:
            rows.say(f"{name} cannot be measured here: {why}")
            self.lacking += 1
        except (Missed, AssertionError, OSError, subprocess.SubprocessError) as why:
            rows.say(f"{name} could not be measured: {why}")
            traceback.print_exc(file=sys.stderr)
            self.failed += 1

    def exit(self):
        sys.exit(1 if self.failed else SKIPPED if self.lacking else 0)


def with_cluster(measure, *arguments, count=3, profile="lan", overlay=None, prepare=None):
    """measure(cluster, note, ...) on a cluster that runs, on the best hosts that there are.

    prepare(node) is called for each node before the first of them is started."""
    network, note = best_network(count)
    try:
        with Cluster(network, count, profile, overlay) as cluster:
            for node in cluster.nodes if prepare else ():
                prepare(node)
            cluster.start()
            measure(cluster, note, *arguments)
    finally:
        network.remove()


def join_notes(*notes):
    return "; ".join(note for note in notes if note)


def begin(description):
    """The options. SIGTERM ends a script as an exception does: everything is cleaned up."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    chosen = rows.options(description.split("\n", maxsplit=1)[0])
    if chosen.quick:
        hurry()
    return chosen


def program(name, *words):
    """Figures that a program of this folder prints: first word -> {name: number}."""
    path = f"{BUILD}/tests/bench/{name}"
    if not os.access(path, os.X_OK):
        raise Lacking(f"{path} is not there: configure with -DUNDERSTUDY_TESTS=ON and build")
    done = subprocess.run([path, *words], capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL, timeout=300)
    if done.returncode != 0:
        raise Missed(f"{name} ends with {done.returncode}: {done.stderr.strip()}")
    figures = {}
    for line in done.stdout.splitlines():
        what, *pairs = line.split()
        figures[what] = {key: float(value) for key, value in (pair.split("=") for pair in pairs)}
    return figures
