#!/usr/bin/python3 -B
"""Debian's cron beside our own figures: how late a slot's program starts.

    tests/bench/peers/cron.py [--trials N] [--quick] [--only GROUP]...

One cron in mount and process namespaces of its own, with a crontab of one line that tells the time
every minute. Its slots are minutes, so a trial takes one. Needs root.
"""

import calendar
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

from harness import measure
from harness.debian import Unpacked
from harness.measure import Sheet, wait_until
from harness.netns import Missing

MINUTES_MAX = 5

# In the namespace nothing of the system's own tables is there, only our line: what hides them are
# mounts that end with the namespace, and no file of the system is written.
SCRIPT = """set -e
mount -t tmpfs none /run
mount -t tmpfs none /var/spool
mkdir -p /var/spool/cron/crontabs
install -m 600 {folder}/table /var/spool/cron/crontabs/root
[ ! -d /etc/cron.d ] || mount -t tmpfs none /etc/cron.d
[ ! -e /etc/crontab ] || mount --bind /dev/null /etc/crontab
cp -r /etc/pam.d {folder}/pam.d
cp {root}/etc/pam.d/cron {folder}/pam.d/
mount --bind {folder}/pam.d /etc/pam.d
exec {program} -f
"""


class Cron:
    def __init__(self, peer):
        if os.geteuid() != 0:
            raise Missing("cron needs root")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="us-cron-", dir="/tmp"))
        self.lines = self.folder / "lines"
        table = f"* * * * * exec date +\\%s.\\%N >> {self.lines}\n"
        (self.folder / "table").write_text("SHELL=/bin/sh\n" + table)
        script = SCRIPT.format(folder=self.folder, root=peer.root, program=peer.program("cron"))
        self.process = subprocess.Popen(
            ["unshare", "--mount-proc", "--pid", "--fork", "--kill-child", "/bin/sh", "-c", script],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            env={**os.environ, **peer.environment()}, start_new_session=True)

    def times(self):
        if self.process.poll() is not None:
            raise Missing(f"cron ended: {self.process.stderr.read().strip()[-200:]}")
        return [float(line) for line in self.lines.read_text().split()] if (
            self.lines.exists()) else []

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()  # and all that is in its namespace with it
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
