#!/usr/bin/python3 -B
"""Where duties run: when there is little room the lowest gives way and comes back; labels; copies."""

import os
import signal

from cluster import ROOT, Cluster, Skip, check, read_pid, run, say, wait_until
from demo import PRIMARY, Demo, duty, reload

try:
    import msgpack  # noqa: F401  the manager of the copies needs both
    import zmq
except ImportError:
    zmq = None

STANDBY = "standby"
ALWAYS = {"low": 1, "middle": 2, "high": 3}
LABELLED = "labelled"
RUNS_AGAIN_S = 90  # who was sent away waits for 30 s at least


def backup(folder, name, role, more):
    worker = os.path.join(ROOT, "deploy", "demo", "worker.py")
    writes = os.path.join(folder, "demo", "writes.log")
    return (f'      - {{name: {name}, script: "{worker}", settle: 2s, {more},\n'
            f'         args: ["{writes}", any, {role}, {name}]}}\n')


def overlay(folder):
    text = "leadership: {handover_below: 0}\nplacement: {room: 1}\nmanagers:\n  pm2:\n    backups:\n"
    text += backup(folder, STANDBY, "backup", f"stands_in_for: {PRIMARY}, priority: 9")
    for name, priority in ALWAYS.items():
        text += backup(folder, name, "always", f"mode: always, priority: {priority}")
    return text + backup(folder, LABELLED, "always",
                         "mode: always, priority: 5, labels: {disk: fast}")


def places(demo, among=None):
    """Name -> node of the duties that run."""
    rows = demo.duties(demo.wait_leader(among))
    return {name.removeprefix("pm2/"): row["node"] for name, row in rows.items()
            if row["state"] == "running"}


def wait_places(demo, expected, what, patience_s=None, among=None):
    def reached():
        found = places(demo, among)
        check(expected(found), f"{found}")
        return found
    more = {} if patience_s is None else {"patience_s": patience_s}
    return wait_until(reached, what, pause_s=0.2, **more)


def spread(demo):
    found = wait_places(demo, lambda at: set(at) == set(ALWAYS), "the three that can run, run")
    check(len(set(found.values())) == 3, f"more than one on a node: {found}")
    row = demo.duties(demo.leader())[duty(LABELLED)]
    check(row["wanted"] and row["state"] != "running", f"no node has its label: {row}")
    told = why_not(demo, LABELLED)
    check(told["verdict"] == "nobody_can" and told["best"] is None, f"{told}")
    check([row["reason"] for row in told["nodes"]] == 3 * ["label_missing"], f"{told}")
    return found


def why_not(demo, name):
    """What the acting leader makes of each node; the others do not know it."""
    leader = demo.leader()
    answers = {node.name: node.cli("why", "not", "duty", duty(name)) for node in demo.nodes}
    check(all(answer.exit == 0 for answer in answers.values()), f"{answers}")
    told = answers.pop(leader.name).data["placement"]
    check(all(answer.data["placement"] is None for answer in answers.values()), f"{answers}")
    return told


def gives_way(demo, before):
    """The lowest that is not on the primary's host makes room for the primary's backup."""
    victim = min((name for name in before if before[name] != "n1"), key=ALWAYS.get)
    demo.pm2(demo["n1"], "stop", PRIMARY)
    found = wait_places(demo, lambda at: set(at) == set(ALWAYS) - {victim} | {STANDBY},
                        f"{victim} gives way to the backup")
    check(found[STANDBY] == before[victim], f"the backup is not where {victim} was: {found}")
    row = demo.duties(demo.leader())[duty(victim)]
    check(row["wanted"], f"it is wanted still: {row}")
    told = why_not(demo, victim)
    check(told["verdict"] in ("sent_away", "waits_for_room"), f"{told}")
    check({row["reason"] for row in told["nodes"]} == {"no_room"}, f"{told}")
    say(f"  {victim} gave way on {found[STANDBY]}")


def comes_back(demo):
    demo.pm2(demo["n1"], "start", PRIMARY)
    wait_places(demo, lambda at: set(at) == set(ALWAYS), "who gave way runs again", RUNS_AGAIN_S)


def labelled(demo):
    """A node gets the label, and in the end it has the duty that asks for it."""
    for node in demo.nodes:
        more = "labels: {disk: fast}\n" if node.name == "n3" else ""
        reload(node, lambda text, more=more: text.replace("room: 1", "room: 8") + more)
    found = wait_places(demo, lambda at: set(at) == set(ALWAYS) | {LABELLED}, "all run")
    check(found[LABELLED] == "n3", f"{found}")
    told = demo["n2"].cli("duty", "move", duty(LABELLED), "n1")
    check(told.exit == 9 and "it lacks a label" in str(told), f"moved to where it cannot run: {told}")


def pm2_copies(demo):
    """Copies of backups are placed apart, survive a node's death and go when fewer are wanted."""
    others = set(ALWAYS) | {LABELLED}
    one, two = {"twin", "twin-2"}, {"spare", "spare-2"}
    spare = backup(demo.folder, "spare", "backup", f"stands_in_for: {PRIMARY}, copies: 2")
    more = backup(demo.folder, "twin", "always", "mode: always, copies: 2") + spare
    for node in demo.nodes:
        reload(node, lambda text: text.replace("    backups:\n", "    backups:\n" + more))

    def apart(at, wanted):
        return set(at) == others | wanted and all(
            len({at[name] for name in pair}) == 2 for pair in (one, two) if pair <= wanted)
    found = wait_places(demo, lambda at: apart(at, one), "both twins run, apart")
    demo.pm2(demo["n1"], "stop", PRIMARY)
    wait_places(demo, lambda at: apart(at, one | two | {STANDBY}), "both spares stand in, apart")
    demo.pm2(demo["n1"], "start", PRIMARY)
    wait_places(demo, lambda at: apart(at, one), "the spares give way")
    lost = demo[found["twin-2"]]
    others -= {LABELLED} if lost.name == "n3" else set()
    lost.kill_both()
    wait_places(demo, lambda at: apart(at, one) and lost.name not in at.values(),
                "both twins run, apart, on the nodes that are left",
                among=[node for node in demo.nodes if node is not lost])
    lost.start()
    demo.wait_leader()
    others |= {LABELLED}
    for node in demo.nodes:
        reload(node, lambda text: text.replace("mode: always, copies: 2", "mode: always"))
    wait_places(demo, lambda at: set(at) == others | {"twin"}, "one twin is left")


def placement():
    with Demo() as demo:
        with open(demo.overlay, "w", encoding="utf-8") as file:
            file.write(overlay(demo.folder))
        demo.up()
        gives_way(demo, spread(demo))
        comes_back(demo)
        labelled(demo)
        pm2_copies(demo)
        demo.stop()
        check(not demo.own_pids(), "something is left running")


# ---- copies, and one for each node ----

def running(cluster):
    """Id -> node of what runs; nothing that is not wanted may be held."""
    rows = cluster.wait_leader().cli("duty", "list").data
    check(all(row["wanted"] or row["state"] == "idle" for row in rows), f"{rows}")
    return {row["id"]: row["node"] for row in rows if row["state"] == "running"}


def copies():
    if zmq is None:
        raise Skip("python3-zmq or python3-msgpack is not installed")
    with Cluster(3, extra="leadership: {handover_below: 0}\n") as cluster:
        want = os.path.join(cluster.folder, "want")
        program = os.path.join(ROOT, "tests", "integration", "copies_manager.py")
        cluster.managers = "\n  ".join([
            "pm2: {enabled: false}", f'copier: {{program: "{program}", options: {{want: "{want}"}}}}'])
        cluster.start()

        def wanted(text, expected, what, apart=False):
            with open(want + ".new", "w", encoding="utf-8") as file:
                file.write(text)
            os.rename(want + ".new", want)

            def reached():
                found = running(cluster)
                check(set(found) == expected, f"{found}")
                check(not apart or len(set(found.values())) == len(found), f"together: {found}")
                return found
            return wait_until(reached, what, pause_s=0.1)
        three = {"copier/thing", "copier/thing~2", "copier/thing~3"}
        # The leader may know one manager before the others; then they move.
        wanted("3", three, "three copies run, each on a node of its own", apart=True)
        wanted("1", {"copier/thing"}, "one of them is left")
        names = {f"copier/thing~{node.name}": node.name for node in cluster.nodes}
        found = wanted("per_node", set(names), "one runs for each node")
        check(found == names, f"not on their nodes: {found}")
        wanted("2", {"copier/thing", "copier/thing~2"}, "two copies again")


if __name__ == "__main__":
    run(placement, copies)
