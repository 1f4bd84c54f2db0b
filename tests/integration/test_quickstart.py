#!/usr/bin/python3 -B
"""deploy/quickstart again and again: it starts what is dead, ends its own, and touches nothing else."""

import os
import re
import shutil
import socket
import urllib.request

from cluster import PATIENCE_S, alive, check, kill, run, say, wait_until
from demo import ALWAYS, BACKUP, PRIMARY, Demo, duty


def pids(demo):
    return {node.name: (node.parent(), node.worker()) for node in demo.nodes}


def files(demo, *names):
    texts = {}
    for node in demo.nodes:
        for name in names:
            with open(os.path.join(node.folder, name), "rb") as file:
                texts[node.name, name] = file.read()
    return texts


def wrong_words(demo):
    for words in (["--nodes"], ["--nodes", "0"], ["--base-port", "x"], ["--bogus"]):
        code, output = demo.quickstart(*words)
        check(code == 2 and "usage" in output, f"quickstart {words} exits {code}: {output}")
    code, output = demo.quickstart("stop", "--dir", os.path.join(demo.folder, "nowhere"))
    check(code == 0, f"stop of nothing exits {code}: {output}")


def dashboard_port(output):
    """Where it says that the dashboard is, after a look at it."""
    told = re.search(r"Dashboard: (http://127\.0\.0\.1:(\d+)/)", output)
    check(told is not None, f"it does not say where the dashboard is: {output}")
    with urllib.request.urlopen(told[1], timeout=PATIENCE_S) as page:
        check(page.status == 200, f"{told[1]}: {page.status}")
    return int(told[2])


def port_is_free(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def again_and_again(demo):
    wanted = 3001 if port_is_free(3001) else demo.base + 11
    output = demo.up()
    check("leader transfer" in output, f"it does not say what to try: {output}")
    check(dashboard_port(output) == wanted, f"the dashboard is not on {wanted}: {output}")
    leader = demo.leader()
    term = leader.status()["term"]
    before = pids(demo)
    kept = files(demo, "understudy.yml", f"keys/{demo.nodes[0].name}.key")
    demo.up()
    check(pids(demo) == before, f"the second call started something: {before} {pids(demo)}")
    check(files(demo, "understudy.yml", f"keys/{demo.nodes[0].name}.key") == kept,
          "the second call changed configuration or keys")
    check(demo.leader() is leader and leader.status()["term"] == term, "leadership moved")


def starts_what_is_dead(demo):
    before = pids(demo)
    leader = demo.leader()
    leader.kill_both()
    demo.up()
    demo.leader()
    after = pids(demo)
    for name, both in after.items():
        check(all(both), f"{name} does not run: {both}")
        check((both == before[name]) == (name != leader.name), f"{name}: {before[name]} {both}")


def refuses_other_count(demo):
    before = pids(demo)
    code, output = demo.try_up(count=4)
    check(code == 1 and "--clean" in output, f"another --nodes exits {code}: {output}")
    check(pids(demo) == before, "a refused call touched something")
    check(not os.path.exists(os.path.join(demo.folder, "n4")), "a refused call made a node")


def merges_overlay(demo):
    for node in demo.nodes:
        answer = node.cli("config", "show")
        check(answer.exit == 0, f"config show: {answer}")
        values = {row["key"]: row["value"] for row in answer.data}
        check(values["leadership.handover_below"] in (0, "0"),
              f"--config is not in the configuration of {node.name}: {answer.stdout}")


def clean_begins_anew(demo):
    before = pids(demo)
    index = demo.leader().status()["applied_index"]
    shutil.copytree(os.path.join(demo.folder, "keys"), os.path.join(demo.folder, "old"))
    demo.up("--clean")
    leader = demo.leader()
    check(not any(alive(pid) for both in before.values() for pid in both), "old processes live")
    check(leader.status()["applied_index"] < index, "old data is there")
    with open(os.path.join(demo.folder, "old", "n1.key"), "rb") as old, open(
            os.path.join(demo.folder, "keys", "n1.key"), "rb") as new:
        check(old.read() != new.read(), "old keys are there")


def joins_beyond_founders(demo):
    """Four nodes: three founders, the fourth joins while they run."""
    code, output = demo.try_up("--clean", count=4)
    check(code == 0, f"four nodes: {code}: {output}")

    def all_there():
        answer = demo["n1"].cli("members")
        states = {row["name"]: row["state"] for row in answer.data}
        check(states == {f"n{i}": "alive" for i in range(1, 5)}, f"{states}")
        return True

    wait_until(all_there, "the fourth has joined")
    again, output = demo.try_up(count=4)
    check(again == 0, f"four nodes again: {again}: {output}")


def ends_its_own(demo, other):
    theirs = pids(other)
    check(demo.own_pids(), "nothing runs that could be ended")
    demo.stop()
    check(not demo.own_pids(), f"stop leaves {demo.own_pids()}")
    check(pids(other) == theirs, "stop touched another cluster")
    demo.stop()  # of what has stopped


def quickstart_without_demo():
    with Demo(demo=False) as first, Demo(demo=False) as second:
        wrong_words(first)
        check(dashboard_port(second.up()) == second.base + 11, "it did not leave port 3001 alone")
        first.port_3001 = True
        again_and_again(first)
        second.leader()
        starts_what_is_dead(first)
        refuses_other_count(first)
        merges_overlay(first)
        clean_begins_anew(first)
        joins_beyond_founders(first)
        ends_its_own(first, second)
        check(second.leader(), "the other cluster has no leader")
        first.up(*["--clean"])  # what was stopped can be started
        first.leader()
        ends_its_own(second, first)
    say("started twice, repaired, refused, cleaned, joined and stopped, beside another cluster")


def everything_of_demo(demo):
    """Pids that a second call must not change."""
    found = pids(demo)
    for node in demo.nodes:
        found["pm2 of " + node.name] = demo.god(node)
        check(demo.god(node), f"no PM2 daemon on {node.name}")
    return found, demo.workers(PRIMARY)


def quickstart_with_demo():
    with Demo() as first, Demo() as second:
        first.up()
        first.settled((ALWAYS,), idle=(BACKUP,))
        before = everything_of_demo(first)
        check(len(before[1]) == 1 and list(before[1].values()) == ["n1"], f"{before[1]}")
        first.up()
        check(everything_of_demo(first) == before, "the second call started something")
        # One of each kind dies: a PM2 daemon, a parent with its node.
        place = first.duties(first.leader())[duty(ALWAYS)]["node"]
        idle = next(node for node in first.nodes if node.name not in ("n1", place))
        god = first.god(idle)
        kill(god)
        wait_until(lambda: not alive(god), "the PM2 daemon is dead")
        idle.kill_both()
        first.up()
        after = everything_of_demo(first)
        changed = {name for name in after[0] if after[0][name] != before[0][name]}
        check(changed == {idle.name, "pm2 of " + idle.name}, f"started: {changed}")
        check(after[1] == before[1], "the primary was touched")
        first.settled((ALWAYS,), idle=(BACKUP,))
        second.up()
        theirs = everything_of_demo(second)
        first.stop()
        check(not first.own_pids(), f"stop leaves {first.own_pids()}")
        check(everything_of_demo(second) == theirs, "stop touched another cluster")
        second.settled((ALWAYS,), idle=(BACKUP,))
        second.stop()
        check(not second.own_pids(), f"stop leaves {second.own_pids()}")
    say("with PM2: called twice, a daemon and a node started again, nothing left after stop")


if __name__ == "__main__":
    run(quickstart_without_demo, quickstart_with_demo)
