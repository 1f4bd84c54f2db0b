#!/usr/bin/python3 -B
"""Wall clocks that are set forward and back: nothing that decides may look at them."""

from faults import check, history, kill, main, wait_until

HOUR_S = 3600
SCHEDULE = "run/leap"
SETTINGS = """  run:
    schedules:
      - {name: leap, cron: "0 0 29 2 *", run: [/bin/true], overlap: allow}
leadership: {handover_below: 0}
"""


def at_rest(world, leader):
    """Every duty runs, every node may have it, and placement would move none by itself."""
    for name in world.wanted_duties():
        told = leader.cli("why", "not", "duty", f"pm2/{name}").data["placement"]
        if not told or told["verdict"] != "stays" or not all(row["can"] for row in told["nodes"]):
            return False
    return world.all_run()


def unmoved(world, shifts):
    """Clocks are set one after the other; leader, term and every duty's process stay."""
    leader = world.wait_leader()
    wait_until(lambda: at_rest(world, leader), "placement has nothing to move", 180)
    term = leader.status()["term"]
    before = {name: world.one_writer(name) for name in world.wanted_duties()}
    for node, shift_s in shifts:
        node.clock(shift_s)
        # An event or a sample later everything has met the new time.
        uptime_s = node.status()["uptime_s"]
        wait_until(lambda: node.status()["uptime_s"] > uptime_s + 1, f"{node.name} lives on")
        check(node.status()["uptime_s"] < uptime_s + 300, "the uptime jumped with the clock")
    world.keeps(lambda: leader.status()["acting"], 1, "a clock took the leader's right")
    check(leader.status()["term"] == term, "a clock raised the term")
    after = {name: world.one_writer(name) for name in world.wanted_duties()}
    check(before == after, f"a clock moved duties: {before} {after}")
    return f"{leader.name} leads on in term {term}, no process was touched"


def leader_forward(world):
    return unmoved(world, [(world.wait_leader(), HOUR_S)])


def leader_back(world):
    return unmoved(world, [(world.wait_leader(), -HOUR_S)])


def all_different(world):
    return unmoved(world, [(world.nodes[0], HOUR_S), (world.nodes[1], -HOUR_S),
                           (world.nodes[2], 0)])


def far(world):
    """1970 and 2100."""
    leader = world.wait_leader()
    told = unmoved(world, [(leader, -1_700_000_000), (world.others(leader)[0], 2_400_000_000)])
    for node in world.nodes:
        node.clock(0)
    return told


def crash_with_wrong_clocks(world):
    """A leader whose clock is an hour ahead dies; its successor's is an hour behind."""
    leader = world.wait_leader()
    term = leader.status()["term"]
    leader.clock(HOUR_S)
    for node in world.others(leader):
        node.clock(-HOUR_S)
    worker = leader.worker()
    kill(worker)
    wait_until(lambda: leader.worker() not in (None, worker), "the parent started it again")
    world.came_back()
    now = world.wait_leader()
    rows = [row for row in history(now) if row["term"] > term]
    check(rows and all(0 <= row["elected_ms"] <= row["acting_ms"] < 60000 for row in rows),
          f"a timeline follows the wall clock: {rows}")
    for node in world.nodes:
        node.clock(0)
    return f"{rows[0]['cause']}, acting after {rows[0]['acting_ms']} ms"


def log_flush_with_a_clock_set_back(world):
    """A fatal end writes its last words within its bound, though the clock is set meanwhile."""
    leader = world.wait_leader()
    worker = leader.worker()
    leader.disk("fail 5")
    leader.clock(-HOUR_S)
    wait_until(lambda: leader.worker() not in (None, worker), "the node process has ended", 20)
    leader.disk("")
    leader.clock(0)
    return "it ended in time"


def run_by_hand(world):
    """Its deadlines would count from the wrong instant: a leader whose clock is wrong refuses."""
    leader = world.wait_leader()
    other = world.others(leader)[0]

    def start(node):
        return node.cli("run", "start", SCHEDULE)

    wait_until(lambda: start(leader).exit == 0, "the schedule is known and clocks are trusted")
    leader.clock(HOUR_S)
    wait_until(lambda: start(other).exit == 8, f"{leader.name} refuses")
    refusal = start(leader).error
    check(refusal["code"] == "clock_not_trusted" and leader.name in refusal["message"],
          f"{refusal}")
    alert = f"clock.untrusted/{leader.name}"

    def alerted():
        rows = other.cli("alert", "list").data or []
        return any(row["key"] == alert and row["state"] == "firing" for row in rows)

    wait_until(alerted, f"{alert} fires")
    leader.clock(0)
    wait_until(lambda: start(other).exit == 0, f"{leader.name} starts runs again")
    wait_until(lambda: not alerted(), f"{alert} is resolved")
    other.clock(HOUR_S)
    world.keeps(lambda: start(other).exit == 0, 1, "a follower's clock counts")
    other.clock(0)
    return "refused while the leader's clock was wrong, and not while a follower's was"


if __name__ == "__main__":
    main([leader_forward, leader_back, all_different, far, crash_with_wrong_clocks, run_by_hand,
          log_flush_with_a_clock_set_back], extra=SETTINGS)
