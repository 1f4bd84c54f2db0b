"""The nine of deploy/examples/nine, for tests: what is configured, what is done to the primaries, and
the verdict on what all of them did.

A scene is a Cluster whose n1 has the five primaries in its PM2; it has `work` (their folder), `units`
(the file of their lines) and `pm2(node, *words)`.
"""

import collections
import json
import os

import test_schedules as schedules
import writes
from cluster import BUILD, ROOT, alive, boot_s, check, kill, read_pid, say, wait_until

EXAMPLE = os.path.join(ROOT, "deploy", "examples", "nine")
LIVES_MAX = 40  # twice what PM2 tries before it calls a process errored
PERIOD_MS = 100  # writes.py takes a line every 0.1 s

# Primary -> the backups that stand in while it is unwell.
STANDBY = {"auto-sync": ("auto-sync-backup", "auto-sync-backup-enhanced"),
           "monitoring": ("monitoring-backup", "monitoring-backup-enhanced"),
           "build": ("build-backup",)}
PRIMARIES = (*STANDBY, "git-sync", "marketing-sync")
BACKUPS = tuple(name for names in STANDBY.values() for name in names)
# Name, when, what of its configuration the slots depend on.
CRON = [("auto-sync-cron-backup", "*/15 * * * *", ""),
        ("auto-sync-cron-backup-enhanced", "*/20 * * * *", ""),
        ("git-sync-cron-backup", "every 25m", ""),
        ("marketing-sync-cron-backup", "every 360m", "")]
RETRIED = ("git-sync-cron-backup", "marketing-sync-cron-backup")
schedules.SCHEDULES[:] = CRON  # what test_schedules.py drives and checks
schedules.ZONE = "UTC"


def overlay(more=""):
    """The example's own configuration for a clock that runs fast, by which slots are found late; and
    for a test that does not wait through fifteen growing pauses until a backup has failed."""
    with open(os.path.join(EXAMPLE, "understudy.yml"), encoding="utf-8") as file:
        text = file.read()
    check(text.count("        mode: cron\n") == len(CRON), "the example has other cron backups")
    text = text.replace("max_restarts: 15", "max_restarts: 3")
    return more + text.replace("        mode: cron\n", "        mode: cron\n        start_deadline: 6h\n")


def environment_of(pid):
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return dict(word.split("=", 1) for word in
                        file.read().decode(errors="replace").split("\0") if "=" in word)
    except OSError:
        return {}


def comm(pid):
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


def all_pids(work):
    """Every process that works in that folder, guards among them."""
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit() and alive(int(entry))
            and environment_of(int(entry)).get("NINE_WORK") == work]


def workers(work, name):
    """Pids of the living processes of that name; guards are none, nor what they started."""
    return [pid for pid in all_pids(work) if environment_of(pid).get("NINE_NAME") == name
            and comm(pid).startswith("node")]  # PM2 puts the script behind it


def start_primaries(scene, *names):
    """From the ecosystem file, which reads its environment."""
    before = dict(os.environ)
    os.environ.update(NINE_WORK=scene.work, NINE_NODE="n1", NINE_PERIOD_MS=str(PERIOD_MS))
    try:
        scene.pm2(scene["n1"], "start", os.path.join(EXAMPLE, "ecosystem.config.cjs"), "--only",
                  ",".join(names))
    finally:
        os.environ.clear()
        os.environ.update(before)


class Primaries:
    """What happens to them: killed once, killed until PM2 gives up, stopped, deleted; and back."""

    KINDS = ("kill", "error", "stop", "delete")

    def __init__(self, scene, random_):
        self.scene = scene
        self.random = random_
        self.done = collections.Counter()
        self.ill = {}  # name -> what was done to it
        self.waits_s = []

    def status(self, name):
        rows = json.loads(self.scene.pm2(self.scene["n1"], "jlist").splitlines()[-1])
        return next((row["pm2_env"]["status"] for row in rows if row["name"] == name), None)

    def one(self):
        name = self.random.choice(PRIMARIES)
        if name in self.ill:
            self.heal(name)
            return
        kind = self.random.choice(self.KINDS)
        self.done[kind] += 1
        self.ill[name] = kind
        since = getattr(self, kind)(name)
        if name in STANDBY:
            self.attended(name, since)

    def kill(self, name):
        for pid in workers(self.scene.work, name):
            kill(pid)
        return boot_s()

    def error(self, name):
        """Each life at once, until PM2 starts no other; the manager may bring it back as often."""
        lives = 0
        quiet_at = boot_s() + 1
        while boot_s() < quiet_at and lives < LIVES_MAX:
            for pid in workers(self.scene.work, name):
                kill(pid)
                wait_until(lambda pid=pid: not alive(pid), "it is dead", pause_s=0.005)
                lives += 1
                quiet_at = boot_s() + 1
        return boot_s()

    def stop(self, name):
        if self.status(name) is not None:
            self.scene.pm2(self.scene["n1"], "stop", name)
        return boot_s()

    def delete(self, name):
        if self.status(name) is not None:
            self.scene.pm2(self.scene["n1"], "delete", name)
        return boot_s()

    def attended(self, name, since):
        """It is back, or something stands in for it: units of its work go on."""
        names = (name, *STANDBY[name])
        def first():
            return min((line.time / 1e9 for lines in writes.read(self.scene.units) for line in lines
                        if line.name in names and line.time / 1e9 > since), default=None)
        self.waits_s.append(wait_until(first, f"{name} is back or stood in for", 180,
                                       pause_s=0.1) - since)

    def heal(self, name):
        """As a person would: whatever PM2 has of it, it runs."""
        status = self.status(name)
        if status is None:
            start_primaries(self.scene, name)
        elif status != "online":
            self.scene.pm2(self.scene["n1"], "restart", name)
        self.ill.pop(name, None)

    def heal_all(self):
        for name in PRIMARIES:
            self.heal(name)


class Faults(schedules.Faults):
    """Of nodes, of primaries, and of what stands in for them."""

    def __init__(self, scene, random_):
        super().__init__(scene, random_)
        self.primaries = Primaries(scene, random_)

    def one(self):
        choice = self.random.random()
        if choice < 0.5:
            super().one()
        elif choice < 0.9:
            self.primaries.one()
        else:
            self.done["kill of a backup"] += 1
            for name in BACKUPS:
                for pid in workers(self.cluster.work, name):
                    kill(pid)


def calm(scene):
    """All primaries run, once each; nothing stands in."""
    for name in PRIMARIES:
        pids = workers(scene.work, name)
        check(len(pids) == 1, f"{name} runs as {pids}")
    for name in BACKUPS:
        check(not workers(scene.work, name), f"{name} stands in still")
    return True


def wait_calm(scene, what="all primaries are back, and nothing stands in"):
    wait_until(lambda: calm(scene), what, 180, pause_s=0.5)


def last_s(scene, name):
    return max((line.time / 1e9 for lines in writes.read(scene.units) for line in lines
                if line.name == name), default=0.0)


def tiers(scene, primary="auto-sync"):
    """The standard backup stands in; where each of its lives ends, the enhanced one does."""
    standard, enhanced = STANDBY[primary]
    at = boot_s()
    scene.pm2(scene["n1"], "stop", primary)
    wait_until(lambda: last_s(scene, standard) > at, f"{standard} works", 180)
    def failed():
        for pid in workers(scene.work, standard):
            kill(pid)
        return last_s(scene, enhanced) > at
    felled = boot_s()
    wait_until(failed, f"{enhanced} works", 180)
    took_s = boot_s() - felled
    scene.pm2(scene["n1"], "start", primary)
    wait_calm(scene)
    say(f"{enhanced} took over {took_s:.1f} s after {standard} began to fail")


def daemon_killed(scene):
    """n1's PM2 daemon dies: it is brought back with the primaries."""
    pid = read_pid(os.path.join(scene["n1"].folder, "pm2", "pm2.pid"))
    lives = {name: workers(scene.work, name) for name in PRIMARIES}
    at = boot_s()
    kill(pid)
    wait_until(lambda: not alive(pid), "the daemon is dead")
    wait_until(lambda: calm(scene) and all(workers(scene.work, name) != lives[name]
                                           for name in PRIMARIES),
               "each primary has a new life, and nothing stands in", 180, pause_s=0.5)
    say(f"kill -9 of n1's PM2 daemon: its primaries are back, and nothing stands in, after "
        f"{boot_s() - at:.1f} s")


def check_units(scene, rows):
    """No two writers of a name at once; and each run of a slot did its work once."""
    files = writes.verify(scene.units, BACKUPS + tuple(name for name, *_ in CRON))
    for primary, names in STANDBY.items():  # a standard one never runs beside an enhanced one
        together = [[line._replace(name=primary) for line in lines if line.name in names]
                    for lines in files]
        bad = writes.overlaps(together, primary) + writes.interleavings(together, primary)
        check(not bad, f"backups of {primary}: {bad[:5]}")
    counts = collections.Counter(line.name for lines in files for line in lines)
    for name, *_ in CRON:
        told = collections.Counter()
        for _, _, count, outcome, _, _ in rows[f"pm2/{name}"]["slots"].values():
            told[outcome] += count
        most = told["ran"] + told["failed"] + told["unknown"] + told["under_way"]
        most += 2 if name not in RETRIED else 2 * most  # decided since, and further attempts
        check(told["ran"] <= counts[name] <= most, f"{name}: {counts[name]} units, {told}")
    return files


def verdict(scene, faults):
    faults.primaries.heal_all()
    wait_calm(scene)
    waits = sorted(faults.primaries.waits_s)
    say(f"primaries: {dict(faults.primaries.done)}; back or stood in for after "
        f"{waits[len(waits) // 2]:.1f} s in the median, {waits[-1]:.1f} s at worst" if waits else
        "no primary with a stand-in was touched")


def told_work(scene, files):
    """The sample's work was done, and lines tell who did it."""
    with open(os.path.join(scene.work, "status.json"), encoding="utf-8") as file:
        check(json.load(file)["results"], "monitoring checks nothing")
    for part in ("mirror/notes/first.txt", "project/dist/app.txt", "public/index.html",
                 "clones/n1/readme.txt"):
        check(os.path.getsize(os.path.join(scene.work, part)) > 0, f"{part} is empty")
    lives = {name: len(writes.writers(files, name)) for name in BACKUPS}
    check(sum(lives.values()) > 0, "nothing ever stood in")
    say(f"lives of the backups: {lives}")
