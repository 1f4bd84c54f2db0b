#!/usr/bin/python3 -B
"""Disks that are full, read-only, failing, stuck: the node says so, leads no more, comes back."""

import os

from faults import boot_s, check, history, main, wait_until

# A node that cannot write must not stay leader, whichever way it is noticed.
POLICY = "leadership: {hold: 1s, min_tenure: 1s, margin: 30}\n"
ASKED = {"health", "gray"}


def newest(node):
    return max(history(node), key=lambda row: row["term"])


def said(world, node, *words):
    """A line of the node's log or console since the case began that names what is wrong."""
    for line in world.new_log(node).splitlines():
        if any(word in line.lower() for word in words):
            return line.strip()[:160]
    return None


def provoke(world, asked):
    """Something to commit: a duty moves."""
    (host, _), = world.one_writer("solo-a")
    target = next(node for node in world.others(asked) if node.name != host)
    asked.cli("duty", "move", "pm2/solo-a", target.name, timeout="1s")


def leaves(world, leader, provoked=True, within_s=10):
    """Another one acts, with or without something to commit; how long it took and why."""
    at = boot_s()
    others = world.others(leader)
    if provoked:
        provoke(world, others[0])
    successor = world.wait_leader(among=others, other_than=leader, members_alive=2)
    took_s = boot_s() - at
    check(took_s < within_s, f"leadership left after {took_s:.1f} s")
    return f"{newest(successor)['cause']} to {successor.name} after {took_s:.1f} s"


def broken(world, order, *words, provoked=True):
    """The leader's disk is so; all runs elsewhere; mended, the node comes back by itself."""
    leader = world.wait_leader()
    leader.disk(order)
    told = leaves(world, leader, provoked)
    line = wait_until(lambda: said(world, leader, *words), f"the log names the fault: {words}", 20)
    world.wait_leader(among=world.others(leader), members_alive=2)
    leader.disk("")
    world.came_back()
    return f"{told}; said: {line}"


def io_error(world):
    """Nobody asks for anything: an idle leader tries its disk by itself."""
    return broken(world, "fail 5", "i/o error", "input/output error", provoked=False)


def no_space(world):
    return broken(world, "fail 28 all", "full", "no space")


def stuck(world):
    """Nothing returns: the node cannot even say it to its log's disk, the others go on."""
    leader = world.wait_leader()
    leader.disk("hang")
    told = leaves(world, leader, provoked=False)
    leader.disk("")
    world.came_back()
    return told


def stuck_follower(world):
    """A follower's disk moves nothing."""
    leader = world.wait_leader()
    term = leader.status()["term"]
    follower = world.others(leader)[0]
    follower.disk("hang")
    world.keeps(lambda: leader.status()["acting"], 3, "a follower's disk took the leader's right")
    check(leader.status()["term"] == term, "a follower's disk raised the term")
    follower.disk("")
    world.came_back()
    return f"{leader.name} leads on in term {term}"


def slow(world):
    """Every sync of the leader takes 150 ms, then of all."""
    leader = world.wait_leader()
    term = leader.status()["term"]
    leader.disk("delay 150")
    world.keeps(lambda: True, 3, "")
    for node in world.nodes:
        node.disk("delay 150")
    world.came_back()
    world.keeps(lambda: True, 3, "")
    now, _ = world.came_back()
    told = [row["cause"] for row in history(now) if row["term"] > term]
    for node in world.nodes:
        node.disk("")
    check(len(told) <= 2, f"slow disks moved leadership {told}")
    return f"changes of leader: {told}"


def fill(node):
    """A real file takes what is left of the small disk; its path as this node sees it."""
    path = node.inside(f"{node.folder}/data/fill")
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    for size in (65536, 4096, 1):
        while True:
            try:
                os.write(descriptor, b"x" * size)
            except OSError:
                break
    os.close(descriptor)
    return path


def told_by_health(node):
    rows = node.cli("health", "--explain").data["node"]["components"]
    return next((row["why"] for row in rows if row["name"] == "disk" and row["value"] < 20), None)


def full(world):
    """A full disk is seen by the health before anything fails; then nothing can be written."""
    leader = world.wait_leader()
    path = fill(leader)
    told = leaves(world, leader)
    line = wait_until(lambda: said(world, leader, "full", "no space") or told_by_health(leader),
                      "it says that the disk is full", 20)
    os.unlink(path)
    world.came_back()
    return f"{told}; said: {line}"


def full_while_it_writes(world):
    """The node's process starts again on a full disk: it waits for room, and says so."""
    node = world.others(world.wait_leader())[0]
    path = fill(node)
    worker = node.worker()
    os.kill(worker, 9)
    line = wait_until(lambda: said(world, node, "full", "no space") or
                      (node.worker() not in (None, worker) and node.status() and "it runs on it"),
                      "it says that the disk is full, or runs on it", 20)
    world.wait_leader(among=world.others(node), members_alive=2)
    check(node.parent(), "the parent gave up")
    os.unlink(path)
    world.came_back()
    return line


def read_only(world):
    """The disk turns read-only under the leader, as after an error of the file system."""
    leader = world.wait_leader()
    leader.disk("fail 30 all")  # the kernel refuses to remount while files are open for writing
    folder = f"{leader.folder}/data"

    def remounted():
        return leader.mounts("mount", "-o", "remount,ro", folder).returncode == 0

    told = leaves(world, leader)
    wait_until(remounted, "it is mounted read-only")
    leader.disk("")
    line = wait_until(lambda: said(world, leader, "read-only", "readonly"), "it says read-only", 20)
    world.came_back_without(leader)
    check(leader.parent(), "the parent gave up")
    done = leader.mounts("mount", "-o", "remount,rw", folder)
    check(done.returncode == 0, f"{done.stderr}")
    world.came_back()
    return f"{told}; said: {line}"


if __name__ == "__main__":
    main([io_error, no_space, stuck, stuck_follower, slow, full, full_while_it_writes, read_only],
         small_disks=True, extra=POLICY, asked=ASKED)
