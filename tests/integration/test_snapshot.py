#!/usr/bin/python3 -B
"""A saved snapshot: taken of any node, with and without quorum; with no node running it gives the
answers that the node gave; a damaged one is told, and never believed."""

import os
import stat
import subprocess
import threading

from cluster import BUILD, PATIENCE_S, Answer, Cluster, check, run, say, wait_until

MANY = 509  # so many that the state and the ledger take several pages
SCHEDULES = "".join(
    f"      - {{name: rare-{i:03}-with-a-name-of-some-length, cron: \"0 0 29 2 *\", run: [/bin/true]}}\n"
    for i in range(MANY))
MANAGER = f"""pm2: {{enabled: false}}
  run:
    schedules:
      - {{name: tick, every: 2s, run: [/bin/true]}}
      - {{name: broken, every: 3s, run: [/bin/sh, -c, 'exit 3']}}
      - {{name: slow, cron: "0 0 29 2 *", run: [/bin/sleep, "600"]}}
{SCHEDULES}"""
DEAD = "member.dead/"


def rows(node, *words):
    answer = node.cli(*words)
    check(answer.exit == 0, f"{' '.join(words)}: {answer}")
    return answer.data


def offline(*words, json_output=True):
    """The command line in a place without any node."""
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith("UNDERSTUDY_")}
    return Answer(subprocess.run(
        [f"{BUILD}/bin/understudy", "-e", "ipc:///nowhere/control.sock"] +
        (["--json"] if json_output else []) + list(words), capture_output=True, text=True,
        timeout=PATIENCE_S, stdin=subprocess.DEVNULL, env=environment, check=False))


def without(data, *keys):
    return {key: value for key, value in data.items() if key not in keys}


# ---- saving ----


def make_history(leader):
    """A run by hand that goes on, a failed slot, and what `why` is to be asked of them."""
    wait_until(lambda: len(rows(leader, "schedule", "list")) == MANY + 3, "the schedules are known")
    check(leader.cli("run", "start", "run/slow").exit == 0, "run start")

    def running():
        found = [row for row in rows(leader, "run", "list", "--schedule", "run/slow")
                 if row["state"] == "running"]
        return found[0]["id"] if found else None

    by_hand = wait_until(running, "it runs")
    failed = wait_until(lambda: [row["id"] for row in rows(
        leader, "run", "list", "--schedule", "run/broken", "--outcome", "failed")],
        "a run has failed")[0]
    duty = wait_until(lambda: [row["id"] for row in rows(leader, "duty", "list")
                               if row["id"].startswith("run/slow@")], "its duty is told")[0]
    return by_hand, failed, duty


def save(node, path, *words):
    answer = node.cli("snapshot", "save", path, *words)
    check(answer.exit == 0, f"save of {node.name}: {answer}")
    check(answer.envelope["schema"] == "understudy.snapshot.save/1", f"{answer}")
    check(answer.data["node"] == node.name and answer.data["file"] == path, f"{answer}")
    check(answer.data["bytes"] == os.path.getsize(path), f"{answer}")
    check(stat.S_IMODE(os.stat(path).st_mode) == 0o600, oct(os.stat(path).st_mode))
    left = [name for name in os.listdir(os.path.dirname(path))
            if name.startswith(os.path.basename(path) + ".")]
    check(not left, f"left behind: {left}")
    return answer


def inspected(path):
    answer = offline("snapshot", "inspect", path)
    check(answer.exit == 0, f"inspect {path}: {answer}")
    envelope, data = answer.envelope, answer.data
    check(envelope["schema"] == "understudy.snapshot.inspect/1" and envelope["stale"] is True and
          envelope["cluster"] == "demo" and envelope["node"] == data["node"] and
          envelope["term"] == data["term"] and envelope["time"] == data["saved"], f"{envelope}")
    check(data["format"] == 1 and data["bytes"] == os.path.getsize(path), f"{data}")
    return data


def questions(by_hand, failed, duty, key):
    return [("why", "leader"), ("why", "duty", duty), ("why", "run", by_hand),
            ("why", "run", failed), ("why", "alert", key), ("why", "not", "duty", duty)]


def compare(node, path, asked):
    """What the file says is what the node says. Nothing that is asked about changes meanwhile."""
    index = inspected(path)["index"]
    for words in asked:
        online, answer = node.cli(*words), offline(*words, "--snapshot", path)
        check(online.exit == 0 and answer.exit == 0, f"{words}: {online} {answer}")
        check(without(online.data, "placement") == without(answer.data, "placement"),
              f"{words}: {online.data} and from the file {answer.data}")
        check(answer.data.get("placement") is None, f"{words}: {answer.data}")
        envelope = answer.envelope
        check(envelope["schema"] == online.envelope["schema"] and envelope["node"] == node.name and
              envelope["cluster"] == "demo" and envelope["term"] == online.envelope["term"] and
              envelope["stale"] is True and envelope["snapshot"] == {"file": path, "index": index},
              f"{envelope}")
    online = [row for row in rows(node, "audit", "show", "--limit", "2000")
              if row["index"] <= index]
    kept = offline("audit", "show", "--limit", "2000", "--snapshot", path).data
    # The node's ring goes on, and so may have forgotten the oldest meanwhile.
    check(len(online) > 100 and kept[:len(online)] == online, f"{kept[:3]} {online[:3]}")
    few = offline("audit", "show", "--limit", "2", "--snapshot", path).data
    check(few == kept[:2], f"{few}")
    told = offline("why", "leader", "--snapshot", path, json_output=False)
    check(told.exit == 0 and f"As {node.name} of cluster demo had it at" in told.stdout and
          "quorum" not in told.stdout, f"{told}")


def dead_alert(leader, member):
    """Kill a node and wait for its alert; the key."""
    member.kill_both()
    key = DEAD + member.name
    wait_until(lambda: [row for row in rows(leader, "alert", "list") if row["key"] == key],
               f"{key} fires")
    return key


def refusals(node, path):
    folder = os.path.dirname(path)
    with open(path, "rb") as file:
        before = file.read()
    answer = node.cli("snapshot", "save", path)
    check(answer.exit == 8 and answer.error["code"] == "exists" and path in answer.error["message"]
          and "--force" in answer.error["hint"], f"{answer}")
    answer = node.cli("snapshot", "save", folder, "--force")
    check(answer.exit == 8 and os.path.isdir(folder), f"over a folder: {answer}")
    answer = node.cli("snapshot", "save", f"{folder}/none/state.snap")
    check(answer.exit == 7 and not os.path.exists(f"{folder}/none"), f"no folder: {answer}")
    with open(path, "rb") as file:
        check(file.read() == before, "a refused save changed the file")
    save(node, path, "--force")
    with open(path, "rb") as file:
        check(file.read() != before, "--force did not replace the file")


def holds_no_secret(cluster, path):
    """Neither keys nor what nodes are configured to run: the file may be handed to others."""
    with open(path, "rb") as file:
        data = file.read()
    check(cluster.public_key("n1").encode() in data, "the roster's public keys are not there")
    for node in cluster.nodes:
        check(cluster.secret_key(node.name).encode() not in data, f"the key of {node.name}")
    check(b"/bin/sleep" not in data, "a command of a schedule")


def many_at_once(node, folder):
    """More at once than are held: each is saved whole or refused, and then there is room again."""
    answers = {}

    def one(number):
        answers[number] = node.cli("snapshot", "save", f"{folder}/at-once-{number}.snap")

    threads = [threading.Thread(target=one, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, answer in answers.items():
        check(answer.exit in (0, 8), f"{answer}")
        check(os.path.exists(f"{folder}/at-once-{number}.snap") == (answer.exit == 0), f"{answer}")
        if answer.exit == 0:
            inspected(f"{folder}/at-once-{number}.snap")
        else:
            check(answer.error["code"] == "busy", f"{answer}")
    check(any(answer.exit == 0 for answer in answers.values()), f"{answers}")
    save(node, f"{folder}/after.snap")
    return sum(answer.exit == 0 for answer in answers.values())


# ---- without a node ----


def unknown_things(path):
    for words, code, exit_code in (
            (("why", "duty", "run/none"), "not_found", 7),
            (("why", "not", "duty", "run/none"), "not_found", 7),
            (("why", "run", "run/tick@20200101T000000Z"), "not_found", 7),
            (("why", "run", "tick"), "invalid", 2),
            (("why", "alert", "none/at-all"), "not_found", 7)):
        answer = offline(*words, "--snapshot", path)
        check(answer.exit == exit_code and answer.error["code"] == code, f"{words}: {answer}")
    check(offline("audit", "show", "--target", "none", "--snapshot", path).data == [], "audit")
    missing = offline("why", "leader", "--snapshot", path + ".none")
    check(missing.exit == 7 and path + ".none" in missing.error["message"], f"{missing}")
    check(offline("why", "leader").exit == 3, "without the file a node is needed")
    check(offline("status", "--snapshot", path).exit == 2, "status reads no file")
    check(offline("why", "leader", "--snapshot").exit == 2, "the file is missing")
    later = offline("snapshot", "restore", path)
    check(later.exit == 2 and later.error["code"] == "not_in_this_version", f"{later}")
    page = offline("snapshot", "inspect", path, json_output=False)
    check(page.exit == 0 and "runs_ended" in page.stdout and "schedules" in page.stdout, f"{page}")


def slots(path):
    answer = offline("ticks", "verify", "--snapshot", path)
    check(answer.exit == 0 and answer.data["schedules"] == MANY + 3 and answer.data["slots"] > 0 and
          answer.data["violations"] == [], f"{answer}")


def damage(path, folder):
    with open(path, "rb") as file:
        whole = file.read()
    size = len(whole)
    header = 32 + int.from_bytes(whole[20:24], "little")

    def flipped(at):
        return whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1:]

    cases = [
        ("empty", b"", 1, "no_snapshot", "empty"),
        ("other", b"PK\x03\x04" + bytes(200), 1, "no_snapshot", "no saved snapshot"),
        ("magic", whole[:10], 1, "damaged", "cut short at byte 10"),
        ("start", whole[:22], 1, "damaged", "cut short at byte 22"),
        ("header", whole[:header - 9], 1, "damaged", f"cut short at byte {header - 9}"),
        ("half", whole[:size // 2], 1, "damaged", f"cut short at byte {size // 2} of {size}"),
        ("last", whole[:-1], 1, "damaged", f"cut short at byte {size - 1} of {size}"),
        ("longer", whole + b"\0", 1, "damaged", f"should end at {size}"),
        ("newer", whole[:16] + b"\x02\0\0\0" + whole[20:], 8, "newer_version", "format version 2"),
        ("in-header", flipped(30), 1, "damaged", "checksum of its header"),
        ("in-state", flipped(header + 100), 1, "damaged", "checksum of its contents"),
        ("at-end", flipped(size - 1), 1, "damaged", "checksum of its contents"),
    ]
    for name, data, exit_code, code, text in cases:
        other = f"{folder}/{name}.snap"
        with open(other, "wb") as file:
            file.write(data)
        for words in (("snapshot", "inspect", other), ("why", "leader", "--snapshot", other),
                      ("ticks", "verify", "--snapshot", other)):
            answer = offline(*words)
            check(answer.exit == exit_code and answer.error["code"] == code and
                  text in answer.error["message"] and other in answer.error["message"] and
                  answer.error["hint"] and answer.stdout == "", f"{name}: {answer}")
    fifo = f"{folder}/fifo.snap"
    os.mkfifo(fifo)
    check("no regular file" in offline("snapshot", "inspect", fifo).error["message"], "a pipe")
    if os.geteuid() != 0:
        os.chmod(path, 0)
        check(offline("snapshot", "inspect", path).exit == 6, "a file that may not be read")
        os.chmod(path, 0o600)
    return len(cases)


# ---- the whole ----


def without_quorum(leader, path):
    """Only one of three is left: it saves what it has, and says so."""
    wait_until(lambda: leader.cli("status", timeout="3s").exit == 5, "there is no quorum")
    answer = leader.cli("snapshot", "save", path)
    check(answer.exit == 5 and answer.envelope["stale"] is True and answer.data["stale"] is True,
          f"{answer}")
    check(inspected(path)["stale"] is True, "inspect does not tell that it was stale")
    answer = offline("why", "leader", "--snapshot", path)
    check(answer.exit == 0, f"{answer}")
    stale = leader.cli("ticks", "verify")
    check(stale.exit == 5 and stale.data["schedules"] == MANY + 3, f"all pages, stale: {stale}")


def snapshots():
    with Cluster(managers=MANAGER) as cluster:
        leader = cluster.start()
        folder = os.path.join(cluster.folder, "saved")
        os.mkdir(folder)
        by_hand, failed, duty = make_history(leader)
        keeps = {row["node"] for row in rows(leader, "duty", "list") if row["id"] == duty}
        followers = [node for node in cluster.nodes if node is not leader]
        victim = next(node for node in followers if node.name not in keeps)
        follower = next(node for node in followers if node is not victim)
        key = dead_alert(leader, victim)
        asked = questions(by_hand, failed, duty, key)
        paths = {}
        for node in (leader, follower):
            paths[node] = f"{folder}/{node.name}.snap"
            wait_until(lambda node=node: [row for row in rows(node, "alert", "list")
                                          if row["key"] == key], f"{node.name} knows it too")
            save(node, paths[node])
            counts = inspected(paths[node])["counts"]
            check(counts["schedules"] == MANY + 3 and counts["nodes"] == 3 and
                  counts["runs_under_way"] >= 1 and counts["runs_ended"] >= 1 and
                  counts["leaders"] >= 1 and counts["alerts"] >= 1, f"{counts}")
            compare(node, paths[node], asked)
            holds_no_secret(cluster, paths[node])
            refusals(node, paths[node])
            compare(node, paths[node], asked)
        size = os.path.getsize(paths[leader])
        check(size > 65536 + 1000, f"{size} bytes fit into one page")
        saved = many_at_once(leader, folder)
        follower.kill_both()
        without_quorum(leader, f"{folder}/alone.snap")
        answers = {words: leader.cli(*words) for words in asked}
        leader.kill_both()
        unknown_things(paths[leader])
        for node in (leader, follower):
            slots(paths[node])
        for words, online in answers.items():
            answer = offline(*words, "--snapshot", f"{folder}/alone.snap")
            check(online.exit == 5 and answer.exit == 0 and
                  without(online.data, "placement") == without(answer.data, "placement"),
                  f"{words}: {online} {answer}")
        cases = damage(paths[leader], folder)
        say(f"{size} bytes; {saved} of 6 saved at once; {len(asked)} questions, {cases} damages")


if __name__ == "__main__":
    run(snapshots)
