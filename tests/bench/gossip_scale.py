#!/usr/bin/env python3
"""Gossip from 10 to 10,000 simulated nodes: a table, JSON rows, and plots.

    tests/bench/gossip_scale.py [--out FOLDER] [--sizes N,N,...] [--quick] [--table]

Runs build/tests/bench/bench_gossip_scale (up to 1,000 nodes, real tables) and
bench_gossip_scale_shared (more: untouched rows are shared between the nodes; --same shows that a
seed gives the same run with both). Everything is virtual time, so the machine's load changes no
figure, only how long it takes: about 20 minutes of one core, and 5 GB for 10,000 nodes.

FOLDER (default build/gossip-scale) gets rows.jsonl, table.txt and three SVGs (with gnuplot, from
Debian's gnuplot-nox). Rows that are there already are not measured again; remove the file to start
afresh. --table measures nothing.
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("UNDERSTUDY_BUILD", ROOT / "build"))
SIZES = [3, 5, 10, 20, 30, 100, 300, 1000, 3000, 10000]
PLOT_FROM = 10  # nodes
# Serf 0.9.4 of Debian 12, profile lan, on real processes: seconds from kill -9 until all members see
# it failed (median), and bytes sent per second with all frames.
SERF = {3: (5.9, 319), 5: (6.2, 329), 20: (None, 371)}
REAL_MAX = 1000  # nodes, up to which the real tables fit well
LOSSES = [0, 1, 5, 10, 20]


def binary(nodes):
    name = "bench_gossip_scale" if nodes <= REAL_MAX else "bench_gossip_scale_shared"
    return BUILD / "tests" / "bench" / name


def deaths(nodes):
    return 30 if nodes <= 300 else 10 if nodes <= 1000 else 5 if nodes <= 3000 else 3


def periods(nodes, loss, slow):
    """Node-periods; None where what a simulation costs says nothing of gossip: every suspicion goes
    to every node, and their number grows with the nodes."""
    if slow:
        return 100_000 if nodes <= 100 else 50_000 if nodes == 300 else None
    if loss <= 5:
        return 1_000_000 if loss == 5 else 200_000
    if loss == 10:
        return 200_000 if nodes <= 1000 else None
    return 100_000 if nodes <= 100 else 50_000 if nodes == 300 else None


def rough(nodes):
    """The sizes at which false deaths are counted."""
    return nodes >= PLOT_FROM and nodes != 20


def steps(sizes, quick):
    for nodes in sizes:
        yield nodes, ["--only", "cost"], ("cost", nodes)
        count = 5 if quick else deaths(nodes)
        yield nodes, ["--only", "detection", "--deaths", str(count)], ("detection", nodes)
    for nodes in filter(rough, sizes):
        for loss in LOSSES:
            count = periods(nodes, loss, False)
            if count:
                count = count // 20 if quick else count
                yield nodes, ["--only", "loss", "--loss", str(loss), "--periods", str(count)], \
                    ("false", nodes, loss, 0, 0)
    for nodes in filter(rough, sizes):
        count = periods(nodes, 0, True)
        if count:
            count = count // 20 if quick else count
            yield nodes, ["--only", "slow", "--periods", str(count)], ("false", nodes, 0, 1500, 0)
    for off in ("buddy", "refutation"):
        count = 5_000 if quick else 100_000
        yield 100, ["--only", "loss", "--loss", "20", "--periods", str(count), "--off", off], \
            ("false", 100, 20, 0, 0, off)
        yield 100, ["--only", "slow", "--periods", str(count), "--off", off], \
            ("false", 100, 0, 1500, 0, off)


def key(row):
    if row["kind"] != "false":
        return (row["kind"], row["nodes"])
    base = (row["kind"], row["nodes"], row["loss_percent"], row["late_max_ms"],
            row["pause_max_ms"])
    return base + (row["off"],) if row["off"] else base


def read_rows(path):
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]


def measure(path, sizes, quick):
    have = {key(row) for row in read_rows(path)}
    for nodes, arguments, wanted in steps(sizes, quick):
        if wanted in have:
            continue
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".jsonl") as part:
            subprocess.run([binary(nodes), "--nodes", str(nodes), "--json", part.name, *arguments],
                           check=True)
            with path.open("a") as rows:
                rows.write(pathlib.Path(part.name).read_text())


# ---- the table ----

def seconds(milliseconds):
    return f"{milliseconds / 1000:.1f}"


def what(row):
    text = f"loss {row['loss_percent']} %"
    if row["late_max_ms"]:
        text = f"{row['slow_percent']} % late"
    elif row["pause_max_ms"]:
        text = f"{row['slow_percent']} % frozen"
    return text + (f", {row['off']} off" if row["off"] else "")


def cost_table(rows):
    yield "At rest, per node and second (payload; a frame adds about 100 bytes a message)"
    yield f"{'nodes':>7} {'bytes':>8} {'messages':>9} {'busiest node':>13}"
    for row in rows:
        if row["kind"] == "cost":
            yield (f"{row['nodes']:>7} {row['bytes']:>8.1f} {row['messages']:>9.2f}"
                   f" {row['largest']:>13.1f}")


def serf_table(rows):
    yield "Beside Serf, profile lan (ours: simulated, 100 bytes of frames a message)"
    yield f"{'nodes':>7} {'all know, s':>12} {'Serf':>6} {'bytes/s':>9} {'Serf':>6}"
    for nodes, (serf_s, serf_bytes) in SERF.items():
        cost = [row for row in rows if row["kind"] == "cost" and row["nodes"] == nodes]
        crash = [row for row in rows if row["kind"] == "detection" and row["nodes"] == nodes
                 and row["loss_percent"] == 0]
        if cost and crash:
            wire = cost[0]["bytes"] + 100 * cost[0]["messages"]
            yield (f"{nodes:>7} {seconds(crash[0]['all_ms']):>12} {serf_s or '-':>6} {wire:>9.0f}"
                   f" {serf_bytes:>6}")


def detection_table(rows):
    yield "A crash, seconds until (medians)"
    yield (f"{'nodes':>7} {'loss':>6} {'suspected':>10} {'one is sure':>12} {'all know':>9}"
           f" {'worst':>6} {'deaths':>7}")
    for row in rows:
        if row["kind"] == "detection":
            yield (f"{row['nodes']:>7} {row['loss_percent']:>4} % {seconds(row['suspect_ms']):>10}"
                   f" {seconds(row['first_ms']):>12} {seconds(row['all_ms']):>9}"
                   f" {seconds(row['all_worst_ms']):>6} {row['deaths']:>7}")


def false_table(rows):
    yield "Nobody dies: healthy nodes held dead (once each; and at how many nodes)"
    yield (f"{'nodes':>7} {'under':<24} {'node-periods':>13} {'held dead':>10} {'at':>7}"
           f" {'slow, at':>9} {'suspicions':>11} {'bytes/s':>8}")
    for row in rows:
        if row["kind"] == "false":
            yield (f"{row['nodes']:>7} {what(row):<24} {row['node_periods']:>13.0f}"
                   f" {row['burials']:>10} {row['views']:>7} {row['slow_views']:>9}"
                   f" {row['suspicions']:>11} {row['bytes']:>8.0f}")


def write_table(folder, rows):
    order = sorted(rows, key=lambda row: (row["off"], row["nodes"], row["slow_percent"],
                                          row["loss_percent"], row["pause_max_ms"]))
    lines = []
    for table in (cost_table, serf_table, detection_table, false_table):
        lines += list(table(order)) + [""]
    shared = [row["nodes"] for row in rows if row["shared_table"]]
    if shared:
        lines.append(f"From {min(shared)} nodes on, rows of the tables that nothing has touched are"
                     " shared between the nodes.")
    text = "\n".join(lines) + "\n"
    (folder / "table.txt").write_text(text)
    sys.stdout.write(text)


# ---- plots ----

def points(rows, kind, value, **only):
    chosen = [row for row in rows if row["kind"] == kind and not row["off"]
              and all(row[name] == wanted for name, wanted in only.items())]
    return sorted((row["nodes"], value(row)) for row in chosen if row["nodes"] >= PLOT_FROM)


def draw(folder, name, title, unit, curves, settings=""):
    curves = [(label, data) for label, data in curves if data]
    if not curves:
        return
    script = [f"set terminal svg size 640,400 background '#ffffff'\n"
              f"set output '{folder / name}'\nset title '{title}'\nset logscale x\n"
              f"set xlabel 'nodes'\nset ylabel '{unit}'\nset grid\nset key left top\n{settings}"]
    script.append("plot " + ", ".join(f"'-' using 1:2 with linespoints pt 7 title '{label}'"
                                      for label, _ in curves))
    for _, data in curves:
        script += [f"{x} {y}" for x, y in data] + ["e"]
    subprocess.run(["gnuplot"], input="\n".join(script) + "\n", text=True, check=True)


def plot(folder, rows):
    if shutil.which("gnuplot") is None:
        print("no gnuplot: no plots (deploy/install-packages plot)", file=sys.stderr)
        return
    draw(folder, "cost.svg", "Gossip at rest", "bytes per node and second",
         [("payload", points(rows, "cost", lambda row: row["bytes"])),
          ("with 100 bytes a message",
           points(rows, "cost", lambda row: row["bytes"] + 100 * row["messages"]))],
         "set yrange [0:400]\n")
    draw(folder, "detection.svg", "From a crash until all know", "seconds",
         [("median", points(rows, "detection", lambda row: row["all_ms"] / 1000, loss_percent=0)),
          ("worst", points(rows, "detection", lambda row: row["all_worst_ms"] / 1000,
                           loss_percent=0)),
          ("median at 5 % loss", points(rows, "detection", lambda row: row["all_ms"] / 1000,
                                        loss_percent=5))],
         "set yrange [0:]\n")
    draw(folder, "loss.svg", "Under loss, nobody dies", "bytes per node and second",
         [(f"loss {loss} %", points(rows, "false", lambda row: row["bytes"], loss_percent=loss,
                                    late_max_ms=0, pause_max_ms=0)) for loss in LOSSES],
         "set logscale y\n")


# ---- the two makes of the table ----

def show_same(nodes):
    """Exit 1 unless both programs print the same rows."""
    texts = []
    with tempfile.TemporaryDirectory() as folder:
        for name in ("bench_gossip_scale", "bench_gossip_scale_shared"):
            out = pathlib.Path(folder) / name
            for arguments in (["--only", "detection", "--deaths", "4"],
                              ["--only", "loss", "--loss", "0,10", "--periods", "10000"],
                              ["--only", "slow", "--periods", "5000"]):
                subprocess.run([BUILD / "tests" / "bench" / name, "--nodes", str(nodes), "--json",
                                out, *arguments], check=True, stdout=subprocess.DEVNULL)
            rows = read_rows(out)
            for row in rows:
                del row["shared_table"]
            texts.append(rows)
    if not texts[0] or texts[0] != texts[1]:
        sys.exit(f"the two tables differ:\n{texts[0]}\n{texts[1]}")
    print(f"{len(texts[0])} measures of {nodes} nodes are the same with both tables")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "build" / "gossip-scale")
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)))
    parser.add_argument("--quick", action="store_true", help="a twentieth of the periods")
    parser.add_argument("--table", action="store_true", help="measure nothing")
    parser.add_argument("--same", type=int, metavar="NODES", help="compare the two tables alone")
    options = parser.parse_args()
    if options.same:
        show_same(options.same)
        return
    options.out.mkdir(parents=True, exist_ok=True)
    rows = options.out / "rows.jsonl"
    if not options.table:
        measure(rows, [int(size) for size in options.sizes.split(",")], options.quick)
    write_table(options.out, read_rows(rows))
    plot(options.out, read_rows(rows))


if __name__ == "__main__":
    main()
