#!/usr/bin/python3 -B
"""Three nodes live a little and leave on SIGTERM: no leak, no race, no bad access on the way.

In a sanitizer's build (build/asan, build/tsan) its reports are what is looked for, in any process of
the three nodes. In any other build one node runs under valgrind, with its parent, its manager and a
guard that asks it, and so does the command line.
"""

import os
import shutil
import signal
import subprocess

from cluster import BUILD, Cluster, Skip, check, run, sanitizer, say, wait_until

SLOW_S = 300  # valgrind on a busy machine
MANAGER = "pm2: {homes: [/nonexistent/.pm2]}"


def valgrind(cluster):
    return ["valgrind", "--quiet", "--error-exitcode=99", "--trace-children=yes",
            "--trace-children-skip=*/sleep,*/node,*/pm2", "--leak-check=full",
            "--show-leak-kinds=definite", "--errors-for-leak-kinds=definite",
            f"--log-file={cluster.folder}/report.%p"]


def start_under_valgrind(node):
    with open(os.path.join(node.folder, "log", "console.log"), "ab") as console:
        node.process = subprocess.Popen(
            valgrind(node.cluster) + [f"{BUILD}/bin/understudyd", "--config", node.config],
            stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True)


def guard_asks(node, wrapper):
    """A guard that gets no grant: it greets the node, waits, and gives up without having started."""
    done = subprocess.run(
        wrapper + [f"{BUILD}/bin/understudy-guard", "--socket", f"{node.folder}/guard.sock", "--duty",
                   "pm2/nobody", "--lock-dir", node.folder, "--", "/usr/bin/sleep", "1000"],
        capture_output=True, text=True, timeout=SLOW_S, check=False)
    check(done.returncode == 86, f"the guard: {done}")


def command_lines(node, wrapper):
    for words, code in ((["status"], 0), (["--json", "members"], 0), (["events"], 0), (["--help"], 0),
                        (["no", "such"], 2), (["keys", "list"], 0), (["completion", "bash"], 0)):
        done = subprocess.run(
            wrapper + [f"{BUILD}/bin/understudy", "--dir", node.folder, "--timeout", "60s"] + words,
            capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=SLOW_S, check=False)
        check(done.returncode == code, f"{words}: {done}")


def live_a_little(cluster):
    for node in cluster.nodes:
        for words in (["members"], ["health"], ["leader", "history"], ["events"], ["duty", "list"]):
            answer = node.cli(*words, timeout="60s")
            check(answer.exit in (0, 1) and answer.stdout, f"{words}: {answer}")
        for path in ("/", "/metrics", "/api/v1/status", "/no/such/page"):
            check(node.http(path, 60)[0] is not None, f"{path} of {node.name} is not answered")
        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
            os.kill(node.parent(), number)
    # A node that valgrind slows down may miss its leader's heartbeats for a moment.
    wait_until(lambda: cluster.nodes[0].cli("leader", "transfer", timeout="60s").exit == 0,
               "leadership is handed over", SLOW_S)
    cluster.wait_leader(patience_s=SLOW_S)


def leave(cluster):
    for node in cluster.nodes:
        os.kill(node.parent(), signal.SIGTERM)
        wait_until(lambda node=node: node.process.poll() is not None, f"{node.name} has ended", SLOW_S)
        code = node.process.returncode
        check(code == 0, f"{node.name} ended with {code}: {cluster.reports()}")


def clean_end():
    kind = sanitizer()
    if not kind and shutil.which("valgrind") is None:
        raise Skip("valgrind is not installed")
    with Cluster(managers=MANAGER) as cluster:
        cluster.prepare()
        wrapper = [] if kind else valgrind(cluster)
        first = cluster.nodes[0]
        if kind:
            first.start()
        else:
            start_under_valgrind(first)
        for node in cluster.nodes[1:]:
            node.start()
        cluster.wait_leader(patience_s=SLOW_S)
        wait_until(lambda: first.cli("manager", "list", timeout="60s").data, "a manager runs", SLOW_S)
        live_a_little(cluster)
        guard_asks(first, wrapper)
        command_lines(first, wrapper)
        leave(cluster)
        found = cluster.reports()
        check(not found, f"{len(found)} reports")
        say(f"{kind or 'valgrind'}: no report from any process")


if __name__ == "__main__":
    run(clean_end)
