#!/usr/bin/python3 -B
"""The decision log of real nodes (debug.record) replays in the simulator without a difference: a
transfer, a killed leader, a restart from disk. A damaged one is told, and never crashes."""

import os
import random
import subprocess

from cluster import BUILD, Cluster, check, kill, run, say, wait_until

RECORD = """debug: {record: 8MB}
"""
SIMULATOR = f"{BUILD}/tests/sim/understudy-sim"


def logs(node):
    paths = [os.path.join(node.folder, "data", f"record-{slot}.log") for slot in (0, 1)]
    return [path for path in paths if os.path.exists(path) and os.path.getsize(path) > 0]


def replay(*paths, off=None):
    words = [word for path in paths for word in ("--replay", path)]
    words += [] if off is None else ["--off", off]
    done = subprocess.run([SIMULATOR] + words, capture_output=True, text=True, timeout=60,
                          check=False)
    check(done.returncode in (0, 1, 2), f"the simulator ended with {done.returncode}: "
          f"{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.returncode, done.stdout


def agrees(path):
    code, text = replay(path)
    check(code == 0 and "\nagrees: " in text, f"{path}: {text[-3000:]}")
    return text


def live_through(cluster):
    cluster.start()
    leader = cluster.wait_leader()
    target = random.choice([node for node in cluster.nodes if node is not leader])
    answer = leader.cli("leader", "transfer", target.name)
    check(answer.exit == 0, f"{answer}")
    check(cluster.wait_leader() is target, f"{target.name} does not lead")
    kill(target.worker())
    others = [node for node in cluster.nodes if node is not target]
    cluster.wait_leader(among=others, other_than=target)
    wait_until(lambda: target.worker() is not None, f"{target.name} runs again")
    cluster.wait_leader(members_alive=3)
    return leader, target


def alter(path, folder, number):
    """A copy with one altered byte in its second half."""
    with open(path, "rb") as file:
        data = bytearray(file.read())
    at = random.randrange(len(data) // 2, len(data) - 20)
    data[at] ^= 1 << random.randrange(8)
    copy = os.path.join(folder, f"altered-{number}.log")
    with open(copy, "wb") as file:
        file.write(data)
    return copy


def recordings():
    with Cluster(extra=RECORD) as cluster:
        first, second = live_through(cluster)
        for node in cluster.nodes:
            node.terminate()
        texts = {node: [agrees(path) for path in logs(node)] for node in cluster.nodes}
        for node in cluster.nodes:
            check(texts[node], f"{node.name} has recorded nothing")
        told = "".join(texts[first])
        check("elected in term" in told and "hands over" in told and "acts in term" in told,
              f"the first leader's log does not tell of it: {told[-3000:]}")
        check(len(logs(second)) == 2, f"{second.name} lived twice: {logs(second)}")
        check(any("(transfer)" in text for text in texts[second]), "nobody tells of the transfer")
        # An engine that decides otherwise is noticed, where it first does.
        code, text = replay(logs(second)[0] if "(transfer)" in texts[second][0] else
                            logs(second)[1], off="own_term_barrier")
        check(code == 1 and "DIFFERS at call " in text, f"another engine: {code}: {text[-2000:]}")
        say(f"{sum(len(text.splitlines()) for rows in texts.values() for text in rows)} lines")
        for number in range(12):
            path = random.choice([path for node in cluster.nodes for path in logs(node)])
            code, text = replay(alter(path, cluster.folder, number))
            check(code == 2 and ("damaged after" in text or "torn" in text) or
                  "the last record is torn" in text, f"altered, and {code}: {text[-500:]}")
        with open(logs(first)[0], "rb") as file:
            whole = file.read()
        short = os.path.join(cluster.folder, "short.log")
        with open(short, "wb") as file:
            file.write(whole[:len(whole) * 2 // 3])
        code, text = replay(short)
        check(code == 0 or "start is not complete" in text, f"cut short, and {code}: {text[-500:]}")


def ring():
    """A small bound: the other file goes on, and the two replay as one; neither grows past it."""
    with Cluster(extra="debug: {record: 16KB}\n") as cluster:
        cluster.start()
        node = cluster.wait_leader()

        def two():
            return len(logs(node)) == 2

        wait_until(two, f"{node.name} has turned to its second file")
        cluster.end()
        paths = sorted(logs(node), key=lambda path: os.stat(path).st_mtime_ns)
        for path in paths:
            check(os.path.getsize(path) < 2 * 16 * 1024, f"{path}: {os.path.getsize(path)} bytes")
        code, text = replay(*paths)
        # A machine that was slow to stop may have turned once more: then the start is gone.
        check(code == 0 or "goes on where another file" in text, f"{code}: {text[-2000:]}")


if __name__ == "__main__":
    run(recordings, ring)
