#!/usr/bin/python3 -B
"""Processes that are killed or stand still where one would not look first: guards, the watching
parent, PM2's daemon, a majority, everybody."""

from faults import alive, boot_s, check, kill, main, process_state, wait_until


def duty_host(world, name):
    (host, pid), = wait_until(lambda: world.one_writer(name), f"{name} is written by one")
    return world[host], pid


def guard_killed(world, which):
    """The other of the guard's two processes, or the kernel, kills what it guarded."""
    _, pid = duty_host(world, "solo-a")
    front, keeper = world.guard_of(pid)
    at = boot_s()
    for guard in {"front": (front,), "keeper": (keeper,), "both": (front, keeper)}[which]:
        kill(guard)
    wait_until(lambda: process_state(pid) in (None, "Z"), "the guarded process is dead", 10,
               pause_s=0.001)
    return f"dead {1000 * (boot_s() - at):.0f} ms after its guard"


def front_killed(world):
    return guard_killed(world, "front")


def keeper_killed(world):
    return guard_killed(world, "keeper")


def both_guards_killed(world):
    return guard_killed(world, "both")


def parent_killed(world):
    """The node goes on without its parent; when it dies too, the others do without an obituary."""
    leader = world.wait_leader()
    worker = leader.worker()
    kill(leader.parent())
    world.keeps(lambda: leader.status()["acting"], 1, "without its parent it does not act")
    check(alive(worker), "the node died with its parent")
    kill(worker)
    _, took_s = world.came_back(among=world.others(leader))
    leader.reap()
    leader.start()
    return f"all runs elsewhere after {took_s:.1f} s"


def whole_node_and_front_killed(world):
    node, pid = duty_host(world, "solo-c")
    front, _ = world.guard_of(pid)
    for each in (node.parent(), node.worker(), front):
        kill(each)
    wait_until(lambda: process_state(pid) in (None, "Z"), "the guarded process is dead", 10)
    _, took_s = world.came_back(among=world.others(node))
    node.reap()
    node.start()
    return f"all runs elsewhere after {took_s:.1f} s"


def pm2_frozen(world):
    """A duty can be moved away from a PM2 that does not answer: the guard ends it."""
    node, _ = duty_host(world, "solo-a")
    target = world.others(node)[0]
    stopped = node.stop_pids([node.god()])
    at = boot_s()
    wait_until(lambda: node.cli("duty", "move", "pm2/solo-a", target.name, timeout="5s").exit
               in (0, 4), "it may move")
    wait_until(lambda: duty_host(world, "solo-a")[0] is not node, "it runs elsewhere")
    took_s = boot_s() - at
    node.thaw(stopped)
    return f"moved after {took_s:.1f} s"


def pm2_killed(world):
    node, pid = duty_host(world, "solo-b")
    kill(node.god())
    at = boot_s()
    wait_until(lambda: duty_host(world, "solo-b")[1] != pid, "it runs anew")
    took_s = boot_s() - at
    world.start_daemon(node)
    return f"runs anew after {took_s:.1f} s"


def all_nodes_killed(world):
    for node in world.nodes:
        kill(node.worker())
    return "kill -9 of every node process at once"


def everything_killed(world):
    for node in world.nodes:
        node.kill_both()
    for node in world.nodes:
        node.start()
    return "kill -9 of every parent and node process, started anew"


def majority_frozen(world):
    """The leader alone stops acting by itself, and its duties end with their grants."""
    leader = world.wait_leader()
    stopped = [(node, node.stop_pids([node.worker()])) for node in world.others(leader)]
    at = boot_s()
    wait_until(lambda: leader.status()["acting"] is False, "it does not act alone")
    acted_s = boot_s() - at
    wait_until(lambda: not any(world.writing(name) for name in world.wanted_duties()),
               "no duty runs without grants", 30)
    took_s = boot_s() - at
    for node, pids in stopped:
        node.thaw(pids)
    return f"it stopped acting after {acted_s:.1f} s, all duties had ended after {took_s:.1f} s"


if __name__ == "__main__":
    main([front_killed, keeper_killed, both_guards_killed, parent_killed,
          whole_node_and_front_killed, pm2_frozen, pm2_killed, all_nodes_killed,
          everything_killed, majority_frozen])
