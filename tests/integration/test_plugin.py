#!/usr/bin/python3 -B
"""Managers in another language: the sample of deploy/examples does its work on three nodes, and
plugins that crash, hang, flood, talk nonsense or another version harm neither node nor others."""

import json
import os
import signal

from cluster import (ROOT, Cluster, Skip, alive, check, kill, process_state, run, say, wait_until)

try:
    import msgpack  # noqa: F401  the plugins need both
    import zmq  # noqa: F401
except ImportError:
    zmq = None

SAMPLE = f"{ROOT}/deploy/examples/plugin/understudy-manager-watchfile"
BAD = f"{ROOT}/tests/integration/bad_manager.py"
DUTY = "watched/standin"
WORK = """#!/bin/sh
# Appends a line with its pid and its fencing token as long as it runs.
while :; do echo "$$ $UNDERSTUDY_TERM" >>"{folder}/work.$$"; sleep 0.05; done
"""


class Plugins(Cluster):
    """Nodes with the sample, and with bad managers when there are names for them."""

    def __init__(self, count, bad=()):
        super().__init__(count, extra="leadership: {handover_below: 0}\n")
        self.watched = os.path.join(self.folder, "watched")
        work = os.path.join(self.folder, "work.sh")
        with open(work, "w", encoding="utf-8") as file:
            file.write(WORK.format(folder=self.folder))
        os.chmod(work, 0o755)
        self.work = work
        rows = [f'watched: {{program: "{SAMPLE}", options: {{file: "{self.watched}", every_s: 0.2, '
                f'duty: standin, command: ["{work}"]}}}}']
        rows += [f'bad-{name}: {{program: "{BAD}"}}' for name in bad]
        self.managers = "\n  ".join(["pm2: {enabled: false}", *rows])

    def set_well(self, well):
        if well:
            with open(self.watched, "w", encoding="utf-8"):
                pass
        else:
            os.unlink(self.watched)

    def workers(self):
        found = []
        for pid in self.own_pids():
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    words = file.read().decode(errors="replace").split("\0")
            except OSError:
                continue
            if self.work in words and os.path.basename(words[0]) != "understudy-guard":
                found.append(pid)
        return found


def row_of(node, name):
    answer = node.cli("manager", "show", name)
    check(answer.exit == 0, f"manager show {name}: {answer}")
    row = next((row for row in answer.data if row["node"] == node.name), None)
    check(row is not None, f"{node.name} tells of no manager {name}")
    return row


def duty_row(node):
    row = next((row for row in node.cli("duty", "list").data if row["id"] == DUTY), None)
    check(row is not None, f"no duty {DUTY}")
    return row


def runs_on(cluster, asked):
    """The node that runs the duty, when it is told so and exactly one process does."""
    row = duty_row(asked)
    check(row["state"] == "running" and row["exclusive"] and row["wanted"], f"{row}")
    workers = cluster.workers()
    check(len(workers) == 1, f"workers {workers}")
    return cluster[row["node"]]


def elsewhere(cluster, asked, before):
    place = runs_on(cluster, asked)
    check(place is not before, f"still on {before.name}")
    return place


def ended(cluster, asked):
    row = duty_row(asked)
    return not cluster.workers() and row["state"] == "idle" and not row["wanted"]


def sample():
    if zmq is None:
        raise Skip("python3-zmq or python3-msgpack is not installed")
    with Plugins(3) as cluster:
        cluster.set_well(True)
        leader = cluster.start()
        for node in cluster.nodes:
            row = wait_until(lambda node=node: row_of(node, "watched"), "the plugin is there")
            wait_until(lambda node=node: row_of(node, "watched")["state"] in ("running", "standby"),
                       f"it runs on {node.name}")
            row = row_of(node, "watched")
            check(row["version"] == "1.0" and row["capabilities"] == ["watch", "duty"], f"{row}")
        check(not cluster.workers(), "it runs although all is well")

        cluster.set_well(False)
        place = wait_until(lambda: runs_on(cluster, leader), "the stand-in runs")
        alert = wait_until(lambda: [row for row in leader.cli("alert", "list").data
                                    if row["key"] == "watch.down/watched/standin"], "its alert")
        check(alert[0]["state"] == "firing" and alert[0]["severity"] == "warning", f"{alert}")

        # The node that runs it dies: another one does, and never two.
        place.kill_both()
        others = [node for node in cluster.nodes if node is not place]
        leader = cluster.wait_leader(among=others, members_alive=2)
        moved = wait_until(lambda: elsewhere(cluster, leader, place), "it runs elsewhere")
        place.start()
        cluster.wait_leader()

        # Its manager is killed: what runs goes on, under its guard, and is taken up again.
        before = cluster.workers()
        kill_manager(moved, "watched")
        wait_until(lambda: row_of(moved, "watched")["restarts"] > 0 and
                   row_of(moved, "watched")["state"] in ("running", "standby"), "it is back")
        wait_until(lambda: runs_on(cluster, moved), "and knows what runs")
        check(cluster.workers() == before, "its manager's death ended what was granted")

        leader = cluster.wait_leader()
        check(leader.cli("manager", "pause", "watched").exit == 0, "pause")
        wait_until(lambda: row_of(leader, "watched")["state"] == "paused", "it is paused")
        cluster.set_well(True)
        wait_until(lambda: observed_well(leader), "it sees that all is well")
        check(cluster.workers() == before, "a paused manager decided something")
        check(leader.cli("manager", "resume", "watched").exit == 0, "resume")
        wait_until(lambda: ended(cluster, leader), "the stand-in has ended")
        wait_until(lambda: not [row for row in leader.cli("alert", "list").data
                                if row["key"] == "watch.down/watched/standin"], "it is resolved")
        say("the sample: hello, a wish, a grant under the guard, moved, resumed, revoked, an alert")


def observed_well(node):
    return row_of(node, "watched")["health"] == 100.0


def manager_pids(node, name):
    """The processes of that manager: children of the node that were given its name."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/stat", "rb") as file:
                parent = int(file.read().rpartition(b")")[2].split()[1])
            with open(f"/proc/{entry}/environ", "rb") as file:
                named = f"UNDERSTUDY_MANAGER_NAME={name}".encode() in file.read().split(b"\0")
        except OSError:
            continue
        if parent == node.worker() and named:
            found.append(int(entry))
    return found


def kill_manager(node, name):
    pid, = manager_pids(node, name)
    kill(pid, signal.SIGKILL)
    wait_until(lambda: not alive(pid), "it is dead")


BAD_MODES = ("crash", "hang", "flood", "garbage", "version", "newer", "forge")


def events_of(node, kind):
    rows = (json.loads(line)["data"] for line in node.cli("events").stdout.splitlines())
    return [row for row in rows if row["kind"] == kind]


def told(node, kind, name, *words):
    """An event of that kind about the bad manager that says all of these words."""
    rows = [row for row in events_of(node, kind) if row.get("manager") == f"bad-{name}"]
    check(any(all(word in row["message"] for word in words) for row in rows),
          f"{kind} of bad-{name} with {words}: {[row['message'] for row in rows]}")
    return True


def bad():
    if zmq is None:
        raise Skip("python3-zmq or python3-msgpack is not installed")
    with Plugins(1, bad=BAD_MODES) as cluster:
        cluster.set_well(True)
        node = cluster.start()
        term = node.status()["term"]
        turns = 0

        def all_misbehaved():
            """Meanwhile the good one starts and ends its stand-in, again and again."""
            nonlocal turns
            cluster.set_well(False)
            wait_until(lambda: runs_on(cluster, node), "the stand-in runs")
            cluster.set_well(True)
            wait_until(lambda: ended(cluster, node), "it has ended")
            turns += 1
            told(node, "manager.killed", "hang", "silent")
            told(node, "manager.killed", "version", "another version")
            told(node, "manager.killed", "newer", "another version")
            told(node, "manager.killed", "flood", "floods")
            told(node, "manager.failed", "version", "another version")
            told(node, "manager.failed", "crash", "code 3")
            rows = {row["name"]: row for row in node.cli("manager", "list").data}
            check(rows["bad-crash"]["state"] == "failed", f"{rows['bad-crash']}")
            check(rows["bad-version"]["state"] == "failed", f"{rows['bad-version']}")
            return rows

        rows = wait_until(all_misbehaved, "every bad manager was found out", pause_s=0.5)
        check(rows["watched"]["restarts"] == 0, f"the good one was harmed: {rows['watched']}")
        for name in ("garbage", "forge"):
            check(rows[f"bad-{name}"]["restarts"] == 0 and
                  rows[f"bad-{name}"]["state"] in ("running", "standby"), f"{rows[f'bad-{name}']}")
        alerts = wait_until(lambda: {row["key"]: row for row in node.cli("alert", "list").data
                                     if row["kind"] == "manager.failed"}, "manager.failed is raised")
        check("manager.failed/n1/bad-version" in alerts or "manager.failed/n1/bad-crash" in alerts,
              f"{alerts}")
        duties = [row["id"] for row in node.cli("duty", "list").data]
        check(set(duties) <= {DUTY, "bad-forge/x"}, f"forged duties: {duties}")
        check(node.status()["term"] == term, "the node lost its leadership meanwhile")
        check(process_state(node.worker()) in ("R", "S"), "the node is not well")
        say(f"{', '.join(BAD_MODES)}: found out; meanwhile {turns} stand-ins started and ended")


if __name__ == "__main__":
    run(sample, bad)
