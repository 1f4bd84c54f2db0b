#!/usr/bin/python3 -B
"""Debian's cron beside our own figures: how late a slot's program starts.

    tests/bench/peers/cron.py [--trials N] [--quick] [--only GROUP]...

One cron in a mount namespace of its own, with a crontab of one line that tells the time every
minute. Its slots are minutes, so a trial takes one. Needs root.
"""

import calendar
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from harness import measure
from harness.debian import Unpacked
from harness.measure import Sheet, wait_until
from harness.netns import Missing

MINUTES_MAX = 5

# In the namespace: nothing of the system's cron is there, only our one line.
SCRIPT = """set -e
mount -t tmpfs none /var/spool
mkdir -p /var/spool/cron/crontabs
mount -t tmpfs none /run
mkdir -p {folder}/etc
for name in crontab cron.d cron.daily cron.hourly cron.weekly cron.monthly; do
  rm -rf {folder}/etc/$name
done
cp -a /etc/. {folder}/etc
rm -rf {folder}/etc/cron.d && mkdir {folder}/etc/cron.d
cp {folder}/line {folder}/etc/crontab
cp -n {root}/etc/pam.d/cron {folder}/etc/pam.d/cron 2>/dev/null || true
mount --bind {folder}/etc /etc
exec {program} -f
"""


class Cron:
    def __init__(self, peer):
        if os.geteuid() != 0:
            raise Missing("cron needs root")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="us-cron-", dir="/tmp"))
        self.lines = self.folder / "lines"
        line = f"* * * * * root exec date +\\%s.\\%N >> {self.lines}\n"
        (self.folder / "line").write_text("SHELL=/bin/sh\n" + line)
        script = SCRIPT.format(folder=self.folder, root=peer.root, program=peer.program("cron"))
        self.process = subprocess.Popen(
            ["unshare", "-m", "/bin/sh", "-c", script], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            env={**os.environ, **peer.environment()}, start_new_session=True)

    def times(self):
        if self.process.poll() is not None:
            raise Missing(f"cron ended: {self.process.stderr.read().strip()[-200:]}")
        return [float(line) for line in self.lines.read_text().split()] if (
            self.lines.exists()) else []

    def stop(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def lateness(at):
    """ms after the full minute."""
    parts = time.gmtime(at)
    minute = calendar.timegm(parts[:5] + (0, 0, 0, 0))
    return (at - minute) * 1000


def everything(options):
    if not options.wants("lateness"):
        return False
    peer = Unpacked("cron")
    sheet = Sheet(f"cron {peer.version('cron')}", "", options.wants)
    minutes = 1 if options.quick else min(options.trials, MINUTES_MAX)
    cron = Cron(peer)
    try:
        wait_until("cron has run its line", lambda: len(cron.times()) >= minutes,
                   60 * (minutes + 1) + 10)
        for at in cron.times():
            sheet.add("lateness", "a slot of every minute, until its program's first instruction",
                      lateness(at))
        sheet.emit("with the start of a shell and of date")
    finally:
        cron.stop()
    return False


if __name__ == "__main__":
    sys.exit(measure.program(__doc__.splitlines()[0], "cron", everything))
