#!/usr/bin/python3 -B
"""The nine of deploy/examples/nine, started as its README says, on three nodes with a real PM2 each:
their scripts do what they say; the enhanced backup takes over where the standard one fails; and while
nodes are killed, frozen and handed over and primaries are killed, errored, stopped and deleted, every
primary is back or stood in for, no backup runs twice, and each slot of the cron backups has one
outcome, by a wall clock that runs fast.

    test_nine.py [--seconds N] [--rate N] [--seed N]

--seconds 1200 --rate 1200 are sixteen days of schedules.
"""

import os
import random
import signal
import subprocess
import time

import nine
import test_schedules as schedules
from cluster import PATIENCE_S, boot_s, check, run, say, wait_until
from demo import OVERLAY, Demo, quickstart_environment


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


class Nine(Demo):
    def __init__(self, more):
        super().__init__(overlay=nine.overlay(more))
        self.work = os.path.join(self.folder, "nine")
        self.units = os.path.join(self.work, "units.log")

    def quickstart(self, *words):
        """Through the example's own script, but for the end."""
        if words[0] == "stop":
            return super().quickstart(*words)
        environment = quickstart_environment(self.program)
        path = os.path.join(self.folder, "start.out")
        with open(path, "w+", encoding="utf-8") as output:
            done = subprocess.run(
                [os.path.join(nine.EXAMPLE, "start"), "--period", str(nine.PERIOD_MS), *words],
                stdout=output, stderr=output, stdin=subprocess.DEVNULL, env=environment,
                timeout=3 * PATIENCE_S, check=False)
            output.seek(0)
            return done.returncode, output.read()

    def own_pids(self):
        return sorted({*super().own_pids(), *nine.all_pids(self.work)})


# ---- the scripts, one by one ----


NODE_PROGRAM = ["node"]  # that runs the scripts alone


def node_programs():
    """Node 18 and 20, as far as they can be had here."""
    found = []
    for major in ("18", "20"):
        folder = os.path.join(nine.BUILD, f"node-{major}")
        done = subprocess.run([f"{nine.ROOT}/tests/integration/pm2/install-node", folder, major],
                              capture_output=True, text=True, check=False)
        if done.returncode == 0:
            found.append(os.path.join(folder, "bin", "node"))
        else:
            say(f"without Node {major}: {done.stderr.strip().splitlines()[-1:]}")
    check(found, "neither Node 18 nor 20 can be had")
    return found


def script(name, work, *words, **environment):
    done = subprocess.run([*NODE_PROGRAM, os.path.join(nine.EXAMPLE, "scripts", f"{name}.cjs"), *words],
                          env=dict(os.environ, NINE_WORK=work, NINE_LOG=os.path.join(work, "units.log"),
                                   **environment),
                          capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    return done.returncode, done.stdout.strip(), done.stderr.strip()


def lines(work):
    path = os.path.join(work, "units.log")
    return nine.writes.read(path)[0] if os.path.exists(path) else []


def tree(folder):
    return sorted(os.path.join(where, name) for where, _, names in os.walk(folder) for name in names)


def expect(got, code, part):
    check(got[0] == code and part in got[1 if code == 0 else 2], f"{part}: {got}")


def works(scene, work):
    """Each does its work, tells a dry run from a real one, and fails when it cannot."""
    subprocess.run(["cp", "-r", os.path.join(nine.EXAMPLE, "sample"), work], check=True)
    subprocess.run(["cp", "-r", os.path.join(scene.work, "remote.git"), work], check=True)
    before = tree(work)
    for name in nine.PRIMARIES:
        code, out, _ = script(name, work, "--dry", NINE_CHECKS="process:node")
        check(code == 0 and out.startswith("dry: "), f"{name} --dry: {code} {out}")
    check(tree(work) == before and not lines(work), "a dry run has changed something")
    mirrors(work)
    monitors(work)
    builds(work)
    syncs(work)
    renders(work)
    names = [line.name for line in lines(work)]
    check(set(names) == set(nine.PRIMARIES), f"lines of {names}")
    check(all(line.role == "primary" and line.term is None for line in lines(work)), "no primary")
    for name in ("auto-sync", "build", "git-sync", "marketing-sync"):
        check(script(name, work + ".gone", "--once")[0] == 1, f"{name} did its work on nothing")


def mirrors(work):
    expect(script("auto-sync", work, "--once"), 0, "2 files, 2 copied, 0 removed")
    expect(script("auto-sync", work, "--once"), 0, "2 files, 0 copied, 0 removed")
    copy = os.path.join(work, "mirror", "readme.txt")
    size = os.path.getsize(copy)
    write(copy, "x" * size)  # damaged, with the size and a time of a good one
    expect(script("auto-sync", work, "--once"), 0, "0 copied")
    expect(script("auto-sync", work, "--once", "--enhanced"), 0, "1 copied")
    check("A folder" in open(copy, encoding="utf-8").read(), "the copy was not mended")
    os.remove(os.path.join(work, "source", "notes", "first.txt"))
    expect(script("auto-sync", work, "--once"), 0, "1 files, 0 copied, 1 removed")


def monitors(work):
    checks = "process:no-such-process-here file:mirror/readme.txt http://127.0.0.1:1/"
    expect(script("monitoring", work, "--once", NINE_CHECKS=checks), 0,
           "3 checks, failing: process:no-such-process-here http://127.0.0.1:1/")
    expect(script("monitoring", work, "--once", NINE_CHECKS="odd"), 1, "is no check")
    expect(script("monitoring", work, "--once", "--enhanced", NINE_CHECKS="file:units.log"), 0,
           "2 checks, failing: none")


def builds(work):
    expect(script("build", work, "--once"), 0, "are built")
    artifact = os.path.join(work, "project", "dist", "app.txt")
    check("second part" in open(artifact, encoding="utf-8").read(), "the artifact is another")
    write(artifact, "")
    expect(script("build", work, "--dry"), 0, "would be built")
    expect(script("build", work, "--once"), 0, "are built")
    check(os.path.getsize(artifact) > 0, "a damaged artifact stays")
    write(os.path.join(work, "project", "build.sh"), "echo broken >&2\nexit 3\n")
    expect(script("build", work, "--once"), 1, "Command failed")


def syncs(work):
    expect(script("git-sync", work, "--once"), 0, "main is at ")
    clone = os.path.join(work, "clones", "n1")
    check(os.path.exists(os.path.join(clone, "readme.txt")), "nothing was cloned")
    seed = os.path.join(work, "seed")
    for words in (("clone", "-q", os.path.join(work, "remote.git"), seed),
                  ("-C", seed, "-c", "user.name=n", "-c", "user.email=n@x", "commit", "-q",
                   "--allow-empty", "-m", "more"), ("-C", seed, "push", "-q", "origin", "HEAD:main")):
        subprocess.run(["git", *words], check=True, capture_output=True)
    expect(script("git-sync", work, "--dry"), 0, "..")
    expect(script("git-sync", work, "--once"), 0, "main is at ")
    heads = {subprocess.run(["git", "-C", folder, "rev-parse", "HEAD"], check=True,
                            capture_output=True).stdout for folder in (clone, seed)}
    check(len(heads) == 1, "the clone was not brought to its remote")


def renders(work):
    expect(script("marketing-sync", work, "--once"), 0, "4 files, 4 changed")
    expect(script("marketing-sync", work, "--once"), 0, "4 files, 0 changed")
    page = open(os.path.join(work, "public", "prices.html"), encoding="utf-8").read()
    check("<h1>Prices &amp; terms</h1>" in page and "<p>One node is free" in page, page)


def ends_decently(work):
    """SIGTERM in its pause, and in its work: the unit is finished, exit code 0."""
    for name in ("auto-sync", "monitoring"):
        process = subprocess.Popen(
            [*NODE_PROGRAM, os.path.join(nine.EXAMPLE, "scripts", f"{name}.cjs")], stdout=subprocess.PIPE,
            env=dict(os.environ, NINE_WORK=work, NINE_LOG=os.path.join(work, f"{name}.log"),
                     NINE_CHECKS="process:node"))
        path = os.path.join(work, f"{name}.log")
        wait_until(lambda path=path: os.path.getsize(path) > 0, f"{name} works")
        process.send_signal(signal.SIGTERM)
        code = process.wait(PATIENCE_S)
        process.stdout.close()
        check(code == 0, f"{name} ends with {code}")


# ---- all of it ----


def drive(scene, options):
    faults = nine.Faults(scene, random.Random(options.seed))
    rows = schedules.Ledger()
    node = scene["n1"]
    wait_until(lambda: len(node.cli("schedule", "list").data) == len(nine.CRON), "the schedules")
    until = boot_s() + options.seconds
    read_at = boot_s() + schedules.READ_EVERY_S
    while boot_s() < until:
        time.sleep(faults.random.uniform(0.2, 2))  # between faults, work goes on
        faults.one()
        if boot_s() >= read_at:
            wait_until(lambda: rows.read(scene.wait_leader()), "the slots are told")
            read_at = boot_s() + schedules.READ_EVERY_S
    say(f"nodes: {dict(faults.done)}")
    nine.verdict(scene, faults)
    leader = scene.wait_leader()
    told = wait_until(lambda: schedules.settled(leader), "ticks verify is content")
    say(f"ticks verify: {told}")
    wait_until(lambda: rows.read(leader), "the slots are told")
    outcomes = schedules.check_slots(rows.schedules, "pm2")
    check(outcomes["ran"] > 0, f"nothing ran: {outcomes}")
    say(f"slots by outcome: {dict(outcomes)}")
    nine.told_work(scene, nine.check_units(scene, rows.schedules))


def one_by_one():
    with Nine(OVERLAY) as scene:
        scene.up()
        for program in node_programs():
            NODE_PROGRAM[:] = [program]
            alone = os.path.join(scene.folder, f"alone-{program.split('/')[-3]}")
            works(scene, alone)
            ends_decently(alone)
        nine.wait_calm(scene, "the primaries work, and nothing stands in")
        nine.daemon_killed(scene)
        nine.tiers(scene)
        scene.up()  # again: it starts what is dead, and changes nothing else
        nine.wait_calm(scene)
        nine.writes.verify(scene.units, nine.BACKUPS)
        scene.stop()
        wait_until(lambda: not scene.own_pids(), "nothing is left running")


def the_nine():
    with Nine(schedules.settings(chosen)) as scene:
        scene.up()
        nine.wait_calm(scene, "the primaries work, and nothing stands in")
        drive(scene, chosen)


if __name__ == "__main__":
    chosen = schedules.read_options(seconds=90, rate=600)
    run(one_by_one, the_nine)
