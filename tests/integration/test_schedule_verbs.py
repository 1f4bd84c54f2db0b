#!/usr/bin/python3 -B
"""The verbs about scheduled work, on one real node: what is said is what happened."""

from cluster import Cluster, check, run, say, wait_until

MANAGER = """pm2: {enabled: false}
  run:
    schedules:
      - {name: tick, every: 2s, run: [/bin/sh, -c, 'echo line one; echo "of $UNDERSTUDY_RUN"']}
      - {name: broken, every: 5s, run: [/bin/sh, -c, 'echo no >&2; exit 3']}
      - {name: slow, cron: "0 0 29 2 *", zone: Asia/Kathmandu, run: [/bin/sleep, "600"]}"""

ELSEWHERE = """pm2: {enabled: false}
  run:
    schedules:
      - {name: far, every: 5s, on: [n2], run: [/bin/sh, -c, 'echo far away; echo "of $UNDERSTUDY_RUN"']}"""

# Each node is configured with another program, and runs no other node's: only the leader's own can.
PRIVATE = """pm2: {enabled: false}
  run:
    schedules:
      - {name: private, cron: "0 0 29 2 *", run: [/bin/echo, NODE]}"""


def rows(node, *words):
    answer = node.cli(*words)
    check(answer.exit == 0, f"{' '.join(words)}: {answer}")
    return answer.data


def ended(node, schedule, outcome):
    return [row for row in rows(node, "run", "list", "--schedule", schedule)
            if row["outcome"] == outcome]


def test_schedules_are_told(node):
    wait_until(lambda: len(rows(node, "schedule", "list")) == 3, "the schedules are known")
    names = [row["id"] for row in rows(node, "schedule", "list")]
    check(names == ["run/broken", "run/slow", "run/tick"], f"schedules {names}")
    shown = rows(node, "schedule", "show", "run/slow")
    check(shown["zone"] == "Asia/Kathmandu" and shown["problem"] is None, f"show {shown}")
    check(len(shown["slots"]) == 5 and all(slot.endswith("-28T18:15:00.000Z")
                                           for slot in shown["slots"]), f"{shown['slots']}")
    coming = rows(node, "schedule", "next", "--limit", "4")
    slots = [row["slot"] for row in coming]
    check(len(slots) == 4 and slots == sorted(slots), f"next {coming}")
    check(node.cli("schedule", "show", "run/none").exit == 7, "an unknown schedule is not found")


def test_runs_are_told(node):
    row = wait_until(lambda: ended(node, "run/tick", "ran"), "a slot has run")[0]
    check(row["reason"] == "exit" and row["exit"] == 0 and row["node"] == "n1", f"{row}")
    logs = rows(node, "run", "logs", row["id"])
    check(logs["text"] == f"line one\nof {row['id']}\n", f"output {logs}")
    page = node.cli("run", "logs", row["id"], json_output=False)
    check(page.stdout == f"line one\nof {row['id']}\n", f"page {page}")
    failed = wait_until(lambda: ended(node, "run/broken", "failed"), "a run has failed")[0]
    check(failed["exit"] == 3, f"{failed}")
    why = rows(node, "why", "run", failed["id"])
    check(why["reason"] == "exit" and "exit status 3" in why["steps"][0]["text"], f"{why}")
    check(node.cli("run", "show", "run/tick@20200101T000000Z").exit == 7, "it never was")


def test_by_hand(node):
    check(node.cli("run", "start", "run/slow").exit == 0, "run start")
    def running():
        found = [row for row in rows(node, "run", "list", "--schedule", "run/slow")
                 if row["state"] == "running" and row["slot"] is None]
        return found[0]["id"] if found else None
    run_id = wait_until(running, "it runs")
    check(node.cli("run", "cancel", run_id).exit == 0, "run cancel")
    row = wait_until(lambda: [row for row in ended(node, "run/slow", "failed")
                              if row["id"] == run_id], "it has ended")[0]
    check(row["reason"] == "cancelled", f"{row}")
    audit = rows(node, "audit", "show", "--target", run_id)
    check([entry["what"] for entry in audit] == ["run_cancel"] and audit[0]["reason"] == "operator",
          f"audit {audit}")


def test_ticks(node):
    answer = wait_until(lambda: (lambda a: a if a.exit == 0 else None)(node.cli("ticks", "verify")),
                        "ticks verify is content")
    check(answer.data["schedules"] == 3 and answer.data["slots"] >= 2, f"{answer.data}")
    check(answer.envelope["schema"] == "understudy.ticks.verify/1", f"{answer.envelope}")
    say(f"ticks verify: {answer.data}")


def output_of_another_node():
    """Whoever is asked has it fetched from the node that had the run."""
    with Cluster(managers=ELSEWHERE) as cluster:
        cluster.start()
        asked = cluster["n1"]
        row = wait_until(lambda: ended(asked, "run/far", "ran"), "a slot has run")[0]
        check(row["node"] == "n2", f"{row}")
        for node in cluster.nodes:
            logs = rows(node, "run", "logs", row["id"])
            check(logs["text"] == f"far away\nof {row['id']}\n", f"on {node.name}: {logs}")
        gone = asked.cli("run", "logs", row["id"], "--attempt", "9")
        check(gone.exit == 7 and gone.error["message"].startswith("n2: "), f"{gone}")
        cluster["n2"].kill_both()
        wait_until(lambda: asked.cli("run", "logs", row["id"], timeout="3s").exit == 3,
                   "its node is told unreachable")
        say("run logs: from whatever node, of the node that had the run")


def attempts_of_private(cluster, node):
    """Of a run that `node`, made the leader, alone can start."""
    leader = cluster.wait_leader()
    if leader is not node:
        done = leader.cli("leader", "transfer", node.name)
        check(done.exit == 0, f"{done}")
        wait_until(lambda: cluster.wait_leader() is node, f"{node.name} leads")

    before = [row["id"] for row in ended(node, "run/private", "ran")]
    wait_until(lambda: node.cli("run", "start", "run/private").exit == 0, "it is started")
    row = wait_until(lambda: next((row for row in ended(node, "run/private", "ran")
                                   if row["id"] not in before), None), "it has run")
    check(row["node"] == node.name, f"{row}")
    return row["attempt"]


def found_by_trying():
    """A run that one node alone can start gets there: who could not is not asked again."""
    with Cluster(managers=PRIVATE) as cluster:
        cluster.prepare()
        for node in cluster.nodes:
            with open(node.config, "r+", encoding="utf-8") as file:
                text = file.read().replace("NODE", node.name)
                file.seek(0)
                file.truncate()
                file.write(text)
            node.start()
        attempts = [attempts_of_private(cluster, node) for node in cluster.nodes]
        check(max(attempts) <= len(cluster.nodes), f"{attempts}")
        check(max(attempts) > 1, f"the leader is always the first choice: {attempts}")
        say(f"a run that one node alone can start: there with attempt {attempts}")


def test_verbs():
    output_of_another_node()
    found_by_trying()
    with Cluster(1, managers=MANAGER) as cluster:
        cluster.start()
        node = cluster["n1"]
        test_schedules_are_told(node)
        test_runs_are_told(node)
        test_by_hand(node)
        test_ticks(node)


if __name__ == "__main__":
    run(test_verbs)
