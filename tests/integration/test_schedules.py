#!/usr/bin/python3 -B
"""Schedules on three real nodes, with a wall clock that runs fast, while leaders are killed, frozen
and handed over: each slot has exactly one outcome, and each run had its effect once.

    test_schedules.py [--seconds N] [--rate N] [--seed N]

Each run appends a line to one file. At the end the slots are recomputed three times: by
`ticks verify` (the C library's time zones), here (Python's), and as the nodes decided them; the
lines of the file are compared with the outcomes. --seconds 1200 --rate 1200 are sixteen days.
"""

import argparse
import collections
import datetime
import os
import random
import signal
import sys
import time
import zoneinfo

from cluster import Cluster, boot_s, check, kill, run, say, wait_until

ZONE = "Europe/Berlin"
READ_EVERY_S = 60  # well before the nodes' ring of ended runs has come round
START = datetime.datetime(2026, 10, 24, 22, 0, tzinfo=datetime.timezone.utc)  # the clock goes back

# name, cron or every, more of its configuration
SCHEDULES = (
    [("minute", "* * * * *", "overlap: allow")]
    + [(f"five-{i}", f"{i}-59/5 * * * *", "overlap: allow") for i in range(3)]
    + [(f"quarter-{i}", f"{i}-59/15 * * * *", "") for i in range(6)]
    + [("twenty", "*/20 * * * *", "overlap: replace"),
       ("every-25m", "every 25m", ""),
       ("hourly", "@hourly", ""),
       ("both", "30 1,2,3 * * *", "fold: both"),
       ("second", "30 2 * * *", "fold: second"),
       ("gap-skip", "15 2,3 * * *", "gap: skip"),
       ("six-hours", "0 */6 * * *", ""),
       ("daily", "@daily", ""),
       ("weekdays", "0 9-17 * * mon-fri", ""),
       ("slow", "*/30 * * * *", "misfire: run_all, misfire_cap: 5, misfire_window: 1d")]
)


def schedules(effects):
    """The section managers.run."""
    def row(name, when, more):
        key = "every" if when.startswith("every ") else "cron"
        text = when.removeprefix("every ")
        wait = "sleep 0.3; " if name == "slow" else ""
        script = (f'{wait}echo "$UNDERSTUDY_RUN $UNDERSTUDY_ATTEMPT $UNDERSTUDY_TERM" '
                  f'>> {effects}')
        return (f"      - {{name: {name}, {key}: '{text}', run: [/bin/sh, -c, '{script}'], "
                f"start_deadline: 6h{', ' + more if more else ''}}}")
    rows = "\n".join(row(*entry) for entry in SCHEDULES)
    return f"run:\n    zone: {ZONE}\n    schedules:\n{rows}"


def manager(effects):
    return "pm2: {enabled: false}\n  " + schedules(effects)


# ---- the slots, once more ----


def numbers(text, low, high):
    """A cron field without names."""
    ret = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        if span == "*":
            first, last = low, high
        elif not last:
            last = high if step else first
        ret.update(range(int(first), int(last) + 1, int(step or 1)))
    return ret


def reader(text):
    text = {"@hourly": "0 * * * *", "@daily": "0 0 * * *"}.get(text, text).replace("mon-fri", "1-5")
    minute, hour, day, month, weekday = text.split()
    return (numbers(minute, 0, 59), numbers(hour, 0, 23), numbers(day, 1, 31),
            numbers(month, 1, 12), {number % 7 for number in numbers(weekday, 0, 7)})


def slots_of(when, more, from_s, to_s):
    """Slots in (from_s, to_s], found minute by minute."""
    if when.startswith("every "):
        period = int(when.removeprefix("every ").removesuffix("m")) * 60
        return {s for s in range(from_s - from_s % period, to_s + 1, period) if s > from_s}
    minutes, hours, days, months, weekdays = reader(when)
    zone = zoneinfo.ZoneInfo(ZONE)
    real_time = len(hours) == 24  # neither policy applies
    fold = more.partition("fold: ")[2].split(",")[0] or "first"
    ret = set()
    for instant in range(from_s - from_s % 60, to_s + 1, 60):
        local = datetime.datetime.fromtimestamp(instant, zone)
        if not (local.minute in minutes and local.hour in hours and local.day in days
                and local.month in months and local.isoweekday() % 7 in weekdays):
            continue
        twice = local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()
        if twice and not real_time and fold != "both" and local.fold != (fold == "second"):
            continue
        if instant > from_s:
            ret.add(instant)
    return ret


# ---- faults ----


class Faults:
    KINDS = ("kill", "kill", "kill_both", "freeze", "transfer", "end")

    def __init__(self, cluster, random_):
        self.cluster = cluster
        self.random = random_
        self.done = collections.Counter()

    def one(self):
        kind = self.random.choice(self.KINDS)
        target = self.random.choice(self.cluster.nodes)
        leader = next((node for node in self.cluster.nodes
                       if node.worker() and (node.status() or {}).get("acting")), None)
        if leader is not None and self.random.random() < 0.7:
            target = leader
        self.done[kind] += 1
        getattr(self, kind)(target)

    def kill(self, node):
        if node.worker():
            kill(node.worker())

    def kill_both(self, node):
        if node.parent():
            node.kill_both()
        node.start()

    def freeze(self, node):
        pid = node.worker()
        if pid is None:
            return
        kill(pid, signal.SIGSTOP)
        time.sleep(self.random.uniform(0.1, 3))  # how long it is frozen
        kill(pid, signal.SIGCONT)

    def transfer(self, node):
        node.cli("leader", "transfer", timeout="5s")

    def end(self, node):
        if node.parent():
            node.terminate()
        node.start()


# ---- the verdict ----


def ledger(node):
    """Schedule id -> its rows, all pages."""
    found = {}
    after = None
    while True:
        words = ["ticks", "ledger"] + (["--after", after] if after else [])
        answer = node.cli(*words)
        check(answer.exit == 0, f"ticks ledger: {answer}")
        found.update({row["id"]: row for row in answer.data["schedules"]})
        after = answer.data["more"]
        if after is None:
            return found


class Ledger:
    """What the nodes recorded of each slot, read now and then, before they forget the oldest: what
    has ended must stay so."""

    def __init__(self):
        self.schedules = {}  # id -> defined_s, decided_s, first slot -> row

    def read(self, node):
        for schedule, row in ledger(node).items():
            defined_s = row["defined_s"]
            seen = self.schedules.setdefault(
                schedule, {"defined_s": defined_s, "decided_s": defined_s, "slots": {}})
            check(seen["defined_s"] == defined_s, f"{schedule}: was defined again")
            check(row["kept_from_s"] <= seen["decided_s"], f"{schedule}: rows forgotten unread")
            check(row["decided_s"] >= seen["decided_s"], f"{schedule}: less decided than before")
            seen["decided_s"] = row["decided_s"]
            self.merge(schedule, seen["slots"], row["slots"])
        return len(self.schedules) == len(SCHEDULES)

    @staticmethod
    def merge(schedule, seen, rows):
        for row in rows:
            before = seen.get(row[0])
            check(before is None or before[3] == "under_way" or before == row,
                  f"{schedule}: {before} has become {row}")
            seen[row[0]] = row


def check_slots(found, manager):
    """Each slot of each schedule has exactly one row; returns how many of each outcome."""
    outcomes = collections.Counter()
    for name, when, more in SCHEDULES:
        row = found[f"{manager}/{name}"]
        expected = slots_of(when, more, row["defined_s"], row["decided_s"])
        seen = collections.Counter()
        for first, last, count, outcome, reason, _ in row["slots"].values():
            inside = {s for s in expected if first <= s <= last}
            check(len(inside) == count, f"{name}: {first}-{last} is told as {count} slots "
                  f"({outcome}, {reason}) and has {len(inside)}")
            seen.update(inside)
            outcomes[outcome] += count
        doubled = [s for s, count in seen.items() if count > 1]
        check(not doubled, f"{name}: decided more than once: {doubled[:5]}")
        holes = sorted(expected - set(seen))
        check(not holes, f"{name}: no outcome for {holes[:5]} and {len(holes) - 5} more")
        check(sum(seen.values()) == len(expected), f"{name}: rows that are no slots")
    return outcomes


def run_id(schedule, slot_s):
    return time.strftime(f"{schedule}@%Y%m%dT%H%M%SZ", time.gmtime(slot_s))


def comes_later(found, name):
    """The run's slot was decided after its schedule's rows had been read."""
    schedule, _, slot = name.partition("@")
    at = datetime.datetime.strptime(slot, "%Y%m%dT%H%M%S%z")
    return schedule in found and at.timestamp() > found[schedule]["decided_s"]


def check_effects(found, effects):
    """What the file says against what the slots' rows say; returns how many effects there were."""
    lines = collections.Counter()
    with open(effects, encoding="ascii") as file:
        for line in file:
            name, attempt, _ = line.split()
            lines[name, int(attempt)] += 1
    doubled = [key for key, count in lines.items() if count > 1]
    check(not doubled, f"an attempt had its effect twice: {doubled[:5]}")
    per_run = collections.Counter(name for name, _ in lines)
    told = 0
    for schedule, row in found.items():
        for first, _, _, outcome, *_ in row["slots"].values():
            name = run_id(schedule, first)
            count = per_run.pop(name, 0)
            if outcome == "ran":
                check(count >= 1, f"{name} is told as ran, and left no line")
            if outcome in ("skipped", "missed"):
                check(count == 0, f"{name} is told as {outcome}, and left a line")
            check(count <= 1, f"{name} had its effect {count} times")
            told += count
    unknown = [name for name in per_run if not comes_later(found, name)]
    check(not unknown, f"effects of runs that nobody knows: {unknown[:5]}")
    return told


def settings(options):
    clock = f"{int(boot_s() * 1000)}:{int(START.timestamp() * 1000)}:{options.rate}"
    return f"debug: {{clock: '{clock}'}}\nleadership: {{handover_below: 0}}\n"


def drive(cluster, faults, effects, options, manager="run"):
    """Faults for so long, and then the verdict on the schedules of that manager."""
    node = cluster["n1"]
    wait_until(lambda: len(node.cli("schedule", "list").data) == len(SCHEDULES),
               "all schedules are known")
    rows = Ledger()
    until = boot_s() + options.seconds
    read_at = boot_s() + READ_EVERY_S
    while boot_s() < until:
        time.sleep(faults.random.uniform(0.2, 2))  # between faults, work goes on
        faults.one()
        if boot_s() >= read_at:
            wait_until(lambda: rows.read(cluster.wait_leader()), "the slots are told")
            read_at = boot_s() + READ_EVERY_S
    leader = cluster.wait_leader()
    say(f"faults: {dict(faults.done)}")
    wait_until(lambda: all(row["failures"] is not None for row in
                           leader.cli("schedule", "list").data), "schedules are told")
    verdict = wait_until(lambda: settled(leader), "ticks verify is content")
    say(f"ticks verify: {verdict}")
    wait_until(lambda: rows.read(leader), "the slots are told")
    outcomes = check_slots(rows.schedules, manager)
    say(f"{check_effects(rows.schedules, effects)} effects, each once")
    least = options.seconds * min(options.rate, 60) / 60
    check(outcomes["ran"] >= least, f"hardly anything ran: {outcomes}")
    say(f"slots by outcome: {dict(outcomes)}")


def test_schedules(options):
    with Cluster(3) as cluster:
        effects = os.path.join(cluster.folder, "effects")
        open(effects, "w", encoding="ascii").close()
        cluster.managers = manager(effects)
        cluster.extra = settings(options)
        cluster.start()
        drive(cluster, Faults(cluster, random.Random(options.seed)), effects, options)


def settled(node):
    answer = node.cli("ticks", "verify", timeout="30s")
    check(answer.exit in (0, 10), f"ticks verify: {answer}")
    check(answer.exit == 0, f"violations: {answer.data['violations'][:5]}")
    return {key: value for key, value in answer.data.items() if not isinstance(value, list)}


def read_options(seconds=60, rate=300):
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("--seconds", type=int, default=seconds)
    parser.add_argument("--rate", type=int, default=rate)
    parser.add_argument("--seed", type=int, default=1)
    ret = parser.parse_args()
    sys.argv = sys.argv[:1]
    return ret


if __name__ == "__main__":
    chosen = read_options()
    run(lambda: test_schedules(chosen))
