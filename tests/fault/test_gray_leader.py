#!/usr/bin/python3 -B
"""C9: a leader that lives but does no work loses its seat within 10 s, and does not get it back
while that lasts: its disk hangs, its loop crawls, its manager hangs, no descriptor is left. What all
nodes share moves nothing. And SIGTERM ends it all the same."""

import glob
import os
import resource
import signal
import threading
import time

import disk
from cluster import (Cluster, PATIENCE_S, alive, boot_s, check, history, kill, process_state, run,
                     say, wait_until)

GOAL_S = 10
SLACK_S = 20  # a busy machine's; the figure is printed


def others(cluster, node):
    return [other for other in cluster.nodes if other is not node]


def leader_after(cluster, old, term):
    """The history entry of the first leader after `term`, as the others tell it."""
    def find():
        later = [entry for node in others(cluster, old) for entry in history(node)
                 if entry["term"] > term]
        return min(later, key=lambda entry: entry["term"], default=None)
    return wait_until(find, f"another than {old.name} leads")


def check_lost(cluster, leader, term, at, what, causes):
    entry = leader_after(cluster, leader, term)
    took = boot_s() - at
    say(f"{what}: {entry['node']} leads instead of {leader.name} after {took:.1f} s "
        f"({entry['cause']}; goal {GOAL_S} s)")
    check(entry["node"] != leader.name, f"{leader.name} leads again: {entry}")
    check(entry["cause"] in causes, f"cause of a gray leader's end: {entry}")
    check(took < GOAL_S + SLACK_S, f"the gray leader kept its seat for {took:.1f} s")
    return entry


def check_not_back(cluster, leader, term, seconds):
    """For as long as the trouble lasts; this much of it is looked at."""
    until = boot_s() + seconds
    while boot_s() < until:
        back = [entry for node in others(cluster, leader) for entry in history(node)
                if entry["term"] > term and entry["node"] == leader.name]
        check(not back, f"{leader.name} has it back while its trouble lasts: {back}")
        time.sleep(0.2)


def disk_hangs(cluster):
    leader = cluster.wait_leader()
    term = leader.status()["term"]
    worker = leader.worker()
    at = boot_s()
    disk.order(leader, "hang")
    check_lost(cluster, leader, term, at, "disk hangs, nobody writes", ("timeout", "obituary"))
    check_not_back(cluster, leader, term, 3)
    wait_until(lambda: leader.worker() != worker, "the parent ends the node that hangs")
    say(f"    its parent ended it after {boot_s() - at:.1f} s")
    disk.order(leader, "")
    cluster.wait_leader()
    check(leader.worker() not in (None, worker), "it was not started again")


class Crawl:
    """The process gets a moment now and then, as under a far too small share of a processor."""

    def __init__(self, pid, stopped_s, running_s):
        self.pid, self.stopped_s, self.running_s = pid, stopped_s, running_s
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        while not self.over.is_set():
            kill(self.pid, signal.SIGSTOP)
            self.over.wait(self.stopped_s)
            kill(self.pid, signal.SIGCONT)
            self.over.wait(self.running_s)
        kill(self.pid, signal.SIGCONT)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def loop_crawls(cluster):
    leader = cluster.wait_leader()
    term = leader.status()["term"]
    worker = leader.worker()
    at = boot_s()
    with Crawl(worker, stopped_s=1.5, running_s=0.03):
        check_lost(cluster, leader, term, at, "loop crawls", ("timeout", "gray"))
        check_not_back(cluster, leader, term, 6)
    cluster.wait_leader()
    check(leader.worker() == worker, "a node that crawls was ended")


def manager_pid(node):
    """Of the manager that this node's process has started."""
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path, "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
            with open(os.path.join(os.path.dirname(path), "cmdline"), "rb") as file:
                command = file.read()
        except OSError:
            continue
        if int(fields[1]) == node.worker() and b"understudy-manager" in command:
            return int(os.path.basename(os.path.dirname(path)))
    return None


def manager_hangs(cluster):
    leader = cluster.wait_leader()
    wait_until(lambda: all(row["state"] in ("running", "degraded", "standby") for row in
                           leader.cli("manager", "list").data), "the managers run")
    term = leader.status()["term"]
    pid = wait_until(lambda: manager_pid(leader), f"a manager of {leader.name}")
    at = boot_s()
    kill(pid, signal.SIGSTOP)
    wait_until(lambda: process_state(pid) in ("T", None), "the manager is stopped")
    check_lost(cluster, leader, term, at, "manager hangs", ("gray",))
    wait_until(lambda: not alive(pid), "the manager that hangs is ended")
    wait_until(lambda: manager_pid(leader) not in (None, pid), "it is started again")
    cluster.wait_leader()


def take_descriptors(node):
    """No descriptor is left to the node's process; returns the limits that were."""
    pid = node.worker()
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    taken = len(os.listdir(f"/proc/{pid}/fd"))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (taken // 2, before[1]))
    return pid, before


def give_back(taken):
    for pid, before in taken:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def no_descriptors(cluster):
    leader = cluster.wait_leader()
    term = leader.status()["term"]
    at = boot_s()
    taken = [take_descriptors(leader)]
    check_lost(cluster, leader, term, at, "no descriptors", ("gray",))
    check_not_back(cluster, leader, term, 3)
    give_back(taken)
    cluster.wait_leader()


def files_health(asked, node):
    for row in asked.cli("health", node.name, "--explain").data["nodes"]:
        if row["name"] == node.name:
            return row
    return None


def outage_of_all(cluster):
    leader = cluster.wait_leader()
    term = leader.status()["term"]
    # Followers first: none of them must be a refuge when the leader's trouble begins.
    taken = [take_descriptors(node) for node in others(cluster, leader)]
    wait_until(lambda: all(row["health"] is not None and row["health"] < 70
                           for row in leader.status()["members"] if row["name"] != leader.name),
               "the leader knows that the others have no descriptors left")
    taken.append(take_descriptors(leader))
    until = boot_s() + 6  # the hold, the sample and more; nothing must happen, so time must pass
    while boot_s() < until:
        time.sleep(0.2)
    give_back(taken)
    now = cluster.wait_leader()
    check(now is leader and now.status()["term"] == term,
          f"an outage that all share moved leadership from {leader.name} to {now.name}")
    say("no descriptors on any node: leadership stays")


def told_to_end_while_its_disk_hangs(cluster):
    """A node that can no longer write cannot end well; its parent does not wait for ever."""
    leader = cluster.wait_leader()
    term = leader.status()["term"]
    worker = leader.worker()
    disk.order(leader, "hang")
    leader_after(cluster, leader, term)
    at = boot_s()
    leader.terminate()
    check(not alive(worker), "the daemon has ended, its node process has not")
    say(f"told to end while its disk hangs: ended after {boot_s() - at:.1f} s")
    disk.order(leader, "")
    disk.start(leader)
    wait_until(lambda: leader.status(), f"{leader.name} answers again")


def gray_leader():
    disk.require()
    with Cluster() as cluster:
        cluster.prepare()
        for node in cluster.nodes:
            with open(node.config, encoding="utf-8") as file:
                text = file.read()
            os.makedirs(os.path.join(node.folder, "pm2"))
            with open(node.config, "w", encoding="utf-8") as file:
                file.write(text.replace("pm2: {enabled: false}",
                                        f'pm2: {{homes: ["{node.folder}/pm2"]}}'))
            disk.start(node)
        cluster.wait_leader()
        manager_hangs(cluster)
        no_descriptors(cluster)
        outage_of_all(cluster)
        loop_crawls(cluster)
        disk_hangs(cluster)
        told_to_end_while_its_disk_hangs(cluster)


if __name__ == "__main__":
    check(PATIENCE_S > GOAL_S + SLACK_S, "patience is too short to see a failure")
    run(gray_leader)
