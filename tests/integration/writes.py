"""Checks demo/writes.log: who wrote under which name, and that no two wrote at once.

A line is "BOOTTIME_NS NODE TERM PID ROLE NAME"; its time was read just before it was written, and a
writer adds one about every 0.1 s. A writer is certainly alive from the first to the last of its
lines. Two writers of a name overlap when those intervals do, or when their lines interleave in the
file. What a log of one line per period cannot show is an overlap shorter than the period between
the last line of one and the first of the next; `closest_ms` tells how near they came.
"""

import os
from collections import namedtuple

PERIOD_NS = 100_000_000
ROLES = ("primary", "backup", "always")

Line = namedtuple("Line", "time node term pid role name")
Writer = namedtuple("Writer", "name node pid role term first last lines")


class Torn(AssertionError):
    """A line that no demo worker wrote."""


def parse(text, torn_end=True):
    """Lines of the log's text; an unfinished last line is no line yet."""
    body, _, rest = text.rpartition("\n")
    if rest and not torn_end:
        raise Torn(f"the log ends within a line: {rest!r}")
    lines = []
    for row in body.split("\n") if body else []:
        words = row.split(" ")
        if len(words) != 6 or words[4] not in ROLES:
            raise Torn(f"not a line of a demo worker: {row!r}")
        try:
            term = None if words[2] == "-" else int(words[2])
            lines.append(Line(int(words[0]), words[1], term, int(words[3]), words[4], words[5]))
        except ValueError:
            raise Torn(f"not a line of a demo worker: {row!r}") from None
    return lines


def read(path):
    """The files of the log, oldest first, each a list of lines."""
    files = []
    for each in (path + ".1", path):
        if os.path.exists(each):
            with open(each, encoding="ascii") as file:
                files.append(parse(file.read()))
    return files


def key_of(line):
    return line.node, line.pid, line.term


def writers(files, name=None):
    """Writers by their first line's time."""
    found = {}
    for line in (line for file in files for line in file):
        if name is None or line.name == name:
            found.setdefault((line.name,) + key_of(line), []).append(line)
    result = []
    for lines in found.values():
        times = [line.time for line in lines]
        head = lines[0]
        result.append(Writer(head.name, head.node, head.pid, head.role, head.term,
                             min(times), max(times), len(lines)))
    return sorted(result, key=lambda writer: (writer.first, writer.last))


def tell(writer):
    return (f"{writer.name} pid {writer.pid} on {writer.node} term {writer.term} "
            f"[{writer.first / 1e9:.3f}, {writer.last / 1e9:.3f}]")


def overlaps(files, name):
    """Texts, one for each pair of writers of `name` that were alive at one instant."""
    texts = []
    latest = None  # of the writers so far, the one that was seen last
    for writer in writers(files, name):
        if latest is not None and writer.first <= latest.last:
            texts.append(f"{(min(writer.last, latest.last) - writer.first) / 1e6:.1f} ms: "
                         f"{tell(latest)} and {tell(writer)}")
        if latest is None or writer.last > latest.last:
            latest = writer
    return texts


def interleavings(files, name):
    """Texts, one for each line that a writer wrote after another one had begun."""
    texts = []
    for file in files:
        ended, current = set(), None
        for line in (line for line in file if line.name == name):
            if key_of(line) == current:
                continue
            if current is not None:
                ended.add(current)
            current = key_of(line)
            if current in ended:
                texts.append(f"{line.time / 1e9:.3f}: {name} pid {line.pid} on {line.node} writes "
                             "again after another has begun")
    return texts


def terms_backwards(files, name):
    """Texts, one for each writer whose fencing token is older than that of one before it."""
    texts = []
    newest = None
    for writer in writers(files, name):
        if writer.term is None:
            continue
        if newest is not None and writer.term < newest.term:
            texts.append(f"{tell(writer)} comes after {tell(newest)}")
        if newest is None or writer.term >= newest.term:
            newest = writer
    return texts


def gaps(files, name, longer_than_ns=5 * PERIOD_NS):
    """(from, until) in ns, where nobody wrote under `name` between its first and last line."""
    times = sorted(line.time for file in files for line in file if line.name == name)
    return [(a, b) for a, b in zip(times, times[1:]) if b - a > longer_than_ns]


def closest_ms(files, name):
    """From the last line of a writer to the first of the next; None with fewer than two."""
    found = writers(files, name)
    return min(((b.first - a.last) / 1e6 for a, b in zip(found, found[1:])), default=None)


def verify(path, names):
    """Raises when two writers of one of the exclusive `names` were alive at once; the files."""
    files = read(path)
    for name in names:
        bad = overlaps(files, name) + interleavings(files, name) + terms_backwards(files, name)
        if bad:
            raise AssertionError(f"{name} has more than one writer, or an old token: " +
                                 "; ".join(bad[:5]))
    return files


# ---- the checker, checked ----


def _log(*blocks):
    """Each block (first_ms, last_ms, node, pid, term): a line per period, in order of time."""
    lines = []
    for first, last, node, pid, term in blocks:
        lines += [(at, f"{at * 1_000_000} {node} {term} {pid} backup b")
                  for at in range(first, last + 1, 100)]
    return "".join(row + "\n" for _, row in sorted(lines))


def _expect(text, found, finder):
    got = finder([parse(text)], "b")
    if bool(got) != found:
        raise AssertionError(f"{finder.__name__} says {got} of {text!r}")


def self_test():
    """Planted faults are found, and nothing is found where there is none."""
    clean = _log((0, 900, "n1", 7, 3), (1000, 1900, "n2", 7, 3), (2500, 2600, "n1", 8, 4))
    for finder in (overlaps, interleavings, terms_backwards):
        _expect(clean, False, finder)
        _expect("", False, finder)
    if [(b - a) // 1_000_000 for a, b in gaps([parse(clean)], "b")] != [600]:
        raise AssertionError("gaps are not found")
    if closest_ms([parse(clean)], "b") != 100 or len(writers([parse(clean)], "b")) != 3:
        raise AssertionError("writers are not told apart")
    # The same pid on another node, one line only, within another's time, at its very last line.
    _expect(_log((0, 1000, "n1", 7, 3), (950, 1900, "n2", 7, 3)), True, overlaps)
    _expect(_log((0, 1000, "n1", 7, 3), (550, 550, "n1", 8, 3)), True, overlaps)
    _expect(_log((0, 1000, "n1", 7, 3), (1000, 1000, "n1", 8, 3)), True, overlaps)
    # The first of three reaches into the third.
    _expect(_log((0, 3000, "n1", 7, 3), (500, 600, "n1", 8, 3), (2950, 4000, "n1", 9, 3)), True,
            lambda files, name: overlaps(files, name)[1:])
    # The time was read before the other began, the line was written after it.
    late = "".join(f"{at}000000 {node} 3 {pid} backup b\n" for at, node, pid in
                   ((0, "n1", 7), (200, "n2", 8), (100, "n1", 7), (300, "n2", 8)))
    _expect(late, True, interleavings)
    _expect(_log((0, 900, "n1", 7, 4), (1000, 1900, "n2", 7, 3)), True, terms_backwards)
    # Other names do not count.
    _expect(_log((0, 900, "n1", 7, 3)) + "500000000 n2 - 9 primary p\n", False, overlaps)
    for torn in ("1 n1 3 7 backup\n", "1 n1 3 7 backup b x\n", "x n1 3 7 backup b\n",
                 "1 n1 3 7 other b\n", "1 n1 3 71 n2 3 8 backup b\n"):
        try:
            parse(torn)
        except Torn:
            continue
        raise AssertionError(f"{torn!r} is taken as a line")
    if len(parse("1 n1 3 7 backup b\n2 n1 3")) != 1:
        raise AssertionError("an unfinished line counts")
