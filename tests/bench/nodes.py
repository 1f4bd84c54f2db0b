"""A cluster of real nodes to measure, on hosts of network.py; it leaves nothing behind.

Only processes that were started here are ended. The build is build/ of the repository, or
UNDERSTUDY_BUILD.
"""

import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "integration"))

from cluster import (BUILD, ROOT, Skip, alive, free_base_port, kill,  # noqa: E402
                     mentions, process_state, read_pid, wait_until)
from client import Client  # noqa: E402
from network import Lacking  # noqa: E402
from observer import Events, Missed  # noqa: E402

PATIENCE_S = 60
QUIET_S = 1.0  # a healthy cluster is left alone for so long between trials


def hurry():
    """For a smoke test: shorter rests. Voters are silent for a while after their start, so that
    figures are worse."""
    global QUIET_S
    QUIET_S = 0.2


def merge(base, overlay):
    """Maps key by key; anything else replaces."""
    if not isinstance(base, dict) or not isinstance(overlay, dict):
        return overlay
    return {**base, **{key: merge(base.get(key), value) for key, value in overlay.items()}}


class Node:
    def __init__(self, cluster, number):
        self.cluster = cluster
        self.number = number
        self.name = f"n{number}"
        self.folder = os.path.join(cluster.folder, self.name)
        self.config = os.path.join(self.folder, "understudy.yml")
        self.host = cluster.network.host(number)
        self.peer_port = cluster.base_port + 10 * number
        self.http_port = self.peer_port + 1
        self.client = Client(BUILD, f"ipc://{self.folder}/control.sock")
        self.environment = {}  # more of it, for the daemon
        self.process = None  # the parent, as started here

    @property
    def address(self):
        return f"tcp://{self.host}:{self.peer_port}"

    def inside(self):
        return self.cluster.network.inside(self.number)

    def write_config(self, founders, overlay):
        config = {
            "cluster": {"name": "bench", "environment": "production", "node": self.name,
                        "listen": self.address, "advertise": self.address,
                        "peers": {node.name: node.address for node in founders},
                        "profile": self.cluster.profile, "keys": f"{self.folder}/keys"},
            "control": {"listen": f"ipc://{self.folder}/control.sock"},
            "dashboard": {"listen": [f"127.0.0.1:{self.http_port}"]},
            "data_dir": f"{self.folder}/data", "runtime_dir": self.folder,
            "log": {"dir": f"{self.folder}/log"},
            "health": {"inject_file": f"{self.folder}/health.inject"},
            # A busy machine must not move leadership while something else is measured.
            "leadership": {"handover_below": 0},
            "managers": {"pm2": {"enabled": False}}}
        for name in ("log", "data", "keys"):
            os.makedirs(os.path.join(self.folder, name), 0o700, exist_ok=True)
        for path in glob.glob(f"{self.cluster.keys}/*.key") + [
                f"{self.cluster.keys}/{self.name}.key_secret"]:
            shutil.copy2(path, f"{self.folder}/keys")
        with open(self.config, "w", encoding="utf-8") as file:
            json.dump(merge(config, overlay), file, indent=1)  # JSON is YAML

    # -- life --

    def start(self):
        with open(os.path.join(self.folder, "log", "console.log"), "ab") as console, self.inside():
            self.process = subprocess.Popen(
                [f"{BUILD}/bin/understudyd", "--config", self.config], stdin=subprocess.DEVNULL,
                stdout=console, stderr=console, start_new_session=True,
                env={**os.environ, **self.environment})

    def pid(self, which):
        """Of "node" (the watching parent) or "worker" (the node process); None: it is dead."""
        pid = read_pid(os.path.join(self.folder, f"{which}.pid"))
        return pid if pid and alive(pid) and mentions(pid, self.config) else None

    def pids(self):
        """Parent first, so that it cannot speak for the node."""
        return [pid for pid in (self.pid("node"), self.pid("worker")) if pid]

    def reap(self):
        if self.process is not None:
            self.process.poll()

    def gone(self, pids):
        self.reap()
        return not any(alive(pid) for pid in pids)

    def kill_all(self):
        pids = self.pids()
        for pid in pids:
            kill(pid)
        wait_until(lambda: self.gone(pids), f"{self.name} is dead")

    def log_text(self):
        text = ""
        for path in sorted(glob.glob(f"{self.folder}/log/*.log")):
            with open(path, encoding="utf-8", errors="replace") as file:
                text += file.read()
        return text

    def command(self, *words):
        """The command line as a process: (exit code, seconds from fork to its end)."""
        return run_timed([f"{BUILD}/bin/understudy", "--dir", self.folder, *words])


def run_timed(words):
    """Spawn and wait with as little around it as can be; (exit code, seconds)."""
    quiet = [(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0),
             (os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0)]
    began = time.monotonic()
    pid = os.posix_spawn(words[0], words, os.environ, file_actions=quiet)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), time.monotonic() - began


class Cluster:
    """n1..nN on `network`; a context manager. `overlay` is merged into every configuration."""

    def __init__(self, network, count=3, profile="lan", overlay=None):
        require_build()
        self.network = network
        self.profile = profile
        self.overlay = overlay or {}
        self.folder = tempfile.mkdtemp(prefix="us-bench-", dir="/tmp")
        self.keys = os.path.join(self.folder, "keys")
        self.base_port = free_base_port(count)
        self.nodes = [Node(self, i) for i in range(1, count + 1)]
        self.founders = self.nodes[:5 if count >= 5 else 3]
        self.events = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __getitem__(self, name):
        return next(node for node in self.nodes if node.name == name)

    def prepare(self):
        done = subprocess.run([f"{BUILD}/bin/understudy", "--keys", self.keys, "keys", "init",
                               *(node.name for node in self.nodes)], capture_output=True,
                              text=True, check=False)
        if done.returncode != 0:
            raise Lacking(f"keys init: {done.stderr.strip()}")
        for node in self.nodes:
            node.write_config(self.founders, self.overlay)

    def start(self):
        """All founders up, settled and observed."""
        self.prepare()
        for node in self.founders:
            node.start()
        self.events = Events(self.founders)
        self.settle(self.founders)
        return self

    def join_rest(self):
        """The nodes beyond the founders join the running cluster."""
        for node in self.nodes[len(self.founders):]:
            node.start()
            with open(f"{self.keys}/{node.name}.key", encoding="ascii") as file:
                key = next(line.split(": ", 1)[1].strip() for line in file
                           if line.startswith("public: "))
            wait_until(lambda n=node, k=key: self.nodes[0].client.call(
                "join", name=n.name, addr=n.address, pubkey=k)[0] == 0, f"{node.name} joins")
        self.settle(self.nodes)

    # -- rest between trials --

    def opinion(self, nodes):
        """(leader's name, term) that all founders agree on; all `nodes` alive, it acts."""
        found = set()
        for node in (node for node in self.founders if node in nodes):
            data = node.client.data("status")
            if not data or not data["leader_acting"] or not data["quorum"]:
                return None
            alive_names = {row["name"] for row in data["members"] if row["state"] == "alive"}
            if not alive_names.issuperset(node.name for node in nodes):
                return None
            found.add((data["leader"], data["term"]))
        return found.pop() if len(found) == 1 else None

    def settle(self, nodes=None):
        """Wait until all is well and was so for a while; the leader and its term."""
        nodes = nodes or self.founders
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            before = self.opinion(nodes)
            if before and (self.events is None or
                           self.events.connected([node.name for node in self.founders])):
                time.sleep(QUIET_S)
                if self.opinion(nodes) == before:
                    return self[before[0]], before[1]
            time.sleep(0.05)
        raise Missed("the cluster did not settle")

    def others(self, node):
        return [other for other in self.founders if other is not node]

    # -- the end --

    def own_pids(self):
        return [int(entry) for entry in os.listdir("/proc") if entry.isdigit() and
                int(entry) != os.getpid() and mentions(entry, self.folder + "/") and
                process_state(int(entry)) not in (None, "Z", "X")]

    def all_gone(self):
        pids = self.own_pids()
        for pid in pids:
            kill(pid, signal.SIGKILL)
        for node in self.nodes:
            node.reap()
        return not pids

    def close(self):
        if self.events is not None:
            self.events.close()
        for node in self.nodes:
            node.client.close()
        try:
            wait_until(self.all_gone, "all processes are gone", 20)
        finally:
            if os.environ.get("UNDERSTUDY_KEEP"):
                print(f"kept: {self.folder}", file=sys.stderr)
            else:
                shutil.rmtree(self.folder, ignore_errors=True)


def require_build():
    for path in ("bin/understudyd", "bin/understudy", "lib/libunderstudy.so"):
        if not os.access(f"{BUILD}/{path}", os.R_OK):
            raise Lacking(f"{BUILD}/{path} is not there: build first")
