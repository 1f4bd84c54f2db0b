#!/usr/bin/python3 -B
"""Redis Sentinel beside our own figures: failover, handover, start, idle cost, status.

    tests/bench/peers/sentinel.py [--trials N] [--quick] [--only GROUP]...

A node is a Redis server and a sentinel; a fault hits both. Two moments count: a survivor's server
takes writes, and all sentinels give out its address.
"""

import functools
import sys

from harness import links, measure
from harness.debian import Unpacked
from harness.measure import first, last, race, rest, wait_until
from harness.netns import Network

SERVER = 6379
SENTINEL = 26379
MASTER = "bench"
QUORUM = 2
TRUST_MS = 10000  # failover-timeout: a failed attempt blocks the next for twice that
STARTS = 5  # a start takes 10 s, and always the same 10 s

SENTINEL_CONF = """port {port}
dir {folder}
protected-mode no
sentinel announce-ip {address}
sentinel monitor {name} {master} {server} {quorum}
sentinel down-after-milliseconds {name} {down_after}
sentinel failover-timeout {name} {trust}
sentinel parallel-syncs {name} 2
"""


def pairs(flat):
    return dict(zip(flat[::2], flat[1::2]))


class Cluster:
    def __init__(self, network, peer, down_after_ms):
        self.hosts = network.hosts
        self.peer = peer
        self.down_after_ms = down_after_ms
        self.servers = {host: links.Redis(host.address, SERVER) for host in self.hosts}
        self.sentinels = {host: links.Redis(host.address, SENTINEL) for host in self.hosts}

    def stop(self):
        for host in self.hosts:
            self.end(host)

    def end(self, host):
        host.kill()
        host.reap()
        self.servers[host].close()
        self.sentinels[host].close()

    def configure(self, host):
        host.empty()
        (host.folder / "sentinel.conf").write_text(SENTINEL_CONF.format(
            port=SENTINEL, folder=host.folder, address=host.address, name=MASTER,
            master=self.hosts[0].address, server=SERVER, quorum=QUORUM,
            down_after=self.down_after_ms, trust=TRUST_MS))

    def start(self, host, master):
        follow = [] if host is master else ["--replicaof", master.address, SERVER]
        host.start([self.peer.program("redis-server"), "--port", SERVER, "--dir", host.folder,
                    "--save", "", "--appendonly", "no", "--protected-mode", "no",
                    "--repl-diskless-sync-delay", 0, *follow], self.peer.environment())
        host.start([self.peer.program("redis-sentinel"), host.folder / "sentinel.conf"],
                   self.peer.environment())

    def start_all(self):
        for host in self.hosts:
            self.start(host, self.hosts[0])

    def write(self, host):
        return self.servers[host]("SET", "bench", "1")

    def named(self, host):
        """The address that this host's sentinel gives out."""
        answer = self.sentinels[host]("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER)
        return answer[0].decode() if answer else None

    def master(self):
        names = {self.named(host) for host in self.hosts}
        if len(names) != 1:
            return None
        address = names.pop()
        return next((host for host in self.hosts if host.address == address), None)

    def ready(self, host):
        """This sentinel knows two others and two replicas, all of them well."""
        view = pairs(self.sentinels[host]("SENTINEL", "MASTER", MASTER))
        if (view[b"flags"], view[b"num-other-sentinels"], view[b"num-slaves"]) != (
                b"master", b"2", b"2"):
            return False
        for words, good in (("REPLICAS", b"slave"), ("SENTINELS", b"sentinel")):
            others = map(pairs, self.sentinels[host]("SENTINEL", words, MASTER))
            if not all(other[b"flags"] == good for other in others):
                return False
        return True

    def replicated(self, master):
        """Two replicas follow, as the master itself sees it."""
        role = self.servers[master]("ROLE")
        return role[0] == b"master" and len(role[2]) == 2

    def whole(self):
        master = self.master()
        return (master is not None and self.replicated(master)
                and all(self.ready(host) for host in self.hosts))

    def settle(self):
        while True:
            wait_until("three sentinels that are ready to fail over", self.whole)
            rest(1)
            if self.whole():
                return self.master()

    def writable(self, hosts):
        return [(functools.partial(self.write, host), lambda answer: answer == b"OK")
                for host in hosts]

    def announced(self, hosts, old):
        return [(functools.partial(self.named, host), lambda name: name not in (None, old.address))
                for host in hosts]


def change(cluster, sheet, group, what, act, mend, with_old):
    """One change of master; the old one's own server is asked only when it lives on."""
    old = cluster.settle()
    others = [host for host in cluster.hosts if host is not old]
    times = race(functools.partial(act, old), writable=cluster.writable(others),
                 announced=cluster.announced(cluster.hosts if with_old else others, old),
                 enough={"writable": 1})
    sheet.add(group, f"{what}, new master takes writes", first(times["writable"]))
    sheet.add(group, f"{what}, all sentinels give its address", last(times["announced"]))
    mend(old)


def restart(cluster, old):
    """Comes back as a replica. Also after a freeze: a sentinel that slept distrusts its clock and
    takes part in nothing for 30 s (TILT)."""
    cluster.end(old)
    master = next(host for host in cluster.hosts
                  if host is not old and cluster.servers[host]("ROLE")[0] == b"master")
    cluster.start(old, master)


def heal(cluster, old):
    old.heal()
    for link in (cluster.servers[old], cluster.sentinels[old]):
        link.close()


def command(cluster, old):
    """SENTINEL FAILOVER, asked of the master's own host on a connection of its own."""
    link = links.Redis(old.address, SENTINEL)
    link("SENTINEL", "FAILOVER", MASTER)
    link.close()


def faults(cluster, sheet, options):
    again = functools.partial(restart, cluster)
    for group, what, act, mend, with_old in (
            ("planned handover", "SENTINEL FAILOVER", functools.partial(command, cluster),
             lambda old: None, True),
            ("crash failover", "kill -9", lambda old: old.kill(), again, False),
            ("freeze failover", "freeze", lambda old: old.freeze(), again, False),
            ("cut failover", "cut", lambda old: old.cut(), functools.partial(heal, cluster),
             False)):
        for _ in range(options.trials if options.wants(group) else 0):
            change(cluster, sheet, group, what, act, mend, with_old)
        sheet.emit()


def start(cluster, sheet):
    cluster.stop()
    for host in cluster.hosts:
        cluster.configure(host)
    times = race(cluster.start_all, writable=cluster.writable(cluster.hosts[:1]),
                 ready=[(functools.partial(cluster.ready, host), bool) for host in cluster.hosts])
    sheet.add("start", "three nodes, the preset master takes writes", first(times["writable"]))
    sheet.add("start", "three nodes, ready to fail over", last(times["ready"]))


def everything(options):
    peer = Unpacked("redis-sentinel", "redis-server", "redis-tools")
    network = Network(3)

    def run(configuration, sheet):
        cluster = Cluster(network, peer, configuration["down_after"])
        try:
            for _ in range(min(options.trials, STARTS) if options.wants("start") else 1):
                start(cluster, sheet)
            sheet.emit()
            cluster.settle()
            if options.wants("idle"):
                measure.idle(sheet, cluster.hosts, options.idle_s,
                             also="server and sentinel together")
            if options.wants("status"):
                measure.status(sheet, "master's address",
                               functools.partial(cluster.named, cluster.hosts[1]), options.rate_s)
            if options.wants("cli"):
                measure.cli(sheet, "redis-cli sentinel get-master-addr-by-name",
                            [peer.program("redis-cli"), "-h", cluster.hosts[1].address, "-p",
                             SENTINEL, "sentinel", "get-master-addr-by-name", MASTER],
                            peer.environment(), options.many)
            faults(cluster, sheet, options)
        finally:
            cluster.stop()

    try:
        system = f"Sentinel {peer.version('redis-sentinel')}"
        return measure.each([{"system": system, "profile": "down-after 1000", "down_after": 1000},
                             {"system": system, "profile": "down-after 100", "down_after": 100}],
                            run, options)
    finally:
        network.close()


if __name__ == "__main__":
    sys.exit(measure.program(__doc__.splitlines()[0], "Sentinel", everything))
