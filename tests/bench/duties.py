#!/usr/bin/python3 -B
"""How fast an exclusive duty moves, and that two never hold it: the quickstart's demo, a real PM2.

The duty is the demo's backup, a process under understudy-guard that writes a line every 0.1 s.
Times are from just before the signal or the request until the next process's first line, and until
the event arrives here that it runs (duty.started: PM2 has said so, somewhat later).
The file of all lines shows that no two held the duty at once.
"""

import contextlib
import os
import time

import rows
from client import Client
from nodes import BUILD, alive, kill, mentions, wait_until
from observer import Events, Missed, boottime_ms
from trials import Part, begin, columns, join_notes, repeat

import writes
from demo import ALWAYS, BACKUP, EXCLUSIVE, GRANT_S, PRIMARY, Demo, duty

GROUP = "duty takeover"
HOST_TRIALS = 10  # each waits for a grant
BOTH = (BACKUP, ALWAYS)
KEEP = "grants: {on_death: keep}\n"
QUIET = "leadership: {handover_below: 0}\n"


class Observed:
    """A node of the demo, as the observer wants it."""

    def __init__(self, node):
        self.name = node.name
        self.http_port = node.http_port

    def inside(self):
        return contextlib.nullcontext()


class Takeover:
    def __init__(self, demo):
        self.demo = demo
        self.events = Events([Observed(node) for node in demo.nodes])

    def started(self, began):
        """Arrival of the next start of the backup, and its node."""
        arrived, name, *_ = self.events.wait_row(
            began, f"start of {BACKUP}", lambda _, kind, __: kind == "duty.started",
            fields={"duty": duty(BACKUP)})
        return arrived, name

    def first_line(self, began, old):
        """Boot time in ms of the next holder's first line."""
        def found():
            return min((line.time / 1e6 for lines in writes.read(self.demo.writes)
                        for line in lines if line.name == BACKUP and line.pid != old and
                        line.time / 1e6 >= began), default=None)
        return wait_until(found, f"the next {BACKUP} writes")

    def times(self, began, old):
        arrived, name = self.started(began)
        return {"running": arrived - began, "writing": self.first_line(began, old) - began,
                "node": name}

    def at_rest(self):
        """Where the duties run, when placement has nothing to move."""
        found = self.demo.settled(BOTH)
        leader = self.demo.leader()
        for name in BOTH:
            told = leader.cli("why", "not", "duty", duty(name)).data["placement"]
            rests = told and told["verdict"] == "stays" and all(row["can"] for row in told["nodes"])
            if not rests:
                return None
        return found if self.demo.settled(BOTH) == found else None

    def rest(self):
        found = wait_until(self.at_rest, "placement has nothing to move")
        wait_until(lambda: self.events.connected([node.name for node in self.demo.nodes]),
                   "all nodes are observed")
        time.sleep(0.5)  # nothing to wait for: a settled cluster is left alone between trials
        return found[BACKUP]

    def crash(self):
        pid, node = self.rest()
        began = boottime_ms()
        kill(node.worker())
        return self.times(began, pid)

    def crash_kept(self):
        """How long nobody writes, whether the old process goes on or another takes over."""
        pid, node = self.rest()
        before = boottime_ms()
        kill(node.worker())
        wait_until(lambda: node.worker(), f"{node.name} is back")
        now, _ = self.rest()
        times = sorted(line.time / 1e6 for lines in writes.read(self.demo.writes)
                       for line in lines if line.name == BACKUP and line.time / 1e6 > before - 500)
        gap = max((b - a for a, b in zip(times, times[1:])), default=None)
        return {"silence": gap, "went_on": now == pid}

    def move(self):
        pid, node = self.rest()
        target = next(other for other in self.demo.nodes if other is not node)
        client = Client(BUILD, f"ipc://{node.folder}/control.sock")
        began = boottime_ms()
        try:
            code, _ = client.call("duty move", id=duty(BACKUP), node=target.name,
                                  timeout_ms=10000)
        finally:
            client.close()
        if code != 0:
            raise Missed(f"duty move exits {code}")
        return self.times(began, pid)

    def host_crash(self):
        pid, node = self.rest()
        of_host = [each for each in self.demo.own_pids() if mentions(each, node.folder + "/")]
        of_host += [each for name in EXCLUSIVE + (PRIMARY,)
                    for each, place in self.demo.workers(name).items() if place == node.name]
        began = boottime_ms()
        for each in node_first(node, of_host):
            kill(each)
        try:
            return self.times(began, pid)
        finally:
            wait_until(lambda: node.reap() or not any(alive(each) for each in of_host),
                       f"all of {node.name} is dead")
            self.demo.up()  # starts what is dead
            self.demo.pm2(self.demo["n1"], "stop", PRIMARY)


def node_first(node, pids):
    """Parent before node before the rest, so that nobody can speak for another's death."""
    order = {node.parent(): 0, node.worker(): 1}
    return sorted(pids, key=lambda pid: order.get(pid, 2))


def holders_at_once(demo, note):
    files = writes.read(demo.writes)
    bad = [text for name in EXCLUSIVE for finder in
           (writes.overlaps, writes.interleavings, writes.terms_backwards)
           for text in finder(files, name)]
    lives = sum(len(writes.writers(files, name)) for name in EXCLUSIVE)
    for text in bad:
        rows.say(text)
    rows.emit(rows.make(GROUP, "two holders at once", [len(bad)], "times", profile="lan", goal=0,
                        goal_worst=0, trials=lives, note=join_notes(
                            f"{lives} lives of exclusive processes in the file", note)))


def emit(what, results, goal=None, note=""):
    running, writing = columns(results, "running", "writing")
    rows.emit(rows.make(GROUP, f"{what}, until its first line elsewhere", writing, "ms",
                        profile="lan", goal=goal,
                        note=join_notes(note, "with the start of its Python")))
    rows.emit(rows.make(GROUP, f"{what}, until it is told as running", running, "ms",
                        profile="lan", note=note))


@contextlib.contextmanager
def takeover(overlay):
    """The demo with its primary stopped, so that the backup runs."""
    with Demo(overlay=overlay) as demo:
        demo.up()
        demo.pm2(demo["n1"], "stop", PRIMARY)
        run = Takeover(demo)
        try:
            yield run
        finally:
            run.events.close()
            demo.stop()


def released(options):
    with takeover(QUIET) as run:
        emit("kill -9 of the node process, duty released by obituary",
             repeat(options.trials, "crash", run.crash), 100)
        emit("`duty move`", repeat(options.trials, "move", run.move))
        if not options.quick:
            emit("kill -9 of all of the host, guard and PM2 too",
                 repeat(min(options.trials, HOST_TRIALS), "host crash", run.host_crash), None,
                 f"nobody can release it: the grant of {GRANT_S:.0f} s is waited for")
        holders_at_once(run.demo, "")


def kept(options):
    with takeover(QUIET + KEEP) as run:
        results = repeat(options.trials, "crash, kept", run.crash_kept)
        (silence,) = columns(results, "silence")
        on = sum(result["went_on"] for result in results)
        rows.emit(rows.make(GROUP, "kill -9 of the node process, the guard keeps to its grant: "
                            "longest time without a line", silence, "ms", profile="lan",
                            note=f"grants.on_death: keep; the process went on {on} of "
                            f"{len(results)} times; a line every 100 ms"))
        holders_at_once(run.demo, "grants.on_death: keep")


if __name__ == "__main__":
    chosen = begin(__doc__)
    # PM2 takes python3 from the path; one that is a script of a version manager is slow to start.
    os.environ["PATH"] = "/usr/bin:" + os.environ["PATH"]
    part = Part()
    part.run(f"{GROUP}, released", released, chosen)
    if not chosen.quick:
        part.run(f"{GROUP}, kept", kept, chosen)
    part.exit()
