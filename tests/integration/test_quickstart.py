#!/usr/bin/python3 -B
"""deploy/quickstart starts, repeats, restarts what is dead, refuses, begins afresh, stops."""

import os
import signal
import subprocess
import sys

from cluster import (BUILD, ROOT, Cluster, alive, boot_s, check, kill, run, say, wait_until)


def quickstart(cluster, *words, good=True):
    begun = boot_s()
    done = subprocess.run([f"{ROOT}/deploy/quickstart", *words, "--dir", cluster.folder],
                          capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
                          env={**os.environ, "UNDERSTUDY_BUILD": BUILD}, timeout=300)
    check((done.returncode == 0) is good, f"quickstart {words}: {done.returncode} "
          f"{done.stdout[-1500:]} {done.stderr[-1500:]}")
    return done, boot_s() - begun


def start(cluster, *words, good=True):
    return quickstart(cluster, "--no-install", "--no-demo", "--base-port", str(cluster.base),
                      *words, good=good)


def pids(cluster):
    return {node.name: (node.parent(), node.worker()) for node in cluster.nodes}


def files(cluster):
    for node in cluster.nodes:
        for name in ("understudy.yml", "keys", "data", "control.sock", "node.pid", "worker.pid",
                     "log"):
            check(os.path.exists(os.path.join(node.folder, name)), f"{node.name}/{name} is missing")
        with open(node.config, encoding="utf-8") as file:
            check("environment: production" in file.read(), f"{node.name}: no production")
        check(os.stat(node.keys_folder()).st_mode & 0o77 == 0, "keys are open to others")
        check(node.http("/livez")[0] == 200, f"no dashboard of {node.name} on {node.http_port}")
    check(any(name.startswith("operator") for name in os.listdir(cluster.keys)), "no operator key")


def bystander(cluster):
    """A process of somebody else that even mentions the cluster's folder."""
    return subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()",
                             f"{cluster.folder}/n1/log"], stdin=subprocess.DEVNULL)


def life():
    with Cluster() as cluster, Cluster() as neighbour:
        done, first_s = start(cluster)
        leader = cluster.wait_leader()
        check(str(cluster.base + 11) in done.stdout or ":3001" in done.stdout,
              f"no dashboard's address: {done.stdout}")
        check("leader transfer" in done.stdout and leader.name in done.stdout,
              f"no status, nothing to try: {done.stdout}")
        files(cluster)
        before = pids(cluster)
        check(all(all(pair) for pair in before.values()), f"not all run: {before}")

        done, again_s = start(cluster)
        check(pids(cluster) == before, "a second call restarted what was alive")
        check(cluster.wait_leader() is leader, "a second call moved leadership")

        # It restarts what is dead, and that alone.
        dead = next(node for node in cluster.nodes if node is not leader)
        dead.kill_both()
        start(cluster)
        cluster.wait_leader()
        after = pids(cluster)
        check(all(after[dead.name]) and after[dead.name] != before[dead.name], f"{after}")
        check(all(after[name] == before[name] for name in before if name != dead.name), f"{after}")
        say(f"quickstart: {first_s:.1f} s, again {again_s:.1f} s; a dead node is restarted alone")

        # Another number of nodes needs --clean.
        done, _ = start(cluster, "--nodes", "5", good=False)
        check("--clean" in done.stderr, f"{done.stderr}")
        check(pids(cluster) == after, "a refused call touched the cluster")
        done, _ = start(cluster, "--nodes", "0", good=False)
        check(done.returncode == 2, f"wrong usage ends with {done.returncode}")

        # stop ends its own, in this folder, and nothing else.
        start(neighbour)
        neighbour.wait_leader()
        others = pids(neighbour)
        other = bystander(cluster)
        try:
            quickstart(cluster, "stop")
            check(not any(alive(pid) for pair in after.values() for pid in pair), "stop left some")
            check(pids(neighbour) == others and other.poll() is None, "stop ended somebody else's")
            # A pid file that outlived its process may name anybody.
            stale = os.path.join(cluster.folder, "n1", "node.pid")
            with open(stale, "w", encoding="ascii") as file:
                file.write(f"{other.pid}\n")
            quickstart(cluster, "stop")
            check(other.poll() is None, "stop trusted a stale pid file")
            start(cluster)
            cluster.wait_leader()
            check(other.poll() is None, "a start ended somebody else's process")
        finally:
            kill(other.pid, signal.SIGKILL)
            other.wait()
        quickstart(cluster, "stop")
        quickstart(cluster, "stop")  # nothing to do is no error
        neighbour.wait_leader()
        quickstart(neighbour, "stop")
        say("quickstart stop ends its own processes and nobody else's")


def four_nodes():
    """An even number: three found the cluster, the fourth joins; then --clean begins afresh."""
    with Cluster(count=4) as cluster:
        overlay = os.path.join(cluster.folder, "overlay.yml")
        with open(overlay, "w", encoding="ascii") as file:
            file.write("leadership:\n  margin: 22\n")
        start(cluster, "--nodes", "4", "--config", overlay)
        leader = cluster.wait_leader()
        roles = wait_until(lambda: {row["name"]: row["role"] for row in
                                    leader.status()["members"]}, "members are known")
        check(set(roles) == {"n1", "n2", "n3", "n4"}, f"{roles}")
        for node in cluster.nodes:
            with open(node.config, encoding="utf-8") as file:
                text = file.read()
            check("22" in text and "n4:" not in text, f"{node.name}: overlay or founders: {text}")
            shown = node.cli("config", "show", json_output=False)
            check("margin: 22" in shown.stdout, f"{node.name}: {shown}")
        check(leader.cli("drain", "n4").exit == 0, "drain")
        start(cluster, "--nodes", "3", "--clean")
        cluster.nodes.pop()
        leader = cluster.wait_leader()
        rows = leader.status()["members"]
        check({row["name"] for row in rows} == {"n1", "n2", "n3"} and
              not any(row["draining"] for row in rows), f"--clean kept old data: {rows}")
        check(not os.path.exists(os.path.join(cluster.folder, "n4")), "--clean left n4")
        quickstart(cluster, "stop")
        say(f"--nodes 4 --config: {roles}; --clean --nodes 3 begins afresh")


if __name__ == "__main__":
    run(life, four_nodes)
