"""Hosts as network namespaces on a switch whose links a test makes slow, lossy, one-way or cut
(link_relay.c). Nothing of it shows on the machine's own network; it is gone when the test is."""

import os
import subprocess

from cluster import BUILD, Skip, check

GOOD = {}


def ip(*words, ok=True):
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    check(not ok or done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}")
    return done.returncode == 0


class Network:
    def __init__(self, count, seed=1):
        if os.geteuid() != 0:
            raise Skip("needs root for network namespaces")
        self.count = count
        self.tag = f"{os.getpid() & 0xfffff:x}"
        self.hub = f"us-hub-{self.tag}"
        self.names = [f"us-n{i}-{self.tag}" for i in range(1, count + 1)]
        self.addresses = [f"10.231.5.{i}" for i in range(1, count + 1)]
        self.relay = None
        try:
            if not ip("netns", "add", self.hub, ok=False):
                raise Skip("this machine has no network namespaces (ip netns add failed)")
            for i in range(1, count + 1):
                self._add_host(i)
            self._start_relay(seed)
        except BaseException:
            self.remove()
            raise

    def _add_host(self, i):
        name = self.names[i - 1]
        ip("netns", "add", name)
        ip("-n", self.hub, "link", "add", f"port{i}", "type", "veth", "peer", "name", "eth0",
           "netns", name)
        # Frames as a wire has them, not 64 KB at once: loss and order count per frame.
        ip("-n", name, "link", "set", "eth0", "gso_max_segs", "1", ok=False)
        ip("-n", self.hub, "link", "set", f"port{i}", "arp", "off", "up")
        ip("-n", name, "link", "set", "lo", "up")
        ip("-n", name, "address", "add", f"{self.addresses[i - 1]}/24", "dev", "eth0")
        ip("-n", name, "link", "set", "eth0", "up")

    def _start_relay(self, seed):
        ports = [f"port{i}" for i in range(1, self.count + 1)]
        self.relay = subprocess.Popen(
            ["ip", "netns", "exec", self.hub, f"{BUILD}/tests/fault/link_relay", str(seed), *ports],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        answer = self.relay.stdout.readline()
        check(answer == "ok\n", f"the relay does not start: {answer}")

    def _command(self, text):
        self.relay.stdin.write(text + "\n")
        self.relay.stdin.flush()
        answer = self.relay.stdout.readline().split()
        check(answer and answer[0] == "ok", f"the relay answers {answer} to {text}")
        return [int(word) for word in answer[1:]]

    # -- faults; hosts count from 1 --

    def link(self, source, target, **quality):
        """delay, jitter (ms), loss, dup (%), late (pair: %, ms), cut (bool) of frames one way."""
        words = []
        for name, value in quality.items():
            values = value if isinstance(value, tuple) else (float(value),)
            words += [name, *(f"{number:g}" for number in values)]
        self._command(" ".join(["link", str(source), str(target), *words]))

    def pairs(self):
        hosts = range(1, self.count + 1)
        return [(a, b) for a in hosts for b in hosts if a != b]

    def all_links(self, **quality):
        for source, target in self.pairs():
            self.link(source, target, **quality)

    def heal(self):
        self.all_links()

    def cut(self, *hosts, outgoing=True, incoming=True):
        """These hosts from all others; among each other they stay connected."""
        for source, target in self.pairs():
            if (source in hosts) != (target in hosts):
                if (outgoing and source in hosts) or (incoming and target in hosts):
                    self.link(source, target, cut=True)

    def count_of(self, source, target):
        """(seen, lost, doubled, late) frames since the start."""
        return self._command(f"count {source} {target}")

    def remove(self):
        if self.relay is not None:
            self.relay.stdin.close()
            self.relay.wait()
            self.relay.stdout.close()
            self.relay = None
        for name in [*self.names, self.hub]:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)
