"""Rows of the benchmark's table: how each script makes and prints them, and how they are read.

Every measuring script, ours (tests/bench/*.py) and those of peers (tests/bench/peers/*.py), is a
program of its own (executable) that takes `--trials N`, `--quick` and `--only GROUP`, prints one
JSON object per line on stdout as soon as it knows one, and writes everything else to stderr. It
ends with 0 when it could measure all that it is there for, with 77 when this machine lacks what a
part needs (stderr says what), else with 1. It never fails because something was slow. Each object
has

    group     "crash failover": rows of a group stand together, ours before the peers'
    what      "kill -9 of the node process, leader commits"
    system    "understudy", "etcd", "serf" ...
    profile   the timers: "lan", "local", "default", "tuned" ...; "" when they do not matter
    unit      "ms", "us", "MiB", "KiB/s" ...
    median    of the trials; of a figure that was measured once (CPU over a minute), that figure
    worst     the largest of them, the smallest where more is better
    trials    how many were measured
    goal      for the median, null when there is none (peers have none)
    goal_worst  for the worst, null when there is none
    better    "lower" (default) or "higher"
    note      what a reader has to know, "" for nothing

Unknown is null. A part that could not be measured is a row as well: median null, the note says why.
"""

import argparse
import json
import statistics
import sys

FIELDS = ("group", "what", "system", "profile", "unit", "median", "worst", "trials", "goal",
          "goal_worst", "better", "note")
TEXTS = ("group", "what", "system", "profile", "unit", "better", "note")
NUMBERS = ("median", "worst", "goal", "goal_worst")

QUICK_TRIALS = 1

# Groups in the order of the table; others follow in the order in which they came.
GROUPS = ("crash failover", "planned handover", "health handover", "freeze failover",
          "cut failover", "duty takeover", "start", "idle", "status", "cli", "commits",
          "pm2 state", "pm2 many", "slots", "schedules", "lateness", "disk stalls and load")


class Malformed(ValueError):
    """A line that is no row; the text says why."""


def make(group, what, values, unit, *, system="understudy", profile="", goal=None,
         goal_worst=None, better="lower", note="", worst=None, trials=None):
    """A row of the measured values, one per trial; none of them: the row says that it failed."""
    values = [value for value in values if value is not None]
    median = statistics.median(values) if values else None
    if worst is None and values:
        worst = min(values) if better == "higher" else max(values)
    row = {"group": group, "what": what, "system": system, "profile": profile, "unit": unit,
           "median": rounded(median), "worst": rounded(worst),
           "trials": len(values) if trials is None else trials, "goal": goal,
           "goal_worst": goal_worst, "better": better,
           "note": note if values or note else "could not be measured"}
    check(row)
    return row


def rounded(value):
    """Four digits that count: what comes after them is noise."""
    if value is None:
        return None
    return int(round(value)) if abs(value) >= 1000 else float(f"{value:.4g}")


def emit(row):
    """Print a row for whoever runs this script."""
    check(row)
    print(json.dumps(row, ensure_ascii=False), flush=True)


def check(row):
    """Raise Malformed unless it is a row."""
    if not isinstance(row, dict):
        raise Malformed("not an object")
    for name in TEXTS:
        if not isinstance(row.get(name), str):
            raise Malformed(f"{name} is {row.get(name)!r}, not text")
    for name in NUMBERS:
        value = row.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
            raise Malformed(f"{name} is {value!r}, not a number")
    trials = row.get("trials")
    if isinstance(trials, bool) or not isinstance(trials, int) or trials < 0:
        raise Malformed(f"trials is {trials!r}, not a count")
    if not row["group"] or not row["what"] or not row["system"]:
        raise Malformed("group, what and system cannot be empty")
    if row["better"] not in ("lower", "higher"):
        raise Malformed(f"better is {row['better']!r}, neither lower nor higher")
    if row["median"] is None and not row["note"]:
        raise Malformed("a figure is missing and the note does not say why")


def read(line):
    """The row of a line of a script's output."""
    try:
        row = json.loads(line)
    except ValueError:
        raise Malformed(f"not JSON: {line[:120]!r}") from None
    if isinstance(row, dict):
        row = {"profile": "", "goal": None, "goal_worst": None, "better": "lower", "note": "",
               "median": None, "worst": None, **row}
    check(row)
    return {name: row[name] for name in FIELDS} | {"verdict": verdict(row)}


def verdict(row):
    """"reached", "missed", or "" when there is no goal or no figure."""
    pairs = [(row["median"], row["goal"]), (row["worst"], row["goal_worst"])]
    pairs = [(value, goal) for value, goal in pairs if goal is not None]
    if not pairs:
        return ""
    if any(value is None for value, _ in pairs):
        return "not measured"
    higher = row["better"] == "higher"
    good = all(value >= goal if higher else value <= goal for value, goal in pairs)
    return "reached" if good else "missed"


def in_order(rows):
    """Groups as GROUPS has them; within one ours first, else as they came."""
    places = {group: place for place, group in enumerate(GROUPS)}
    for row in rows:
        places.setdefault(row["group"], len(places))
    return sorted(rows, key=lambda row: (places[row["group"]], row["system"] != "understudy"))


# ---- the table ----


def number(value):
    if value is None:
        return "-"
    return f"{value:,}".replace(",", " ") if isinstance(value, int) else f"{value:g}"


def goal_text(row):
    sign = ">=" if row["better"] == "higher" else "<="
    if row["goal"] is None:
        return "" if row["goal_worst"] is None else f"({sign} {number(row['goal_worst'])})"
    worst = "" if row["goal_worst"] is None else f" ({number(row['goal_worst'])})"
    return f"{sign} {number(row['goal'])}{worst}"


def one_line(row):
    figures = f"{number(row['median'])} {row['unit']} (worst {number(row['worst'])})"
    parts = [f"{row['group']}: {row['what']}", f"{row['system']} {row['profile']}".strip(), figures,
             f"n={row['trials']}", goal_text(row), row["verdict"], row["note"]]
    return " | ".join(part for part in parts if part)


def heading(document):
    """Date and machine, for people."""
    machine = document["machine"]
    before, after = document["load_before"][0], document["load_after"][0]
    return (f"{document['began'][:10]}, {machine['cpu']}, {machine['cores']} cores, "
            f"{machine['memory_mib'] / 1024:.0f} GiB, Linux {machine['kernel']}, load {before} "
            f"before and {after} after" +
            (f", commit {document['commit']}" if document["commit"] else ""))


def cells(row):
    return [row["what"], f"{row['system']} {row['profile']}".strip(), number(row["median"]),
            number(row["worst"]), row["unit"], str(row["trials"]), goal_text(row), row["verdict"],
            row["note"]]


HEADS = ["what", "system", "median", "worst", "unit", "n", "goal", "verdict", "note"]
RIGHT = {2, 3, 5}  # columns of numbers


def table(document):
    """Columns for a terminal, a group after the other."""
    found = document["rows"]
    texts = [cells(row) for row in found]
    widths = [max([len(head)] + [len(text[i]) for text in texts]) for i, head in enumerate(HEADS)]

    def line(text):
        return "  ".join(cell.rjust(width) if i in RIGHT else cell.ljust(width)
                         for i, (cell, width) in enumerate(zip(text, widths))).rstrip()

    lines = [heading(document), "", line(HEADS)]
    group = None
    for row, text in zip(found, texts):
        if row["group"] != group:
            group = row["group"]
            lines += ["", f"[{group}]"]
        lines.append(line(text))
    return "\n".join(lines)


def markdown(document):
    lines = [heading(document) + ". Medians (worst); the goal is for the median (worst).", "",
             "| | system | median (worst) | n | goal | |",
             "| --- | --- | ---: | ---: | --- | --- |"]
    group = None
    for row in document["rows"]:
        if row["group"] != group:
            group = row["group"]
            lines.append(f"| **{group}** | | | | | |")
        figures = f"{number(row['median'])} ({number(row['worst'])}) {row['unit']}"
        remark = "; ".join(part for part in (row["verdict"], row["note"]) if part)
        lines.append(f"| {row['what']} | {row['system']} {row['profile']} | {figures} | "
                     f"{row['trials']} | {goal_text(row)} | {remark} |".replace("  ", " "))
    return "\n".join(lines)


# ---- what scripts share ----


def options(description, trials=50):
    """The command line that every script has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--trials", type=int, default=trials)
    parser.add_argument("--quick", action="store_true",
                        help="few and short trials, to see that it works")
    parser.add_argument("--only", action="append", default=[], metavar="GROUP",
                        help="leave out other groups")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.trials = min(chosen.trials, QUICK_TRIALS)
    return chosen


def wanted(chosen, group):
    return not chosen.only or any(group.startswith(name) for name in chosen.only)


def say(text):
    """For people, beside the rows."""
    print(text, file=sys.stderr, flush=True)
