#!/usr/bin/python3 -B
"""`pm2 logs NAME --follow` over real PM2s: numbered lines, of logs that are rotated all the time,
come once and in order, whoever leads and whichever node begins anew; nodes that cannot follow."""

import glob
import json
import os
import re
import signal
import subprocess
import tempfile
import threading

from cluster import BUILD, PATIENCE_S, Skip, check, kill, run, say, wait_until
from demo import Demo

try:
    import msgpack
    import zmq
except ImportError:
    zmq = None

# Logs are rotated as soon as they hold a little, as often as there is a round.
OVERLAY = """leadership: {handover_below: 0}
managers: {pm2: {poll: 500ms, logs: {max_size: 16KB}}}
"""
COUNTER = """import itertools, sys, time
for number in itertools.count():
    sys.stdout.write(f"{sys.argv[1]} {number} {'.' * (number % 90)}\\n")
    sys.stdout.flush()
    time.sleep(0.005)
"""
LINE = re.compile(r"^(\w+) (\d+) (\.*)$")


def register(demo, node, name):
    """A process of the team's that counts."""
    script = os.path.join(demo.folder, "counter.py")
    with open(script, "w", encoding="utf-8") as file:
        file.write(COUNTER)
    path = os.path.join(demo.folder, f"{name}-{node.name}.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"apps": [{"name": name, "script": script, "args": node.name,
                             "interpreter": "/usr/bin/python3", "exec_mode": "fork"}]}, file)
    demo.pm2(node, "start", path)


def require_cuts(folder):
    """A file system where our rotation can cut a log's head off; raises Skip without one."""
    path = os.path.join(folder, "cut")
    with open(path, "wb") as file:
        file.write(bytes(1 << 20))
    done = subprocess.run(["fallocate", "--collapse-range", "--length", str(1 << 16), path],
                          capture_output=True, text=True, check=False)
    os.unlink(path)
    if done.returncode != 0:
        raise Skip(f"logs are not rotated here: {done.stderr.strip()}")


class Follower:
    """The command line, followed while it runs; a context manager that ends it."""

    def __init__(self, folder, *words, json_output=True):
        self.output = tempfile.TemporaryFile("w+")
        command = [f"{BUILD}/bin/understudy", "--dir", folder]
        command += (["--json"] if json_output else []) + ["pm2", "logs", "--follow", *words]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.output,
                                        stderr=subprocess.STDOUT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.output.close()

    def text(self):
        size = os.fstat(self.output.fileno()).st_size
        return os.pread(self.output.fileno(), size, 0).decode()

    def rows(self):
        return [json.loads(line)["data"] for line in self.text().split("\n")[:-1]]

    def numbers(self, node):
        """Of its lines, which are whole; a word about the file stands between them."""
        ret = []
        for row in self.rows():
            if row.get("node") != node:
                continue
            if row["kind"] == "line":
                match = LINE.match(row["text"])
                check(match and match[1] == node and len(match[3]) == int(match[2]) % 90, f"{row}")
                ret.append(int(match[2]))
            elif row["kind"] == "file":
                ret.append(row["text"])
        return ret

    def last(self, node):
        numbers = [number for number in self.numbers(node) if isinstance(number, int)]
        return numbers[-1] if numbers else -1

    def end(self):
        kill(self.process.pid, signal.SIGINT)
        return self.process.wait(PATIENCE_S)


def in_order(follower, node):
    """Nothing twice, nothing out of order, and nothing left out unless that is said there. Returns
    what was said."""
    said, before, excused = [], None, False
    for number in follower.numbers(node):
        if not isinstance(number, int):
            said.append(number)
            excused = True
            continue
        check(before is None or number == before + 1 or (excused and number > before),
              f"{node}: {number} comes after {before}")
        before, excused = number, False
    return said


def rotated(demo, node, name):
    return len(glob.glob(os.path.join(demo.home(node), "logs", f"{name}-out*.log.2*")))


def goes_on(demo, follower, nodes, name, cuts=3):
    """Each node's lines, while its log is cut some times more."""
    cut = {node.name: rotated(demo, node, name) + cuts for node in nodes}
    wait_until(lambda: all(rotated(demo, node, name) >= cut[node.name] for node in nodes),
               "the logs are rotated")
    last = {node.name: follower.last(node.name) for node in nodes}
    wait_until(lambda: all(follower.last(node.name) > last[node.name] for node in nodes),
               "lines come behind that")


def told(follower, **wanted):
    return wait_until(lambda: [row for row in follower.rows() if all(
        row.get(key) == value for key, value in wanted.items())], f"{wanted} is told")


def the_leader_dies(demo, follower):
    """Its PM2 writes on; when the node is back, its lines go on where they ended."""
    leader, other = demo["n2"], demo["n3"]
    demo["n1"].cli("leader", "transfer", "n2")
    wait_until(lambda: demo.leader() is leader, "n2 leads")
    goes_on(demo, follower, [leader, other], "counter", cuts=1)
    leader.kill_both()
    told(follower, kind="node", node="n2", status="unreachable")
    demo.wait_leader(among=[demo["n1"], other], other_than=leader)
    goes_on(demo, follower, [other], "counter")
    before = follower.last("n2")
    leader.start()
    told(follower, kind="node", node="n2", status="answers")
    wait_until(lambda: follower.last("n2") > before, "the lines of n2 go on")
    goes_on(demo, follower, [leader, other], "counter", cuts=2)
    check(not in_order(follower, "n3"), "something of n3 was left out")
    said = in_order(follower, "n2")
    check(all("rotated" in text for text in said), f"n2: {said}")
    say(f"the leader died and came back; of its lines: {said or 'none is missing'}")


def one_hangs(demo, follower):
    """It is said, the others are told as before, and nothing of it is missing when it goes on."""
    before = len(told(follower, kind="node", status="answers"))
    frozen = demo["n3"].freeze()
    try:
        wait_until(lambda: [row for row in follower.rows() if row["kind"] == "node" and
                            row["node"] == "n3" and row["status"] != "answers"], "n3 is missed")
        goes_on(demo, follower, [demo["n2"]], "counter", cuts=1)
    finally:
        kill(frozen, signal.SIGCONT)
    wait_until(lambda: len(told(follower, kind="node", status="answers")) > before,
               "n3 answers again")
    goes_on(demo, follower, [demo["n3"]], "counter", cuts=1)
    said = in_order(follower, "n3")
    check(all("rotated" in text for text in said), f"n3: {said}")
    in_order(follower, "n2")
    say(f"a node hung for a time; of its lines: {said or 'none is missing'}")


def the_asked_node_begins_anew(demo, follower):
    asked = demo["n1"]
    asked.kill_both()
    told(follower, kind="node", status="connection lost")
    asked.start()
    before = follower.last("n3")
    wait_until(lambda: follower.last("n3") > before, "the lines of n3 go on")
    goes_on(demo, follower, [demo["n3"]], "counter", cuts=1)
    said = in_order(follower, "n3")  # when it was away for long
    check(all("rotated" in text for text in said), f"n3: {said}")
    say(f"the asked node died and came back; of another's lines: {said or 'none is missing'}")


def a_process_comes_later(demo, node):
    with Follower(demo["n2"].folder, "late") as follower:
        wait_until(lambda: [row for row in follower.rows() if "waited for" in (row["text"] or "")],
                   "it says that there is none")
        register(demo, node, "late")
        goes_on(demo, follower, [node], "late", cuts=2)
        said, first = in_order(follower, node.name), follower.numbers(node.name)[0]
        check(first == 0 or "rotated" in first, f"it begins with {first}")
        check(all("rotated" in text for text in said), f"{said}")
        check(follower.end() == 0, "SIGINT is no failure")
    demo.pm2(node, "delete", "late")
    say("a process that begins later is told from its first line on")


def pages_and_their_end(demo):
    """For people: a line behind where it is from; the end of the reader is the end of it."""
    with Follower(demo["n3"].folder, "counter", "--node", "n3", "--lines", "3", "--out",
                  json_output=False) as follower:
        wait_until(lambda: follower.text().count("\n") > 20, "lines come")
        for line in follower.text().split("\n")[:-1]:
            check(re.match(r"^n3 counter \d+ out \| n3 \d+ \.*$", line), line)
        check(follower.end() == 0, "SIGINT is no failure")
    reader = subprocess.Popen([f"{BUILD}/bin/understudy", "--dir", demo["n3"].folder, "pm2", "logs",
                               "nobody", "--follow"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        check("waited for" in reader.stdout.readline().decode(), "it says that there is none")
        reader.stdout.close()
        wait_until(lambda: reader.poll() is not None, "it ends when nobody reads, with no line due")
    finally:
        if reader.poll() is None:
            reader.kill()
        reader.wait()
    done = demo["n1"].cli("pm2", "logs", "counter", "--follow", "--node", "n9")
    check(done.exit == 7 and done.error["code"] == "not_found", f"{done}")
    say("pages: lines are as they were written; it ends with its reader")


def follow():
    with Demo(overlay=OVERLAY) as demo:
        require_cuts(demo.folder)
        demo.up()
        demo.settled(("demo-always",), idle=("demo-worker-backup",))
        for name in ("n2", "n3"):
            register(demo, demo[name], "counter")
        with Follower(demo["n1"].folder, "counter") as follower:
            both = [demo["n2"], demo["n3"]]
            goes_on(demo, follower, both, "counter", cuts=5)
            for node in both:
                check(not in_order(follower, node.name), f"something of {node.name} was left out")
            say(f"followed {[follower.last(node.name) for node in both]} lines of logs that are cut")
            the_leader_dies(demo, follower)
            the_asked_node_begins_anew(demo, follower)
            one_hangs(demo, follower)
            check(follower.end() == 0, "SIGINT is no failure")
        a_process_comes_later(demo, demo["n1"])
        pages_and_their_end(demo)
        demo.stop()


# -- nodes of the version before --

class OldNode:
    """A control endpoint where n1 takes a follower for any other reader, as it ignores what it does
    not know, and n2 refuses him."""

    def __init__(self, path, followed):
        self.followed = followed
        self.socket = zmq.Context.instance().socket(zmq.ROUTER)
        self.socket.bind(f"ipc://{path}")
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()
        self.socket.close(0)

    def answer(self, verb, args):
        if verb == "members":
            return {"result": self.envelope(verb, [{"name": name} for name in self.followed])}
        if args["node"] == "n2":
            return {"error": {"code": "invalid", "exit": 2, "message": "n2: unknown \"follow\"",
                              "hint": None}, "ok": False}
        file = {"kind": "file", "node": "n1", "path": "/x.log", "name": "x", "text": None}
        rows = [file, dict(file, kind="line", text="the last line")]
        return {"result": self.envelope(verb, rows)}

    @staticmethod
    def envelope(verb, data):
        return {"schema": f"understudy.{verb}/1", "time": "2026-01-01T00:00:00.000Z", "node": "n1",
                "cluster": "demo", "term": 1, "stale": False, "data": data}

    def serve(self):
        while not self.ended.is_set():
            if not self.socket.poll(50):
                continue
            client, *_, body = self.socket.recv_multipart()
            asked = msgpack.unpackb(body)
            reply = {"v": 1, "id": asked["id"], "ok": True, "more": False}
            reply.update(self.answer(asked["verb"], asked["args"]))
            self.socket.send_multipart([client, b"", msgpack.packb(reply)])


def old_nodes():
    if zmq is None:
        raise Skip("python3-zmq or python3-msgpack is missing")
    with tempfile.TemporaryDirectory() as folder, \
            OldNode(os.path.join(folder, "control.sock"), ["n1", "n2"]), \
            Follower(folder, "x") as follower:
        check(follower.process.wait(PATIENCE_S) == 2, "nobody can follow")
        said = [(row["node"], row["status"]) for row in follower.rows() if row["kind"] == "node"]
        check(said == [("n1", "cannot follow"), ("n2", "cannot follow")], follower.text())
        check([row["text"] for row in follower.rows() if row["kind"] == "line"] ==
              ["the last line"], follower.text())
    say("nodes of the version before are said to be unable")


if __name__ == "__main__":
    run(old_nodes, follow)
