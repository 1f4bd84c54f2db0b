#!/usr/bin/python3 -B
"""Backups in mode cron on three nodes with a real PM2 each: what the verbs say of them, and that each
slot runs once while leaders are killed, frozen and handed over, with a wall clock that runs fast.

    test_cron_backups.py [--seconds N] [--rate N] [--seed N]

PM2 never sees them. The slots and the effects are checked as test_schedules.py does.
"""

import os
import random
import signal
import subprocess

import test_schedules as schedules
from cluster import BUILD, check, kill, read_pid, run, say, wait_until
from demo import OVERLAY, PRIMARY, Demo, reload

NEVER = "cron: '0 0 29 2 *'"
MEMORY_MB = 60  # limit of what takes 300

BACKUPS = f"""    backups:
      - {{name: tick, mode: cron, every: 2s, stands_in_for: {PRIMARY}, script: tick.sh, args: [one],
         cwd: FOLDER, env: {{WORD: two}}, interpreter: bash}}
      - {{name: broken, mode: cron, every: 5s, stands_in_for: {PRIMARY}, tier: enhanced,
         script: FOLDER/broken.sh, retries: 1, backoff: 1s}}
      - {{name: slow, mode: cron, {NEVER}, zone: Asia/Kathmandu, script: sleep, args: ["600"]}}
      - {{name: gone, mode: cron, {NEVER}, script: gone.js, cwd: FOLDER}}
      - {{name: greedy, mode: cron, {NEVER}, script: greedy.py, cwd: FOLDER, memory: {MEMORY_MB}MB}}
      - {{name: pinned, mode: cron, {NEVER}, script: sleep, args: ["600"], labels: {{disk: fast}},
         start_deadline: 1h}}
"""
SCRIPTS = {
    "tick.sh": 'echo "line $1 $WORD"\necho "of $UNDERSTUDY_RUN on $UNDERSTUDY_NODE"\n',
    "broken.sh": "echo no >&2\nexit 3\n",
    "greedy.py": "import time\nheld = bytearray(300 << 20)\ntime.sleep(600)\n",
}


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


class Cron(Demo):
    def __init__(self, backups, extra=""):
        super().__init__(overlay=OVERLAY)
        for name, text in SCRIPTS.items():
            write(os.path.join(self.folder, name), text)
        write(self.overlay, f"{extra or OVERLAY}managers:\n  pm2:\n    zone: {schedules.ZONE}\n"
              + backups.replace("FOLDER", self.folder))

    def rows(self, node, *words):
        answer = node.cli(*words)
        check(answer.exit == 0, f"{' '.join(words)}: {answer}")
        return answer.data

    def ended(self, schedule, outcome=None):
        return [row for row in self.rows(self.leader(), "run", "list", "--schedule", schedule)
                if row["state"] == "ended" and outcome in (None, row["outcome"])]

    def backup(self, name, asked):
        return {row["name"]: row for row in self.rows(asked, "backup", "list")}[name]

    def pm2_names(self):
        return {word for node in self.nodes for word in self.pm2(node, "jlist").split('"')}


def told(demo):
    names = {"pm2/" + name for name in ("tick", "broken", "slow", "gone", "greedy", "pinned")}
    wait_until(lambda: {row["id"] for row in demo.rows(demo["n1"], "schedule", "list")} == names,
               "the schedules are known")
    shown = demo.rows(demo["n2"], "schedule", "show", "pm2/slow")
    check(shown["zone"] == "Asia/Kathmandu" and all(slot.endswith("-28T18:15:00.000Z")
                                                    for slot in shown["slots"]), f"{shown}")
    check(demo.rows(demo["n2"], "schedule", "show", "pm2/tick")["zone"] == schedules.ZONE, "zone")
    wait_until(lambda: len(demo.rows(demo["n3"], "schedule", "next", "--limit", "3")) == 3,
               "the next slots are told")
    for node in demo.nodes:
        row = demo.backup("tick", node)
        check(row["mode"] == "cron" and row["why"] == "runs at its times: every 2s", f"{row}")


def ran(demo):
    row = wait_until(lambda: demo.ended("pm2/tick", "ran"), "a slot has run")[0]
    check(row["reason"] == "exit" and row["exit"] == 0, f"{row}")
    wait_until(lambda: {row["node"] for row in demo.ended("pm2/tick", "ran")[:3]} <= {"n2", "n3"},
               "it runs on other nodes than its primary")
    row = demo.ended("pm2/tick", "ran")[0]
    for node in demo.nodes:
        logs = demo.rows(node, "run", "logs", row["id"])
        check(logs["text"] == f"line one two\nof {row['id']} on {row['node']}\n", f"{logs}")
    failed = wait_until(lambda: [row for row in demo.ended("pm2/broken", "failed")
                                 if row["attempt"] == 2], "a run has failed twice")[0]
    check(failed["exit"] == 3, f"{failed}")
    why = demo.rows(demo["n3"], "why", "run", failed["id"])
    check(why["reason"] == "exit" and "exit status 3" in why["steps"][0]["text"], f"{why}")


def started(demo, name):
    answer = demo["n1"].cli("run", "start", "pm2/" + name)
    check(answer.exit == 0, f"run start: {answer}")


def running(demo, name):
    def found():
        rows = [demo.backup(name, node) for node in demo.nodes]
        check(all(row["state"] == "running" for row in rows), f"{rows}")
        check(len({row["run"] for row in rows}) == 1 == len({row["node"] for row in rows}), f"{rows}")
        return rows[0]
    return wait_until(found, f"every node tells that {name} runs")


def by_hand(demo):
    started(demo, "slow")
    row = running(demo, "slow")
    check(not demo.pm2_names() & {"slow", "tick", "broken"}, "PM2 knows a cron backup")
    check(demo["n2"].cli("run", "cancel", row["run"]).exit == 0, "run cancel")
    ended = wait_until(lambda: demo.ended("pm2/slow", "failed"), "it has ended")[0]
    check(ended["reason"] == "cancelled" and ended["node"] == row["node"], f"{ended}")
    wait_until(lambda: demo.backup("slow", demo["n1"])["state"] == "waiting", "it waits again")


def labelled(demo):
    """A run that asks for a label waits until a node has it."""
    started(demo, "pinned")
    run_id, = [row["id"] for row in demo.rows(demo.leader(), "run", "list", "--schedule",
                                              "pm2/pinned")]
    before = {row["id"] for row in demo.ended("pm2/tick", "ran")}
    wait_until(lambda: len({row["id"] for row in demo.ended("pm2/tick", "ran")} - before) >= 2,
               "others were placed since")
    attempt, = [duty for duty in demo.duties(demo.leader()) if duty.startswith(run_id)]
    told = demo.leader().cli("why", "not", "duty", attempt).data
    check({row["reason"] for row in told["placement"]["nodes"]} == {"label_missing"}, f"{told}")
    check(demo.backup("pinned", demo["n1"])["state"] == "waiting", "it runs without its label")
    reload(demo["n3"], lambda text: text + "labels: {disk: fast}\n")
    check(running(demo, "pinned")["node"] == "n3", "it runs elsewhere")
    check(demo["n2"].cli("run", "cancel", run_id).exit == 0, "run cancel")
    wait_until(lambda: demo.ended("pm2/pinned", "failed"), "it has ended")


def unable(demo):
    """A node without the script says so, and it is tried again."""
    started(demo, "gone")
    def said():
        events = [event for event in demo.events("run.ended")
                  if event["message"].startswith("pm2/gone@") and "script gone.js is not in" in
                  event["message"]]
        return events
    wait_until(lambda: len(said()) >= 2, "it was said twice that there is no such script")
    run_id, = [row["id"] for row in demo.rows(demo.leader(), "run", "list", "--schedule", "pm2/gone")]
    check(demo["n2"].cli("run", "cancel", run_id).exit == 0, "run cancel")
    row = wait_until(lambda: demo.ended("pm2/gone"), "it has ended")[0]
    check(row["outcome"] == "skipped" and row["reason"] == "cancelled", f"{row}")


def over_memory(demo):
    started(demo, "greedy")
    row = wait_until(lambda: demo.ended("pm2/greedy"), "it was ended")[0]
    check(row["outcome"] == "failed" and row["reason"] == "signal", f"{row}")
    event = demo.events("run.memory")[-1]
    check(event["node"] == row["node"] and str(MEMORY_MB << 20) in event["message"], f"{event}")


def coverage(demo):
    def proven():
        answer = demo["n2"].cli("coverage")
        row, = [row for row in answer.data["primaries"] if row["name"] == PRIMARY]
        backups = {row["duty"]: row for row in row["backups"]}
        tick, broken = backups["pm2/tick"], backups["pm2/broken"]
        check(tick["reason"] == "proven_apart" and row["verdict"] == "covered", f"{row}")
        check(tick["proven"]["by"] == "run" and tick["proven"]["node"] in ("n2", "n3"), f"{tick}")
        check(broken["reason"] == "run_failed" and broken["verdict"] == "unproven", f"{broken}")
        check(broken["proven"] is None, f"{broken}")
        return True
    wait_until(proven, "coverage counts the runs", pause_s=0.3)


def skipped(demo, reason):
    """A slot that was decided from now on is skipped for that reason, and none runs."""
    before = {row["id"] for row in demo.ended("pm2/tick")}
    def decided():
        rows = [row for row in demo.ended("pm2/tick") if row["id"] not in before]
        return rows and rows[0]["outcome"] == "skipped" and rows[0]["reason"] == reason
    wait_until(decided, f"slots are skipped: {reason}")


def held_still(demo):
    for do, reason, undo in ((("manager", "pause", "pm2"), "paused", ("manager", "resume", "pm2")),
                             (("manager", "mode", "pm2", "shadow"), "shadow",
                              ("manager", "mode", "pm2", "armed"))):
        demo.rows(demo.leader(), *do)
        skipped(demo, reason)
        demo.rows(demo.leader(), *undo)
        seen = {row["id"] for row in demo.ended("pm2/tick", "ran")}
        wait_until(lambda seen=seen: {row["id"] for row in demo.ended("pm2/tick", "ran")} - seen,
                   "slots run again")


def verified(demo):
    def clean():
        answer = demo.leader().cli("ticks", "verify")
        check(answer.exit == 0, f"{answer}")
        return answer.data
    data = wait_until(clean, "ticks verify is content")
    check(data["schedules"] == 6 and data["slots"] > 5, f"{data}")
    say(f"ticks verify: {data}")


def configured_away(demo):
    """Without cron backups in the configuration there are no schedules of theirs."""
    path = os.path.join(demo.folder, "none.yml")
    write(path, "managers: {pm2: {backups: []}}\n")
    for node in demo.nodes:
        done = subprocess.run([f"{BUILD}/bin/understudy", "config", "merge", node.config, path],
                              capture_output=True, text=True, check=False)
        check(done.returncode == 0, f"config merge: {done.stderr}")
        write(node.config, done.stdout)
        kill(read_pid(os.path.join(node.folder, "node.pid")), signal.SIGHUP)
    wait_until(lambda: demo.rows(demo["n1"], "schedule", "list") == [], "no schedule is left")


def verbs():
    with Cron(BACKUPS) as demo:
        demo.up()
        for step in (told, ran, by_hand, labelled, unable, over_memory, coverage, held_still, verified,
                     configured_away):
            step(demo)
            say(f"  {step.__name__}")


# ---- each slot once ----


def backups():
    def row(name, when, more):
        key = "every" if when.startswith("every ") else "cron"
        text = when.removeprefix("every ")
        return (f"      - {{name: {name}, mode: cron, {key}: '{text}', script: FOLDER/effect.sh, "
                f"env: {{WAIT: '{0.3 if name == 'slow' else 0}'}}, start_deadline: 6h"
                f"{', ' + more if more else ''}}}\n")
    return "    backups:\n" + "".join(row(*entry) for entry in schedules.SCHEDULES)


def slots():
    with Cron(backups(), schedules.settings(chosen)) as demo:
        effects = os.path.join(demo.folder, "effects")
        write(effects, "")
        write(os.path.join(demo.folder, "effect.sh"),
              'sleep "$WAIT"\necho "$UNDERSTUDY_RUN $UNDERSTUDY_ATTEMPT $UNDERSTUDY_TERM" '
              f">> {effects}\n")
        demo.up()
        faults = schedules.Faults(demo, random.Random(chosen.seed))
        schedules.drive(demo, faults, effects, chosen, manager="pm2")


if __name__ == "__main__":
    chosen = schedules.read_options(seconds=40)
    run(verbs, slots)
