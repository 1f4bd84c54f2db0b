#!/usr/bin/python3 -B
"""The calendar agrees with a slow reference, for every zone of the system's database.

    reference.py PROBE [--zone NAME]... [--seed N]

Python's zoneinfo reads the same database with code of its own. For each zone, in 1996 to 2026
(what files list) and 2036 to 2042 (where the rules in their footers take over), this

- looks at every day for the changes of the clock, and narrows each to its minute; they must be
  those that consensus/zone knows, all of them and no others;
- walks minute by minute through the hours around each change and writes down what the clock on
  the wall shows. From that list alone follows which local minutes come once, twice or never, and
  so the slots of a schedule under each policy; they must be those of calendar_next;
- asks for single local times at the edges of what is left out or comes twice (zone_instants).

PROBE is calendar_probe (probe.c). Zones whose files are the same bytes are looked at once. Ends with
1 when something differs.
"""

import argparse
import collections
import datetime
import hashlib
import pathlib
import random
import subprocess
import sys
import zoneinfo

FOLDER = pathlib.Path("/usr/share/zoneinfo")
UTC = datetime.timezone.utc
EPOCH = datetime.datetime(1970, 1, 1)
MINUTE, HOUR, DAY = 60, 3600, 86400
SPANS = [(1996, 2026), (2036, 2042)]

NEXT, SKIP = 0, 1
FIRST, SECOND, BOTH = 0, 1, 2
POLICIES = [(gap, fold) for gap in (NEXT, SKIP) for fold in (FIRST, SECOND, BOTH)]

SHOWN_DIFFERENCES = 10


def seconds_of(year):
    return int(datetime.datetime(year, 1, 1, tzinfo=UTC).timestamp())


def text_of(instant):
    return f"{datetime.datetime.fromtimestamp(instant, UTC):%FT%T}"


# ---- schedules: what an expression says and what it means, made together ----


class Field:
    """A random field of an expression: its text, and the values that fit."""

    def __init__(self, rng, least, most, any_share):
        first = rng.randint(least, most)
        last = rng.randint(first, most)
        step = rng.randint(1, min(most, 20))
        whole = range(least, most + 1)
        self.text, self.values = rng.choice([
            (f"{first}", {first}),
            (f"{last},{first}", {first, last}),
            (f"{first}-{last}", set(range(first, last + 1))),
            (f"*/{step}", set(whole[::step])),
            (f"{first}-{last}/{step}", set(range(first, last + 1, step)))])
        if rng.random() < any_share:
            self.text, self.values = "*", set(whole)

    @staticmethod
    def of(text, values):
        field = Field.__new__(Field)
        field.text, field.values = text, set(values)
        return field


class Schedule:
    def __init__(self, minute, hour, day, month, weekday):
        self.fields = (minute, hour, day, month, weekday)
        self.text = " ".join(field.text for field in self.fields)
        self.minutes, self.hours, self.days, self.months, weekdays = (
            field.values for field in self.fields)
        self.weekdays = {value % 7 for value in weekdays}
        self.either = day.text[0] != "*" and weekday.text[0] != "*"

    def fits(self, shown):
        """Is that local date and time in the expression?"""
        if (shown.minute not in self.minutes or shown.hour not in self.hours or
                shown.month not in self.months):
            return False
        day = shown.day in self.days
        weekday = shown.isoweekday() % 7 in self.weekdays
        return day or weekday if self.either else day and weekday


ANY = (Field.of("*", range(60)), Field.of("*", range(24)), Field.of("*", range(1, 32)),
       Field.of("*", range(1, 13)), Field.of("*", range(8)))
EVERY_MINUTE = Schedule(*ANY)
EVERY_MINUTE_BUT_AT_NOON = Schedule(ANY[0], Field.of("0-11,13-23", set(range(24)) - {12}),
                                    *ANY[2:])


def at_time(rng, shown):
    """Once a day, or on this day of this month, at that local time."""
    day, month = ANY[2], ANY[3]
    if rng.random() < 0.3:
        day = Field.of(str(shown.day), [shown.day])
        month = Field.of(f"{shown:%b}", [shown.month])
    return Schedule(Field.of(str(shown.minute), [shown.minute]),
                    Field.of(str(shown.hour), [shown.hour]), day, month, ANY[4])


def at_random(rng):
    return Schedule(Field(rng, 0, 59, 0.3), Field(rng, 0, 23, 0.5), Field(rng, 1, 31, 0.6),
                    Field(rng, 1, 12, 0.8), Field(rng, 0, 7, 0.6))


# ---- the slow walk ----


class Walk:
    """What the clock on the wall shows in each minute of [begin, end)."""

    def __init__(self, zone, begin, end):
        self.shown = [(instant, datetime.datetime.fromtimestamp(instant, zone).replace(tzinfo=None))
                      for instant in range(begin, end, MINUTE)]
        self.times = collections.defaultdict(list)  # local time -> when it is shown
        for instant, shown in self.shown:
            self.times[shown].append(instant)
        self.lost = []  # (instant of the change, the local times that it leaves out)
        minute = datetime.timedelta(minutes=1)
        for (_, before), (instant, after) in zip(self.shown, self.shown[1:]):
            count = (after - before) // minute - 1
            if count > 0:
                self.lost.append((instant, [before + (i + 1) * minute for i in range(count)]))

    def slots(self, schedule):
        """Of each policy, those of the whole walk."""
        fitting = [(instant, self.times[shown]) for instant, shown in self.shown
                   if schedule.fits(shown)]
        made_up = {instant for instant, lost in self.lost if any(map(schedule.fits, lost))}
        chosen = {FIRST: {instant for instant, times in fitting if instant == times[0]},
                  SECOND: {instant for instant, times in fitting if instant == times[-1]},
                  BOTH: {instant for instant, _ in fitting}}
        if len(schedule.hours) == 24:  # it follows real time
            return dict.fromkeys(POLICIES, chosen[BOTH])
        return {(gap, fold): chosen[fold] | made_up if gap == NEXT else chosen[fold]
                for gap, fold in POLICIES}


def changes_of(zone, first, last):
    """(instant, offset before, offset after) of each, found by looking at every day."""

    def offset(instant):
        return datetime.datetime.fromtimestamp(instant, zone).utcoffset()

    found = []
    before = offset(first)
    for day in range(first + DAY, last + 1, DAY):
        after = offset(day)
        if after == before:
            continue
        low, high = day - DAY, day
        while high - low > MINUTE:
            middle = (low + high) // 2 // MINUTE * MINUTE
            low, high = (middle, high) if offset(middle) == before else (low, middle)
        found.append((high, int(before.total_seconds()), int(after.total_seconds())))
        before = after
    return found


# ---- comparing ----


class Questions:
    """Lines for the probe, each with the answer that is expected."""

    def __init__(self):
        self.lines = []

    def ask(self, line, answer):
        self.lines.append((line, answer))

    def differences(self, probe):
        done = subprocess.run([probe], input="\n".join(line for line, _ in self.lines) + "\n",
                              capture_output=True, text=True, check=False)
        answers = done.stdout.split("\n")[:-1]
        if done.returncode != 0 or len(answers) != len(self.lines):
            yield f"{self.lines[0][0]}: the probe ends with {done.returncode}: {done.stderr}"
            return
        for (line, expected), answer in zip(self.lines, answers):
            if answer.rstrip() != expected:
                yield f"{self.lines[0][0]}: {line}: {difference(expected, answer.rstrip())}"


def difference(expected, answer):
    """The first word that differs, with its neighbour before it."""
    want, got = expected.split(), answer.split()
    place = next((i for i, (one, other) in enumerate(zip(want, got)) if one != other),
                 min(len(want), len(got)))
    return f"word {place}: {got[place:place + 3]}, the reference says {want[place:place + 3]}"


def ask_local(questions, walk, shown):
    times = walk.times.get(shown)
    if times is None:
        kind, times = "gap", [instant for instant, lost in walk.lost if shown in lost]
    else:
        kind = "once" if len(times) == 1 else "fold"
    local = int((shown - EPOCH).total_seconds())
    questions.ask(f"local {local}", " ".join([kind] + [str(time) for time in times]))


def ask_around(questions, rng, zone, change):
    """Slots and local times around a change of the clock."""
    instant, before, after = change
    shift = abs(after - before)
    begin, end = instant - shift - 2 * HOUR, instant + shift + 2 * HOUR
    walk = Walk(zone, begin - shift, end + shift)
    wall = EPOCH + datetime.timedelta(seconds=instant + min(before, after))
    inside = wall + datetime.timedelta(minutes=rng.randrange(shift // MINUTE))
    often = rng.choice([EVERY_MINUTE, EVERY_MINUTE_BUT_AT_NOON])
    for schedule in (often, at_time(rng, inside), at_random(rng)):
        slots = walk.slots(schedule)
        policies = [rng.choice(POLICIES)] if schedule is often else POLICIES
        for gap, fold in policies:
            expected = sorted(slot for slot in slots[gap, fold] if begin <= slot <= end)
            questions.ask(f"slots {gap} {fold} {begin} {end} {schedule.text}",
                          " ".join(map(str, expected)))
    for seconds in (-MINUTE, 0, shift - MINUTE, shift):
        ask_local(questions, walk, wall + datetime.timedelta(seconds=seconds))
    ask_local(questions, walk, inside)


def compare(probe, name, rng):
    """(changes, questions, differences) of a zone."""
    zone = zoneinfo.ZoneInfo(name)
    questions = Questions()
    questions.ask(f"zone {name}", "ok")
    count = 0
    for first_year, last_year in SPANS:
        first, last = seconds_of(first_year), seconds_of(last_year + 1)
        last = first + (last - first) // DAY * DAY
        changes = changes_of(zone, first, last)
        questions.ask(f"changes {first} {last}", " ".join("%d:%d:%d" % one for one in changes))
        for change in changes:
            ask_around(questions, rng, zone, change)
        count += len(changes)
    return count, len(questions.lines), list(questions.differences(probe))


def distinct_zones():
    """Names of the database, one for each content of a file."""
    zoneinfo.reset_tzpath(to=[str(FOLDER)])
    by_content = {}
    names = sorted(name for name in zoneinfo.available_timezones() if (FOLDER / name).is_file())
    for name in names:
        by_content.setdefault(hashlib.sha256((FOLDER / name).read_bytes()).digest(), name)
    return len(names), sorted(by_content.values())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("probe")
    parser.add_argument("--zone", action="append")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    name_count, names = distinct_zones()
    if len(names) < 100:
        print(f"only {len(names)} zones in {FOLDER}: is tzdata installed?")
        return 1
    changes = questions = 0
    found = []
    for name in chosen.zone or names:
        counts = compare(chosen.probe, name, random.Random(f"{chosen.seed} {name}"))
        changes += counts[0]
        questions += counts[1]
        found += counts[2]
    print("\n".join(found[:SHOWN_DIFFERENCES]))
    print(f"{name_count} names, {len(names)} files, {changes} changes of a clock, {questions} "
          f"questions: {len(found)} differences")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
