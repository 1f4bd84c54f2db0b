#!/usr/bin/python3 -B
"""Keepalived beside our own figures: until another node is VRRP master; health by priority.

    tests/bench/peers/keepalived.py [--trials N] [--quick] [--only GROUP]...

Each daemon tells its state over its notify FIFO. The node with the highest priority is master
whenever it is well, so every trial takes the mastership from it and then gives it back.
"""

import functools
import os
import signal
import sys
import threading

from harness import measure
from harness.debian import Unpacked
from harness.measure import first, race, rest, wait_until
from harness.netns import NET, Network

SILENCE_S = 0.05
DROP = 50  # of the priority, by bad health: below every other node's

CONFIGURATION = """global_defs {{
    router_id {name}
    vrrp_version 3
    vrrp_notify_fifo {folder}/states
    script_user root
}}
track_file health {{
    file {folder}/health
    weight 1
}}
vrrp_instance bench {{
    state BACKUP
    interface eth0
    virtual_router_id 51
    priority {priority}
    advert_int {interval}
    virtual_ipaddress {{
        {address}/24
    }}
    track_file {{
        health weight 1
    }}
}}
"""


class View(threading.Thread):
    """The last state that a daemon has told: MASTER, BACKUP, FAULT, or STOP."""

    def __init__(self, path):
        super().__init__(daemon=True)
        os.mkfifo(path)
        self.end = os.open(path, os.O_RDWR)  # as a writer too: the daemon may come and go
        self.state = None
        self.news = threading.Condition()
        self.start()

    def run(self):
        with os.fdopen(self.end, "rb", buffering=0) as stream:
            rest_of_line = b""
            while chunk := stream.read(4096):
                *lines, rest_of_line = (rest_of_line + chunk).split(b"\n")
                for line in lines:
                    words = line.decode().split()
                    if words == ["end"]:
                        return
                    if words[0] == "INSTANCE":
                        self.take(words[2].split("_")[0])  # MASTER_RX_LOWER_PRI is a master

    def take(self, state):
        with self.news:
            self.state = state
            self.news.notify_all()

    def next(self, want):
        with self.news:
            self.news.wait_for(lambda: self.state == want, SILENCE_S)
            return self.state

    def close(self):
        os.write(self.end, b"end\n")
        self.join()


class Cluster:
    def __init__(self, network, peer, interval):
        self.hosts = network.hosts
        self.peer = peer
        self.interval = interval
        self.views = {}

    def configure(self, host):
        if host in self.views:
            self.views.pop(host).close()
        host.empty()
        (host.folder / "health").write_text("0\n")
        (host.folder / "keepalived.conf").write_text(CONFIGURATION.format(
            name=host.name, folder=host.folder, priority=210 - 10 * host.number,
            interval=self.interval, address=f"{NET}.100"))
        self.views[host] = View(host.folder / "states")

    def start(self, host):
        folder = host.folder
        for name in ("pid", "vrrp.pid"):  # of a killed one, which may still wait to be reaped
            (folder / name).unlink(missing_ok=True)
        host.start([self.peer.program("keepalived"), "--dont-fork", "--log-console", "--vrrp",
                    "-f", folder / "keepalived.conf", "-p", folder / "pid", "-r",
                    folder / "vrrp.pid"], self.peer.environment())

    def start_all(self):
        for host in self.hosts:
            self.start(host)

    def end(self, host):
        host.kill()
        host.reap()
        host.run("ip", "address", "flush", "dev", "eth0", "to", f"{NET}.100")
        self.views[host].take(None)

    def stop(self):
        for host in self.hosts:
            if host in self.views:
                self.end(host)
                self.views.pop(host).close()

    def whole(self):
        return [self.views[host].state for host in self.hosts] == [
            "MASTER", *["BACKUP"] * (len(self.hosts) - 1)]

    def settle(self):
        while True:
            wait_until("the first node is master", self.whole)
            rest(max(1, 3 * self.interval))
            if self.whole():
                return

    def masters(self, hosts):
        return [(functools.partial(self.views[host].next, "MASTER"),
                 lambda state: state == "MASTER") for host in hosts]


def restart(cluster, host):
    cluster.end(host)
    cluster.start(host)


def health(host, value):
    (host.folder / "health").write_text(f"{value}\n")


def faults(cluster, sheet, options):
    again = functools.partial(restart, cluster)
    for group, what, act, mend in (
            ("crash failover", "kill -9", lambda host: host.kill(), again),
            ("planned handover", "SIGTERM", lambda host: host.signal(signal.SIGTERM), again),
            ("health handover", "health lowers the priority", lambda host: health(host, -DROP),
             lambda host: health(host, 0)),
            ("freeze failover", "freeze", lambda host: host.freeze(), lambda host: host.thaw()),
            ("cut failover", "cut", lambda host: host.cut(), lambda host: host.heal())):
        for _ in range(options.trials if options.wants(group) else 0):
            cluster.settle()
            times = race(functools.partial(act, cluster.hosts[0]),
                         others=cluster.masters(cluster.hosts[1:]), enough={"others": 1})
            sheet.add(group, f"{what}, new master", first(times["others"]))
            mend(cluster.hosts[0])
        sheet.emit()


def start(cluster, sheet):
    cluster.stop()
    for host in cluster.hosts:
        cluster.configure(host)
    times = race(cluster.start_all, masters=cluster.masters(cluster.hosts), enough={"masters": 1})
    sheet.add("start", "three nodes, to a master", first(times["masters"]))


def everything(options):
    peer = Unpacked("keepalived")
    network = Network(3)

    def run(configuration, sheet):
        cluster = Cluster(network, peer, configuration["interval"])
        try:
            for _ in range(options.trials if options.wants("start") else 1):
                start(cluster, sheet)
            sheet.emit()
            cluster.settle()
            if options.wants("idle"):
                measure.idle(sheet, cluster.hosts, options.idle_s, cluster.hosts[0],
                             multicast=True)
            faults(cluster, sheet, options)
        finally:
            cluster.stop()

    try:
        system = f"Keepalived {peer.version('keepalived')}"
        return measure.each([{"system": system, "profile": "advert 1 s", "interval": 1},
                             {"system": system, "profile": "advert 0.1 s", "interval": 0.1}],
                            run, options)
    finally:
        network.close()


if __name__ == "__main__":
    sys.exit(measure.program(__doc__.splitlines()[0], "Keepalived", everything))
