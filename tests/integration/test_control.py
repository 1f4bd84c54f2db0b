#!/usr/bin/python3 -B
"""Control protocol and command line against a running cluster: envelopes, codes, streams."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading

from cluster import BUILD, Answer, Cluster, Skip, check, kill, run, say, wait_until

try:
    import msgpack
    import zmq
except ImportError:
    zmq = None

TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
ENVELOPE = {"schema", "time", "node", "cluster", "term", "stale", "data"}
STATUS = {"leader": str, "term": int, "quorum": bool, "acting": bool, "leader_acting": bool,
          "health": dict, "members": list, "managers": list, "duties": list, "alerts": dict,
          "uptime_s": int}
MEMBER = {"name": str, "address": str, "state": str, "role": str, "version": str}
HEALTH = {"node", "system", "state", "emergency", "last_full_check", "last_audit"}
HISTORY = {"term": int, "node": str, "cause": str, "proof": str, "detected_ms": int,
           "elected_ms": int, "acting_ms": int}
EVENT = {"time": str, "node": str, "term": int, "kind": str, "level": str, "message": str}


def check_types(document, types, what):
    for key, kind in types.items():
        check(isinstance(document.get(key), kind), f"{what}: {key} is {document.get(key)!r}")


def check_envelope(envelope, verb, node, stale=(False,)):
    check(ENVELOPE <= set(envelope), f"{verb}: {envelope}")
    check(envelope["schema"] == f"understudy.{verb}/1", f"{verb}: schema {envelope['schema']}")
    check(TIME.match(envelope["time"]), f"{verb}: time {envelope['time']}")
    check(envelope["node"] == node and envelope["cluster"] == "demo", f"{verb}: {envelope}")
    check(isinstance(envelope["term"], int) and envelope["stale"] in stale, f"{verb}: {envelope}")


def check_error(answer, code, exit_code, what):
    check(answer.exit == exit_code, f"{what}: {answer}")
    check(answer.stdout == "", f"{what}: an error writes to stdout: {answer}")
    error = answer.error
    check(error is not None and error["schema"] == "understudy.error/1" and
          error["exit"] == exit_code and {"code", "message", "hint"} <= set(error),
          f"{what}: {answer}")
    check(code is None or error["code"] == code, f"{what}: {error}")


class Client:
    def __init__(self, endpoint):
        self.socket = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.RCVTIMEO, 60000)
        self.socket.connect(endpoint)
        self.number = 0

    def send(self, verb, number=None, **args):
        if number is None:
            self.number += 1
            number = self.number
        request = {"v": 1, "id": number, "verb": verb, "args": args}
        self.socket.send_multipart([b"", msgpack.packb(request)])
        return number

    def receive(self):
        empty, payload = self.socket.recv_multipart()
        check(empty == b"", "the first frame is not empty")
        reply = msgpack.unpackb(payload)
        check(reply["v"] == 1 and {"id", "ok", "more"} <= set(reply), f"{reply}")
        return reply

    def ask(self, verb, **args):
        number = self.send(verb, **args)
        reply = self.receive()
        check(reply["id"] == number and reply["more"] is False, f"{verb}: {reply}")
        return reply


def protocol(cluster, leader):
    client = Client(f"ipc://{leader.folder}/control.sock")
    reply = client.ask("status")
    check(reply["ok"] is True, f"{reply}")
    check_envelope(reply["result"], "status", leader.name)
    check_types(reply["result"]["data"], STATUS, "status")
    for verb, code, exit_code in (("no such verb", None, 2), ("report list", None, 2),
                                  ("status now", None, 2)):
        reply = client.ask(verb)
        check(reply["ok"] is False and reply["error"]["exit"] == exit_code, f"{verb}: {reply}")
        check(set(reply["error"]) >= {"code", "exit", "message", "hint"}, f"{verb}: {reply}")
    check("not in this version" in client.ask("report list")["error"]["message"], "a later verb")
    check(client.ask("remove", node="n9")["error"]["exit"] == 7, "an unknown node")
    check(client.ask("remove")["error"]["exit"] == 2, "a missing argument")
    check(client.ask("status", nonsense=1)["error"]["exit"] == 2, "an unknown argument")

    # Malformed requests: an answer where an id can be read, silence elsewhere, and life goes on.
    client.socket.send_multipart([b"", msgpack.packb({"v": 2, "id": 77, "verb": "status"})])
    reply = client.receive()
    check(reply["id"] == 77 and reply["ok"] is False, f"another version: {reply}")
    client.socket.send_multipart([b"", msgpack.packb({"v": 1, "id": 78})])
    reply = client.receive()
    check(reply["id"] == 78 and reply["ok"] is False, f"no verb: {reply}")
    for frames in ([b"", b"\xc1noise"], [b"only one"], [b"", b"", b""], [b"", b"\x80"],
                   [b"", msgpack.packb([1, 2])]):
        client.socket.send_multipart(frames)
    check(client.ask("status")["ok"] is True, "noise broke the connection")

    # A stream tells what happens from now on, under one id, until it is cancelled.
    mark = client.send("events", follow=True)
    answer = next(node for node in cluster.nodes if node is not leader).cli("drain", "n9")
    check(answer.exit == 7, f"{answer}")  # no event: n9 is not known
    target = next(node for node in cluster.nodes if node is not leader)
    answer = leader.cli("leader", "transfer", target.name)
    check(answer.exit == 0, f"{answer}")
    kinds = []
    while "leader.elected" not in kinds:
        reply = client.receive()
        check(reply["id"] == mark and reply["ok"] and reply["more"], f"stream: {reply}")
        if "result" in reply:  # one without is a sign of life
            event = reply["result"]["data"]
            check(reply["result"]["schema"] == "understudy.events/1", f"{reply}")
            check_types(event, EVENT, "event")
            kinds.append(event["kind"])
    check({"leader.handover", "lease.lost"} <= set(kinds), f"events of a transfer: {kinds}")
    client.send("cancel", number=mark)
    number = client.send("status")
    seen = client.receive()
    while seen["id"] != number:  # what was on its way, then the end of the stream
        check(seen["id"] == mark, f"{seen}")
        seen = client.receive()
    cluster.wait_leader()
    answer = target.cli("leader", "transfer", leader.name)
    check(answer.exit == 0, f"{answer}")
    cluster.wait_leader()
    check(client.ask("status")["ok"] is True, "a cancelled stream still tells")
    client.socket.close()
    say(f"pyzmq and msgpack: status, refusals, noise, a stream with {kinds}, cancel")


def envelopes(leader, follower):
    """Every verb that answers with a document, on the leader and on a follower."""
    verbs = [
        (["status"], "status", dict, 0), (["members"], "members", list, 0),
        (["leader"], "leader", dict, 0), (["leader", "history"], "leader.history", list, 0),
        (["manager", "list"], "manager.list", list, 0), (["duty", "list"], "duty.list", list, 0),
        (["health"], "health", dict, None), (["health", "--explain"], "health", dict, None),
        (["health", "--local"], "health", dict, 0),
        (["health", follower.name], "health", dict, None),
        (["manager", "pause", "pm2"], "manager.pause", dict, 0),
        (["manager", "resume", "pm2"], "manager.resume", dict, 0),
        (["drain", follower.name], "drain", dict, 0),
        (["undrain", follower.name], "undrain", dict, 0),
        (["stop", "--force"], "stop", dict, 0), (["start"], "start", dict, 0),
    ]
    for node in (leader, follower):
        for words, verb, kind, exit_code in verbs:
            answer = node.cli(*words)
            check(answer.envelope is not None, f"{words}: {answer}")
            check_envelope(answer.envelope, verb, answer.envelope["node"])
            check(isinstance(answer.data, kind), f"{words}: data is {type(answer.data)}")
            check(answer.exit == exit_code if exit_code is not None else answer.exit in (0, 1),
                  f"{words}: {answer}")
            check(answer.envelope["node"] in (node.name, leader.name), f"{words}: {answer}")
            text = node.cli(*words, json_output=False)
            check(text.exit == answer.exit and text.stdout.strip() and
                  text.envelope is None, f"{words} for people: {text}")
        data = node.status()
        check_types(data, STATUS, "status")
        check(HEALTH <= set(data["health"]) and "firing" in data["alerts"], f"{data}")
        check((data["lease_ms"] is None) is (node is not leader), f"lease_ms: {data['lease_ms']}")
        check(data["leader"] == leader.name and data["acting"] is (node is leader), f"{data}")
        for row in data["members"]:
            check_types(row, MEMBER, "member")
            check(row["state"] == "alive" and row["role"] == "voter", f"{row}")
        for row in node.cli("leader", "history").data:
            check_types(row, HISTORY, "history")
        lines = node.cli("events").stdout.splitlines()
        check(lines, "events tells nothing")
        for line in map(json.loads, lines):
            check_envelope(line, "events", node.name)
            check_types(line["data"], EVENT, "event")
        lines = node.cli("logs").stdout.splitlines()
        check(lines and all(json.loads(line)["schema"] == "understudy.logs/1" for line in lines),
              "logs tells nothing")
        for path in ("status", "members", "leader", "leader/history"):
            status, body = node.http(f"/api/v1/{path}")
            check(status == 200, f"/api/v1/{path}: {status}")
            check(ENVELOPE <= set(json.loads(body)), f"/api/v1/{path}: {body}")
    for words, verb in ((["version"], "version"), (["config", "show"], "config.show"),
                        (["config", "check"], "config.check")):
        answer = leader.cli(*words)
        check(answer.exit == 0 and answer.envelope["schema"] == f"understudy.{verb}/1",
              f"{words}: {answer}")
    say(f"{len(verbs) + 5} verbs on the leader and on a follower: envelopes, types, exit codes")


def follow_on_the_command_line(cluster, leader):
    """events --follow prints an envelope per line as things happen, and ends at a signal."""
    follower = next(node for node in cluster.nodes if node is not leader)
    process = subprocess.Popen([f"{BUILD}/bin/understudy", "--dir", follower.folder, "--json",
                                "events", "--follow"], stdout=subprocess.PIPE, text=True)
    lines = []
    thread = threading.Thread(target=lambda: lines.extend(process.stdout), daemon=True)
    thread.start()
    try:
        def moved():
            other = cluster.wait_leader()
            target = next(node for node in cluster.nodes if node is not other)
            check(other.cli("leader", "transfer", target.name).exit == 0, "transfer")
            cluster.wait_leader()
            return lines

        wait_until(moved, "the stream has begun")  # until then events may pass unseen
        wait_until(lambda: any("leader.elected" in line for line in lines), "an event is printed")
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
    thread.join()
    for line in map(json.loads, lines):
        # While leadership moves there is no quorum for an instant.
        check_envelope(line, "events", follower.name, stale=(False, True))
    say(f"events --follow: {len(lines)} lines, ended by SIGINT with {process.returncode}")


def usage_and_absence(cluster, leader):
    check_error(leader.cli("stats"), None, 2, "a verb that nearly exists")
    check("status" in leader.cli("stats").stderr, "the nearest verb is not named")
    check_error(leader.cli("report", "list"), None, 2, "a verb of a later version")
    check("not in this version" in leader.cli("report", "list").stderr, "a verb of a later version")
    check_error(leader.cli("remove"), None, 2, "a missing word")
    check_error(leader.cli("status", "--nonsense"), None, 2, "an unknown option")
    check_error(leader.cli("join", "x", "y", "z"), None, 2, "a malformed join")
    for words in (["drain", "n9"], ["remove", "n9"], ["leader", "transfer", "n9"],
                  ["health", "n9"], ["manager", "show", "nothing"], ["duty", "move", "a/b", "n1"]):
        check_error(leader.cli(*words), "not_found", 7, " ".join(words))
    # Nobody there; and somebody who hangs up at once, as a node that just ends.
    path = os.path.join(cluster.folder, "none")
    os.makedirs(path)
    command = [f"{BUILD}/bin/understudy", "--dir", path, "--json", "--timeout", "5s", "status"]
    none = subprocess.run(command, capture_output=True, text=True, check=False)
    check_error(Answer(none), "no_node", 3, "no node")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.join(path, "control.sock"))
        server.listen(8)

        def hang_up():
            try:
                while True:
                    server.accept()[0].close()
            except OSError:
                pass

        threading.Thread(target=hang_up, daemon=True).start()
        ends = subprocess.run(command, capture_output=True, text=True, check=False)
        check_error(Answer(ends), "no_node", 3, "a node that ends")
        server.shutdown(socket.SHUT_RDWR)
    say("exit 2 with the nearest verb, 3 without a node, 7 for what is not known")


def keys_of_viewer(cluster):
    """A folder with the viewer's key alone, beside the public ones."""
    folder = os.path.join(cluster.folder, "viewer")
    shutil.copytree(cluster.keys, folder)
    os.remove(os.path.join(folder, "operator.key_secret"))
    for node in cluster.nodes:
        os.remove(os.path.join(folder, f"{node.name}.key_secret"))
    return folder


def over_tcp(cluster, leader):
    """With a key: an operator may all, a viewer reads, a stranger nothing."""
    def cli(keys, *words):
        return Answer(subprocess.run(
            [f"{BUILD}/bin/understudy", "-e", f"tcp://{leader.host}:{leader.control_port}",
             "--keys", keys, "--json", "--timeout", "10s", *words],
            capture_output=True, text=True, check=False))

    answer = cli(cluster.keys, "status")
    check(answer.exit == 0, f"an operator over TCP: {answer}")
    check_envelope(answer.envelope, "status", leader.name)
    answer = cli(cluster.keys, "manager", "resume", "pm2")
    check(answer.exit == 0, f"an operator's change over TCP: {answer}")
    stranger = os.path.join(cluster.folder, "stranger")
    made = subprocess.run([f"{BUILD}/bin/understudy", "--keys", stranger, "keys", "init", "n1"],
                          capture_output=True, text=True, check=False)
    check(made.returncode == 0, made.stderr)
    for node in cluster.nodes:  # the node's public key is no secret
        with open(f"{cluster.keys}/{node.name}.key", encoding="ascii") as source:
            with open(f"{stranger}/{node.name}.key", "w", encoding="ascii") as target:
                target.write(source.read())
    check_error(cli(stranger, "status"), "not_authorised", 6, "a stranger over TCP")
    viewer = keys_of_viewer(cluster)
    check(cli(viewer, "status").exit == 0, "a viewer over TCP")
    check(cli(viewer, "pm2", "list").exit == 0, "a viewer may look at the processes of all nodes")
    for words in (["pm2", "stop", "web"], ["pm2", "start", "web", "--all-nodes"],
                  ["pm2", "restart", "web", "--node", "n2"], ["manager", "resume", "pm2"]):
        check_error(cli(viewer, *words), "not_authorised", 6, f"{words} of a viewer")
    say("over TCP: an operator is served, a viewer reads, a stranger is refused with exit 6")


def no_quorum(cluster, leader):
    for node in cluster.nodes:
        if node is not leader:
            node.kill_both()
    wait_until(lambda: leader.cli("status").exit == 5, "status exits 5")
    for words in (["status"], ["members"], ["leader"], ["leader", "history"], ["duty", "list"]):
        answer = leader.cli(*words)
        check(answer.exit == 5 and answer.envelope["stale"] is True, f"{words}: {answer}")
    check(leader.cli("health", "--local").exit == 0, "health --local without quorum")
    changed = leader.cli("drain", "n1", timeout="3s")
    check(changed.exit in (4, 5), f"a change without quorum: {changed}")
    pid = leader.freeze()
    hung = leader.cli("status", timeout="1s")
    check(hung.exit in (3, 4) and hung.envelope is None, f"a frozen node: {hung}")
    kill(pid, signal.SIGCONT)
    say("without quorum: documents with stale and exit 5; changes are refused; frozen: "
        f"exit {hung.exit}")


def control():
    if zmq is None:
        raise Skip("python3-zmq or python3-msgpack is not installed")
    with Cluster(extra="leadership: {handover_below: 0}\n", tcp_control=True) as cluster:
        leader = cluster.start()
        protocol(cluster, leader)
        leader = cluster.wait_leader()
        envelopes(leader, next(node for node in cluster.nodes if node is not leader))
        usage_and_absence(cluster, leader)
        over_tcp(cluster, leader)
        follow_on_the_command_line(cluster, leader)
        no_quorum(cluster, cluster.wait_leader())


if __name__ == "__main__":
    run(control)
