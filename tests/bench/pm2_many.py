#!/usr/bin/python3 -B
"""What 200 processes under one PM2 cost the manager, and how soon it sees one end.

One node whose manager watches all of them as primaries. Beside it `pm2 jlist` once a second, which
is how PM2 is watched without its sockets. The processes are `sleep`, registered through PM2's own
program (interpreter none): the manager reads the same list, and the machine need not hold 200 node.
"""

import contextlib
import os
import random
import resource
import shutil
import socket
import statistics
import subprocess
import tempfile
import threading
import time

import idle
import rows
from network import Lacking
from nodes import alive, kill, wait_until
from observer import Missed, boottime_ms
from pm2 import Pm2
from trials import Part, begin, join_notes, repeat, with_cluster

GROUP = "pm2 many"
COUNT = 200
COUNT_QUICK = 10
SPAN_S = 60
GOAL_CPU = 1.0
GOAL_MIB = 19.07  # 20 MB
GOAL_SEEN_MS = 50
GOAL_WORST_MS = 5000
PATIENCE_S = 60
SLEEP = shutil.which("sleep")


def names(count):
    return [f"sleep-{i:03}" for i in range(count)]


def apps(count):
    # It ends at once: what is measured is who sees that, not PM2's next start of it.
    return [{"name": name, "script": SLEEP, "args": "1000000", "interpreter": "none",
             "exec_mode": "fork", "max_restarts": 100000}
            for name in names(count)]


def overlay(home, count):
    return {"managers": {"pm2": {"enabled": True, "homes": [home],
                                 "primaries": [{"name": name} for name in names(count)]}}}


# ---- processes ----


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(word) for word in file.read().split()]


def manager(node):
    """Its pid: the only child of the node process that is this program."""
    for pid in children(node.pid("worker")):
        with contextlib.suppress(OSError):
            if os.path.basename(os.readlink(f"/proc/{pid}/exe")) == "understudy-manager-pm2":
                return pid
    raise Missed("the PM2 manager does not run")


def cpu_s(pid):
    return sum(idle.cpu_s(pid).values())


def primaries(node):
    """Name -> row; those that are up."""
    return {row["name"]: row for row in node.client.data("primary list") or []
            if row["state"] == "up" and row["pid"]}


def all_up(node, count):
    return wait_until(lambda: len(primaries(node)) == count, f"{count} primaries are up",
                      PATIENCE_S)


# ---- what it costs ----


def used(pids, span_s):
    """Share of a core that each used meanwhile, in percent."""
    before = [cpu_s(pid) for pid in pids]
    began = time.monotonic()
    time.sleep(span_s)
    took_s = time.monotonic() - began
    return [(cpu_s(pid) - b) / took_s * 100 for pid, b in zip(pids, before)]


def measure_cost(node, god, count, note, options):
    span_s = 5 if options.quick else SPAN_S
    time.sleep(2 if options.quick else 20)
    ours, daemon = used([manager(node), god], span_s)
    resident, proportional = idle.memory_mib(manager(node))
    text = f"{count} processes watched"
    emit(f"{text}: the manager, CPU of a core", [ours], "%", goal=GOAL_CPU,
         note=join_notes(f"over {span_s} s, load {os.getloadavg()[0]:.1f}", note))
    emit(f"{text}: PM2's daemon meanwhile, CPU of a core", [daemon], "%")
    emit(f"{text}: the manager, memory (proportional)", [proportional], "MiB", goal=GOAL_MIB)
    emit(f"{text}: the manager, memory (resident)", [resident], "MiB")


def measure_jlist(pm2, god, count, options):
    """Once a second, each in a process of its own, as a watching script does."""
    span_s = 5 if options.quick else SPAN_S
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    daemon = cpu_s(god)
    asked = 0
    while time.monotonic() < began + span_s:
        time.sleep(max(0.0, began + asked - time.monotonic()))
        done = subprocess.run([pm2.program, "jlist"], env=pm2.environment, check=False,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              stdin=subprocess.DEVNULL, timeout=PATIENCE_S)
        if done.returncode != 0:
            raise Missed(f"pm2 jlist ends with {done.returncode}")
        asked += 1
    took_s = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    text = f"{count} processes, `pm2 jlist` once a second"
    emit(f"{text}: CPU of a core", [cpu / took_s * 100], "%", system="pm2",
         note=f"{asked} in {took_s:.0f} s")
    emit(f"{text}: PM2's daemon meanwhile, CPU of a core", [(cpu_s(god) - daemon) / took_s * 100],
         "%", system="pm2")
    emit(f"{text}: memory (resident)", [after.ru_maxrss / 1024], "MiB", system="pm2",
         note="the largest process of it, while it runs")


# ---- how soon it is seen ----


def kill_one(cluster, node):
    """Milliseconds from kill -9 to the event, as a client of the node gets it."""
    row = random.choice(list(primaries(node).values()))
    since = boottime_ms()
    kill(row["pid"])
    text = f"process {row['pid']} of {row['name']} ended"
    arrived, *_ = cluster.events.wait_row(since, f"primary.exit of {row['name']}",
                                          lambda _, kind, __: kind == "primary.exit", PATIENCE_S,
                                          {"message": text})
    wait_until(lambda: primaries(node).get(row["name"], row)["pid"] != row["pid"],
               "PM2 has started it again", PATIENCE_S)
    return arrived - since


def measure_seen(cluster, node, count, what, options, note):
    times = repeat(options.trials, what, lambda: kill_one(cluster, node))
    emit(f"{what}, of {count}: the event", times, "ms", goal=GOAL_SEEN_MS,
         goal_worst=GOAL_WORST_MS, note=note)


def emit(what, values, unit, **more):
    rows.emit(rows.make(GROUP, what, values, unit, **more))


def measure(cluster, note, pm2, count, options):
    node = cluster.founders[0]
    god = pm2.god()
    all_up(node, count)
    measure_cost(node, god, count, note, options)
    measure_seen(cluster, node, count, "kill -9 of a primary", options,
                 "its pidfd, PM2's bus and its list; to a client of the node")
    measure_jlist(pm2, god, count, options)


# ---- a bus that says nothing ----


class SilentBus:
    """A PM2 home whose requests go to the real daemon and whose event bus never says a word."""

    def __init__(self, home):
        self.folder = tempfile.mkdtemp(prefix="us-bench-bus-", dir="/tmp")
        os.symlink(os.path.join(home, "rpc.sock"), os.path.join(self.folder, "rpc.sock"))
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(os.path.join(self.folder, "pub.sock"))
        self.server.listen(8)
        self.taken = []
        threading.Thread(target=self.take, daemon=True).start()

    def take(self):
        with contextlib.suppress(OSError):
            while True:
                self.taken.append(self.server.accept()[0])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.server.shutdown(socket.SHUT_RDWR)
        for taken in [self.server, *self.taken]:
            taken.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def measure_silent(cluster, _, count, options):
    node = cluster.founders[0]
    all_up(node, count)
    measure_seen(cluster, node, count, "the same, the event bus silent", options,
                 "the bus is open and says nothing")


def part(options):
    if SLEEP is None:
        raise Lacking("there is no sleep")
    count = COUNT_QUICK if options.quick else COUNT
    with Pm2(apps(count)) as pm2:
        with_cluster(measure, pm2, count, options, count=1, overlay=overlay(pm2.home, count))
        with SilentBus(pm2.home) as bus:
            with_cluster(measure_silent, count, options, count=1,
                         overlay=overlay(bus.folder, count))


if __name__ == "__main__":
    chosen = begin(__doc__)
    whole = Part()
    whole.run(GROUP, part, chosen)
    whole.exit()
