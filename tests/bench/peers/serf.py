#!/usr/bin/python3 -B
"""Serf beside our own figures: until all members know of a failure, start, idle cost, status.

    tests/bench/peers/serf.py [--trials N] [--quick] [--only GROUP]...
"""

import functools
import random
import sys

from harness import links, measure
from harness.debian import Unpacked
from harness.measure import first, last, race, rest, wait_until
from harness.netns import Missing, Network

try:
    import msgpack
except ImportError:  # everything() says so
    msgpack = None

GOSSIP = 7946
RPC = 7373


class Agent(links.Link):
    """Serf's RPC: msgpack maps one after the other, a header and for some commands a body."""

    def greet(self):
        self.number = 0
        self.unpacker = msgpack.Unpacker(raw=False, strict_map_key=False,
                                         unicode_errors="replace")
        self.socket.sendall(msgpack.packb({"Command": "handshake", "Seq": 0})
                            + msgpack.packb({"Version": 1}))
        self.next()

    def next(self):
        while True:
            for thing in self.unpacker:
                return thing
            chunk = self.socket.recv(65536)
            if not chunk:
                raise ConnectionError("the agent closed")
            self.unpacker.feed(chunk)

    def answer(self):
        header = self.next()
        if header["Error"]:
            raise OSError(header["Error"])
        return self.next() if self.has_body else None

    def command(self, name, body=None, has_body=False):
        self.has_body = has_body
        self.number = getattr(self, "number", 0) + 1
        question = msgpack.packb({"Command": name, "Seq": self.number})
        return self.exchange(question + (b"" if body is None else msgpack.packb(body)))

    def states(self):
        """{name: "alive" | "failed" | "left" | ...} of all members."""
        members = self.command("members", has_body=True)["Members"]
        return {member["Name"]: member["Status"] for member in members}

    def events(self):
        """The next event of the stream that every event handler of the agent is called with."""
        if self.socket is None:
            self.command("stream", {"Type": "*"})
            return None
        self.next()
        return self.next()


class Cluster:
    def __init__(self, network, peer, profile):
        self.hosts = network.hosts
        self.peer = peer
        self.profile = profile
        self.agents = {host: Agent(host.address, RPC) for host in self.hosts}

    def start(self, host):
        others = [word for other in self.hosts if other is not host
                  for word in ("-retry-join", f"{other.address}:{GOSSIP}")]
        host.start([self.peer.program("serf"), "agent", f"-node={host.name}",
                    f"-bind={host.address}:{GOSSIP}", f"-rpc-addr={host.address}:{RPC}",
                    f"-profile={self.profile}", "-log-level=err", "-retry-interval=100ms",
                    *others], self.peer.environment())

    def stop(self):
        for host in self.hosts:
            host.kill()
            host.reap()
            self.agents[host].close()

    def start_all(self):
        for host in self.hosts:
            self.start(host)

    def whole(self):
        want = {host.name: "alive" for host in self.hosts}
        return all(self.agents[host].states() == want for host in self.hosts)

    def settle(self):
        wait_until("three members alive in everybody's list", self.whole)
        rest(1)
        wait_until("three members alive in everybody's list", self.whole)

    def ends(self, hosts, victim, state):
        """Questions until each of these hosts lists the victim so."""
        return [(self.agents[host].states, lambda states: states.get(victim.name) == state)
                for host in hosts]

    def handlers(self, hosts, victim, event):
        """Streams until each of these agents has called its event handlers."""
        def matches(told):
            return (told is not None and told.get("Event") == event
                    and any(member["Name"] == victim.name for member in told["Members"]))
        return [(Agent(host.address, RPC).events, matches) for host in hosts]


def fault(cluster, sheet, group, what, act, mend, state, event):
    cluster.settle()
    victim = random.choice(cluster.hosts)
    others = [host for host in cluster.hosts if host is not victim]
    times = race(functools.partial(act, victim), lists=cluster.ends(others, victim, state),
                 handlers=cluster.handlers(others, victim, event))
    sheet.add(group, f"{what}, first survivor lists it as {state}", first(times["lists"]))
    sheet.add(group, f"{what}, all survivors know", last(times["lists"]))
    sheet.add(group, f"{what}, all event handlers called", last(times["handlers"]))
    cluster.agents[victim].close()
    mend(victim)


def restart(cluster, host):
    host.kill()
    host.reap()
    cluster.start(host)


def leave(cluster, host):
    """Answers at once; the agent ends when it has told the others."""
    Agent(host.address, RPC).command("leave")


def faults(cluster, sheet, options):
    again = functools.partial(restart, cluster)
    for group, what, act, mend, state, event in (
            ("planned handover", "leave", functools.partial(leave, cluster), again, "left",
             "member-leave"),
            ("crash failover", "kill -9", lambda host: host.kill(), again, "failed",
             "member-failed"),
            ("freeze failover", "freeze", lambda host: host.freeze(), lambda host: host.thaw(),
             "failed", "member-failed"),
            ("cut failover", "cut", lambda host: host.cut(), lambda host: host.heal(), "failed",
             "member-failed")):
        for _ in range(options.trials if options.wants(group) else 0):
            fault(cluster, sheet, group, what, act, mend, state, event)
        sheet.emit()


def start(cluster, sheet):
    cluster.stop()
    want = {host.name: "alive" for host in cluster.hosts}
    times = race(cluster.start_all, lists=[(cluster.agents[host].states,
                                            lambda states: states == want)
                                           for host in cluster.hosts])["lists"]
    sheet.add("start", "three nodes, all see all", last(times))


def everything(options):
    if msgpack is None:
        raise Missing("python3-msgpack is not installed")
    peer = Unpacked("serf")
    network = Network(3)

    def run(configuration, sheet):
        cluster = Cluster(network, peer, configuration["profile"])
        try:
            for _ in range(options.trials if options.wants("start") else 1):
                start(cluster, sheet)
            sheet.emit()
            cluster.settle()
            if options.wants("idle"):
                measure.idle(sheet, cluster.hosts, options.idle_s)
            if options.wants("status"):
                measure.status(sheet, "members over RPC", cluster.agents[cluster.hosts[0]].states,
                               options.rate_s)
            if options.wants("cli"):
                measure.cli(sheet, "serf members",
                            [peer.program("serf"), "members",
                             f"-rpc-addr={cluster.hosts[0].address}:{RPC}"],
                            peer.environment(), options.many)
            faults(cluster, sheet, options)
        finally:
            cluster.stop()

    try:
        system = f"Serf {peer.version('serf')}"
        return measure.each([{"system": system, "profile": "lan"},
                             {"system": system, "profile": "local"}], run, options)
    finally:
        network.close()


if __name__ == "__main__":
    sys.exit(measure.program(__doc__.splitlines()[0], "Serf", everything))
