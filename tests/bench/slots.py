#!/usr/bin/python3 -B
"""The next slot of a schedule and of ten thousand, and a zone's offset at an instant.

Beside them systemd's calendar, the C library and Python's zoneinfo."""

import datetime
import random
import shutil
import statistics
import subprocess
import time
import zoneinfo

import rows
from trials import Part, begin, program

GROUP = "slots"
ZONE = "Europe/Berlin"
QUESTIONS = {
    "minute": "next slot of `* * * * *`",
    "quarter": "next slot of `*/15 * * * *`",
    "daily": "next slot of `30 2 * * *`",
    "weekly": "next slot of `0 4 * * mon`",
    "monthly": "next slot of `0 0 1 * *`",
    "yearly": "next slot of `0 0 1 1 *`",
    "leap_day": "next slot of `0 0 29 2 *`",
    "never": "`0 0 30 2 *`: that there is none",
    "every": "next slot of `every 25m`",
}
GOAL_NS = 2000
GOAL_RARE_NS = 1000000
RARE = ("leap_day", "never")
OFFSET = "offset at an instant"


def measure_ours(options):
    count = 20 if options.quick else 1000
    found = program("bench_calendar_next", str(count))
    for name, what in QUESTIONS.items():
        # Of a batch of a thousand questions: microseconds of all are nanoseconds of one.
        figures = found[name]
        rows.emit(rows.make(GROUP, what, [figures["p50_us"]], "ns", worst=figures["worst_us"],
                            trials=count, goal=GOAL_RARE_NS if name in RARE else GOAL_NS,
                            note="of batches of 1000, " + ZONE))
    sweep = found["schedules"]
    rows.emit(rows.make(GROUP, "next slot of each of 10 000 schedules", [sweep["p50_us"] / 1000],
                        "ms", worst=sweep["worst_us"] / 1000, trials=int(sweep["count"]),
                        note="drawn at random, all zones"))
    for name, system in (("offset", "understudy"), ("offset_of_library", "glibc")):
        figures = found[name]
        rows.emit(rows.make(GROUP, OFFSET, [figures["p50_us"]], "ns", system=system,
                            worst=figures["worst_us"], trials=count,
                            note="of batches of 1000, " + ZONE))


def measure_python(options):
    zone = zoneinfo.ZoneInfo(ZONE)
    times = []
    for _ in range(2 if options.quick else 20):
        instants = [random.randrange(1767225600, 2082585600) for _ in range(10000)]
        began = time.perf_counter()
        for instant in instants:
            datetime.datetime.fromtimestamp(instant, zone).utcoffset()
        times.append((time.perf_counter() - began) / len(instants) * 1e9)
    rows.emit(rows.make(GROUP, OFFSET, times, "ns", system="python", note="zoneinfo, of 10 000"))


def measure_systemd(options):
    """The difference between many slots and one: without the start of the process."""
    if shutil.which("systemd-analyze") is None:
        rows.say("systemd-analyze is not installed; its row is left out")
        return
    many = 1000 if options.quick else 10000

    def took(iterations):
        words = ["systemd-analyze", "calendar", f"--iterations={iterations}",
                 f"*-*-* 02:30:00 {ZONE}"]
        began = time.perf_counter()
        subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        return time.perf_counter() - began

    times = [(took(many) - took(1)) / many * 1e9 for _ in range(1 if options.quick else 5)]
    rows.emit(rows.make(GROUP, QUESTIONS["daily"], [statistics.median(times)], "ns",
                        system="systemd", worst=max(times), trials=len(times),
                        note=f"systemd-analyze calendar, of {many}; it prints each, too"))


if __name__ == "__main__":
    chosen = begin(__doc__)
    part = Part()
    part.run(GROUP, measure_ours, chosen)
    part.run("zoneinfo", measure_python, chosen)
    part.run("systemd", measure_systemd, chosen)
    part.exit()
