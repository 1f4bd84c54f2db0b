#!/usr/bin/env python3
"""Measures how fast leadership moves: crash, crash with the parent, transfer, health.

    tests/bench/failover.py [--trials N] [--json FILE]

Starts three nodes by deploy/quickstart in a folder of its own (profile lan), watches the events of
all nodes over HTTP (server-sent events) from outside, and prints medians and worst values. Times
are CLOCK_BOOTTIME from just before the signal or request until the event arrives here:

    leader    a new leader commits (leader.ready)
    acting    it acts (lease.acquired)
    leaderless  from the old leader's lease.lost to the new one's lease.acquired

Prints; never fails because something was slow.
"""
import argparse
import json
import os
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("UNDERSTUDY_BUILD", ROOT / "build"))
NODES = ("n1", "n2", "n3")
PATIENCE_S = 60
QUIET_S = 1.0  # a healthy cluster is left alone for so long between trials

# Of etcd 3.4 and Keepalived 2.2, three nodes on the same kind of machine, medians in ms.
PEERS = {
    "crash of the node process, leader": "etcd 1247, tuned 127",
    "crash of node and parent, leader": "etcd 1247, tuned 127",
    "transfer, leaderless": "etcd 4.3",
    "health, leader": "Keepalived 283 (advert 0.1 s), 2931 (1 s)",
}


def boottime_ms():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) / 1e6


class Events:
    """Events of every node as they arrive, with the time of arrival."""

    def __init__(self, ports):
        self.rows = []
        self.news = threading.Condition()
        self.stop = False
        for name, port in ports.items():
            threading.Thread(target=self.follow, args=(name, port), daemon=True).start()

    def follow(self, name, port):
        while not self.stop:
            try:
                self.read(name, port)
            except OSError:
                time.sleep(0.02)  # the node is down: its port is tried again

    def read(self, name, port):
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.settimeout(None)
            connection.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            rest = b""
            while chunk := connection.recv(65536):
                arrived = boottime_ms()
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    if line.startswith(b"data:"):
                        self.add(arrived, name, line[5:])

    def add(self, arrived, name, text):
        try:
            event = json.loads(text)["data"]
        except (ValueError, KeyError):
            return
        with self.news:
            self.rows.append((arrived, name, event["kind"], event["term"]))
            self.news.notify_all()

    def wait(self, since, matches):
        """Arrival of the first event after `since` that matches, or None."""
        deadline = time.monotonic() + PATIENCE_S
        with self.news:
            while True:
                for arrived, name, kind, term in self.rows:
                    if arrived >= since and matches(name, kind, term):
                        return arrived
                left = deadline - time.monotonic()
                if left <= 0:
                    return None
                self.news.wait(left)


class Cluster:
    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="understudy-bench-"))
        self.base_port = free_base_port()
        self.started = []
        subprocess.run([ROOT / "deploy/quickstart", "--no-install", "--no-demo", "--dir",
                        self.folder, "--base-port", str(self.base_port)],
                       check=True, stdout=subprocess.DEVNULL)
        self.ports = {n: self.base_port + 10 * (i + 1) + 1 for i, n in enumerate(NODES)}

    def pid(self, node, which):
        return int((self.folder / node / f"{which}.pid").read_text())

    def cli(self, node, *words):
        done = subprocess.run([BUILD / "bin/understudy", "--dir", self.folder / node, "--json",
                               *words], capture_output=True, text=True)
        return json.loads(done.stdout)["data"] if done.returncode == 0 else None

    def leader(self):
        for node in NODES:
            data = self.cli(node, "leader")
            if data and data["leader_acting"]:
                return data["leader"], data["term"]
        return None, 0

    def settled(self):
        """All nodes alive, of one opinion, and the leader acts."""
        opinions = set()
        for node in NODES:
            data = self.cli(node, "status")
            if not data or not data["leader_acting"]:
                return False
            if any(member["state"] != "alive" for member in data["members"]):
                return False
            opinions.add((data["leader"], data["term"]))
        return len(opinions) == 1

    def settle(self):
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if self.settled():
                time.sleep(QUIET_S)
                if self.settled():
                    return
            time.sleep(0.1)
        sys.exit("the cluster did not settle")

    def restart(self, node):
        with open(self.folder / node / "log/console.log", "a") as log:
            self.started.append(subprocess.Popen(
                [BUILD / "bin/understudyd", "--config", self.folder / node / "understudy.yml"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True))

    def close(self):
        subprocess.run([ROOT / "deploy/quickstart", "stop", "--dir", self.folder],
                       stdout=subprocess.DEVNULL)
        for process in self.started:
            process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def free_base_port():
    for base in range(21000, 60000, 100):
        try:
            for offset in (10, 11, 20, 21, 30, 31):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", base + offset))
            return base
        except OSError:
            continue
    sys.exit("no free ports")


def time_election(events, began, term, figures, label):
    for what, kind in (("leader", "leader.ready"), ("acting", "lease.acquired")):
        arrived = events.wait(began, lambda _, k, t, kind=kind: k == kind and t > term)
        if arrived is not None:
            figures.setdefault(f"{label}, {what}", []).append(arrived - began)


def crash(cluster, events, figures, with_parent):
    cluster.settle()
    leader, term = cluster.leader()
    worker, parent = cluster.pid(leader, "worker"), cluster.pid(leader, "node")
    began = boottime_ms()
    if with_parent:
        os.kill(parent, signal.SIGKILL)
    os.kill(worker, signal.SIGKILL)
    label = "crash of node and parent" if with_parent else "crash of the node process"
    time_election(events, began, term, figures, label)
    if with_parent:
        cluster.restart(leader)


def transfer(cluster, events, figures):
    cluster.settle()
    _, term = cluster.leader()
    began = boottime_ms()
    cluster.cli("n1", "leader", "transfer")
    figures.setdefault("transfer, the command", []).append(boottime_ms() - began)
    lost = events.wait(began, lambda _, k, t: k == "lease.lost")
    gained = events.wait(began, lambda _, k, t: k == "lease.acquired" and t > term)
    if lost is not None and gained is not None:
        figures.setdefault("transfer, leaderless", []).append(gained - lost)


def health(cluster, events, figures):
    """From the drop to a new leader: the hold time (3 s) and one sample (1 s) are part of it."""
    cluster.settle()
    leader, term = cluster.leader()
    time.sleep(31)  # the tenure that a leader has at least; the only way to pass it is to wait
    inject = cluster.folder / leader / "health.inject"
    began = boottime_ms()
    inject.write_text("45\n")
    handed = events.wait(began, lambda _, k, t: k == "leader.handover")
    arrived = events.wait(began, lambda _, k, t: k == "leader.ready" and t > term)
    if handed is not None and arrived is not None:
        figures.setdefault("health, decision to leader", []).append(arrived - handed)
        figures.setdefault("health, drop to leader (hold 3 s)", []).append(arrived - began)
    inject.unlink()


def report(figures, target):
    print(f"{'':42} {'median':>8} {'worst':>8} {'n':>3}   peers, median ms")
    table = {}
    for label, values in figures.items():
        table[label] = {"median_ms": round(statistics.median(values), 1),
                        "worst_ms": round(max(values), 1), "trials": len(values)}
        row = table[label]
        print(f"{label:42} {row['median_ms']:8.1f} {row['worst_ms']:8.1f} {row['trials']:3}   "
              f"{PEERS.get(label, '')}")
    if target:
        pathlib.Path(target).write_text(json.dumps(table, indent=1) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--json")
    options = parser.parse_args()
    figures = {}
    cluster = Cluster()
    try:
        events = Events(cluster.ports)
        cluster.settle()
        for _ in range(options.trials):
            crash(cluster, events, figures, with_parent=False)
        for _ in range(options.trials):
            crash(cluster, events, figures, with_parent=True)
        for _ in range(options.trials):
            transfer(cluster, events, figures)
        for _ in range(max(1, options.trials // 10)):
            health(cluster, events, figures)
        events.stop = True
    finally:
        cluster.close()
    report(figures, options.json)


if __name__ == "__main__":
    main()
