"""Hosts on one machine: each a network namespace of its own, on a bridge.

Nothing has a name that others could see and nothing outlives this process, however it ends: the
bridge is in a namespace that this process moves into (enter), every host is a namespace that a
sleeping child holds, and every child gets SIGKILL when this process dies. So the kernel deletes
namespaces, bridge and links by itself. Needs root.
"""

import contextlib
import ctypes
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

CLONE_NEWNS = 0x00020000
CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1
BRIDGE = "br0"
NET = "10.213.77"

libc = ctypes.CDLL(None, use_errno=True)


class Missing(Exception):
    """This machine lacks something; the text says what."""


def die_with_parent():
    """Between fork and exec: the child ends when this process ends, whatever way that is."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def set_network(file):
    if libc.setns(file.fileno(), CLONE_NEWNET) != 0:
        raise Missing(f"setns: {os.strerror(ctypes.get_errno())}")


def ip(*words):
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Missing(f"ip {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


class Network:
    """The bridge and its hosts. To be made in the main thread, before there are others."""

    def __init__(self, count):
        if os.geteuid() != 0:
            raise Missing("network namespaces need root")
        if libc.unshare(CLONE_NEWNET | CLONE_NEWNS) != 0:
            raise Missing(f"no namespaces here: {os.strerror(ctypes.get_errno())}")
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="understudy-peers-"))
        self.hosts = []
        try:
            ip("link", "set", "lo", "up")
            ip("link", "add", BRIDGE, "type", "bridge")
            ip("link", "set", BRIDGE, "addrgenmode", "none", "up")
            ip("address", "add", f"{NET}.254/24", "dev", BRIDGE)
            for number in range(1, count + 1):
                self.hosts.append(Host(number, self.folder))
        except BaseException:
            self.close()
            raise

    def close(self):
        for host in self.hosts:
            host.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class Host:
    """One node's machine: an address, its processes, and its cable."""

    def __init__(self, number, folder):
        self.number = number
        self.name = f"n{number}"
        self.address = f"{NET}.{number}"
        self.folder = folder / self.name
        self.folder.mkdir()
        self.processes = []
        self.port = f"port{number}"
        self.holder = subprocess.Popen(
            ["unshare", "--net", "--mount", "sh", "-c", "echo; exec sleep infinity"],
            stdout=subprocess.PIPE, preexec_fn=die_with_parent)
        self.holder.stdout.readline()  # the namespaces exist from here on
        pid = str(self.holder.pid)
        ip("link", "add", self.port, "type", "veth", "peer", "name", "eth0", "netns", pid)
        ip("link", "set", self.port, "master", BRIDGE, "addrgenmode", "none", "up")
        for words in (["link", "set", "lo", "up"],
                      ["link", "set", "eth0", "addrgenmode", "none", "up"],
                      ["address", "add", f"{self.address}/24", "dev", "eth0"]):
            subprocess.run(self.inside(["ip", *words]), check=True)

    def inside(self, words):
        """The command line that runs words on this host; same process, no shell in between."""
        return ["nsenter", "-t", str(self.holder.pid), "-n", "-m", "--", *words]

    @contextlib.contextmanager
    def entered(self):
        """Sockets that the calling thread makes meanwhile are this host's own."""
        with open("/proc/thread-self/ns/net", "rb") as home, \
                open(f"/proc/{self.holder.pid}/ns/net", "rb") as there:
            set_network(there)
            try:
                yield
            finally:
                set_network(home)

    def run(self, *words):
        subprocess.run(self.inside(words), check=True, stdout=subprocess.DEVNULL)

    def start(self, words, environment=None, **options):
        """Start a program of this node; its output goes to log in the node's folder."""
        with open(self.folder / "log", "ab") as log:
            options = {"stdout": log, "stderr": log, **options}
            process = subprocess.Popen(
                self.inside([str(word) for word in words]), stdin=subprocess.DEVNULL,
                cwd=self.folder, env={**os.environ, **(environment or {})},
                preexec_fn=die_with_parent, **options)
        self.processes.append(process)
        return process

    def pids(self):
        """Processes of this node that live, with the children that they started."""
        found = [process.pid for process in self.processes if process.poll() is None]
        for pid in found:  # grows meanwhile
            for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
                found += map(int, task.read_text().split())
        return found

    def signal(self, number):
        """To what was started here; it tells its children."""
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(number)

    def signal_all(self, number):
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def freeze(self):
        self.signal_all(signal.SIGSTOP)

    def thaw(self):
        self.signal_all(signal.SIGCONT)

    def kill(self):
        self.signal_all(signal.SIGKILL)

    def reap(self):
        """Wait for the end of what was killed or asked to end."""
        for process in self.processes:
            process.wait()
            if process.stdout:
                process.stdout.close()
        self.processes = []

    def cut(self):
        """The cable's other end leaves the bridge; the host keeps its carrier."""
        ip("link", "set", self.port, "nomaster")

    def heal(self):
        ip("link", "set", self.port, "master", BRIDGE)

    def sent(self):
        """Bytes and packets that this host has sent so far, with Ethernet headers."""
        counters = json.loads(ip("-j", "-s", "link", "show", self.port))[0]["stats64"]["rx"]
        return counters["bytes"], counters["packets"]

    def empty(self):
        """An empty folder, as on a new machine."""
        shutil.rmtree(self.folder)
        self.folder.mkdir()

    def close(self):
        self.kill()
        self.reap()
        self.holder.kill()
        self.holder.wait()
        self.holder.stdout.close()
