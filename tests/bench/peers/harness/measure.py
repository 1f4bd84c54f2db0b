"""How a peer is measured: polls that race with a fault, idle cost, rates, a program's frame."""

import os
import pathlib
import random
import signal
import sys
import threading
import time
import traceback

import rows
from harness.netns import Missing

PAUSE_S = 0.002  # between an answer and the next question
PATIENCE_S = 90
GROUPS = ("crash failover", "planned handover", "health handover", "freeze failover",
          "cut failover", "start", "idle", "status", "cli", "commits", "lateness")


class Unsettled(Exception):
    """The peer did not come to rest, or did nothing at all; the text says what was waited for."""


def now_ms():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) / 1e6


def wait_until(what, true, patience_s=PATIENCE_S):
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        try:
            if true():
                return
        except OSError:
            pass
        time.sleep(0.02)
    raise Unsettled(f"{what}: not within {patience_s} s")


def rest(seconds):
    """A healthy peer is left alone, and the next fault falls anywhere between its beats."""
    time.sleep(seconds * random.uniform(1, 2))


class Watch(threading.Thread):
    """Asks over and over until the answer is the one that is waited for."""

    def __init__(self, ask, accept):
        super().__init__(daemon=True)
        self.ask = ask
        self.accept = accept
        self.warm = threading.Event()
        self.stop = threading.Event()
        self.began = None
        self.arrived = None

    def run(self):
        while not self.stop.is_set():
            try:
                answer = self.ask()
                arrived = now_ms()
                if self.began is not None and arrived > self.began and self.accept(answer):
                    self.arrived = arrived
                    return
            except OSError:
                pass
            finally:
                self.warm.set()
            self.stop.wait(PAUSE_S)


def race(act, patience_s=PATIENCE_S, enough=None, **watches):
    """Milliseconds from act until each question got the answer that it waits for.

    watches: label=[(ask, accept), ...]; answers {label: [ms, ...]}, None for what never came.
    enough: {label: count} where not every question of a label will get its answer.
    """
    running = {label: [Watch(ask, accept) for ask, accept in pairs]
               for label, pairs in watches.items()}
    everyone = [watch for group in running.values() for watch in group]
    for watch in everyone:
        watch.start()
    for watch in everyone:
        watch.warm.wait()
    began = now_ms()
    for watch in everyone:
        watch.began = began
    act()
    deadline = time.monotonic() + patience_s
    for label, group in running.items():
        count = (enough or {}).get(label, len(group))
        while time.monotonic() < deadline and sum(not w.is_alive() for w in group) < count:
            time.sleep(PAUSE_S)
    for watch in everyone:
        watch.stop.set()
    for watch in everyone:
        watch.join()
    return {label: [None if watch.arrived is None else watch.arrived - began for watch in group]
            for label, group in running.items()}


def first(times):
    return min((ms for ms in times if ms is not None), default=None)


def last(times):
    return None if None in times else max(times)


class Sheet:
    """The rows of one system in one configuration."""

    def __init__(self, system, profile, wants=lambda group: True):
        self.wants = wants
        self.system = system
        self.profile = profile
        self.values = {}

    def add(self, group, what, value, unit="ms"):
        self.values.setdefault((group, what, unit), []).append(value)

    def emit(self, note="", **details):
        """Print what was added since the last time."""
        for (group, what, unit), values in self.values.items():
            if not self.wants(group):
                continue
            lost = sum(value is None for value in values)
            more = f"{lost} of {len(values)} never came" if lost else ""
            rows.emit(rows.make(group, what, values, unit, system=self.system,
                                profile=self.profile, note="; ".join(filter(None, [note, more])),
                                **details))
        self.values = {}

    def fail(self, group, what, reason):
        rows.emit(rows.make(group, what, [], "ms", system=self.system, profile=self.profile,
                            note=reason))


class Cost:
    """What a host has used up to now."""

    def __init__(self, host):
        self.at = time.monotonic()
        self.bytes, self.packets = host.sent()
        self.cpu_s = self.wakeups = self.rss = self.pss = self.disk = 0
        for pid in host.pids():
            self.add(pathlib.Path(f"/proc/{pid}"))

    def add(self, folder):
        for line in (folder / "smaps_rollup").read_text().splitlines():
            if line.startswith("Rss:"):
                self.rss += int(line.split()[1]) / 1024
            if line.startswith("Pss:"):
                self.pss += int(line.split()[1]) / 1024
        for line in (folder / "io").read_text().splitlines():
            if line.startswith("write_bytes:"):
                self.disk += int(line.split()[1])
        for task in (folder / "task").iterdir():
            self.cpu_s += int((task / "schedstat").read_text().split()[0]) / 1e9
            for line in (task / "status").read_text().splitlines():
                if line.startswith("voluntary_ctxt_switches"):
                    self.wakeups += int(line.split()[1])


def idle(sheet, hosts, seconds, leader=None, also="", multicast=False):
    """Nobody asks anything for so long; medians of the nodes, worst the node that needs most."""
    before = {host: Cost(host) for host in hosts}
    time.sleep(seconds)
    for host in hosts:
        old, new = before[host], Cost(host)
        span = new.at - old.at
        who = "leader" if host is leader else "follower" if leader else "node"
        sheet.add("idle", "node, resident", new.rss, "MiB")
        sheet.add("idle", "node, proportional", new.pss, "MiB")
        sheet.add("idle", f"{who}, CPU of a core", 100 * (new.cpu_s - old.cpu_s) / span, "%")
        sheet.add("idle", f"{who}, wake-ups", (new.wakeups - old.wakeups) / span, "1/s")
        sheet.add("idle", f"{who}, bytes written to disk", (new.disk - old.disk) / span, "B/s")
        per, share = "", 1
        if host is leader and not multicast:
            per, share = " per voter", len(hosts) - 1
        sheet.add("idle", f"{who}, sent on the wire{per}",
                  (new.bytes - old.bytes) / span / share, "B/s")
        sheet.add("idle", f"{who}, packets sent{per}",
                  (new.packets - old.packets) / span / share, "1/s")
    sheet.emit("; ".join(filter(None, [
        f"{len(hosts)} nodes, over {seconds} s, trials are nodes, headers counted", also])))


def status(sheet, what, ask, seconds):
    """One question after the other on one connection."""
    ask()
    times = []
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        asked = time.perf_counter_ns()
        ask()
        times.append((time.perf_counter_ns() - asked) / 1e3)
    span = time.monotonic() - began
    for value in times:
        sheet.add("status", what, value, "us")
    sheet.emit("one connection, one after the other")
    sheet.add("status", f"{what}, rate", len(times) / span, "1/s")
    sheet.emit("one connection, one after the other", better="higher", trials=len(times))


def cli(sheet, what, words, environment, trials, expect=(0,)):
    """From starting the program until it has ended."""
    words = [str(word) for word in words]
    sink = [(os.POSIX_SPAWN_OPEN, number, "/dev/null", os.O_RDWR, 0) for number in (0, 1, 2)]
    for _ in range(trials):
        began = now_ms()
        pid = os.posix_spawnp(words[0], words, {**os.environ, **environment}, file_actions=sink)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        took = now_ms() - began
        if code not in expect:
            program = words[words.index("--") + 1] if "--" in words else words[0]
            raise Unsettled(f"{os.path.basename(program)} ended with {code}")
        sheet.add("cli", what, took)
    sheet.emit()


def interrupted(number, _):
    sys.exit(128 + number)


def program(description, system, measure):
    """The frame of every script here: options, the end on a signal, a row for what is missing."""
    options = rows.options(description, trials=20)
    options.wants = lambda group: rows.wanted(options, group)
    if options.quick:
        options.trials = 1  # most of these trials are spent waiting for the peer to recover
    options.idle_s = 3 if options.quick else 30
    options.rate_s = 0.5 if options.quick else 5
    options.many = 10 if options.quick else 200
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    if not any(map(options.wants, GROUPS)):
        sys.exit(0)
    try:
        failed = measure(options)
    except Missing as problem:
        for group in filter(options.wants, GROUPS[:1] if not options.only else GROUPS):
            Sheet(system, "").fail(group, "everything", f"not measured: {problem}")
        rows.say(f"{system}: {problem}")
        sys.exit(77)
    sys.exit(1 if failed else 0)


def each(configurations, run, options):
    """Run every configuration (the fastest alone when it has to be quick); what one of them breaks
    does not stop the next."""
    failed = False
    for configuration in configurations[-1 if options.quick else 0:]:
        sheet = Sheet(configuration["system"], configuration["profile"], options.wants)
        try:
            run(configuration, sheet)
        except Unsettled as problem:
            failed = True
            sheet.emit("incomplete")
            sheet.fail("crash failover", "the rest", str(problem))
            rows.say(f"{sheet.system} {sheet.profile}: {problem}")
        except Exception:  # of one peer's answers; the reader of the log wants to know where
            failed = True
            sheet.fail("crash failover", "the rest", "the script failed; its log says where")
            traceback.print_exc()
    return failed
