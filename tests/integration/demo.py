"""The demo that deploy/quickstart starts, for tests: nodes with a real PM2 each and its workers."""

import glob
import json
import os
import shutil
import signal
import subprocess

import writes
from cluster import (BUILD, PATIENCE_S, ROOT, Cluster, Skip, alive, boot_s, check, mentions,
                     read_pid, say, wait_until)

PRIMARY = "demo-worker"
BACKUP = "demo-worker-backup"
ALWAYS = "demo-always"
EXCLUSIVE = (BACKUP, ALWAYS)
SETTLE_S = 3.0  # deploy/quickstart writes it
GRANT_S = 5.0   # the default grant_ttl
# A busy machine must not move leadership, nor a duty because of it.
OVERLAY = "leadership: {handover_below: 0}\n"


def duty(name):
    return "pm2/" + name


def reload(node, change):
    """Have the node take its configuration as `change` makes it of the text that it was."""
    with open(node.config, encoding="utf-8") as file:
        text = change(file.read())
    with open(node.config, "w", encoding="utf-8") as file:
        file.write(text)
    os.kill(read_pid(os.path.join(node.folder, "node.pid")), signal.SIGHUP)


def require_pm2():
    """PM2's program, installed into the build when it is not there; raises Skip with the reason."""
    if shutil.which("node") is None:
        raise Skip("there is no node.js, so no PM2")
    for program in (os.environ.get("UNDERSTUDY_PM2"), f"{BUILD}/pm2/node_modules/.bin/pm2",
                    f"{ROOT}/build/pm2/node_modules/.bin/pm2"):
        if program and os.access(program, os.X_OK):
            return program
    if shutil.which("npm") is None:
        raise Skip("there is no npm to install PM2")
    done = subprocess.run([f"{ROOT}/deploy/install-pm2", f"{BUILD}/pm2"], capture_output=True,
                          text=True, check=False)
    if done.returncode != 0:
        raise Skip("PM2 cannot be installed: " + (done.stderr.strip().splitlines() or ["?"])[-1])
    return done.stdout.strip()


def quickstart_environment(program, port_3001=False):
    """Of deploy/quickstart. Port 3001 would go from one demo to the next while its node is dead."""
    environment = dict(os.environ, UNDERSTUDY_BUILD=BUILD)
    environment.pop("PM2_HOME", None)
    environment.pop("UNDERSTUDY_PORT_3001", None)
    if not port_3001:
        environment["UNDERSTUDY_PORT_3001"] = "no"
    if program is not None:
        environment["UNDERSTUDY_PM2"] = program
    return environment


class Demo(Cluster):
    """A quickstart's folder; a context manager that leaves nothing behind."""

    port_3001 = False

    def __init__(self, count=3, demo=True, overlay=OVERLAY):
        self.demo = demo
        self.program = require_pm2() if demo else None
        super().__init__(count)
        self.writes = os.path.join(self.folder, "demo", "writes.log")
        self.overlay = os.path.join(self.folder, "overlay.yml")
        with open(self.overlay, "w", encoding="utf-8") as file:
            file.write(overlay)

    # -- deploy/quickstart --

    def quickstart(self, *words):
        """Run it to its end; with output on file, as what it starts would keep a pipe open."""
        environment = quickstart_environment(self.program, self.port_3001)
        path = os.path.join(self.folder, "quickstart.out")
        with open(path, "w+", encoding="utf-8") as output:
            done = subprocess.run([f"{ROOT}/deploy/quickstart", *words], stdout=output,
                                  stderr=output, stdin=subprocess.DEVNULL, env=environment,
                                  timeout=2 * PATIENCE_S, check=False)
            output.seek(0)
            return done.returncode, output.read()

    def try_up(self, *words, count=None):
        own = ["--no-install", "--dir", self.folder, "--base-port", str(self.base), "--config",
               self.overlay, "--nodes", str(count or len(self.nodes))]
        return self.quickstart(*own, *([] if self.demo else ["--no-demo"]), *words)

    def up(self, *words):
        code, output = self.try_up(*words)
        check(code == 0, f"quickstart exits {code}: {output}")
        return output

    def stop(self):
        code, output = self.quickstart("stop", "--dir", self.folder)
        check(code == 0, f"quickstart stop exits {code}: {output}")

    # -- PM2 --

    def home(self, node):
        return os.path.join(node.folder, "pm2")

    def pm2(self, node, *words):
        done = subprocess.run([os.path.join(self.folder, "bin", "pm2"), *words],
                              env=dict(os.environ, PM2_HOME=self.home(node)), capture_output=True,
                              text=True, timeout=PATIENCE_S, stdin=subprocess.DEVNULL, check=False)
        check(done.returncode == 0, f"pm2 {words}: {done.stdout[-500:]} {done.stderr[-500:]}")
        return done.stdout

    def god(self, node):
        """Pid of the node's PM2 daemon when it lives."""
        pid = read_pid(os.path.join(self.home(node), "pm2.pid"))
        return pid if pid and alive(pid) and mentions(pid, self.home(node)) else None

    def pm2_status(self, node, name):
        rows = json.loads(self.pm2(node, "jlist").splitlines()[-1])
        return next((row["pm2_env"]["status"] for row in rows if row["name"] == name), None)

    # -- workers --

    def workers(self, name):
        """Pid -> node of the living demo workers of that name; guards are none."""
        found = {}
        for pid in self.own_pids():
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    words = file.read().decode(errors="replace").rstrip("\0").split("\0")
            except OSError:
                continue
            if words[-1] == name and self.writes in words and (
                    os.path.basename(words[0]) != "understudy-guard"):
                found[pid] = words[-3]
        return found

    def worker_of(self, name):
        """(pid, node) of the only worker of that name; raises when there is not just one."""
        found = self.workers(name)
        check(len(found) == 1, f"workers of {name}: {found}")
        (pid, node), = found.items()
        return pid, self[node]

    def check_writes(self):
        return writes.verify(self.writes, EXCLUSIVE)

    def _times_s(self, name, node, pid):
        return [line.time / 1e9 for lines in writes.read(self.writes) for line in lines
                if line.name == name and node in (None, line.node) and pid in (None, line.pid)]

    def last_write_s(self, name, node=None, pid=None):
        """Boot time in s of the latest line of `name`, 0 when there is none."""
        return max(self._times_s(name, node, pid), default=0.0)

    def first_write_s(self, name, since, pid=None):
        """Boot time in s of the first line at or after `since`, None when there is none."""
        return min((time for time in self._times_s(name, None, pid) if time >= since),
                   default=None)

    # -- what the cluster says --

    def duties(self, node):
        answer = node.cli("duty", "list", timeout="3s")
        check(answer.exit == 0, f"duty list on {node.name}: {answer}")
        return {row["id"]: row for row in answer.data}

    def events(self, *kinds):
        """Events of all nodes that can be asked, by time."""
        found = []
        for node in self.nodes:
            for row in node.cli("events", timeout="3s").stdout.splitlines():
                event = json.loads(row)["data"]
                if event["kind"] in kinds:
                    found.append(event)
        return sorted(found, key=lambda event: event["time"])

    def consistent(self, running, idle=(), among=None):
        """All nodes tell the same, and the machine's processes say so too; name -> (pid, node)."""
        lists = [self.duties(node) for node in among or self.nodes]
        result = {}
        for name in running:
            rows = [duties[duty(name)] for duties in lists]
            places = {(row["node"], row["assignment"], row["state"]) for row in rows}
            check(len(places) == 1, f"nodes disagree on {name}: {rows}")
            check(rows[0]["state"] == "running" and rows[0]["exclusive"] and rows[0]["wanted"],
                  f"{rows[0]}")
            pid, node = self.worker_of(name)
            check(node.name == rows[0]["node"],
                  f"{name} runs on {node.name}, not as told: {rows[0]}")
            result[name] = pid, node
        for name in idle:
            for duties in lists:
                row = duties.get(duty(name))
                check(row is None or (not row["wanted"] and row["state"] == "idle"), f"{row}")
            check(not self.workers(name), f"{name} runs: {self.workers(name)}")
        return result

    def settled(self, running, idle=(), among=None):
        """consistent(), waited for, and the running ones write; then the log is checked."""
        def all_write():
            since = boot_s()
            found = self.consistent(running, idle, among)
            wait_until(lambda: all(self.last_write_s(name, pid=pid) > since
                                   for name, (pid, _) in found.items()), "they write", 5)
            check(self.consistent(running, idle, among) == found, "something moves")
            return found or True

        found = wait_until(all_write, f"{running} run as told, {idle} do not", pause_s=0.1)
        self.check_writes()
        return found

    def leader(self):
        return self.wait_leader()

    def tell_logs(self, lines=40):
        super().tell_logs(lines)
        for path in glob.glob(f"{self.folder}/n*/pm2/pm2.log"):
            with open(path, encoding="utf-8", errors="replace") as file:
                say(f"--- the end of {path}")
                for line in file.read().splitlines()[-15:]:
                    say("    " + line)
        for node in self.nodes:
            try:
                say(f"--- duties as {node.name} tells them: {self.duties(node)}")
            except AssertionError as error:
                say(f"--- {node.name}: {error}")
