#!/usr/bin/python3 -B
"""Processes that stand still: node, parent, managers, guard, the whole host; shortly and for long."""

import signal

from faults import (GRANT_S, boot_ms, boot_s, check, history, kill, main, process_state, wait_until)


def still(world, seconds):
    """Something stays as it is for so long; time is what these cases are about."""
    world.keeps(lambda: True, seconds, "")


def newest(node):
    return max(history(node), key=lambda row: row["term"])


def node_shorter_than_lease(world):
    """Ten freezes of 50 to 200 ms of leader and followers: how often that cost the leadership."""
    term = world.wait_leader().status()["term"]
    for i in range(10):
        leader = world.wait_leader()
        node = leader if i % 2 == 0 else world.others(leader)[i % len(world.others(leader))]
        pids = world.freeze(node, [node.worker()])
        still(world, 0.05 + 0.05 * (i % 4))
        node.thaw(pids)
    world.came_back()
    return f"10 short freezes, {world.wait_leader().status()['term'] - term} terms more"


def longer(world, node, pids, seconds):
    """Leader's processes stand still; another acts; thawed, it follows, in its old life or a new."""
    others = world.others(node)
    at = boot_s()
    stopped = world.freeze(node, pids)
    successor = world.wait_leader(among=others)
    took_s = boot_s() - at
    entry = newest(successor)
    check(entry["cause"] == "timeout" and entry["proof"] == "none", f"{entry}")
    still(world, max(0, seconds - took_s))
    node.thaw(stopped)
    world.came_back()
    check(world.wait_leader() is successor, "the thawed node leads again")
    return f"frozen for {boot_s() - at:.1f} s, another acts after {took_s:.2f} s"


def node_longer_than_lease(world):
    leader = world.wait_leader()
    pid = leader.worker()
    told = longer(world, leader, [pid], 1.5)
    check(leader.worker() == pid, "the frozen process did not live on")
    return told


def node_and_parent(world):
    leader = world.wait_leader()
    return longer(world, leader, [leader.parent(), leader.worker()], 1.5)


def node_longer_than_grants(world):
    """Its guards end its duties in time; they run elsewhere while it still stands still."""
    node, _ = duty_host(world, "solo-a")
    stopped = world.freeze(node, [node.worker()])
    at = boot_s()
    world.came_back(among=world.others(node))
    took_s = boot_s() - at
    check(process_state(stopped[0]) == "T", "it is not frozen any more")
    node.thaw(stopped)
    return f"all duties run elsewhere after {took_s:.1f} s"


def parent_alone(world):
    """Nothing happens while the node lives; its death then is found without an obituary."""
    leader = world.wait_leader()
    term = leader.status()["term"]
    worker = leader.worker()
    stopped = world.freeze(leader, [leader.parent()])
    still(world, 1)
    check(leader.status()["acting"] and leader.status()["term"] == term, "a parent's freeze moved it")
    kill(worker)
    successor = world.wait_leader(among=world.others(leader))
    entry = newest(successor)
    check(entry["proof"] == "none", f"who sent the obituary? {entry}")
    leader.thaw(stopped)
    wait_until(lambda: leader.worker() not in (None, worker), "the parent started it again")
    return f"killed under a frozen parent: {entry['cause']} after {entry['elected_ms']} ms"


def told_to_end(world):
    """SIGTERM to a daemon whose node stands still: it is woken, and ends as at any time."""
    leader = world.wait_leader()
    world.freeze(leader, [leader.worker()])
    world.wait_leader(among=world.others(leader))
    at = boot_s()
    world.slept(leader)
    leader.cluster.recorder.thawing(leader)
    code = leader.terminate()
    took_s = boot_s() - at
    check(code in (0, None), f"it ended with {code}")
    leader.start()
    return f"ended {took_s:.1f} s after SIGTERM"


def managers(world):
    """A manager that hangs: the node stays, another manager or node does its work."""
    leader = world.wait_leader()
    pids = leader.managers()
    check(pids, "the leader has no managers")
    stopped = world.freeze(leader, pids)
    at = boot_s()
    wait_until(lambda: not any(process_state(pid) == "T" for pid in stopped) or
               not leader.status()["acting"], "the hung manager is replaced, or leadership leaves", 30)
    took_s = boot_s() - at
    for pid in stopped:
        kill(pid, signal.SIGCONT)
    return f"noticed after {took_s:.1f} s"


def duty_host(world, name):
    (host, pid), = wait_until(lambda: world.one_writer(name), f"{name} is written by one")
    return world[host], pid


def guard_part(world, which):
    """One of the guard's two processes stands still and the host is cut off: the other one ends the
    duty in time."""
    name = "solo-a"
    node, pid = duty_host(world, name)
    front, keeper = world.guard_of(pid)
    stopped = world.freeze(node, [front if which == "front" else keeper])
    world.network.cut(world.number(node))
    at = boot_s()
    wait_until(lambda: process_state(pid) in (None, "Z"), "the duty's process has ended", 20)
    took_s = boot_s() - at
    check(took_s < GRANT_S + 2, f"it lived {took_s:.1f} s after the cut")
    world.came_back(among=world.others(node))
    node.thaw(stopped)
    world.network.heal()
    return f"{which} frozen, host cut off: ended {took_s:.1f} s after the cut"


def guard_front(world):
    return guard_part(world, "front")


def guard_keeper(world):
    return guard_part(world, "keeper")


def guarded_process(world):
    """A process that does not react to SIGTERM because it is stopped: SIGKILL ends it in time."""
    name = "solo-b"
    node, pid = duty_host(world, name)
    world.freeze(node, [pid])
    target = world.others(node)[0].name
    wait_until(lambda: node.cli("duty", "move", f"pm2/{name}", target).exit in (0, 4), "it may move")
    wait_until(lambda: process_state(pid) in (None, "Z"), "the stopped process has ended", 20)
    return "moved away from under a stopped process"


def whole_host(world):
    """Everything of a host sleeps, PM2 and its duties too, past every timeout."""
    node, _ = duty_host(world, "solo-c")
    at = boot_s()
    stopped = world.freeze(node, world.all_pids(node))
    world.came_back(among=world.others(node))
    took_s = boot_s() - at
    still(world, 0.5)
    world.slept(node)
    node.thaw(stopped)
    thawed = boot_ms()
    world.came_back()
    late = [line.time / 1e6 - thawed for line in world.recorder.everything()[0]
            if line.node == node.name and line.pid in stopped and line.time / 1e6 > thawed]
    return (f"everything runs elsewhere after {took_s:.1f} s; woken processes wrote "
            f"{len(late)} lines, until {max(late, default=0):.0f} ms after the wake")


def followers_in_turn(world):
    """A majority is never frozen at once, but every node is for some time."""
    term = world.wait_leader().status()["term"]
    for node in world.nodes:
        pids = world.freeze(node, [node.worker()])
        still(world, 0.6)
        node.thaw(pids)
    world.came_back()
    return f"{world.wait_leader().status()['term'] - term} terms more"


if __name__ == "__main__":
    main([node_shorter_than_lease, node_longer_than_lease, node_and_parent,
          node_longer_than_grants, parent_alone, told_to_end, managers, guard_front, guard_keeper,
          guarded_process, whole_host, followers_in_turn])
