#!/usr/bin/python3 -B
"""Networks that delay, lose, reorder, double, cut one way, flap and isolate."""

import random

from faults import boot_s, check, history, kill, main, wait_until


def changes(world, term):
    """(cause, node) of the leaders since `term`, as the present leader tells."""
    rows = [row for row in history(world.wait_leader()) if row["term"] > term]
    return [f"{row['cause']} {row['node']}" for row in sorted(rows, key=lambda row: row["term"])]


def under(world, **quality):
    """One acting leader and all duties while all links are like that, a crash of the leader too."""
    leader = world.wait_leader()
    term = leader.status()["term"]
    world.network.all_links(**quality)
    _, settled_s = world.came_back()
    leader = world.wait_leader()
    worker = leader.worker()
    kill(worker)
    wait_until(lambda: leader.worker() not in (None, worker), "the parent started it again")
    _, again_s = world.came_back()
    told = changes(world, term)
    world.network.heal()
    return f"settled after {settled_s:.1f} s, after a crash of the leader {again_s:.1f} s; {told}"


def delay_50(world):
    return under(world, delay=50, jitter=20)


def loss_5(world):
    return under(world, loss=5)


def loss_20(world):
    return under(world, loss=20)


def reordering(world):
    return under(world, delay=2, late=(25, 15))


def duplication(world):
    return under(world, delay=1, dup=30)


def everything_at_once(world):
    return under(world, delay=10, jitter=10, loss=3, dup=10, late=(10, 20))


def beyond_the_lease(world, **quality):
    """A network on which this profile's lease cannot hold: nobody need act, and never two."""
    leader = world.wait_leader()
    term = leader.status()["term"]
    world.network.all_links(**quality)
    world.keeps(lambda: True, 4, "")
    world.network.heal()
    _, back_s = world.came_back()
    told = changes(world, term)
    grown = world.wait_leader().status()["term"] - term
    check(grown <= 40, f"{grown} terms in four seconds: a storm")
    return f"{grown} terms more, back {back_s:.1f} s after healing; {told}"


def delay_200(world):
    return beyond_the_lease(world, delay=200, jitter=80)


def loss_40(world):
    return beyond_the_lease(world, loss=40)


def cut_leader(world, outgoing, incoming):
    """The others have a leader while the cut lasts, the old one stops by itself; then it follows."""
    leader = world.wait_leader()
    others = world.others(leader)
    at = boot_s()
    world.network.cut(world.number(leader), outgoing=outgoing, incoming=incoming)
    successor = world.wait_leader(among=others)
    led_s = boot_s() - at
    world.came_back(among=others)
    took_s = boot_s() - at
    wait_until(lambda: leader.status()["acting"] is False, "the cut one does not act")
    wait_until(lambda: leader.cli("status").exit == 5, "the cut one says that it has no quorum")
    term = successor.status()["term"]
    world.network.heal()
    again, _ = world.came_back()
    check(again is successor, f"healing moved leadership from {successor.name} to {again.name}")
    grown = again.status()["term"] - term
    check(grown == 0, f"{grown} terms more after healing")
    return f"another acts after {led_s:.1f} s, runs everything after {took_s:.1f} s"


def leader_isolated(world):
    return cut_leader(world, True, True)


def leader_cannot_send(world):
    return cut_leader(world, True, False)


def leader_cannot_hear(world):
    return cut_leader(world, False, True)


def follower_cut(world, outgoing, incoming):
    """A follower that hears or reaches nobody moves nothing, during and after."""
    leader = world.wait_leader()
    term = leader.status()["term"]
    follower = world.others(leader)[-1]
    world.network.cut(world.number(follower), outgoing=outgoing, incoming=incoming)
    wait_until(lambda: "alive" not in [row["state"] for row in leader.status()["members"]
                                       if row["name"] == follower.name], "the leader misses it")
    again, took_s = world.came_back(among=world.others(follower))
    check(again is leader and leader.status()["term"] == term, "a cut follower moved leadership")
    world.network.heal()
    again, _ = world.came_back()
    check(again is leader and leader.status()["term"] == term, "a healed one moved leadership")
    return f"{leader.name} leads on in term {term}; its duties elsewhere after {took_s:.1f} s"


def follower_cannot_send(world):
    return follower_cut(world, True, False)


def follower_cannot_hear(world):
    return follower_cut(world, False, True)


def leader_and_one_apart(world):
    """Leader and one follower do not hear each other; both hear the third."""
    leader = world.wait_leader()
    term = leader.status()["term"]
    follower = world.others(leader)[0]
    third = world.others(leader, follower)[0]
    a, b = world.number(leader), world.number(follower)
    world.network.link(a, b, cut=True)
    world.network.link(b, a, cut=True)
    at = boot_s()
    # Nobody is dead to all: the third hears both. Whoever leads must act and stay.
    wait_until(lambda: third.status()["leader_acting"], "the third knows an acting leader")
    world.keeps(lambda: True, 2, "")
    now = wait_until(lambda: next((node for node in (leader, follower) if
                                   node.status()["acting"]), None) or
                     (third if third.status()["acting"] else None), "somebody acts")
    settled = now.status()["term"]
    world.keeps(lambda: now.status()["term"] == settled, 2, "leadership does not rest")
    world.network.heal()
    again, _ = world.came_back()
    check(again is now, f"healing moved leadership from {now.name} to {again.name}")
    return (f"{leader.name} led in {term}, {now.name} in {settled}, at rest for 2 s of "
            f"{boot_s() - at:.1f} s")


def flapping(world):
    """The leader's link goes up and down in no rhythm, shorter and longer than every timeout."""
    chance = random.Random(7)
    term = world.wait_leader().status()["term"]
    flaps = 0
    until = boot_s() + 5
    while boot_s() < until:
        number = chance.randint(1, len(world.nodes))
        world.network.cut(number)
        world.keeps(lambda: True, chance.uniform(0.05, 0.9), "")
        world.network.heal()
        world.keeps(lambda: True, chance.uniform(0.0, 0.4), "")
        flaps += 1
    _, back_s = world.came_back()
    told = changes(world, term)
    return f"{flaps} cuts, {len(told)} leaders: {told}, back {back_s:.1f} s after the last"


if __name__ == "__main__":
    main([delay_50, loss_5, loss_20, reordering, duplication, everything_at_once, delay_200, loss_40,
          leader_isolated, leader_cannot_send, leader_cannot_hear, follower_cannot_send,
          follower_cannot_hear, leader_and_one_apart, flapping])
