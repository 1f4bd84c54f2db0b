#!/usr/bin/python3 -B
"""etcd beside our own figures: failover, handover, start, idle cost, status, commits.

    tests/bench/peers/etcd.py [--trials N] [--quick] [--only GROUP]...
"""

import base64
import functools
import json
import selectors
import signal
import sys
import time

from harness import links, measure
from harness.debian import Unpacked
from harness.measure import first, last, now_ms, race, rest, wait_until
from harness.netns import Network

CLIENT = 2379
PEER = 2380
STATUS = "/v3/maintenance/status"
IN_FLIGHT = 64


def view(link):
    """The leader that a member names, and the member's own number; "0" is none."""
    answer = json.loads(link.post(STATUS))
    return answer.get("leader", "0"), answer["header"]["member_id"]


class Cluster:
    """Three members; every question goes over the HTTP gateway on a connection that stays."""

    def __init__(self, network, peer, heartbeat_ms, election_ms):
        self.hosts = network.hosts
        self.peer = peer
        self.timers = ["--heartbeat-interval", heartbeat_ms, "--election-timeout", election_ms]
        self.generation = 0
        self.links = {}
        self.ids = {}

    def stop(self):
        for host in self.hosts:
            host.kill()
            host.reap()

    def bootstrap(self):
        """A new cluster on empty folders."""
        self.stop()
        for host in self.hosts:
            host.empty()
        self.generation += 1
        self.connect(self.hosts)

    def start_all(self):
        for host in self.hosts:
            self.start(host, "new")

    def start(self, host, state="existing"):
        members = ",".join(f"{h.name}=http://{h.address}:{PEER}" for h in self.hosts)
        host.start([self.peer.program("etcd"), "--name", host.name, "--data-dir",
                    host.folder / "data", "--initial-cluster", members,
                    "--initial-cluster-state", state,
                    "--initial-cluster-token", f"bench{self.generation}",
                    "--listen-peer-urls", f"http://{host.address}:{PEER}",
                    "--initial-advertise-peer-urls", f"http://{host.address}:{PEER}",
                    "--listen-client-urls", f"http://{host.address}:{CLIENT}",
                    "--advertise-client-urls", f"http://{host.address}:{CLIENT}",
                    "--logger", "zap", "--log-level", "warn", *self.timers],
                   self.peer.environment())

    def connect(self, hosts):
        for host in hosts:
            if host in self.links:
                self.links[host].close()
            self.links[host] = links.Http(host.address, CLIENT)

    def seen(self, host):
        return view(self.links[host])

    def agreed(self):
        views = [self.seen(host) for host in self.hosts]
        self.ids = {number: host for host, (_, number) in zip(self.hosts, views)}
        return len({leader for leader, _ in views}) == 1 and views[0][0] != "0"

    def settle(self):
        """All agree, and still do after a second; answers the leader's host and number."""
        while True:
            wait_until("three members that name one leader", self.agreed)
            rest(1)
            if self.agreed():
                number = self.seen(self.hosts[0])[0]
                return self.ids[number], number


def news(cluster, hosts, old):
    """Questions until each of these hosts names a leader that is another than the old one."""
    return [(functools.partial(cluster.seen, host), lambda seen: seen[0] not in ("0", old))
            for host in hosts]


def fault(cluster, sheet, group, what, act, mend):
    leader, old = cluster.settle()
    others = [host for host in cluster.hosts if host is not leader]
    itself = links.Http(leader.address, CLIENT, leader.entered)
    gives_up = [(functools.partial(view, itself), lambda seen: seen[0] != old)]
    times = race(functools.partial(act, leader), views=news(cluster, others, old),
                 old=gives_up if what == "cut" else [])
    sheet.add(group, f"{what}, new leader", first(times["views"]))
    sheet.add(group, f"{what}, all survivors know", last(times["views"]))
    if None not in (*times["old"], *times["views"]) and times["old"]:
        sheet.add(group, "two call themselves leader at once",
                  max(0, times["old"][0] - first(times["views"])))
    itself.close()
    mend(leader)
    cluster.connect([leader])


def restart(cluster, host):
    host.reap()
    cluster.start(host)


def faults(cluster, sheet, options):
    for group, what, act, mend in (
            ("crash failover", "kill -9", lambda host: host.kill(),
             functools.partial(restart, cluster)),
            ("freeze failover", "freeze", lambda host: host.freeze(), lambda host: host.thaw()),
            ("cut failover", "cut", lambda host: host.cut(), lambda host: host.heal()),
            ("planned handover", "SIGTERM", lambda host: host.signal(signal.SIGTERM),
             functools.partial(restart, cluster))):
        for _ in range(options.trials if options.wants(group) else 0):
            fault(cluster, sheet, group, what, act, mend)
        sheet.emit()


def transfer(cluster, sheet):
    """move-leader; its command is asked on another connection than the one that polls."""
    leader, old = cluster.settle()
    target = next(number for number in cluster.ids if number != old)
    asker = links.Http(leader.address, CLIENT)
    asker.post(STATUS)
    body = json.dumps({"targetID": target}).encode()
    took = []

    def move():
        began = now_ms()
        asker.post("/v3/maintenance/transfer-leadership", body)
        took.append(now_ms() - began)
        asker.close()

    # act returns only when the command does: the polls run beside it.
    times = race(move, views=news(cluster, cluster.hosts, old))["views"]
    sheet.add("planned handover", "transfer, new leader", first(times))
    sheet.add("planned handover", "transfer, the command", took[0])


def start(cluster, sheet):
    cluster.bootstrap()
    times = race(cluster.start_all, views=news(cluster, cluster.hosts, None))["views"]
    sheet.add("start", "three nodes, empty folders, to a leader", first(times))
    sheet.add("start", "three nodes, empty folders, all know the leader", last(times))


def put_body(number):
    key = base64.b64encode(b"bench/%d" % (number % 1000)).decode()
    return json.dumps({"key": key, "value": base64.b64encode(b"x" * 64).decode()}).encode()


def one_at_a_time(sheet, address, seconds):
    link = links.Http(address, CLIENT)
    link.post("/v3/kv/put", put_body(0))
    count, began = 0, now_ms()
    while now_ms() - began < seconds * 1000:
        asked = now_ms()
        link.post("/v3/kv/put", put_body(count))
        sheet.add("commits", "one client, one at a time", now_ms() - asked)
        count += 1
    span_s = (now_ms() - began) / 1000
    link.close()
    sheet.emit("put of 64 bytes through the HTTP gateway of the leader")
    sheet.add("commits", "one client, one at a time, rate", count / span_s, "1/s")
    sheet.emit("", better="higher", trials=count)


def in_flight(sheet, address, seconds):
    """64 connections, on each the next put as soon as the one before is answered."""
    ready = selectors.DefaultSelector()
    for _ in range(IN_FLIGHT):
        link = links.Http(address, CLIENT)
        link.post("/v3/kv/put", put_body(0))
        ready.register(link.socket, selectors.EVENT_READ, link)
    everyone = [key.data for key in ready.get_map().values()]
    requests = [links.post("/v3/kv/put", put_body(number)) for number in range(1000)]
    for number, link in enumerate(everyone):
        link.socket.sendall(requests[number])
    count, began = 0, time.monotonic()
    while time.monotonic() - began < seconds:
        for key, _ in ready.select(timeout=1):
            key.data.answer()
            count += 1
            key.data.socket.sendall(requests[count % 1000])
    span = time.monotonic() - began
    for link in everyone:
        link.close()
    ready.close()
    sheet.add("commits", f"{IN_FLIGHT} in flight, rate", count / span, "1/s")
    sheet.emit(f"{IN_FLIGHT} connections of one client to the leader's HTTP gateway",
               better="higher", trials=count)


def small_costs(cluster, sheet, options):
    leader, _ = cluster.settle()
    if options.wants("idle"):
        measure.idle(sheet, cluster.hosts, options.idle_s, leader)
    if options.wants("status"):
        measure.status(sheet, "status over HTTP", lambda: cluster.links[leader].post(STATUS),
                       options.rate_s)
    if options.wants("cli"):
        endpoints = ",".join(f"http://{host.address}:{CLIENT}" for host in cluster.hosts)
        measure.cli(sheet, "etcdctl endpoint status, three nodes",
                    [cluster.peer.program("etcdctl"), f"--endpoints={endpoints}", "endpoint",
                     "status"],
                    {**cluster.peer.environment(), "ETCDCTL_API": "3"}, options.many)
    if options.wants("commits"):
        one_at_a_time(sheet, leader.address, options.rate_s)
        in_flight(sheet, leader.address, options.rate_s)


def everything(options):
    peer = Unpacked("etcd-server", "etcd-client")
    network = Network(3)

    def run(configuration, sheet):
        cluster = Cluster(network, peer, configuration["heartbeat"], configuration["election"])
        try:
            for _ in range(options.trials if options.wants("start") else 1):
                start(cluster, sheet)
            sheet.emit()
            small_costs(cluster, sheet, options)
            for _ in range(options.trials if options.wants("planned handover") else 0):
                transfer(cluster, sheet)
            sheet.emit()
            faults(cluster, sheet, options)
        finally:
            cluster.stop()

    try:
        system = f"etcd {peer.version('etcd-server')}"
        return measure.each(
            [{"system": system, "profile": "default 100/1000", "heartbeat": 100, "election": 1000},
             {"system": system, "profile": "tuned 10/100", "heartbeat": 10, "election": 100}],
            run, options)
    finally:
        network.close()


if __name__ == "__main__":
    sys.exit(measure.program(__doc__.splitlines()[0], "etcd", everything))
