#!/usr/bin/python3 -B
"""Three nodes live a little and leave on SIGTERM: no leak, no race, no bad access on the way.

In a sanitizer's build (build/asan, build/tsan) its reports are what is looked for, in any process of
the three nodes. In any other build one node runs under valgrind.
"""

import glob
import os
import shutil
import signal
import subprocess

from cluster import BUILD, Cluster, Skip, check, run, say, wait_until

SLOW_S = 300  # valgrind on a busy machine


def sanitizer():
    with open(os.path.join(BUILD, "CMakeCache.txt"), encoding="utf-8") as file:
        for line in file:
            if line.startswith("UNDERSTUDY_SANITIZE:"):
                return line.split("=", 1)[1].strip()
    return ""


def reports(cluster):
    """Every report of a sanitizer or of valgrind, by file; files of processes without any left out."""
    found = {}
    for path in glob.glob(f"{cluster.folder}/report.*"):
        with open(path, encoding="utf-8", errors="replace") as file:
            # valgrind's remarks about itself begin with --, its findings with ==
            text = "".join(line for line in file if not line.startswith("--"))
        if text.strip():
            found[os.path.basename(path)] = text
    return found


def tell_sanitizers(cluster):
    """Reports go to files, so that none is lost between the parent's and the node's output."""
    for variable in ("ASAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS"):
        options = os.environ.get(variable, "")
        os.environ[variable] = f"{options}:log_path={cluster.folder}/report".lstrip(":")


def start_under_valgrind(node):
    with open(os.path.join(node.folder, "log", "console.log"), "ab") as console:
        node.process = subprocess.Popen(
            ["valgrind", "--quiet", "--error-exitcode=99", "--leak-check=full",
             "--show-leak-kinds=definite", "--errors-for-leak-kinds=definite",
             f"--log-file={node.cluster.folder}/report.%p",
             f"{BUILD}/bin/understudyd", "--config", node.config],
            stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True)


def live_a_little(cluster):
    for node in cluster.nodes:
        for words in (["members"], ["health"], ["leader", "history"], ["events"], ["duty", "list"]):
            answer = node.cli(*words, timeout="60s")
            check(answer.exit in (0, 1) and answer.stdout, f"{words}: {answer}")
        for path in ("/", "/metrics", "/api/v1/status", "/no/such/page"):
            check(node.http(path, 60)[0] is not None, f"{path} of {node.name} is not answered")
        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
            os.kill(node.parent(), number)
    answer = cluster.nodes[0].cli("leader", "transfer", timeout="60s")
    check(answer.exit == 0, f"{answer}")
    cluster.wait_leader(patience_s=SLOW_S)


def leave(cluster):
    for node in cluster.nodes:
        os.kill(node.parent(), signal.SIGTERM)
        wait_until(lambda node=node: node.process.poll() is not None, f"{node.name} has ended", SLOW_S)
        code = node.process.returncode
        check(code == 0, f"{node.name} ended with {code}: {reports(cluster)}")


def clean_end():
    kind = sanitizer()
    if not kind and shutil.which("valgrind") is None:
        raise Skip("valgrind is not installed")
    with Cluster() as cluster:
        if kind:
            tell_sanitizers(cluster)
            cluster.prepare()
            for node in cluster.nodes:
                node.start()
        else:
            cluster.prepare()
            start_under_valgrind(cluster.nodes[0])
            for node in cluster.nodes[1:]:
                node.start()
        try:
            cluster.wait_leader(patience_s=SLOW_S)
            live_a_little(cluster)
            leave(cluster)
        finally:
            found = reports(cluster)
            for name, text in found.items():
                say(f"--- {name}\n{text[:6000]}")
        check(not found, f"{len(found)} reports")
        say(f"{kind or 'valgrind'}: no report from any process")


if __name__ == "__main__":
    run(clean_end)
