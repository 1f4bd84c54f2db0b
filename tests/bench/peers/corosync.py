#!/usr/bin/python3 -B
"""Corosync beside our own figures: until all survivors form the new membership, start, idle cost.

    tests/bench/peers/corosync.py [--trials N] [--quick] [--only GROUP]...

The survivors' knowledge is the quorum service's line with the members, pushed to us over a pipe at
the moment in which the clients of that service are told.
"""

import functools
import random
import re
import signal
import subprocess
import sys
import threading

from harness import measure
from harness.debian import Unpacked
from harness.measure import first, last, race, rest, wait_until
from harness.netns import Network

MEMBERS = re.compile(rb"\[QUORUM\] Members\[\d+\]: ([\d ]+)")
SILENCE_S = 0.05

CONFIGURATION = """totem {{
    version: 2
    cluster_name: bench
    transport: knet
    crypto_cipher: none
    crypto_hash: none
{timers}
}}
logging {{
    to_stderr: yes
    to_syslog: no
    to_logfile: no
}}
system {{
    state_dir: {folder}/state
    move_to_root_cgroup: no
}}
quorum {{
    provider: corosync_votequorum
}}
nodelist {{
{nodes}
}}
"""

# Tuned: without the coefficient three nodes would wait 950 ms, and knet would derive a ping timeout
# (half the token) that is below the period of its pings.
TUNED = """    token: 300
    token_coefficient: 0
    interface {
        linknumber: 0
        knet_ping_interval: 100
        knet_ping_timeout: 200
        knet_pong_count: 2
    }"""


class View(threading.Thread):
    """The last membership that a daemon has told; ends with the daemon."""

    def __init__(self, stream, log):
        super().__init__(daemon=True)
        self.stream = stream
        self.log = log
        self.members = ()
        self.news = threading.Condition()
        self.start()

    def run(self):
        with open(self.log, "ab", buffering=0) as log:
            for line in self.stream:
                log.write(line)
                found = MEMBERS.search(line)
                if found:
                    with self.news:
                        self.members = tuple(map(int, found[1].split()))
                        self.news.notify_all()

    def next(self, want):
        """The members, as soon as they are those (else after a short while, whatever they are)."""
        with self.news:
            self.news.wait_for(lambda: self.members == want, SILENCE_S)
            return self.members


class Cluster:
    def __init__(self, network, peer, timers):
        self.hosts = network.hosts
        self.peer = peer
        self.timers = timers
        self.views = {}
        self.all = tuple(host.number for host in self.hosts)

    def configure(self, host):
        host.empty()
        nodes = "\n".join(f"    node {{\n        ring0_addr: {other.address}\n"
                          f"        nodeid: {other.number}\n        name: {other.name}\n    }}"
                          for other in self.hosts)
        (host.folder / "state").mkdir()
        (host.folder / "corosync.conf").write_text(
            CONFIGURATION.format(timers=self.timers, folder=host.folder, nodes=nodes))

    def start(self, host):
        daemon = host.start([self.peer.program("corosync"), "-f", "-c",
                             host.folder / "corosync.conf"], self.peer.environment(),
                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.views[host] = View(daemon.stderr, host.folder / "log")

    def stop(self):
        for host in self.hosts:
            self.end(host)

    def end(self, host):
        host.kill()
        if host in self.views:
            self.views.pop(host).join()
        host.reap()

    def start_all(self):
        for host in self.hosts:
            self.start(host)

    def whole(self):
        return all(self.views[host].members == self.all for host in self.hosts)

    def settle(self):
        while True:
            wait_until("three members in everybody's view", self.whole)
            rest(1)
            if self.whole():
                return

    def know(self, hosts, want):
        def ask(host):
            view = self.views.get(host)
            if view is None:
                raise OSError("not started yet")
            return view.next(want)
        return [(functools.partial(ask, host), lambda members: members == want) for host in hosts]


def fault(cluster, sheet, group, what, act, mend):
    cluster.settle()
    victim = random.choice(cluster.hosts)
    others = [host for host in cluster.hosts if host is not victim]
    want = tuple(host.number for host in others)
    times = race(functools.partial(act, victim), know=cluster.know(others, want))["know"]
    sheet.add(group, f"{what}, first survivor knows", first(times))
    sheet.add(group, f"{what}, all survivors know", last(times))
    mend(victim)


def restart(cluster, host):
    cluster.end(host)
    cluster.start(host)


def faults(cluster, sheet, options):
    again = functools.partial(restart, cluster)
    for group, what, act, mend in (
            ("planned handover", "SIGTERM", lambda host: host.signal(signal.SIGTERM), again),
            ("crash failover", "kill -9", lambda host: host.kill(), again),
            ("freeze failover", "freeze", lambda host: host.freeze(), lambda host: host.thaw()),
            ("cut failover", "cut", lambda host: host.cut(), lambda host: host.heal())):
        for _ in range(options.trials if options.wants(group) else 0):
            fault(cluster, sheet, group, what, act, mend)
        sheet.emit()


def start(cluster, sheet):
    cluster.stop()
    for host in cluster.hosts:
        cluster.configure(host)
    times = race(cluster.start_all, know=cluster.know(cluster.hosts, cluster.all))["know"]
    sheet.add("start", "three nodes, all see all", last(times))


def everything(options):
    peer = Unpacked("corosync")
    network = Network(3)
    for host in network.hosts:  # its queues and its lock are a host's own
        host.run("mount", "-t", "tmpfs", "tmpfs", "/dev/shm")
        host.run("mount", "-t", "tmpfs", "tmpfs", "/run")

    def run(configuration, sheet):
        cluster = Cluster(network, peer, configuration["timers"])
        try:
            for _ in range(options.trials if options.wants("start") else 1):
                start(cluster, sheet)
            sheet.emit()
            cluster.settle()
            if options.wants("idle"):
                measure.idle(sheet, cluster.hosts, options.idle_s)
            if options.wants("cli"):
                measure.cli(sheet, "corosync-quorumtool",
                            cluster.hosts[0].inside([peer.program("corosync-quorumtool"), "-s"]),
                            peer.environment(), options.many)
            faults(cluster, sheet, options)
        finally:
            cluster.stop()

    try:
        system = f"Corosync {peer.version('corosync')}"
        return measure.each([{"system": system, "profile": "default token 3000", "timers": ""},
                             {"system": system, "profile": "token 300", "timers": TUNED}],
                            run, options)
    finally:
        network.close()


if __name__ == "__main__":
    sys.exit(measure.program(__doc__.splitlines()[0], "Corosync", everything))
