#!/usr/bin/python3 -B
"""`coverage` of a real cluster: what is not proven yet; the proof after the backup really stood in, on
every node, after a change of leader and restarts; planted shared fates; nothing without quorum."""

import json
import os
import signal
import subprocess

from cluster import BUILD, ROOT, check, kill, read_pid, run, say, wait_until
from demo import ALWAYS, BACKUP, OVERLAY, PRIMARY, Demo, duty

WORKER = os.path.join(ROOT, "deploy", "demo", "worker.py")
PROOF_MS = 10000  # PROVING_RUN_MS

# Name -> (nodes of its backup, configured as critical, what coverage must say, an alarm)
PLANTED = {
    "planted-node": ("n1", False, "same_node_only", True),
    "planted-host": ("n2", False, "same_host_only", True),
    "planted-group": ("n3", False, "same_group_only", False),
    "planted-critical": ("n3", True, "same_group_only", True),
    "planted-alone": (None, False, "no_backup", True),
}
LABELS = {"n1": "host: h1, line: dsl", "n2": "host: h1", "n3": "host: h3, line: dsl"}


def coverage(node, expected_exit):
    answer = node.cli("coverage", timeout="3s")
    check(answer.exit == expected_exit, f"coverage on {node.name}: {answer}")
    check(answer.envelope["schema"] == "understudy.coverage/1", f"{answer}")
    return answer.data


def rows_of(data):
    return {row["name"]: row for row in data["primaries"]}


def told_alike(demo, expected_exit, nodes=None):
    """Every node tells the same, to the letter; the document."""
    found = [coverage(node, expected_exit) for node in nodes or demo.nodes]
    for data in found[1:]:
        check(data == found[0], f"two nodes differ:\n{found[0]}\n{data}")
    return found[0]


def wait_told(demo, expected_exit, judge, what, nodes=None):
    def told():
        data = told_alike(demo, expected_exit, nodes)
        judge(data)
        return data
    return wait_until(told, what, pause_s=0.3)


def not_proven(data):
    summary, row = data["summary"], rows_of(data)[PRIMARY]
    check(row["verdict"] == "unproven" and row["reason"] == "never_ran", f"{row}")
    check(row["nodes"] == ["n1"] and row["state"] == "up" and not row["alarm"], f"{row}")
    backup, = row["backups"]
    check(backup["duty"] == duty(BACKUP) and backup["node"] is None, f"{backup}")
    check(backup["would"] in ("n2", "n3") and backup["shares"] == [], f"{backup}")
    check(set(backup["can"]) == {"n1", "n2", "n3"} and set(backup["apart"]) == {"n2", "n3"},
          f"{backup}")
    check(backup["proven"] is None, f"{backup}")
    check(summary["percent"] == 0.0 and summary["primaries"] == 1, f"{summary}")


def proof_of(data):
    backup, = rows_of(data)[PRIMARY]["backups"]
    return backup["proven"]


def stands_in(demo):
    """The proof comes when it has run for long enough, and not before."""
    demo.pm2(demo["n1"], "stop", PRIMARY)
    started = wait_until(lambda: [event for event in demo.events("backup.started") if BACKUP in
                                  event["message"]], "the backup starts")[-1]

    def proven(data):
        row = rows_of(data)[PRIMARY]
        backup, = row["backups"]
        check(row["verdict"] == "covered" and row["reason"] == "proven_apart", f"{row}")
        check(backup["state"] == "running" and backup["node"] == started["node"], f"{backup}")
        proof = backup["proven"]
        check(proof["by"] == "run" and proof["node"] == started["node"], f"{proof}")
        check(proof["ran_ms"] >= PROOF_MS, f"{proof}")
        check(data["summary"]["percent"] == 100.0, f"{data['summary']}")
    data = wait_told(demo, 0, proven, "its run is a proof")
    demo.pm2(demo["n1"], "start", PRIMARY)

    def waits_again(data):
        backup, = rows_of(data)[PRIMARY]["backups"]
        check(backup["state"] == "idle" and backup["node"] is None, f"{backup}")
        check(rows_of(data)[PRIMARY]["verdict"] == "covered", f"{data}")
    wait_told(demo, 0, waits_again, "the backup waits, and stays proven")
    audit = demo.leader().cli("audit", "show", "--target", duty(BACKUP)).data
    check(audit and all(row["what"] != "duty_proven" for row in audit), f"{audit}")
    say(f"  proven on {started['node']} after {proof_of(data)['ran_ms']} ms")
    return proof_of(data)


def survives(demo, proof):
    def the_same(data):
        check(proof_of(data) == proof, f"{proof_of(data)} instead of {proof}")
    leader = demo.leader()
    target = next(node for node in demo.nodes if node is not leader)
    answer = leader.cli("leader", "transfer", target.name)
    check(answer.exit == 0, f"{answer}")
    check(demo.leader() is target, f"{target.name} does not lead")
    wait_told(demo, 0, the_same, "the next leader knows the proof")
    for node in demo.nodes:
        node.kill_both()
    for node in demo.nodes:
        node.start()
    demo.leader()
    wait_told(demo, 0, the_same, "restarted nodes know the proof")


# ---- planted fates ----

def overlay(demo, node):
    primaries = f"      - {{name: {PRIMARY}}}\n"  # anywhere: it was seen on n1
    backups = ""
    for name, (place, critical, _, _) in PLANTED.items():
        primaries += f"      - {{name: {name}, on: [n1], critical: {str(critical).lower()}}}\n"
        if place is not None:
            backups += (f"      - {{name: {name}-backup, stands_in_for: {name}, on: [{place}],\n"
                        f'         script: "{WORKER}",\n'
                        f'         args: ["{demo.writes}", any, backup, {name}-backup]}}\n')
    backups += (f"      - {{name: {BACKUP}, stands_in_for: {PRIMARY}, script: \"{WORKER}\",\n"
                f'         args: ["{demo.writes}", any, backup, {BACKUP}]}}\n')
    backups += (f"      - {{name: {ALWAYS}, mode: always, script: \"{WORKER}\",\n"
                f'         args: ["{demo.writes}", any, always, {ALWAYS}]}}\n')
    return (f"labels: {{{LABELS[node.name]}}}\nmanagers:\n  pm2:\n    primaries:\n{primaries}"
            f"    backups:\n{backups}")


def reconfigure(demo, node):
    path = os.path.join(demo.folder, f"planted-{node.name}.yml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(overlay(demo, node))
    done = subprocess.run([f"{BUILD}/bin/understudy", "config", "merge", node.config, path],
                          capture_output=True, text=True, check=False)
    check(done.returncode == 0, f"config merge: {done.stderr}")
    with open(node.config, "w", encoding="utf-8") as file:
        file.write(done.stdout)
    kill(read_pid(os.path.join(node.folder, "node.pid")), signal.SIGHUP)


def planted(data):
    rows = rows_of(data)
    check(set(rows) == set(PLANTED) | {PRIMARY}, f"{set(rows)}")
    for name, (place, critical, reason, alarm) in PLANTED.items():
        row = rows[name]
        check(row["reason"] == reason and row["alarm"] == alarm, f"{row}")
        check(row["state"] == "up" and row["nodes"] == ["n1"], f"{row}")
        check(row["critical"] == critical, f"{row}")
        check(len(row["backups"]) == (0 if place is None else 1), f"{row}")
    shares = {name: rows[name]["backups"][0]["shares"] for name in rows if rows[name]["backups"]}
    check(shares == {"planted-node": ["node", "host=h1", "line=dsl"], "planted-host": ["host=h1"],
                     "planted-group": ["line=dsl"], "planted-critical": ["line=dsl"],
                     PRIMARY: shares[PRIMARY]}, f"{shares}")
    # n2 shares the host, n3 the line: wherever the demo's backup is placed it shares something.
    row = rows[PRIMARY]
    check(row["reason"] == "same_group_only" and not row["alarm"], f"{row}")
    check(row["backups"][0]["would"] == "n3", f"n2 is on the primary's host: {row}")
    summary = data["summary"]
    check(summary["uncovered"] == 1 and summary["shared_fate"] == 5, f"{summary}")
    check(summary["covered"] == 0 and summary["percent"] == 0.0, f"{summary}")
    check(summary["alarms"] == sum(row[3] for row in PLANTED.values()), f"{summary}")


def fates(demo):
    for name in PLANTED:
        demo.pm2(demo["n1"], "start", WORKER, "--name", name, "--interpreter", "python3", "--",
                 demo.writes, "n1", "primary", name)
    for node in demo.nodes:
        reconfigure(demo, node)
    data = wait_told(demo, 1, planted, "the planted fates are found")

    def published():
        status, body = demo["n2"].http("/api/v1/coverage")
        check(status == 200 and json.loads(body)["data"]["summary"] == data["summary"], f"{body}")
        return True
    wait_until(published, "/api/v1/coverage tells the same")
    text = demo["n3"].cli("coverage", json_output=False)
    check(text.exit == 1 and "planted-alone: nothing stands in for it (critical)" in text.stdout,
          f"{text}")
    check("host=h1" in text.stdout and "0 of 6 primaries" in text.stdout, f"{text}")


def held_still(demo):
    """While nothing may be started, nothing is covered."""
    leader = demo.leader()
    check(leader.cli("manager", "pause", "pm2").exit == 0, "pause")

    def paused(data):
        rows = rows_of(data)
        check(all(row["reason"] == "paused" and row["alarm"] for name, row in rows.items()
                  if name != "planted-alone"), f"{rows}")
    wait_told(demo, 1, paused, "a paused manager covers nothing")
    check(leader.cli("manager", "resume", "pm2").exit == 0, "resume")
    wait_told(demo, 1, planted, "it is as before")


def without_quorum(demo):
    leader = demo.leader()
    for node in demo.nodes:
        if node is not leader:
            node.kill_both()

    def stale():
        answer = leader.cli("coverage", timeout="3s")
        check(answer.exit == 5 and answer.envelope["stale"] is True, f"{answer}")
        check(set(rows_of(answer.data)) == set(PLANTED) | {PRIMARY}, f"{answer}")
        return True
    wait_until(stale, "without quorum it is stale")


def covered():
    with Demo(overlay=OVERLAY) as demo:
        demo.up()
        demo.leader()
        wait_told(demo, 0, not_proven, "nothing is proven yet")
        survives(demo, stands_in(demo))
        fates(demo)
        held_still(demo)
        without_quorum(demo)


if __name__ == "__main__":
    run(covered)
