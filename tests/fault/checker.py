"""Proves from what was seen that nothing ran twice and that everything came back.

What is seen (recorder.py): the events of all nodes with their CLOCK_BOOTTIME, answers of /leader,
lines of the workers' shared file, and instants at which a worker's process was seen to run.

Every interval here is one of certainty: it begins and ends with something that was seen, so two
that overlap are a fault, whatever the machine's load. The other way round a fault shorter than the
pauses of the observer can be missed; the smallest gap tells how near two holders came. What checks
is pure: no clock, no file. self_test() plants faults and expects each to be found.
"""

from collections import namedtuple

# Somebody who holds something exclusive: who (text for people), key (node, or process), value is
# the term; begin and end in ms of boot time.
Holder = namedtuple("Holder", "what node key term begin end")
# A host that slept while others' time went on: what its processes do in the first instants after
# `at` no guard can prevent (safety.md); until `until` it is counted apart.
Wake = namedtuple("Wake", "node at until")

CAUSES = ("start", "crash_evidence", "obituary", "timeout", "health", "drain", "transfer", "gray")
RELEASED = ("health", "drain", "transfer", "gray")


class Violation(AssertionError):
    """A promise of safety.md was broken."""


def tell(holder):
    return (f"{holder.what} by {holder.key} (term {holder.term}) "
            f"[{holder.begin:.1f}, {holder.end:.1f}]")


# ---- exclusive holders ----


def woken(holder, wakes):
    """True when the end of the holder's interval is what a host did after it woke."""
    return any(wake.node == holder.node and holder.begin < wake.at and
               wake.at <= holder.end <= wake.until for wake in wakes)


def overlaps(holders, wakes=()):
    """(texts of overlaps, texts of those counted apart, smallest gap in ms or None) of one thing."""
    bad, apart, gaps = [], [], []
    last = None
    for holder in sorted(holders, key=lambda holder: (holder.begin, holder.end)):
        if last is not None and last.key != holder.key:
            if holder.begin < last.end:
                text = (f"{min(last.end, holder.end) - holder.begin:.1f} ms twice: {tell(last)} and "
                        f"{tell(holder)}")
                (apart if woken(last, wakes) or woken(holder, wakes) else bad).append(text)
            else:
                gaps.append(holder.begin - last.end)
        if last is None or holder.end > last.end:
            last = holder
    return bad, apart, min(gaps, default=None)


def terms_backwards(holders, wakes=()):
    """A later holder has no older fencing token, in the order in which they began."""
    bad = []
    newest = None
    for holder in sorted(holders, key=lambda holder: holder.begin):
        if holder.term is None:
            continue
        if newest is not None and holder.term < newest.term and not woken(holder, wakes):
            bad.append(f"an old token: {tell(holder)} after {tell(newest)}")
        if newest is None or holder.term >= newest.term:
            newest = holder
    return bad


def worker_holders(lines, seen_running):
    """name -> Holders, from the file's lines and {(node, pid): last ms at which it was seen to run}."""
    lives = {}
    for line in lines:
        at = line.time / 1e6
        key = (line.name, line.node, line.pid, line.term)
        begin, end = lives.get(key, (at, at))
        lives[key] = min(begin, at), max(end, at)
    found = {}
    for (name, node, pid, term), (begin, end) in lives.items():
        end = max(end, seen_running.get((node, pid), end))
        found.setdefault(name, []).append(
            Holder(name, node, f"{node}:{pid}", term, begin, end))
    return found


# ---- the right to act ----


def acting_holders(events, answers):
    """Intervals in which a node certainly might act, from its events and its own answers.

    Events are {node, life, kind, term, boot_ms, ...}; answers (begin_ms, end_ms, node, term)."""
    spans = {}
    for event in events:
        key = (event["node"], event["term"])
        if event["kind"] == "lease.acquired":
            begin = event.get("since_boot_ms") or event["boot_ms"]
            spans.setdefault(key, []).append([begin, begin, False])
        elif event["kind"] == "lease.lost":
            end = event.get("until_boot_ms", event["boot_ms"])
            open_spans = [span for span in spans.get(key, []) if not span[2] and span[0] <= end]
            if open_spans:
                open_spans[-1][1:] = [max(end, open_spans[-1][1]), True]
    # An answer is of some instant within its request: only from the later to the earlier of two
    # it is certain that the node acted all the time (a term is never acted in again once lost... it
    # may be, by a lease that comes back; so an answer only stretches the span that it lies in).
    for begin, _, node, term in answers:
        for span in spans.get((node, term), []):
            if not span[2] and span[0] <= begin:
                span[1] = max(span[1], begin)
    return [Holder("the right to act", node, node, term, begin, end)
            for (node, term), found in spans.items() for begin, end, _ in found]


def one_leader_per_term(events, answers):
    bad = []
    holder = {}
    named = [(event["term"], event["node"]) for event in events
             if event["kind"] in ("lease.acquired", "leader.ready")]
    for term, node in named + [(row[3], row[2]) for row in answers]:
        if holder.setdefault(term, node) != node:
            bad.append(f"{node} and {holder[term]} both lead in term {term}")
    return bad


def causes(events, asked):
    """Every leader.elected of a term tells the same on all nodes, and nothing was moved on purpose
    that nobody asked for. `asked`: causes on purpose that the test made possible."""
    bad = []
    told = {}
    for event in events:
        if event["kind"] != "leader.elected":
            continue
        row = (event.get("leader"), event.get("cause"), event.get("proof"))
        if told.setdefault(event["term"], row) != row:
            bad.append(f"term {event['term']}: {row} on {event['node']}, elsewhere "
                       f"{told[event['term']]}")
    for term, (leader, cause, proof) in sorted(told.items()):
        if cause not in CAUSES:
            bad.append(f"term {term}: unknown cause {cause}")
        if (proof == "release") != (cause in RELEASED):
            bad.append(f"term {term}: cause {cause} with proof {proof}")
        if cause in RELEASED and cause not in asked:
            bad.append(f"term {term}: {leader} leads by {cause}, which nobody asked for")
    return bad


def wait_was_kept(events, lease_ms):
    """A successor on evidence without proof begins to act only 1.05 leases after its election."""
    bad = []
    acquired = {}
    for event in events:
        if event["kind"] == "lease.acquired":
            acquired.setdefault((event["node"], event["term"]), event)
    for event in events:
        if event["kind"] == "leader.elected" and event.get("cause") == "crash_evidence":
            if event.get("proof") == "none":
                waited = event["acting_ms"] - event["elected_ms"]
                if waited < 1.05 * lease_ms - 1:
                    bad.append(f"term {event['term']}: acted {waited} ms after an election on "
                               f"evidence alone")
    return bad


# ---- all together ----


Verdict = namedtuple("Verdict", "gaps apart lives leaders")


def verify(lines, seen_running, events, answers, exclusive, wakes=(), asked=(), lease_ms=350):
    """Raises Violation with everything that is wrong; else a Verdict."""
    bad, apart, gaps, lives = [], [], {}, {}
    workers = worker_holders(lines, seen_running)
    for name in exclusive:
        holders = workers.get(name, [])
        lives[name] = len(holders)
        found, woke, gaps[name] = overlaps(holders, wakes)
        bad += found + terms_backwards(holders, wakes)
        apart += woke
    acting = acting_holders(events, answers)
    found, _, gaps["acting"] = overlaps(acting)
    bad += found + one_leader_per_term(events, answers) + terms_backwards(acting)
    bad += causes(events, asked) + wait_was_kept(events, lease_ms)
    if bad:
        raise Violation(f"{len(bad)} violations: " + "; ".join(bad[:12]))
    return Verdict(gaps, apart, lives, len(acting))


def say_verdict(verdict):
    def ms(gap):
        return "-" if gap is None else f"{gap:.0f} ms"
    text = ", ".join(f"{what} {ms(gap)}" for what, gap in sorted(verdict.gaps.items()))
    text = (f"never two at once; smallest gap between two holders: {text}; lives "
            f"{sum(verdict.lives.values())}, leaders that acted {verdict.leaders}")
    if verdict.apart:
        text += f"; after a host woke, counted apart: {len(verdict.apart)} ({verdict.apart[0]})"
    return text


# ---- the checker, checked ----

_Line = namedtuple("_Line", "time node term pid name")


def _lines(*lives):
    """Each (first ms, last ms, node, pid, term): a line every 10 ms."""
    return [_Line(at * 1_000_000, node, term, pid, "d") for first, last, node, pid, term in lives
            for at in (*range(first, last, 10), last)]


def _leads(node, term, begin, end, cause="timeout", proof="none"):
    rows = [{"node": node, "kind": "lease.acquired", "term": term, "boot_ms": begin + 2,
             "since_boot_ms": begin},
            {"node": node, "kind": "leader.elected", "term": term, "boot_ms": begin + 3,
             "leader": node, "cause": cause, "proof": proof, "elected_ms": 5, "acting_ms": 400}]
    if end is not None:
        rows.append({"node": node, "kind": "lease.lost", "term": term, "boot_ms": end + 900,
                     "until_boot_ms": end})
    return rows


def _fails(what, lines=(), running=None, events=(), answers=(), **more):
    try:
        verify(lines, running or {}, events, answers, ["d"], **more)
    except Violation:
        return
    raise AssertionError(f"the checker does not find {what}")


def self_test():
    """Planted faults are found, and nothing is found where there is none."""
    clean = _lines((0, 900, "n1", 7, 3), (1000, 1900, "n2", 7, 3), (2500, 2600, "n1", 8, 4))
    calm = _leads("n1", 3, 0, 900) + _leads("n2", 4, 900, None, "crash_evidence")
    verdict = verify(clean, {("n1", 7): 950.0}, calm, [(950, 960, "n2", 4)], ["d"])
    if verdict.gaps != {"d": 50.0, "acting": 0} or verdict.lives != {"d": 3}:
        raise AssertionError(f"a clean run is told as {verdict}")
    verify([], {}, [], [], ["d"])
    two = _lines((0, 900, "n1", 7, 3), (890, 1900, "n2", 9, 3))
    _fails("two writers", two)
    _fails("a writer within another", _lines((0, 900, "n1", 7, 3), (450, 450, "n1", 8, 3)))
    _fails("the first of three in the third", _lines(
        (0, 3000, "n1", 7, 3), (100, 110, "n1", 8, 3), (2990, 4000, "n1", 9, 3)))
    _fails("a silent process that still runs", clean, {("n1", 7): 1001.0})
    _fails("an old token", _lines((0, 900, "n1", 7, 4), (1000, 1900, "n2", 7, 3)))
    wake = Wake("n1", 850, 1850)
    if not verify(two, {}, [], [], ["d"], wakes=[wake]).apart:
        raise AssertionError("what a woken host did is not counted apart")
    _fails("an overlap long after a wake", two, wakes=[Wake("n1", 100, 600)])
    _fails("an overlap of others at a wake", two, wakes=[Wake("n3", 850, 1850)])
    _fails("two that act", events=_leads("n1", 3, 0, 900) + _leads("n2", 4, 850, 1900))
    _fails("an answer of an old leader", events=_leads("n1", 3, 0, None) + _leads("n2", 4, 850, 1900),
           answers=[(860, 870, "n1", 3)])
    _fails("two leaders of a term", events=_leads("n1", 3, 0, 900) + _leads("n2", 3, 950, 1900))
    _fails("nodes that tell different causes", events=_leads("n1", 3, 0, 900) + [
        dict(_leads("n1", 3, 0, 900, "start")[1], node="n2")])
    _fails("a handover that nobody asked for",
           events=_leads("n1", 3, 0, 900, "health", "release"))
    verify([], {}, _leads("n1", 3, 0, 900, "health", "release"), [], ["d"], asked=["health"])
    _fails("a release without a handover", events=_leads("n1", 3, 0, 900, "timeout", "release"))
    hasty = _leads("n1", 3, 0, 900, "crash_evidence")
    hasty[1]["acting_ms"] = 100
    _fails("a successor on evidence that does not wait", events=hasty)


if __name__ == "__main__":
    self_test()
    print("the checker finds what it should")
