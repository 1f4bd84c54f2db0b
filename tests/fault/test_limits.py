#!/usr/bin/python3 -B
"""No descriptors left, no memory left: the node says so, does not stay leader, comes back."""

import os
import resource
import time

from faults import boot_s, check, command_line, history, kill, main, say, wait_until

POLICY = "leadership: {hold: 1s, min_tenure: 1s, margin: 30}\n"


def open_files(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def cpu_s(pid):
    with open(f"/proc/{pid}/stat", "rb") as file:
        words = file.read().rpartition(b")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def no_descriptors(world, node):
    """Every open and accept of the node's process fails from now on; what it did meanwhile."""
    pid = node.worker()
    _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (open_files(pid), hard))
    return pid, hard


def files_of_leader(world):
    """Leadership goes by health; with descriptors again the node serves as before."""
    leader = world.wait_leader()
    others = world.others(leader)
    pid, hard = no_descriptors(world, leader)
    at, cpu = boot_s(), cpu_s(pid)
    # Asking it takes descriptors, which it has not: its clients must not make it spin or end.
    asked = leader.cli("status", timeout="1s")
    world.wait_leader(among=others, other_than=leader, members_alive=2)
    took_s = boot_s() - at
    world.keeps(lambda: True, 2, "")
    busy = (cpu_s(pid) - cpu) / (boot_s() - at)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (hard, hard))
    world.came_back()
    check(leader.worker() == pid, "the process without descriptors ended")
    cause = max(history(others[0]), key=lambda row: row["term"])["cause"]
    check(busy < 0.6, f"without descriptors it kept {100 * busy:.0f} % of a core busy")
    return (f"another leads after {took_s:.1f} s ({cause}); a command meanwhile: exit "
            f"{asked.exit}; {100 * busy:.0f} % of a core")


def files_of_all(world):
    """Nobody is better off, so nobody need lead better; nothing breaks, all comes back."""
    term = world.wait_leader().status()["term"]
    kept = [(node, *no_descriptors(world, node)) for node in world.nodes]
    world.keeps(lambda: True, 4, "")
    alive = [node.worker() == pid for node, pid, _ in kept]
    for node, pid, hard in kept:
        if node.worker() == pid:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (hard, hard))
    world.came_back()
    return f"lived on: {alive}, {world.wait_leader().status()['term'] - term} terms more"


def memory_size(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * os.sysconf("SC_PAGESIZE")


def memory_of_leader(world):
    """malloc fails in the leader: it goes on or ends at once, and is back in a new life."""
    leader = world.wait_leader()
    pid = leader.worker()
    _, hard = resource.prlimit(pid, resource.RLIMIT_AS)
    resource.prlimit(pid, resource.RLIMIT_AS, (memory_size(pid), hard))
    at = boot_s()
    # Documents, events and commits all ask for memory.
    while leader.worker() == pid and boot_s() < at + 5:
        for words in (("status",), ("events",), ("metrics", "show"), ("health", "--explain")):
            leader.cli(*words, timeout="1s")
    lived = leader.worker() == pid
    if lived:
        resource.prlimit(pid, resource.RLIMIT_AS, (hard, hard))
    world.came_back()
    return "it went on without more memory" if lived else f"it ended after {boot_s() - at:.1f} s"


def group_of(name):
    for root in ("/sys/fs/cgroup/memory", "/sys/fs/cgroup"):
        if os.path.exists(f"{root}/memory.usage_in_bytes"):
            return f"{root}/{name}", "memory.limit_in_bytes"
        if "memory" in read(f"{root}/cgroup.subtree_control"):
            return f"{root}/{name}", "memory.max"
    return None, None


def read(path):
    try:
        with open(path, encoding="ascii") as file:
            return file.read()
    except OSError:
        return ""


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(str(text))


def killed_by_kernel(folder):
    for name in ("memory.oom_control", "memory.events"):
        for line in read(f"{folder}/{name}").splitlines():
            if line.startswith("oom_kill ") and int(line.split()[1]) > 0:
                return True
    return False


def killed_for_memory(world):
    """The kernel kills what the daemon starts because its group has no memory left, again and again;
    with memory it comes back by itself."""
    folder, limit = group_of(f"us-fault-{os.getpid()}")
    if folder is None:
        return "not tried: there is no memory controller that a test may use"
    node = world.wait_leader()
    os.mkdir(folder)
    try:
        worker = node.worker()
        write(f"{folder}/cgroup.procs", node.parent())
        before = read(f"{folder}/{limit}").strip()
        write(f"{folder}/{limit}", 2 << 20)
        # What is resident is charged to another group; a new life's pages are not.
        kill(worker)
        wait_until(lambda: killed_by_kernel(folder), "the kernel has killed a new life", 30)
        world.wait_leader(among=world.others(node), members_alive=2)
        write(f"{folder}/{limit}", "max" if before == "max" else -1)
        node.reap()
        parent_lived = node.parent() is not None
        if not parent_lived:  # whom the kernel takes is its choice; a service manager would
            node.start()
        world.came_back()
        for pid in read(f"{folder}/cgroup.procs").split():
            try:
                write(os.path.join(os.path.dirname(folder), "cgroup.procs"), pid)
            except OSError:
                pass
    finally:
        node.kill_both()  # so that the group is empty and can go
        wait_until(lambda: os.rmdir(folder) is None, "the group is gone", 20)
    node.start()
    return "killed; " + ("the parent started it again" if parent_lived else "the parent too")


if __name__ == "__main__":
    main([files_of_leader, files_of_all, memory_of_leader, killed_for_memory], extra=POLICY,
         asked=("health",))
