#!/usr/bin/python3 -B
"""Reading the state of a real PM2: our manager's way, over the daemon's socket, and `pm2 jlist`."""

import json
import os
import shutil
import subprocess
import tempfile

import rows
from network import Lacking
from nodes import alive, kill, mentions, read_pid, run_timed, wait_until
from trials import Part, begin, program

from demo import require_pm2

GROUP = "pm2 state"
PROCESSES = 5
SLEEPER = "setInterval(() => {}, 100000)\n"


class Pm2:
    """A PM2 of its own, in a folder of its own, with the given processes or a few that sleep."""

    def __init__(self, apps=None):
        self.program = require_pm2()
        self.apps = apps
        self.folder = tempfile.mkdtemp(prefix="us-bench-pm2-", dir="/tmp")
        self.home = os.path.join(self.folder, "home")
        self.environment = dict(os.environ, PM2_HOME=self.home, PM2_DISABLE_VERSION_CHECK="1")

    def __enter__(self):
        script = os.path.join(self.folder, "sleeper.js")
        with open(script, "w", encoding="ascii") as file:
            file.write(SLEEPER)
        apps = self.apps or [{"name": f"sleeper-{i}", "script": script} for i in range(PROCESSES)]
        path = os.path.join(self.folder, "ecosystem.config.json")
        with open(path, "w", encoding="ascii") as file:
            json.dump({"apps": apps}, file)
        try:
            self.run("start", path)
            return self
        except BaseException:
            self.__exit__()
            raise

    def run(self, *words):
        # Not through a pipe: the daemon that it starts would keep it open.
        log = os.path.join(self.folder, "output")
        with open(log, "w+", encoding="utf-8") as output:
            done = subprocess.run([self.program, *words], env=self.environment, stdout=output,
                                  stderr=output, stdin=subprocess.DEVNULL, check=False, timeout=90)
            output.seek(0)
            if done.returncode != 0:
                raise Lacking(f"pm2 {words[0]} ends with {done.returncode}: "
                              f"{output.read()[-300:]}")

    def god(self):
        return read_pid(os.path.join(self.home, "pm2.pid"))

    def __exit__(self, *_):
        god = self.god()
        try:
            self.run("kill")
        finally:
            if god and alive(god) and mentions(god, self.home):
                kill(god)
                wait_until(lambda: not alive(god), "PM2 is gone", 20)
            shutil.rmtree(self.folder, ignore_errors=True)


def measure(options):
    with Pm2() as pm2:
        count = 50 if options.quick else 1000
        found = program("bench_pm2_read", pm2.home, str(count))
        if found["entries"]["count"] != PROCESSES:
            raise Lacking(f"PM2 lists {found['entries']['count']} processes, not {PROCESSES}")
        read = found["reads"]
        rows.emit(rows.make(GROUP, f"list of {PROCESSES} processes over the daemon's socket",
                            [read["p50_us"] / 1000], "ms", worst=read["worst_us"] / 1000,
                            trials=count, note="request, framing, JSON, entries; the connection "
                            "stands already"))
        os.environ.update(PM2_HOME=pm2.home, PM2_DISABLE_VERSION_CHECK="1")
        times = [took_s * 1000 for code, took_s in
                 (run_timed([pm2.program, "jlist"]) for _ in range(min(options.trials, 20)))
                 if code == 0]
        rows.emit(rows.make(GROUP, "`pm2 jlist` as a process", times, "ms", system="pm2"))


if __name__ == "__main__":
    chosen = begin(__doc__)
    part = Part()
    part.run(GROUP, measure, chosen)
    part.exit()
