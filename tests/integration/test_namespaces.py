#!/usr/bin/python3 -B
"""Three nodes on hosts of their own (network namespaces on a bridge): a cut, and new addresses."""

import json
import os
import subprocess
import threading

from cluster import Cluster, Skip, boot_s, check, history, run, say, wait_until

POLL = """
import http.client, json, sys, time
host, port = sys.argv[1], int(sys.argv[2])
while True:
    begin = time.clock_gettime(time.CLOCK_BOOTTIME)
    try:
        link = http.client.HTTPConnection(host, port, timeout=0.25)
        link.request("GET", "/leader")
        answer = link.getresponse()
        status, body = answer.status, json.loads(answer.read())
        link.close()
    except (OSError, http.client.HTTPException, ValueError):
        status, body = None, None
    end = time.clock_gettime(time.CLOCK_BOOTTIME)
    print(json.dumps([begin, end, status, body]), flush=True)
    time.sleep(0.003)
"""


def ip(*words, ok=True):
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    check(not ok or done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}")
    return done.returncode == 0


class Network:
    """A bridge, and one namespace per node whose only link is a port of it."""

    def __init__(self, count):
        if os.geteuid() != 0:
            raise Skip("needs root for network namespaces")
        self.tag = f"{os.getpid() & 0xfffff:x}"
        self.hub = f"us-hub-{self.tag}"
        self.bridge = "br0"
        self.names = [f"us-n{i}-{self.tag}" for i in range(1, count + 1)]
        try:
            if not ip("netns", "add", self.hub, ok=False):
                raise Skip("this machine has no network namespaces (ip netns add failed)")
            # The bridge lives in a namespace too: nothing of this shows on the machine's network.
            if not ip("-n", self.hub, "link", "add", self.bridge, "type", "bridge", ok=False):
                raise Skip("this machine has no bridges (ip link add type bridge failed)")
            ip("-n", self.hub, "link", "set", self.bridge, "up")
            for i, name in enumerate(self.names, 1):
                ip("netns", "add", name)
                ip("-n", self.hub, "link", "add", f"port{i}", "type", "veth", "peer", "name",
                   "eth0", "netns", name)
                ip("-n", self.hub, "link", "set", f"port{i}", "master", self.bridge, "up")
                ip("-n", name, "link", "set", "lo", "up")
                ip("-n", name, "link", "set", "eth0", "up")
        except BaseException:
            self.remove()
            raise

    def give(self, i, address):
        ip("-n", self.names[i - 1], "address", "flush", "dev", "eth0")
        ip("-n", self.names[i - 1], "address", "add", f"{address}/24", "dev", "eth0")

    def cut(self, i):
        """The port leaves the bridge; the node keeps its carrier and hears nothing any more."""
        ip("-n", self.hub, "link", "set", f"port{i}", "nomaster")

    def heal(self, i):
        ip("-n", self.hub, "link", "set", f"port{i}", "master", self.bridge)

    def remove(self):
        for name in [*self.names, self.hub]:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)


class Watch:
    """Asks each node who acts, from inside its namespace; as ActingWatch of cluster.py."""

    def __init__(self, nodes):
        self.seen = []  # (begin, end, name, term)
        self.lock = threading.Lock()
        self.processes = []
        for node in nodes:
            process = subprocess.Popen(
                node.in_namespace(["/usr/bin/python3", "-c", POLL, node.host,
                                   str(node.http_port)]), stdout=subprocess.PIPE, text=True)
            thread = threading.Thread(target=self._read, args=(node.name, process), daemon=True)
            thread.start()
            self.processes.append((process, thread))

    def _read(self, name, process):
        for line in process.stdout:
            begin, end, status, body = json.loads(line)
            if status == 200:
                with self.lock:
                    self.seen.append((begin, end, name, body["term"]))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process, thread in self.processes:
            process.kill()
            process.wait()
            thread.join()

    def first(self, name, since):
        with self.lock:
            return min((row[1] for row in self.seen if row[2] == name and row[0] >= since),
                       default=None)

    def last(self, name):
        with self.lock:
            return max((row[0] for row in self.seen if row[2] == name), default=None)

    def verify(self):
        """No node acts in a term after another was seen to act in a newer one."""
        with self.lock:
            seen = list(self.seen)
        check(seen, "the watch saw nobody act")
        holders = {}
        for _, end, name, term in seen:
            holder, at = holders.get(term, (name, end))
            check(holder == name, f"{name} and {holder} act in term {term}")
            holders[term] = (name, min(at, end))
        for begin, _, name, term in seen:
            for newer, (holder, at) in holders.items():
                check(newer <= term or begin <= at,
                      f"{name} acts in term {term}, {holder} acted in {newer} before")
        return len(seen)


def addresses(cluster, network, third):
    """Node i lives at 10.231.THIRD.i from now on."""
    for i, node in enumerate(cluster.nodes, 1):
        node.host = f"10.231.{third}.{i}"
        network.give(i, node.host)
    for node in cluster.nodes:
        node.write_config(cluster.founders, extra=cluster.extra)


def cut_leader(cluster, network, watch):
    leader = cluster.wait_leader()
    others = [node for node in cluster.nodes if node is not leader]
    term = leader.status()["term"]
    number = cluster.nodes.index(leader) + 1
    wait_until(lambda: watch.first(leader.name, 0), "the leader is seen to act")
    at = boot_s()
    network.cut(number)
    successor = cluster.wait_leader(among=others)
    first = wait_until(lambda: watch.first(successor.name, at), "the successor is seen to act")
    entry = min((row for row in history(successor) if row["term"] > term),
                key=lambda row: row["term"])
    check(entry["cause"] == "timeout" and entry["proof"] == "none", f"cause of a cut: {entry}")
    alone = wait_until(lambda: leader.status(), "the cut one answers its own host")
    check(alone["acting"] is False, f"the cut one acts: {alone}")
    wait_until(lambda: leader.cli("status").exit == 5, "the cut one says that it has no quorum")
    check(leader.http("/livez")[0] == 200, "the cut one does not live")
    last = watch.last(leader.name)
    check(last <= first, f"the cut leader acted {last - first:.3f} s into its successor's time")
    settled = successor.status()["term"]
    cluster_term_alone = leader.status()["term"]
    network.heal(number)
    again = cluster.wait_leader()
    check(again is successor, f"healing moved leadership to {again.name}")
    grown = again.status()["term"] - settled
    check(grown == 0, f"{grown} terms more after healing: a term storm")
    say(f"cut of the leader: it acted for {1000 * (last - at):.0f} ms more, the next one after "
        f"{1000 * (first - at):.0f} ms (timeout); alone it stayed at term {cluster_term_alone}, "
        f"healed: {again.name} still leads in term {settled}")


def cut_follower(cluster, network):
    """A follower cut off and back asks for no votes: pre-vote and check-quorum at work."""
    leader = cluster.wait_leader()
    term = leader.status()["term"]
    follower = next(node for node in cluster.nodes if node is not leader)
    network.cut(cluster.nodes.index(follower) + 1)
    rest = [node for node in cluster.nodes if node is not follower]
    wait_until(lambda: any(row["name"] == follower.name and row["state"] == "dead"
                           for row in leader.status()["members"]), "the cut one is told dead")
    check(cluster.wait_leader(among=rest) is leader, "a cut follower moved leadership")
    network.heal(cluster.nodes.index(follower) + 1)
    check(cluster.wait_leader() is leader, "a healed follower moved leadership")
    check(leader.status()["term"] == term, "a healed follower raised the term")
    say(f"cut and heal of a follower: {leader.name} leads on in term {term}")


def recreate(cluster, network, third):
    leader = cluster.wait_leader()
    before = leader.status()
    terms = {row["term"] for row in history(leader)}
    for node in cluster.nodes:
        node.kill_both()
    addresses(cluster, network, third)
    at = boot_s()
    for node in cluster.nodes:
        node.start()
    leader = cluster.wait_leader()
    took = boot_s() - at
    after = leader.status()
    check(after["term"] >= before["term"] and after["applied_index"] >= before["applied_index"],
          "the state went back")
    check(terms <= {row["term"] for row in history(leader)}, "history was lost")
    for node in cluster.nodes:
        wait_until(lambda n=node: {row["name"]: row["address"] for row in
                                   n.status()["members"]} ==
                   {other.name: other.address for other in cluster.nodes},
                   f"{node.name} knows the new addresses")
    say(f"all recreated at 10.231.{third}.*: a leader acts after {took:.2f} s")


def move_one(cluster, network):
    """Only one gets another address; the others' configurations still have its old one."""
    leader = cluster.wait_leader()
    node = next(node for node in cluster.nodes if node is not leader)
    node.kill_both()
    number = cluster.nodes.index(node) + 1
    node.host = f"10.231.9.{100 + number}"
    network.give(number, node.host)
    node.write_config(cluster.founders, extra=cluster.extra)
    node.start()
    check(cluster.wait_leader() is leader, "a node's move moved leadership")
    wait_until(lambda: all({row["name"]: row["address"] for row in other.status()["members"]}
                           [node.name] == node.address for other in cluster.nodes),
               "all know the address of the node that moved")
    say(f"{node.name} moved to {node.host}: found by the others, whose files have its old address")


def namespaces():
    network = Network(3)
    try:
        with Cluster(extra="leadership: {handover_below: 0}\n") as cluster:
            for node, name in zip(cluster.nodes, network.names):
                node.namespace = name
            cluster.make_keys(*(node.name for node in cluster.nodes))
            for node in cluster.nodes:
                node.take_keys()
            addresses(cluster, network, 7)
            for node in cluster.nodes:
                node.start()
            cluster.wait_leader()
            with Watch(cluster.nodes) as watch:
                cut_leader(cluster, network, watch)
                cut_leader(cluster, network, watch)
                cut_follower(cluster, network)
                answers = watch.verify()
            say(f'{answers} answers "I act": never in an older term after a newer one')
            recreate(cluster, network, 9)
            move_one(cluster, network)
    finally:
        network.remove()


if __name__ == "__main__":
    run(namespaces)
