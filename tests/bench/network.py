"""Hosts for the nodes of a benchmark: network namespaces on a bridge, or this machine's loopback.

Namespaces are what figures of peers are measured in, and needed to cut a node off and to count what
it sends; they need root. The bridge lives in a namespace too, so nothing of this shows on the
machine's network. Observers open their connections inside a node's namespace, over its loopback:
they see a node that is cut off, and add nothing to what is counted on the bridge.
"""

import contextlib
import ctypes
import os
import subprocess

CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


class Lacking(Exception):
    """This machine cannot measure it; the text says why."""


def ip(*words):
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise Lacking(f"ip {' '.join(words)}: {done.stderr.strip()}")


def set_network(descriptor):
    if LIBC.setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


class Loopback:
    """All nodes on 127.0.0.1, told apart by their ports."""

    cuts = False
    counts = False

    def host(self, _):
        return "127.0.0.1"

    @contextlib.contextmanager
    def inside(self, _):
        yield

    def remove(self):
        pass


class Network:
    """A bridge, and a namespace for each of nodes 1..count whose only link is a port of it."""

    cuts = True
    counts = True

    def __init__(self, count):
        if os.geteuid() != 0:
            raise Lacking("needs root for network namespaces")
        tag = f"{os.getpid():x}"
        self.hub = f"us-bench-{tag}"
        self.names = [f"us-bench{i}-{tag}" for i in range(1, count + 1)]
        try:
            ip("netns", "add", self.hub)
            ip("-n", self.hub, "link", "add", "br0", "type", "bridge")
            ip("-n", self.hub, "link", "set", "br0", "up")
            for i, name in enumerate(self.names, 1):
                self.add(i, name)
        except BaseException:
            self.remove()
            raise

    def add(self, i, name):
        ip("netns", "add", name)
        ip("-n", self.hub, "link", "add", f"port{i}", "type", "veth", "peer", "name", "eth0",
           "netns", name)
        # Neighbour discovery of IPv6 is not the node's traffic.
        with self.inside_of(name), open("/proc/sys/net/ipv6/conf/eth0/disable_ipv6", "w",
                                        encoding="ascii") as file:
            file.write("1")
        ip("-n", self.hub, "link", "set", f"port{i}", "master", "br0", "up")
        ip("-n", name, "link", "set", "lo", "up")
        ip("-n", name, "address", "add", f"{self.host(i)}/24", "dev", "eth0")
        ip("-n", name, "link", "set", "eth0", "up")

    def host(self, i):
        return f"10.232.7.{i}"

    @contextlib.contextmanager
    def inside_of(self, name):
        """This thread, and processes that it starts meanwhile, are in that namespace."""
        outside = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            there = os.open(f"/run/netns/{name}", os.O_RDONLY)
            try:
                set_network(there)
            finally:
                os.close(there)
            try:
                yield
            finally:
                set_network(outside)
        finally:
            os.close(outside)

    def inside(self, i):
        return self.inside_of(self.names[i - 1])

    def cut(self, i):
        """The port leaves the bridge: the node keeps its carrier and hears nothing any more."""
        ip("-n", self.hub, "link", "set", f"port{i}", "nomaster")

    def heal(self, i):
        ip("-n", self.hub, "link", "set", f"port{i}", "master", "br0")

    def sent(self, i):
        """(bytes, packets) that node i has put on the wire, headers and all."""
        with self.inside(i), open("/proc/thread-self/net/dev", encoding="ascii") as file:
            for line in file:
                name, _, figures = line.partition(":")
                if name.strip() == "eth0":
                    words = figures.split()
                    return int(words[8]), int(words[9])
        raise Lacking("no eth0 in the namespace")

    def remove(self):
        for name in [*self.names, self.hub]:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)


def best_network(count):
    """(network, why it is only the loopback or "")."""
    try:
        return Network(count), ""
    except (Lacking, OSError) as why:
        return Loopback(), f"on loopback: {why}"
