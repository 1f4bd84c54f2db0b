#!/usr/bin/python3 -B
"""The compose cluster: built, started, its leader's container killed, its containers made anew
with other addresses; asked from outside all the time, over TCP with the operator's key.

Skipped where no Docker engine answers and none can be started (docker_engine.py).
"""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading

from cluster import (BUILD, PATIENCE_S, ROOT, Answer, boot_s, check, history, run, say, wait_until)
from docker_engine import Engine

FILE = os.path.join(ROOT, "deploy", "docker-compose.yml")
IMAGE = "understudy:test"
NAMES = ("n1", "n2", "n3")
ANSWERED = (0, 5)  # exit codes of a status that came, the second one without a quorum
# Nobody there, or too slow; or Docker's proxy accepts for a container that is gone and then hangs
# up, which the client cannot tell from a node that refuses its key.
UNSEEN = (3, 4, 6)


def free_ports():
    """A prefix such that the ports of the compose file that start with it are free."""
    for _ in range(200):
        prefix = str(random.randrange(100, 320))
        held = []
        try:
            for ending in ("11", "12", "21", "22", "31", "32"):
                held.append(socket.socket())
                held[-1].bind(("127.0.0.1", int(prefix + ending)))
            return prefix
        except OSError:
            continue
        finally:
            for sock in held:
                sock.close()
    raise AssertionError("no free ports")


class Container:
    """A node of the compose cluster, as seen from outside."""

    def __init__(self, cluster, name):
        self.cluster = cluster
        self.name = name
        self.endpoint = f"tcp://{name}@127.0.0.1:{cluster.ports}{name[1:]}2"

    # -- the container --

    def id(self):
        done = self.cluster.engine.docker(
            "ps", "--all", "--quiet", "--no-trunc",
            "--filter", f"label=com.docker.compose.project={self.cluster.project}",
            "--filter", f"label=com.docker.compose.service={self.name}",
            "--filter", "label=com.docker.compose.oneoff=False")
        found = done.stdout.split()
        check(len(found) == 1, f"{self.name} has containers {found}")
        return found[0]

    def inspect(self):
        return json.loads(self.cluster.engine.docker("inspect", self.id()).stdout)[0]

    def address(self):
        networks = self.inspect()["NetworkSettings"]["Networks"]
        check(len(networks) == 1, f"networks of {self.name}: {list(networks)}")
        return next(iter(networks.values()))["IPAddress"]

    def inside(self, script):
        """Output of a shell command in the container."""
        return self.cluster.engine.docker("exec", self.id(), "sh", "-c", script).stdout

    # -- questions from outside --

    def cli(self, *words, timeout="10s", keys=None):
        command = [f"{BUILD}/bin/understudy", "--endpoint", self.endpoint, "--keys",
                   keys or self.cluster.keys, "--timeout", timeout, "--json", *words]
        return Answer(subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S,
                                     stdin=subprocess.DEVNULL, check=False))

    def status(self):
        return self.cli("status").data


class Cluster:
    """n1..n3 under a project name of its own; a context manager that leaves nothing behind."""

    def __init__(self, engine):
        self.engine = engine
        self.folder = tempfile.mkdtemp(prefix="us-compose-", dir="/tmp")
        self.keys = os.path.join(self.folder, "operator")
        self.project = f"us{os.getpid()}"
        self.ports = free_ports()
        self.files = ["--file", FILE]
        self.command = engine.compose_command()
        self.environment = dict(engine.environment, UNDERSTUDY_IMAGE=IMAGE,
                                UNDERSTUDY_PORTS=self.ports, COMPOSE_INTERACTIVE_NO_CLI="1")
        self.dummies = []
        self.volumes = self.all_volumes()
        self.nodes = [Container(self, name) for name in NAMES]

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is not None:
                self.tell_logs()
        finally:
            self.end()

    def __getitem__(self, name):
        return self.nodes[NAMES.index(name)]

    def compose(self, *words, patience_s=300):
        done = subprocess.run([*self.command, "--project-name", self.project, *self.files, *words],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=patience_s, check=False, env=self.environment)
        check(done.returncode == 0, f"compose {' '.join(words)}: exit {done.returncode}: "
              f"{done.stderr[-2000:]}")
        return done

    def all_volumes(self):
        return set(self.engine.docker("volume", "ls", "--quiet").stdout.split())

    def up(self, *services):
        self.compose("up", "--detach", "--no-build", *services)

    def export_key(self):
        """As the head of the compose file says."""
        done = self.compose("ps", "-aq", "keys")
        self.engine.docker("cp", f"{done.stdout.strip()}:/keys/operator", self.keys)

    def wait_leader(self, among=None, above_term=0):
        """The acting leader whom all of `among` name; its term is above `above_term`."""
        nodes = list(among or self.nodes)

        def agreed():
            documents = [node.status() for node in nodes]
            check(all(documents), "a node does not answer")
            leaders = {document["leader"] for document in documents}
            check(len(leaders) == 1 and None not in leaders, f"leaders {leaders}")
            leader = self[leaders.pop()]
            check(leader in nodes, f"{leader.name} is not there, but leads")
            document = documents[nodes.index(leader)]
            check(document["acting"] and document["term"] > above_term,
                  f"acting {document['acting']} in term {document['term']}")
            for document in documents:
                states = {row["name"]: row["state"] for row in document["members"]}
                check(sum(state == "alive" for state in states.values()) >= len(nodes),
                      f"members {states}")
            return leader

        return wait_until(agreed, "all name one acting leader", pause_s=0.05)

    def dummy(self, network):
        """Something else that takes the next address of the network."""
        done = self.engine.docker("run", "--detach", "--network", network, "--entrypoint", "sleep",
                                  "--no-healthcheck", IMAGE, "infinity")
        self.dummies.append(done.stdout.strip())

    def drop_dummies(self):
        if self.dummies:
            self.engine.docker("rm", "--force", "--volumes", *self.dummies)
            self.dummies = []

    def tell_logs(self):
        try:
            say(self.engine.docker("ps", "--all").stdout)
            say(self.compose("logs", "--no-color", "--tail", "60").stdout)
        except (AssertionError, OSError, subprocess.SubprocessError) as error:
            say(f"no logs: {error}")

    def end(self):
        try:
            self.drop_dummies()
            self.compose("down", "--volumes", "--timeout", "5")
            left = self.engine.docker(
                "ps", "--all", "--quiet", "--filter",
                f"label=com.docker.compose.project={self.project}").stdout.split()
            left += self.engine.docker("network", "ls", "--quiet", "--filter",
                                       f"name={self.project}_").stdout.split()
            # Somebody else may use an engine that is not ours, and make volumes meanwhile.
            left += [name for name in self.all_volumes() - self.volumes
                     if self.engine.own or name.startswith(self.project)]
            check(not left, f"compose down left {left}")
            if not self.engine.own:
                self.engine.docker("image", "rm", IMAGE)
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)


class StatusWatch:
    """Asks every node for its status all the time and keeps what came."""

    def __init__(self, cluster):
        self.rows = []  # (begin, end, node name, exit code, data or None)
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(node,), daemon=True)
                        for node in cluster.nodes]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def _run(self, node):
        while not self.stopping.wait(0.05):
            begin = boot_s()
            answer = node.cli("status", timeout="15s")
            with self.lock:
                self.rows.append((begin, boot_s(), node.name, answer.exit, answer.data))

    def since(self, at, *names):
        with self.lock:
            return [row for row in self.rows if row[0] >= at and row[2] in names]

    def first_leader(self, at, names, above_term):
        """When one of `names` was first seen to name a leader of a newer term."""
        return min((row[1] for row in self.since(at, *names)
                    if row[4] and row[4]["leader"] and row[4]["term"] > above_term), default=None)

    def check_answered(self, at, *names):
        """Each of `names` was there all the time since then."""
        wait_until(lambda: {row[2] for row in self.since(at, *names)} == set(names),
                   f"{names} were asked")
        rows = self.since(at, *names)
        silent = [row for row in rows if row[3] not in ANSWERED]
        check(not silent, f"no answers to {len(silent)} of {len(rows)} questions: {silent[:3]}")

    def verify(self):
        """No answer but a status or silence, and no two leaders in one term."""
        rows = self.since(0.0, *NAMES)
        strange = [row[:4] for row in rows if row[3] not in ANSWERED + UNSEEN]
        check(not strange, f"strange answers: {strange[:5]}")
        leaders = {}
        for _, _, name, _, data in rows:
            if data and data["leader"]:
                known = leaders.setdefault(data["term"], data["leader"])
                check(known == data["leader"], f"{name} says that {data['leader']} leads term "
                      f"{data['term']}, another one said {known}")
        return len(rows), sum(row[3] in ANSWERED for row in rows)


# ---- what is tested ----


def check_container(node):
    facts = node.inspect()
    check(facts["Config"]["User"] == "10001:10001", f"user {facts['Config']['User']!r}")
    check(facts["Config"]["StopSignal"] == "SIGTERM", "stop signal")
    check(facts["HostConfig"]["ReadonlyRootfs"], "its root can be written")
    for port, bindings in facts["NetworkSettings"]["Ports"].items():
        check(all(row["HostIp"] == "127.0.0.1" for row in bindings or []),
              f"port {port} is published on {bindings}")
    check(node.inside("cat /proc/1/comm; id -u").split() == ["understudyd", "10001"],
          "process 1 is not the daemon under its user")
    wait_until(lambda: node.inspect()["State"]["Health"]["Status"] == "healthy",
               f"the health check of {node.name} is content", pause_s=0.5)
    # No node may read another one's secret.
    secrets = node.inside("ls /etc/understudy/keys/*_secret").split()
    check(secrets == [f"/etc/understudy/keys/{node.name}.key_secret"], f"secrets: {secrets}")


def check_image(engine):
    facts = json.loads(engine.docker("image", "inspect", IMAGE).stdout)[0]["Config"]
    check(set(facts["Volumes"]) == {"/var/lib/understudy"}, f"volumes {facts['Volumes']}")
    check(facts["Entrypoint"] == ["understudyd"], f"entry point {facts['Entrypoint']}")
    check(facts["Labels"].get("org.opencontainers.image.title") == "Understudy",
          f"labels {facts['Labels']}")


def check_strangers(cluster):
    """Another operator's key is refused, though it knows the nodes' public keys."""
    keys = os.path.join(cluster.folder, "stranger")
    made = subprocess.run([f"{BUILD}/bin/understudy", "--keys", keys, "keys", "init", "other"],
                          capture_output=True, check=False)
    check(made.returncode == 0, f"keys init: {made.stderr}")
    os.unlink(os.path.join(keys, "other.key"))
    os.unlink(os.path.join(keys, "other.key_secret"))
    for name in NAMES:
        shutil.copy2(os.path.join(cluster.keys, f"{name}.key"), keys)
    answer = cluster["n1"].cli("status", keys=keys)
    check(answer.exit == 6, f"a stranger is answered: {answer}")


def check_keys_stay(cluster):
    """The one-shot service may run again: the same keys."""
    before = cluster["n1"].inside("cat /etc/understudy/keys/*")
    cluster.compose("run", "--rm", "-T", "keys", *NAMES)
    check(cluster["n1"].inside("cat /etc/understudy/keys/*") == before, "keys have changed")


def zombies(node):
    return node.inside("cat /proc/[0-9]*/stat 2>/dev/null | grep -F ') Z ' || true").split("\n")[:-1]


def check_reaping(node):
    """Process 1 adopts what others leave behind, and reaps it."""
    node.inside("(exec sleep 0.05) & (exec sleep 0.05) & exit 0")
    wait_until(lambda: "sleep" not in node.inside("cat /proc/[0-9]*/comm") and not zombies(node),
               f"{node.name} has reaped two orphans", 20, pause_s=0.1)


def others(cluster, node):
    return [other for other in cluster.nodes if other is not node]


def kill_leader(cluster, watch):
    """docker kill -s KILL; the others lead on. Then it comes back with its state."""
    leader = cluster.wait_leader()
    survivors = others(cluster, leader)
    names = [node.name for node in survivors]
    term = leader.status()["term"]
    at = boot_s()
    cluster.engine.docker("kill", "--signal", "KILL", leader.id())
    killed_at = boot_s()
    check(not leader.inspect()["State"]["Running"], f"{leader.name} lives")
    successor = cluster.wait_leader(among=survivors, above_term=term)
    seen_at = wait_until(lambda: watch.first_leader(at, names, term), "the watch sees a leader")
    watch.check_answered(at, *names)
    entry = min((entry for entry in history(successor) if entry["term"] > term),
                key=lambda entry: entry["term"])
    cluster.up()
    now = cluster.wait_leader()
    check(now.status()["term"] == successor.status()["term"],
          "the one that came back disturbed the leader")
    say(f"docker kill of {leader.name} (took {1000 * (killed_at - at):.0f} ms): a new leader is "
        f"seen from outside {1000 * (seen_at - at):.0f} ms after the command began; history: "
        f"{entry['cause']}/{entry['proof']}, elected {entry['elected_ms']} ms, acting "
        f"{entry['acting_ms']} ms")


def crash_and_restart(cluster):
    """Process 1 dies by itself (kill -9 from the host): the restart policy brings it back."""
    if os.geteuid() != 0:
        say("not root: process 1 of a container is not killed from the host")
        return
    leader = cluster.wait_leader()
    term = leader.status()["term"]
    before = leader.inspect()
    os.kill(before["State"]["Pid"], signal.SIGKILL)
    wait_until(lambda: leader.inspect()["RestartCount"] > before["RestartCount"]
               and leader.inspect()["State"]["Running"], "Docker has started it again",
               pause_s=0.1)
    cluster.wait_leader(above_term=term)


def without_quorum(cluster):
    """Two containers stopped: the last one says so, and its health check is content all the same."""
    leader = cluster.wait_leader()
    term = leader.status()["term"]
    last, *rest = others(cluster, leader) + [leader]
    started = last.inspect()["State"]["StartedAt"]
    cluster.compose("stop", "--timeout", "40", *(node.name for node in rest))
    codes = [node.inspect()["State"]["ExitCode"] for node in rest]
    check(codes == [0, 0], f"stopped nodes ended with {codes}")
    wait_until(lambda: last.cli("status").exit == 5, "the last one tells that there is no quorum")
    probe = last.inspect()["Config"]["Healthcheck"]["Test"]
    check(probe[0] == "CMD", f"the health check is {probe}")
    cluster.engine.docker("exec", last.id(), *probe[1:])
    check(last.inspect()["State"]["StartedAt"] == started, "the last one was started again")
    cluster.up()
    cluster.wait_leader(above_term=term)


def recreate_one(cluster, node, watch):
    """Its container goes, something else takes its address, it comes back under its name."""
    facts = node.inspect()
    network = next(iter(facts["NetworkSettings"]["Networks"]))
    before, applied = node.address(), node.status()["applied_index"]
    leader = cluster.wait_leader()
    term = leader.status()["term"]
    at = boot_s()
    for _ in range(4):
        cluster.engine.docker("rm", "--force", node.id())
        cluster.dummy(network)
        cluster.up(node.name)
        if node.address() != before:
            break
    check(node.address() != before, f"{node.name} is at {before} again and again")
    cluster.wait_leader(above_term=term if node is leader else 0)
    watch.check_answered(at, *(other.name for other in others(cluster, node)))
    check(node.status()["applied_index"] >= applied, f"{node.name} has lost its state")
    say(f"{node.name}{' (the leader)' if node is leader else ''} moved from {before} to "
        f"{node.address()}; all is well {boot_s() - at:.1f} s after its container was removed")


def recreate_all(cluster):
    """Everything made anew on another network: only names, keys and volumes stay."""
    leader = cluster.wait_leader()
    term, applied = leader.status()["term"], leader.status()["applied_index"]
    terms = {entry["term"] for entry in history(leader)}
    before = {node.name: node.address() for node in cluster.nodes}
    cluster.drop_dummies()
    cluster.compose("down", "--timeout", "40")
    subnet = f"10.214.{random.randrange(1, 255)}"
    overlay = os.path.join(cluster.folder, "subnet.yml")
    with open(overlay, "w", encoding="utf-8") as file:
        file.write("networks:\n  cluster:\n    ipam:\n      config:\n"
                   f"        - subnet: {subnet}.0/24\n")
    cluster.files += ["--file", overlay]
    at = boot_s()
    cluster.up()
    up_s = boot_s() - at
    leader = cluster.wait_leader(above_term=term)
    after = {node.name: node.address() for node in cluster.nodes}
    check(all(address.startswith(subnet + ".") for address in after.values()), f"now at {after}")
    check(leader.status()["applied_index"] > applied, "entries were lost")
    check({entry["term"] for entry in history(leader)} >= terms, "history was lost")
    say(f"all three moved from {before} to {after}: up took {up_s:.1f} s, a leader acts after "
        f"{boot_s() - at:.1f} s")


def compose():
    with Engine() as engine:
        at = boot_s()
        engine.build(IMAGE)
        say(f"the image is built ({boot_s() - at:.1f} s)")
        with Cluster(engine) as cluster:
            check_image(engine)
            cluster.up()
            cluster.export_key()
            cluster.wait_leader()
            say(f"three containers have an acting leader ({boot_s() - at:.1f} s)")
            for node in cluster.nodes:
                check_container(node)
            check_strangers(cluster)
            check_keys_stay(cluster)
            for node in cluster.nodes:
                check_reaping(node)
            with StatusWatch(cluster) as watch:
                for _ in range(2):
                    kill_leader(cluster, watch)
                crash_and_restart(cluster)
                without_quorum(cluster)
                leader = cluster.wait_leader()
                for node in (others(cluster, leader)[0], leader):
                    recreate_one(cluster, node, watch)
                recreate_all(cluster)
            asked, answered = watch.verify()
            say(f"asked for status {asked} times from outside, {answered} answers")


if __name__ == "__main__":
    run(compose)
