#!/usr/bin/python3 -B
"""Ecosystem files of many shapes, read by `validate ecosystem` and started by a real PM2: both make
the same apps of them, and what PM2 drops or makes otherwise is in a finding."""

import concurrent.futures
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile

import ecosystem_files
from cluster import BUILD, Skip, alive, check, read_pid, run, say, wait_until
from demo import require_pm2

CLI = f"{BUILD}/bin/understudy"
PATIENCE_S = 120
BATCH = 14       # files that run under PM2 at the same time
STARTS = 3       # command lines of PM2 at the same time
GENERATED = 10
SEED = 7004
SCRIPTS = {"js": "setInterval(() => {}, 1e6);\n", "sh": "exec sleep 100000\n",
           "py": "import time\ntime.sleep(100000)\n"}

# What PM2's daemon adds to an app, and to its environment.
DAEMON_FIELDS = {
    "status", "pm_uptime", "axm_actions", "axm_monitor", "axm_options", "axm_dynamic",
    "vizion_running", "created_at", "pm_id", "restart_time", "unstable_restarts", "version",
    "node_version", "_pm2_version", "km_link", "unique_id", "prev_restart_delay", "exit_code",
    "NODE_APP_INSTANCE", "env", "versioning", "restart_task", "_tree_pids", "_km_monitored"}
CALLER = {"PM2_USAGE", "PM2_INTERACTOR_PROCESSING", "PM2_JSON_PROCESSING", "PM2_HOME", "unique_id",
          "PM2_SILENT", "PM2_DISCRETE_MODE", "PWD", "FILE_TAG"}
# Of a server of files only this is told: the rest is PM2's own.
SERVER_FIELDS = {"name", "namespace", "exec_mode", "instances", "env"}
ALIASES = {"exec": "script", "cmd": "script", "command": "script", "out": "out_file",
           "output": "out_file", "err": "error_file", "interpreter": "exec_interpreter",
           "windowsHide": "windowsHide"}
MADE = {"script": "pm_exec_path", "cwd": "pm_cwd", "out_file": "pm_out_log_path",
        "error_file": "pm_err_log_path", "log_file": "pm_log_path", "pid_file": "pm_pid_path"}
# Conversions that every user of PM2 means when writing it so.
MEANT = {"max_memory_restart": str, "min_uptime": str, "args": str, "node_args": str}


class Bench:
    """Files in folders of their own, and one PM2 for all; leaves nothing behind."""

    def __init__(self, pm2=None):
        self.pm2_program = pm2
        self.folder = os.path.realpath(tempfile.mkdtemp(prefix="understudy-ecosystem-"))
        self.home = os.path.join(self.folder, "pm2")
        path = os.environ["PATH"] if pm2 is None else f"{os.path.dirname(pm2)}:{os.environ['PATH']}"
        self.environment = {"PATH": path, "HOME": self.folder, "LANG": "C.UTF-8",
                            "PM2_HOME": self.home, "PM2_DISCRETE_MODE": "1",
                            "PM2_DISABLE_VERSION_CHECK": "1"}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"):
            if name in os.environ:
                self.environment[name] = os.environ[name]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.pm2_program is not None:
            pid = read_pid(os.path.join(self.home, "pm2.pid"))
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.pm2("kill")
            if pid and alive(pid):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)

    def write(self, number, name, text):
        """The file's path; {n} in it becomes a name of its own."""
        own = f"e{number}"
        folder = os.path.join(self.folder, own)
        os.makedirs(os.path.join(folder, "sub"))
        for ending, script in SCRIPTS.items():
            for place in (folder, os.path.join(folder, "sub"), self.folder):
                with open(os.path.join(place, f"{own}.{ending}"), "w", encoding="utf-8") as file:
                    file.write(script)
        path = os.path.join(folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace("{n}", own))
        return path

    def validate(self, *words):
        """(exit code, rows by file)."""
        done = subprocess.run([CLI, "--json", "validate", "ecosystem", *words], env=self.environment,
                              cwd=self.folder, capture_output=True, text=True, timeout=PATIENCE_S,
                              stdin=subprocess.DEVNULL, check=False)
        check(done.stdout, f"validate says nothing: {done.returncode} {done.stderr}")
        envelope = json.loads(done.stdout)
        check(envelope["schema"] == "understudy.validate.ecosystem/1", str(envelope)[:200])
        return done.returncode, {row["file"]: row for row in envelope["data"]}

    def pm2(self, *words, cwd=None, tag=""):
        done = subprocess.run([self.pm2_program, *words], env={**self.environment, "FILE_TAG": tag},
                              cwd=cwd or self.folder, capture_output=True, text=True,
                              timeout=PATIENCE_S, stdin=subprocess.DEVNULL, check=False)
        return done.stdout + done.stderr

    def start(self, row, path):
        name, _, env, _ = row
        self.pm2("start", name, *(["--env", env] if env else []), tag=path,
                 cwd=os.path.dirname(path))

    def started(self):
        """pm2_env of everything that runs, by the file that it comes from."""
        text = self.pm2("jlist")
        found = {}
        for row in json.loads(text[text.rindex("\n[{") + 1 if "\n[{" in text else
                                   text.index("["):]):
            found.setdefault(row["pm2_env"]["env"].get("FILE_TAG"), []).append(row["pm2_env"])
        return found


# -- one app against what PM2 made of it --

def with_id(value, pm_id):
    return value.replace("-ID.", f"-{pm_id}.") if isinstance(value, str) else value


def app_differences(ours, theirs):
    """What differs between an app as told and as PM2 has it."""
    found = []
    server = ours["pm_exec_path"] is None
    env = dict(theirs["env"])
    for key, value in ours.items():
        if key in ("starts", "hidden", "env", "autostart_") or (server and
                                                               key not in SERVER_FIELDS):
            continue
        if with_id(value, theirs["pm_id"]) != theirs.get(key):
            found.append(f"{key}: {value!r}, PM2 has {theirs.get(key)!r}")
    for key in theirs.keys() - ours.keys() - DAEMON_FIELDS - env.keys():
        if not server:
            found.append(f"{key}: not told, PM2 has {theirs[key]!r}")
    for key, value in ours["env"].items():
        if env.get(key) != value:
            found.append(f"env {key}: {value!r}, PM2 has {env.get(key)!r}")
    known = {"PATH", "HOME", "LANG", "PM2_DISABLE_VERSION_CHECK", *CALLER, theirs["name"],
             ours["name"], *(name for name in env if env[name] == "{}")}
    for key in env.keys() - ours["env"].keys() - known:
        if "OPTIONS" not in key:
            found.append(f"env {key}: not told, PM2 has {env[key]!r}")
    return found


def file_differences(row, started):
    """Apps of one file against what runs: as many of each name, and each the same."""
    ours = sorted((app for app in row["apps"] if app["starts"]), key=lambda app: app["name"])
    theirs = sorted(started, key=lambda env: (env["name"], env["pm_id"]))
    told = [app["name"] for app in ours for _ in range(app["instances"])]
    if told != [env["name"] for env in theirs]:
        return [f"told {told}, PM2 started {[env['name'] for env in theirs]}"]
    found = []
    for app in ours:
        mine = [env for env in theirs if env["name"] == app["name"]]
        same = [other for other in ours if other["name"] == app["name"]]
        for env in mine:
            found += min((app_differences(other, env) for other in same), key=len)
    return found


def silent(row, text):
    """Keys of a JSON file that PM2 did not take as written, without a finding."""
    try:
        apps = json.loads(text.replace("module.exports = ", ""))
    except ValueError:
        return []
    apps = apps.get("apps") if isinstance(apps, dict) else apps
    found = []
    for written, made in zip(apps if isinstance(apps, list) else [], row["apps"]):
        if not isinstance(written, dict) or not made["starts"]:
            continue
        told = {finding["key"].split("/")[0] for finding in row["findings"]
                if finding["key"] and finding["app"] in (made["name"], written.get("name"))}
        for key, value in written.items():
            own = ALIASES.get(key, re.sub("[A-Z]", lambda found: "_" + found[0].lower(), key))
            kept = made.get(MADE.get(own, own))
            same = (kept == value or MADE.get(own) in made or value in (None, "") or
                    (value is False and not kept) or str(kept) == value)
            if own in ("env", "name", "io") or own.startswith("env_") or key in told or same:
                continue
            if own in MEANT and isinstance(value, MEANT[own]):
                continue
            if value == 0 and own in ("restart_delay", "exp_backoff_restart_delay",
                                      "cron_restart", "watch_delay"):
                continue
            found.append(f"{made['name']}: {key} = {value!r} became {kept!r}, and nothing says so")
    return found


# -- the tests --

def all_files():
    rows = [(*row, None, False)[:4] if len(row) == 2 else (*row, False)[:4]
            for row in ecosystem_files.HAND_WRITTEN]
    return rows + [(*row, False) for row in ecosystem_files.generated(SEED, GENERATED)]


def validate_all(bench, rows, paths):
    """The document's row of each file; one call for each --env."""
    told = {}
    for env in {row[2] for row in rows}:
        mine = [path for row, path in zip(rows, paths) if row[2] == env and not row[3]]
        words = ["--values", *mine] if env is None else ["--values", "--env", env, *mine]
        code, found = bench.validate(*words)
        errors = sum(row["errors"] for row in found.values())
        check(code == (1 if errors else 0), f"exit {code} with {errors} errors")
        told.update(found)
    return told


def test_as_pm2():
    """Field by field against a real PM2."""
    rows = [row for row in all_files() if not row[3]]
    with Bench(require_pm2()) as bench:
        paths = [bench.write(number, *row[:2]) for number, row in enumerate(rows)]
        bench.pm2("ping")  # two command lines without a daemon would start two
        told = validate_all(bench, rows, paths)
        problems = []
        compared = 0
        for begin in range(0, len(rows), BATCH):
            batch = list(zip(rows, paths))[begin:begin + BATCH]
            with concurrent.futures.ThreadPoolExecutor(STARTS) as pool:
                list(pool.map(lambda one: bench.start(*one), batch))
            started = bench.started()
            compared += sum(len(found) for found in started.values())
            for (name, text, env, _), path in batch:
                differences = file_differences(told[path], started.get(path, []))
                differences += silent(told[path], text)
                if not started.get(path) and not told[path]["errors"]:
                    differences.append("PM2 starts nothing, and no error says so")
                for difference in differences:
                    problems.append(f"{name}{' --env ' + env if env else ''}: {difference}")
            bench.pm2("delete", "all")
        say(f"{len(rows)} files, {compared} processes of PM2 compared")
        check(not problems, "\n".join(["", *problems]))
        check(compared >= 45, f"only {compared} processes were compared")
        check(alive(read_pid(os.path.join(bench.home, "pm2.pid"))), "PM2's daemon has died")


def test_bad_cron_alias():
    """The finding about a bad pattern under the name `cron` is true: PM2's daemon dies of it."""
    with Bench(require_pm2()) as bench:
        path = bench.write(0, "cron.json", '{"apps": [{"name": "c", "script": "{n}.sh", '
                                           '"cron": "whenever"}]}')
        check(finding(bench.validate(path)[1][path], "cron", text="dies"), "not told")
        bench.environment["_"] = bench.pm2_program  # as a shell sets it; PM2 needs it to come back
        bench.pm2("start", shutil.which("sleep"), "--name", "bystander", "--", "100000")
        (before,), = bench.started().values()
        god = read_pid(os.path.join(bench.home, "pm2.pid"))
        with subprocess.Popen([bench.pm2_program, "start", path], env=bench.environment,
                              cwd=os.path.dirname(path),
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as start:
            try:
                wait_until(lambda: (pid := read_pid(os.path.join(bench.home, "pm2.pid"))) and
                           pid != god and alive(pid), "PM2's daemon is another one", 30)
                after = wait_until(lambda: [env for found in bench.started().values()
                                            for env in found if env["name"] == "bystander"],
                                   "its apps come back", 30)
                check(after[0]["pm_uptime"] > before["pm_uptime"], "the bystander lives on")
            finally:
                start.kill()


def finding(row, key=None, severity="error", text=""):
    return [item for item in row["findings"] if item["severity"] == severity
            and (key is None or item["key"] == key) and text in item["pm2"]]


def test_bad_files():
    """What PM2 cannot be asked: each ends within its limit, says why, and leaves nothing behind."""
    rows = {row[0]: row for row in all_files() if row[3]}
    if shutil.which("node") is None:
        raise Skip("there is no node.js")
    with Bench() as bench:
        paths = {name: bench.write(number, name, row[1])
                 for number, (name, row) in enumerate(rows.items())}
        code, told = bench.validate("--limit", "4s", *paths.values())
        told = {name: told[path] for name, path in paths.items()}
        check(code == 1, f"exit {code}")
        for name in ("loop.config.js", "loop.json", "left.config.js"):
            check(finding(told[name], text="waits for it for ever"), f"{name}: {told[name]}")
        check(finding(told["exit.config.js"], text="exit code 3"), f"{told['exit.config.js']}")
        for name in ("flood.config.js", "large.config.js"):
            check(finding(told[name], text="too much"), f"{name}: {told[name]}")
        check(told["hungry.config.js"]["errors"] == 1, f"{told['hungry.config.js']}")
        check(finding(told["values.config.js"], text="too many values"),
              f"{told['values.config.js']}"[:500])
        check(finding(told["circle.config.js"], "env/a", "warning"), f"{told['circle.config.js']}")
        check(finding(told["cron-alias.json"], "cron", text="dies"),
              f"{told['cron-alias.json']}")
        for name in ("apps.cjs", "apps.mjs", "apps.conf"):
            check(finding(told[name], severity="warning", text="goes by the name") and
                  [app["pm_exec_path"][-3:] for app in told[name]["apps"]] == [".sh"],
                  f"{told[name]}")  # node 18 cannot require() apps.mjs: then PM2 cannot either
        check(not told["timer.config.js"]["errors"] and told["timer.config.js"]["apps"],
              f"{told['timer.config.js']}")
        left = f"LEFT=e{list(rows).index('left.config.js')}\0".encode()
        check(not holders(left), f"a process of left.config.js lives on: {holders(left)}")


def holders(variable):
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/environ", "rb") as file:
            if variable in file.read():
                found.append(pid)
    return found


def test_places():
    """Lines and columns of JSON, of syntax errors and of what is thrown."""
    with Bench() as bench:
        memory = bench.write(0, "memory.json", '{"apps": [\n  {"name": "a", "script": "{n}.sh",\n'
                                               '   "max_memory_restart": "300MB"}]}')
        syntax = bench.write(1, "s.config.js", "module.exports = {\n  apps: [,,}\n")
        throws = bench.write(2, "t.config.js", "\n\n  throw new Error('x')")
        code, told = bench.validate(memory, syntax, throws)
        check(code == 1, f"exit {code}")
        place = [(item["line"], item["column"]) for item in told[memory]["findings"]
                 if item["key"] == "max_memory_restart"]
        check(place == [(3, 4)], f"{told[memory]}")
        check(told[syntax]["findings"][0]["line"] == 2, f"{told[syntax]}")
        check(told[throws]["findings"][0]["line"] == 3, f"{told[throws]}")


def test_owner():
    """Root evaluates nobody's file with nobody's rights."""
    if os.getuid() != 0 or shutil.which("node") is None:
        say("not looked at: it needs root and node.js")
        return
    with Bench() as bench:
        path = bench.write(0, "own.config.js", "module.exports = {apps: [{name: `u${process.getuid()}"
                                               "g${process.getgroups()}`, script: '{n}.sh'}]}")
        os.chown(path, 65534, 65534)
        _, told = bench.validate(path)
        check(finding(told[path], text="cannot be started"), f"a closed folder: {told[path]}")
        os.chmod(bench.folder, 0o755)
        code, told = bench.validate(path)
        check(code == 0 and told[path]["apps"][0]["name"] == "u65534g65534" and
              finding(told[path], severity="info", text="rights"), f"{code} {told[path]}")


def test_exit_codes():
    """0 with warnings alone, 1, 7; no secret is shown unless it is asked for; no node is needed."""
    with Bench() as bench:
        good = bench.write(0, "good.json", '{"apps": [{"name": "a", "script": "{n}.sh", "what": 1, '
                                           '"env": {"API_TOKEN": "hunter2", "NODE_ENV": "test", '
                                           '"PORT": 80}, "env_x": {"PASS": "hunter2"}}]}')
        code, told = bench.validate(good)
        check(code == 0 and told[good]["warnings"] == 1, f"{code} {told}")
        check("hunter2" not in json.dumps(told), "a secret is shown")
        app = told[good]["apps"][0]
        check(app["env"] == {"NODE_ENV": "test", "PORT": 80} and
              app["hidden"] == ["env/API_TOKEN", "env_x/PASS"], f"{app}")
        check("hunter2" in json.dumps(bench.validate("--values", good)[1]), "--values shows none")
        code, told = bench.validate(good, os.path.join(bench.folder, "absent.json"))
        check(code == 7 and len(told) == 2, f"{code} {told}")
        code, told = bench.validate(bench.folder)
        check(code == 1 and finding(told[bench.folder], text="folder"), f"{told}")
        yaml = bench.write(2, "apps.yml", "apps: [{name: a, script: {n}.sh}]")
        bench.environment["PATH"] = os.path.dirname(shutil.which("node") or "/nowhere/node")
        code, told = bench.validate(yaml)
        check(code == 1 and finding(told[yaml], text="YAML"), f"{told}")
        for words in (["--env", "a b"], ["--limit", "1h"]):
            done = subprocess.run([CLI, "validate", "ecosystem", *words, good], text=True,
                                  capture_output=True, env=bench.environment, check=False)
            check(done.returncode == 2 and words[0] in done.stderr, f"{words}: {done}")
        bench.environment["PATH"] = "/nowhere"
        code, told = bench.validate(good)
        check(told[good]["apps"][0]["pm_exec_path"].endswith("e0.sh"), f"{told}")
        script = bench.write(1, "x.config.js", "module.exports = {}")
        check(finding(bench.validate(script)[1][script], text="no node"), "no node, and no word")


if __name__ == "__main__":
    run(test_places, test_exit_codes, test_bad_files, test_as_pm2, test_owner,
        test_bad_cron_alias)
