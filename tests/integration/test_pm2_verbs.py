#!/usr/bin/python3 -B
"""The verbs of PM2 over all nodes: real PM2s, from whatever node is asked, with nodes that hang,
that are dead, and without a quorum. What the cluster runs is left to the cluster."""

import json
import os
import signal

from cluster import alive, check, kill, run, say, wait_until
from demo import ALWAYS, BACKUP, PRIMARY, Demo

SLEEP = "/usr/bin/sleep"


def register(demo, node, name, instances=1, **more):
    """A process of the team's: under PM2, and nothing of ours."""
    path = os.path.join(demo.folder, f"{name}-{node.name}.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"apps": [{"name": name, "script": SLEEP, "args": "100000", "interpreter": "none",
                             "exec_mode": "fork", "instances": instances, **more}]}, file)
    demo.pm2(node, "start", path)


def rows_of(answer, kind="process"):
    return [row for row in answer.data or [] if row["kind"] == kind]


def pids(demo, node, name):
    """PM2's own word, through its own program."""
    rows = json.loads(demo.pm2(node, "jlist").splitlines()[-1])
    return {row["pid"] for row in rows if row["name"] == name and row["pid"]}


def refused(answer, code, exit_code):
    check(answer.exit == exit_code and answer.error["code"] == code, f"{answer}")
    return answer.error["message"]


def listed(demo):
    """Any node tells the same of all."""
    places = []
    for node in demo.nodes:
        answer = node.cli("pm2", "list")
        check(answer.exit == 0, f"{answer}")
        check({row["node"] for row in rows_of(answer, "daemon")} == {node.name for node in demo.nodes},
              f"daemons: {answer.data}")
        for row in rows_of(answer, "daemon"):
            check(row["status"] == "up" and row["lives"] and
                  row["pid"] == demo.god(demo[row["node"]]) and row["memory_bytes"] > 1e6, f"{row}")
        for row in rows_of(answer):
            check(row["status"] == "online" and row["lives"] and alive(row["pid"]), f"{row}")
            check(row["home"] == demo.home(demo[row["node"]]) and row["age_ms"] < 60000, f"{row}")
        places.append(sorted((row["node"], row["name"], row["role"]) for row in rows_of(answer)))
    check(places[0] == places[1] == places[2], f"nodes disagree: {places}")
    check(("n1", PRIMARY, "primary") in places[0] and ("n2", "twin", "other") in places[0] and
          ("n3", "twin", "other") in places[0] and places[0].count(("n3", "pair", "other")) == 2,
          f"{places[0]}")
    check([role for _, name, role in places[0] if name == ALWAYS] == ["backup"], f"{places[0]}")
    one = demo["n1"].cli("pm2", "list", "twin", "--node", "n3")
    check([(row["node"], row["name"]) for row in one.data] == [("n3", "twin")], f"{one}")
    refused(demo["n1"].cli("pm2", "list", "nobody"), "not_found", 7)
    refused(demo["n1"].cli("pm2", "list", "--node", "n9"), "not_found", 7)
    page = demo["n2"].cli("pm2", "list", json_output=False)
    check(page.exit == 0 and "RESTARTS" in page.stdout and PRIMARY in page.stdout, f"{page}")
    say("list: every node tells the daemons and processes of all three")
    return True


def what_is_refused(demo):
    asked = demo["n1"]
    before = pids(demo, demo["n2"], "twin"), pids(demo, demo["n3"], "twin")
    message = refused(asked.cli("pm2", "stop", "twin"), "ambiguous", 8)
    check("n2" in message and "n3" in message, message)
    refused(asked.cli("pm2", "restart", "twin", "pair"), "ambiguous", 8)
    refused(asked.cli("pm2", "stop", "nobody"), "not_found", 7)
    refused(asked.cli("pm2", "stop", "twin", "--node", "n1"), "not_found", 7)
    refused(asked.cli("pm2", "stop", "twin", "--node", "n2", "--all-nodes"), "invalid", 2)
    worker = demo.worker_of(ALWAYS)
    for words in (["stop", ALWAYS], ["restart", ALWAYS, "--all-nodes"], ["stop", "pair", ALWAYS]):
        refused(asked.cli("pm2", *words), "unsafe", 9)
    check(demo.worker_of(ALWAYS) == worker, "a backup was touched")
    check(before == (pids(demo, demo["n2"], "twin"), pids(demo, demo["n3"], "twin")),
          "something was done that was refused")
    say("refused: what is ambiguous, unknown, or run by the cluster; nothing was touched")


def changes(demo):
    asked, other = demo["n1"], demo["n3"]
    (first,), untouched = pids(demo, demo["n2"], "twin"), pids(demo, other, "twin")
    done = asked.cli("pm2", "stop", "twin", "--node", "n2")
    check(done.exit == 0 and [(row["status"], row["ok"], row["pid_before"]) for row in done.data] ==
          [("stopped", True, first)], f"{done}")
    check(not alive(first) and demo.pm2_status(demo["n2"], "twin") == "stopped", "it runs on")
    check(asked.cli("pm2", "stop", "twin", "--node", "n2").exit == 0, "stopped is stopped")
    done = asked.cli("pm2", "start", "twin", "--node", "n2")
    (second,) = pids(demo, demo["n2"], "twin")
    check(done.exit == 0 and done.data[0]["pid"] == second and alive(second), f"{done}")
    again = asked.cli("pm2", "start", "twin", "--node", "n2")
    check(again.exit == 0 and pids(demo, demo["n2"], "twin") == {second}, f"{again}")
    pair = pids(demo, other, "pair")
    done = asked.cli("pm2", "restart", "pair")  # on one node alone: no --node is needed
    new = pids(demo, other, "pair")
    check(done.exit == 0 and len(done.data) == 2 and {row["pid"] for row in done.data} == new and
          not new & pair and not any(alive(pid) for pid in pair), f"{done}")
    check(pids(demo, other, "twin") == untouched, "a namesake on another node was touched")
    done = demo["n2"].cli("pm2", "restart", "twin", "--all-nodes")
    check(done.exit == 0 and {row["node"] for row in done.data} == {"n2", "n3"}, f"{done}")
    check(pids(demo, other, "twin") != untouched and pids(demo, demo["n2"], "twin") != {second},
          "not all were restarted")
    told = wait_until(lambda: [event for event in demo.events("pm2.command")
                               if event.get("verb") == "stop"], "an event tells of it")
    check(told[0]["who"] == "local" and told[0]["node"] == "n2", f"{told[0]}")
    say("stop, start, restart: pids are as told, instances one by one, namesakes left alone")


def logs(demo):
    """The last lines of the files that PM2's lists name, from every node that has the name."""
    files = rows_of(demo["n1"].cli("pm2", "logs", "twin", "--out"), "file")
    check([row["node"] for row in files] == ["n2", "n3"], f"{files}")
    for row in files:
        with open(row["path"], "a", encoding="utf-8") as file:
            file.writelines(f"{row['node']} says {number}\n" for number in range(40))
    answer = demo["n1"].cli("pm2", "logs", "twin", "--lines", "3", "--out")
    lines = [(row["node"], row["stream"], row["text"]) for row in rows_of(answer, "line")]
    check(answer.exit == 0 and lines == [(node, "out", f"{node} says {number}")
                                         for node in ("n2", "n3") for number in (37, 38, 39)],
          f"{answer}")
    both = demo["n3"].cli("pm2", "logs", "twin", "--node", "n2")
    check([row["stream"] for row in rows_of(both, "file")] == ["out", "err"] and
          len(rows_of(both, "line")) == 15, f"{both}")
    page = demo["n1"].cli("pm2", "logs", "twin", "--lines", "1", json_output=False)
    check("n2 twin 0 out | n2 says 39" in page.stdout and "| n3 says 39" in page.stdout, f"{page}")
    refused(demo["n1"].cli("pm2", "logs", "nobody"), "not_found", 7)
    say("logs: the last lines of a name, from all nodes")


def versions(demo):
    """What was taken from PM2's list by hand comes back from a kept version, and nothing else."""
    asked, node = demo["n1"], demo["n3"]
    kept = wait_until(lambda: [row for row in rows_of(asked.cli("pm2", "backups"), "version")
                               if row["node"] == "n3" and row["processes"] == 3], "it is kept")
    twin = pids(demo, node, "twin")
    demo.pm2(node, "delete", "pair")
    refused(asked.cli("pm2", "restore", str(kept[0]["number"])), "invalid", 2)
    refused(asked.cli("pm2", "restore", "999999", "--node", "n3"), "not_found", 7)
    refused(asked.cli("pm2", "restore", "nobody", "--node", "n3"), "not_found", 7)
    done = asked.cli("pm2", "restore", str(kept[0]["number"]), "pair", "--node", "n3")
    check(done.exit == 0 and [(row["name"], row["ok"]) for row in rows_of(done)] ==
          [("pair", True)] * 2, f"{done}")
    check(len(pids(demo, node, "pair")) == 2 and pids(demo, node, "twin") == twin, "not as it was")
    page = asked.cli("pm2", "backups", "--node", "n3", json_output=False)
    check(page.exit == 0 and "VERSION" in page.stdout, f"{page}")
    say("backups, restore: what was deleted by hand is there again, the rest was left alone")


def a_person_stops_the_primary(demo):
    """It stays stopped, its backup stands in; a pause does not hinder a person."""
    demo["n2"].cli("manager", "pause", "pm2")
    wait_until(lambda: all(row["state"] == "paused" for row in
                           demo["n1"].cli("manager", "list").data), "the managers are paused")
    done = demo["n3"].cli("pm2", "stop", PRIMARY)
    check(done.exit == 0 and done.data[0]["status"] == "stopped", f"{done}")
    demo["n2"].cli("manager", "resume", "pm2")
    wait_until(lambda: demo.worker_of(BACKUP), "the backup stands in")
    check(demo.pm2_status(demo["n1"], PRIMARY) == "stopped", "the stopped primary was started")
    done = demo["n3"].cli("pm2", "start", PRIMARY)
    check(done.exit == 0 and done.data[0]["status"] == "online", f"{done}")
    wait_until(lambda: not demo.workers(BACKUP), "the backup gives way")
    say("a primary that a person stopped stays stopped, and starts when a person says so")


def a_watched_one_stays_stopped(demo):
    """PM2 restarts what it watches when a file changes, also what was stopped."""
    node = demo["n2"]
    folder = os.path.join(demo.folder, "watched")
    os.makedirs(folder, exist_ok=True)
    edits = 0

    def restarted(name, before):
        nonlocal edits
        edits += 1
        with open(os.path.join(folder, f"edit-{edits}"), "w", encoding="utf-8") as file:
            file.write("x")
        return pids(demo, node, name) - {before}

    register(demo, node, "watched", watch=[folder])
    (first,) = pids(demo, node, "watched")
    wait_until(lambda: restarted("watched", first), "a changed file restarts it")
    done = demo["n1"].cli("pm2", "stop", "watched")
    check(done.exit == 0 and done.data[0]["status"] == "stopped", f"{done}")
    register(demo, node, "beside", watch=[folder])
    (first,) = pids(demo, node, "beside")
    wait_until(lambda: restarted("beside", first), "a changed file restarts the other")
    check(demo.pm2_status(node, "watched") == "stopped", "a changed file started what was stopped")
    say("stop: PM2 does not watch its files any more")


def states(answer):
    return {row["node"]: row["status"] for row in rows_of(answer, "node")}


def has_no_word_of(answer, name):
    """Before the others take that node for dead, or after it."""
    return states(answer) in ({name: "no answer"}, {name: "unreachable"})


def one_hangs(demo):
    frozen = demo["n3"].freeze()
    try:
        answer = demo["n1"].cli("pm2", "list", timeout="6s")
        check(answer.exit == 0 and has_no_word_of(answer, "n3"), f"{answer}")
        check({row["node"] for row in rows_of(answer, "daemon")} == {"n1", "n2"}, f"{answer}")
        before = pids(demo, demo["n2"], "twin")
        done = demo["n1"].cli("pm2", "restart", "twin", "--all-nodes", timeout="15s")
        check(done.exit == 1 and has_no_word_of(done, "n3"), f"{done}")
        check(pids(demo, demo["n2"], "twin") != before, "what answered was not restarted")
        alone = demo["n1"].cli("pm2", "list", "--node", "n3", timeout="2s")
        check(alone.exit in (3, 4), f"{alone}")
    finally:
        kill(frozen, signal.SIGCONT)
    wait_until(lambda: not states(demo["n1"].cli("pm2", "list")), "n3 answers again")
    say("a node that hangs has a row of its own; the others answer")


def most_are_dead(demo):
    """No quorum: reads and a person's changes go on."""
    for name in ("n3", "n2"):
        demo[name].kill_both()
    found = wait_until(lambda: (lambda answer: answer if states(answer) == {
        "n2": "unreachable", "n3": "unreachable"} else None)(demo["n1"].cli("pm2", "list")),
                       "both are told unreachable")
    check(found.exit == 0 and {row["node"] for row in rows_of(found, "daemon")} == {"n1"},
          f"{found}")
    refused(demo["n1"].cli("pm2", "list", "--node", "n3"), "unreachable", 3)
    before = pids(demo, demo["n1"], PRIMARY)
    done = demo["n1"].cli("pm2", "restart", PRIMARY)
    check(done.exit == 0 and pids(demo, demo["n1"], PRIMARY) != before, f"{done}")
    check(demo["n1"].cli("status").exit == 5, "there is a quorum")
    say("without quorum the last node lists and restarts all the same")


def verbs():
    with Demo() as demo:
        demo.up()
        for name in ("n2", "n3"):
            register(demo, demo[name], "twin")
        register(demo, demo["n3"], "pair", instances=2)
        demo.settled((ALWAYS,), idle=(BACKUP,))
        wait_until(lambda: listed(demo), "all nodes tell the same")
        what_is_refused(demo)
        changes(demo)
        a_watched_one_stays_stopped(demo)
        logs(demo)
        versions(demo)
        a_person_stops_the_primary(demo)
        one_hangs(demo)
        most_are_dead(demo)
        demo.check_writes()
        demo.stop()


if __name__ == "__main__":
    run(verbs)
