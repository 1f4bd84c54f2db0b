#!/usr/bin/python3 -B
"""What does not belong here: foreign keys, forged senders, other clusters, random bytes.

Each is refused, counted, logged a bounded number of times, and changes nothing.
"""

import glob
import hashlib
import os
import random
import shutil
import socket
import struct

from cluster import Cluster, Skip, boot_s, check, run, say, wait_until

try:
    import msgpack
    import zmq
except ImportError:
    zmq = None

FRAMES = 500
NOISY = 30  # connections of noise to each port
GOSSIP, RAFT, HELLO, UNKNOWN_KIND = 1, 2, 12, 99
RNG = random.Random()


def raft_id(public_key):
    """The id that a key stands for: the last 8 bytes of SHA-1 over the key and a zero."""
    digest = hashlib.sha1(public_key.encode() + struct.pack(">Q", 0)).digest()
    return struct.unpack("<Q", digest[12:])[0]


def cluster_id(name, environment):
    value = 0xcbf29ce484222325
    for byte in name.encode() + b"\0" + environment.encode() + b"\0":
        value = ((value ^ byte) * 0x100000001b3) & (1 << 64) - 1
    return (value ^ value >> 32) & 0xffffffff or 1


def frame(sender, kind=GOSSIP, payload=b"", cluster=None, sequence=0, version=1):
    cluster = cluster_id("demo", "production") if cluster is None else cluster
    return msgpack.packb([version, kind, cluster, sender, sequence, payload])


def noise(most):
    return RNG.randbytes(RNG.randrange(1, most))


class Peer:
    """A DEALER with a key of its own against a node's peer or control port."""

    def __init__(self, endpoint, server_key, pair):
        self.socket = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 2000)
        self.socket.setsockopt(zmq.SNDTIMEO, 5000)
        self.socket.setsockopt(zmq.SNDHWM, 100000)
        self.socket.curve_serverkey = server_key.encode()
        self.socket.curve_publickey, self.socket.curve_secretkey = pair
        self.monitor = self.socket.get_monitor_socket(
            zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_HANDSHAKE_FAILED_AUTH |
            zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL |
            zmq.EVENT_DISCONNECTED)
        self.socket.connect(endpoint)

    def admitted(self):
        check(self.monitor.poll(20000), "no end of the handshake")
        event = struct.unpack("=hi", self.monitor.recv_multipart()[0])[0]
        return event == zmq.EVENT_HANDSHAKE_SUCCEEDED

    def send_unless_refused(self, payload):
        try:
            self.socket.send(payload, zmq.DONTWAIT)
        except zmq.Again:
            pass  # a refused connection has no pipe any more, and sending would wait for another

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.disable_monitor()
        self.socket.close()


def pair_of(cluster, name):
    return cluster.public_key(name).encode(), cluster.secret_key(name).encode()


def refused_sum(node, cause=None):
    name = "understudy_peer_refused_total"
    return sum(value for key, value in node.metrics().items()
               if key.startswith(name) and (cause is None or cause in key))


class Scene:
    """The cluster under attack, and what must not change."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.leader = cluster.wait_leader()
        self.follower = next(node for node in cluster.nodes if node is not self.leader)
        self.term = self.leader.status()["term"]
        self.workers = {node.name: node.worker() for node in cluster.nodes}
        self.members = self.roster()

    def roster(self):
        return {(row["name"], row["address"], row["role"]) for row in
                self.leader.status()["members"]}

    def unchanged(self, after):
        for node in self.cluster.nodes:
            check(node.worker() == self.workers[node.name], f"{node.name} died of {after}")
            check(node.http("/livez")[0] == 200, f"{node.name} hangs after {after}")
        leader = self.cluster.wait_leader()
        check(leader is self.leader, f"the leader changed after {after}")
        check(leader.status()["term"] == self.term, f"the term changed after {after}")
        check(self.roster() == self.members, f"the roster changed after {after}: {self.roster()}")

    def attack(self, what, act, counter, log_event=None, least=1):
        """Run it; the leader's counter must grow by `least`, its log by a bounded number."""
        before = counter(self.leader)
        size = self.leader.log_bytes()
        lines = self.leader.log_text().count(f"event={log_event}")
        begun = boot_s()
        act()
        wait_until(lambda: counter(self.leader) >= before + least, f"{what} is counted")
        grown = counter(self.leader) - before
        told = 0
        if log_event is not None:
            told = wait_until(lambda: self.leader.log_text().count(f"event={log_event}") - lines,
                              f"{what} is logged")
        elapsed = boot_s() - begun
        check(told <= elapsed + 2, f"{what}: {told} log lines in {elapsed:.1f} s")
        check(self.leader.log_bytes() - size < 20000 + 4000 * elapsed, f"{what} floods the log")
        self.unchanged(what)
        say(f"{what}: counted {grown:.0f}, {told} log lines in {elapsed:.1f} s")


def unknown_keys(scene):
    node = scene.leader
    server_key = scene.cluster.public_key(node.name)

    def knock():
        for _ in range(30):
            with Peer(node.address, server_key, zmq.curve_keypair()) as peer:
                peer.send_unless_refused(
                    frame(raft_id(scene.cluster.public_key(scene.follower.name))))
                check(not peer.admitted(), "an unknown key is admitted")

    refused = "understudy_keys_refused_total"
    scene.attack("30 connections with unknown keys", knock, lambda n: n.metrics()[refused],
                 "keys.connection_refused", least=30)
    # An operator's key is no node's.
    operator = pair_of(scene.cluster, "operator")

    def operator_knocks():
        with Peer(node.address, server_key, operator) as peer:
            check(not peer.admitted(), "an operator's key opens the peers' port")

    scene.attack("an operator's key on the peers' port", operator_knocks,
                 lambda n: n.metrics()[refused])


def forged_senders(scene):
    cluster, node = scene.cluster, scene.leader
    own = raft_id(cluster.public_key(scene.follower.name))
    third = next(other for other in cluster.nodes if other not in (node, scene.follower))
    others = [raft_id(cluster.public_key(third.name)), raft_id(cluster.public_key(node.name)), 0, 7]
    with Peer(node.address, cluster.public_key(node.name),
              pair_of(cluster, scene.follower.name)) as peer:
        check(peer.admitted(), "a node's key is refused")

        # The positive control: with its own id the same frames pass, and a jump of its sequence
        # is seen as missing frames.
        refused, gaps = refused_sum(node), node.metrics()["understudy_peer_gaps_total"]
        peer.socket.send(frame(own, UNKNOWN_KIND, sequence=1))
        peer.socket.send(frame(own, UNKNOWN_KIND, sequence=1001))
        wait_until(lambda: node.metrics()["understudy_peer_gaps_total"] > gaps + 900,
                   "an honest frame is accepted")
        check(refused_sum(node) == refused, "an honest frame is refused")

        def forge():
            for i in range(FRAMES):
                claimed = others[i % len(others)]
                peer.socket.send(frame(claimed, 1 + i % HELLO, noise(200), sequence=i))

        scene.attack(f"{FRAMES} frames with forged senders", forge,
                     lambda n: refused_sum(n, "forged"), "transport.frame.forged", least=FRAMES)

        def stray():
            for i in range(FRAMES):
                foreign = RNG.randrange(1, 99)
                peer.socket.send(frame(own, 1 + i % HELLO, noise(200), cluster=foreign))

        scene.attack(f"{FRAMES} frames of another cluster", stray,
                     lambda n: refused_sum(n, "wrong_cluster"), "transport.frame.wrong_cluster",
                     least=FRAMES)

        def garble():
            for i in range(FRAMES):
                good = frame(own, 1 + i % HELLO, noise(200))
                bad = (noise(300), good[:-1], frame(own, version=2), msgpack.packb([1, 2]),
                       frame(own, 0), msgpack.packb({"v": 1}))[i % 6]
                peer.socket.send(bad)
            peer.socket.send_multipart([b"", frame(own), b"more"])

        # Of random bytes a few could be a frame; by far most cannot.
        scene.attack(f"{FRAMES} malformed frames", garble, lambda n: refused_sum(n, "malformed"),
                     "transport.frame.malformed", least=FRAMES * 0.9)

        def rave():
            for i in range(FRAMES):
                peer.socket.send(frame(own, 1 + i % HELLO, noise(2000)))

        # Each kind's own decoder refuses it; that a few mean something harmless is allowed.
        scene.attack(f"{FRAMES} frames of every kind with noise as payload", rave, refused_sum,
                     least=FRAMES / 2)


def foreign_daemon(scene, what, counter, keys=None, name="n2", **identity):
    """A whole daemon that takes itself for node `name` of this cluster."""
    with Cluster(count=3) as intruder:
        if keys is None:
            intruder.make_keys(*(node.name for node in intruder.nodes))
        else:
            intruder.keys = keys
        own = intruder[name]
        own.take_keys()
        for node in scene.cluster.nodes:  # public keys are no secret
            if node.name != name:
                shutil.copy2(f"{scene.cluster.keys}/{node.name}.key", own.keys_folder())
        own.write_config([own if node.name == name else node for node in scene.cluster.nodes],
                         **identity)

        def come():
            own.start()
            wait_until(own.worker, "the intruder runs")

        scene.attack(what, come, counter, least=2)
        status = own.cli("status")
        check(status.exit == 5 and status.data["quorum"] is False, f"the intruder: {status}")
        scene.unchanged(what)


def foreign_daemons(scene):
    cluster = scene.cluster
    other = next(node for node in cluster.nodes if node is not scene.leader)
    foreign_daemon(scene, "a node with an unknown key",
                   lambda n: n.metrics()["understudy_keys_refused_total"], name=other.name)
    for identity in ({"environment": "staging"}, {"cluster_name": "other"}):
        foreign_daemon(scene, f"a node's key in another {list(identity)[0]}",
                       lambda n: refused_sum(n, "wrong_cluster"), keys=cluster.keys,
                       name=other.name, **identity)


def pour(family, kind, address, packets):
    """Random bytes into one socket; how much was taken."""
    taken = 0
    with socket.socket(family, kind) as sock:
        sock.settimeout(5)
        try:
            sock.connect(address)
            for _ in range(packets):
                taken += sock.send(noise(4000))
        except OSError:
            pass  # closed in our face, as it should be
    return taken


def connections_refused(node, port):
    return sum(value for key, value in node.metrics().items()
               if key.startswith("understudy_connections_refused_total") and port in key)


def counted(node, before):
    """How many connections of noise each port counted since."""
    return {port: connections_refused(node, port) - before[port] for port in ("peers", "control")} | {
        "http": node.metrics()["understudy_http_refused_total"] - before["http"]}


def random_bytes(scene):
    for node in scene.cluster.nodes:
        sent = {}
        names = ("understudy_guard_refused_total", "understudy_http_refused_total")
        before = node.metrics()
        zero = {"peers": 0, "control": 0, "http": 0}
        counts = counted(node, zero)
        ports = {"peer": node.peer_port, "http": node.http_port, "control": node.control_port}
        for name, port in ports.items():
            sent[name] = sum(pour(socket.AF_INET, socket.SOCK_STREAM, (node.host, port), 20)
                             for _ in range(NOISY))
        for path in sorted(glob.glob(f"{node.folder}/*.sock")):
            for kind in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET):
                sent[f"{os.path.basename(path)}/{kind.name}"] = sum(
                    pour(socket.AF_UNIX, kind, path, 20) for _ in range(30))
        for name in ("peer", "http", "control", "control.sock/SOCK_STREAM",
                     "guard.sock/SOCK_SEQPACKET"):
            check(sent.get(name, 0) > 0, f"{name} took nothing: {sent}")
        wait_until(lambda n=node, b=before: n.metrics()[names[0]] > b[names[0]],
                   "packets of noise to the guards' socket are counted")
        wait_until(lambda n=node, c=counts: min(counted(n, c).values()) >= NOISY,
                   "each connection of noise is counted")
        say(f"random bytes to {node.name}, taken: "
            f"{ {name: taken for name, taken in sent.items() if taken} }, counted: "
            f"{ {name: node.metrics()[name] - before[name] for name in names} }, connections: "
            f"{counted(node, counts)}")
    scene.unchanged("random bytes on every port")


def garbled_requests(scene):
    node = scene.leader
    sock = zmq.Context.instance().socket(zmq.DEALER)
    sock.setsockopt(zmq.LINGER, 2000)
    sock.connect(f"ipc://{node.folder}/control.sock")

    def garble():
        for _ in range(FRAMES):
            sock.send_multipart([b"", noise(300)])
            sock.send_multipart([noise(10)] * RNG.randrange(1, 5))

    scene.attack(f"{2 * FRAMES} malformed control requests", garble,
                 lambda n: n.metrics()["understudy_control_refused_total"], least=FRAMES)
    sock.close()
    refused = "understudy_keys_refused_total"

    def knock():
        with Peer(f"tcp://{node.host}:{node.control_port}", scene.cluster.public_key(node.name),
                  zmq.curve_keypair()) as peer:
            check(not peer.admitted(), "an unknown key is admitted to the control port")

    scene.attack("an unknown key on the control port", knock, lambda n: n.metrics()[refused])


def hostile():
    if zmq is None:
        raise Skip("python3-zmq or python3-msgpack is not installed")
    with Cluster(extra="leadership: {handover_below: 0}\n", tcp_control=True) as cluster:
        cluster.start()
        scene = Scene(cluster)
        sizes = {node.name: node.log_bytes() for node in cluster.nodes}
        begun = boot_s()
        unknown_keys(scene)
        forged_senders(scene)
        foreign_daemons(scene)
        random_bytes(scene)
        garbled_requests(scene)
        elapsed = boot_s() - begun
        for node in cluster.nodes:
            grown = node.log_bytes() - sizes[node.name]
            check(grown < 20000 + 3000 * elapsed, f"the log of {node.name} grew by {grown} bytes")
            say(f"the log of {node.name} grew by {grown} bytes in {elapsed:.0f} s")


if __name__ == "__main__":
    run(hostile)
