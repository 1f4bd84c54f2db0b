#!/usr/bin/python3 -B
"""What a cluster costs that has nothing to do: memory, CPU, bytes on the wire, writes, wake-ups.

Of the node process (its parent apart), from /proc and the namespace's interface, over a minute
after half a minute of rest. A figure is the median of the nodes that it is of, worst their worst.
"""

import http.client
import os
import statistics
import time

import rows
from network import Lacking
from observer import Missed
from trials import Part, begin, join_notes, with_cluster

GROUP = "idle"
MANY = 20  # nodes of the large cluster
# Raft's heartbeats nearly off, so that gossip is what remains on the wire.
GOSSIP_ONLY = {"cluster": {"heartbeat": "10s", "election_timeout": "40s", "lease": "20s"}}


def memory_mib(pid):
    """(resident, proportional)"""
    found = {}
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        for line in file:
            name, _, rest = line.partition(":")
            if name in ("Rss", "Pss"):
                found[name] = int(rest.split()[0]) / 1024
    return found["Rss"], found["Pss"]


def cpu_s(pid):
    """Thread name -> seconds of CPU that those threads have had; the first thread is the loop."""
    found = {}
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/comm", encoding="utf-8") as file:
            name = file.read().strip()
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as file:
            seconds = int(file.read().split()[0]) / 1e9
        name = "loop" if task == str(pid) else "other" if name == "understudyd" else name
        found[name] = found.get(name, 0) + seconds
    return found


def bytes_written(pid):
    """To files, whether they are on the disk already or not."""
    with open(f"/proc/{pid}/io", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("write_bytes"))


def metric(node, name):
    """A figure without labels that the node publishes."""
    with node.inside():
        link = http.client.HTTPConnection("127.0.0.1", node.http_port, timeout=5)
        try:
            link.request("GET", "/metrics")
            text = link.getresponse().read().decode()
        finally:
            link.close()
    return next(float(line.split()[1]) for line in text.splitlines()
                if line.startswith(f"understudy_{name} "))


def durable_writes(node):
    """Counted by the node: each is a write that it waited for until it was on the disk."""
    return metric(node, "storage_writes_total")


def wakeups(pid):
    """Voluntary context switches of all threads: each is a sleep that something ended."""
    count = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status", encoding="ascii") as file:
            count += sum(int(line.split()[1]) for line in file
                         if line.startswith("voluntary_ctxt_switches"))
    return count


def snapshot(cluster, node):
    pid = node.pid("worker")
    threads = cpu_s(pid)
    found = {"at": time.monotonic(), "cpu": sum(threads.values()),
             "wakeups": wakeups(pid), "disk": bytes_written(pid), "syncs": durable_writes(node)}
    found |= {f"cpu of {name}": seconds for name, seconds in threads.items()}
    if cluster.network.counts:
        found["bytes"], found["packets"] = cluster.network.sent(node.number)
    return found


def rest(cluster, nodes, quick, span_s=None):
    """(leader, node name -> what it used in a second); over a minute, unless span_s is given"""
    time.sleep(2 if quick else 30)
    leader, term = cluster.settle(nodes)
    before = {node.name: snapshot(cluster, node) for node in nodes}
    time.sleep(span_s or (3 if quick else 60))
    after = {node.name: snapshot(cluster, node) for node in nodes}
    said = leader.client.data("leader")
    if not said or not said["acting"] or said["term"] != term:
        raise Missed("leadership moved while idle")
    rates = {}
    for node in nodes:
        a, b = before[node.name], after[node.name]
        rates[node.name] = {key: (b[key] - a[key]) / (b["at"] - a["at"])
                            for key in b if key != "at" and key in a}
    return leader, rates


def emit(what, values, unit, cluster, goal=None, note=""):
    rows.emit(rows.make(GROUP, what, values, unit, profile=cluster.profile, goal=goal, note=note))


def by_thread(rates):
    """What the CPU's row adds: the share of each thread that has one."""
    names = sorted({key for rate in rates for key in rate if key.startswith("cpu of ")})
    shares = [(statistics.median(rate.get(name, 0) for rate in rates) * 100,
               name.removeprefix("cpu of ")) for name in names]
    return ", ".join(f"{name} {share:.2f}" for share, name in sorted(shares, reverse=True)
                     if share >= 0.005)


def emit_memory(cluster, nodes):
    node_mib = [memory_mib(node.pid("worker")) for node in nodes]
    parent_mib = [memory_mib(node.pid("node")) for node in nodes]
    emit("node process, resident", [mib[0] for mib in node_mib], "MiB", cluster, 16)
    emit("node process, proportional", [mib[1] for mib in node_mib], "MiB", cluster, 8)
    emit("its parent, proportional", [mib[1] for mib in parent_mib], "MiB", cluster)


def measure(cluster, note, options):
    nodes = cluster.founders
    leader, rates = rest(cluster, nodes, options.quick)
    emit_memory(cluster, nodes)
    followers = [rates[node.name] for node in nodes if node is not leader]
    for name, of, peers in (("follower", followers, 1),
                            ("leader", [rates[leader.name]], len(nodes) - 1)):
        emit(f"{name}, CPU of a core", [rate["cpu"] * 100 for rate in of], "%", cluster, 0.25,
             join_notes(by_thread(of), note))
        emit(f"{name}, wake-ups", [rate["wakeups"] for rate in of], "1/s", cluster)
        emit(f"{name}, bytes written to disk", [rate["disk"] for rate in of], "B/s", cluster)
        emit(f"{name}, durable writes", [rate["syncs"] for rate in of], "1/s", cluster)
        if not cluster.network.counts:
            continue
        emit(f"{name}, sent on the wire" + (" per voter" if peers > 1 else ""),
             [rate["bytes"] / peers for rate in of], "B/s", cluster, 2500,
             join_notes("Ethernet, IP and TCP headers counted", note))
        emit(f"{name}, packets sent" + (" per voter" if peers > 1 else ""),
             [rate["packets"] / peers for rate in of], "1/s", cluster)


def gossip_alone(cluster, note, options):
    if not cluster.network.counts:
        raise Lacking(f"bytes on the wire cannot be counted {note}")
    cluster.join_rest()
    leader, rates = rest(cluster, cluster.nodes, options.quick)
    of = [rates[node.name] for node in cluster.nodes if node is not leader]
    count = len(cluster.nodes)
    emit(f"gossip alone, {count} nodes, sent on the wire", [rate["bytes"] for rate in of], "B/s",
         cluster, 400, "heartbeats of Raft every 10 s; headers counted; all but the leader")
    emit(f"gossip alone, {count} nodes, packets sent", [rate["packets"] for rate in of], "1/s",
         cluster)
    emit(f"{count} nodes, heartbeats of Raft every 10 s, CPU of a core",
         [rate["cpu"] * 100 for rate in of], "%", cluster)


if __name__ == "__main__":
    chosen = begin(__doc__)
    part = Part()
    part.run(GROUP, with_cluster, measure, chosen)
    for nodes_count in (3, MANY):
        if not chosen.quick:
            part.run(f"gossip alone, {nodes_count} nodes",
                     lambda n=nodes_count: with_cluster(gossip_alone, chosen, count=n,
                                                        overlay=GOSSIP_ONLY))
    part.exit()
