"""Clusters that faults are put to: every node a host of its own (network.py), with a real PM2, a
disk that can be slow, stuck, failing, full or read-only, and a wall clock that can be set.

A test is a list of cases; a case takes a World, puts a fault to it, and heals it. After each case
World.case() waits until everything came back, and lets checker.py prove that nothing ran twice.
"""

import glob
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

# pylint: disable=wrong-import-position
import checker
import writes
from cluster import (BUILD, ROOT, Cluster, Node, Skip, alive, boot_s, check, history, kill,
                     process_state, read_pid, run, say, wait_until)
from demo import require_pm2
from network import Network
from recorder import Recorder, boot_ms

__all__ = ["BUILD", "Cuts", "HERE", "Skip", "World", "alive", "boot_ms", "boot_s", "check",
           "command_line", "history", "kill", "main", "process_state", "run", "say", "wait_until"]

HERE = os.path.dirname(os.path.abspath(__file__))
DUTIES = ("solo-a", "solo-b", "solo-c")
WORKER_BACKUP = "worker-backup"
PRIMARY = "worker"
BACK_S = 60     # everything is back within this, on a busy machine
LEASE_MS = 350  # profile lan
GRANT_S = 5.0   # the default grant_ttl
WAKE_MS = 1000  # after a host woke: what its guard may need on a busy machine
DISK_BYTES = 4 << 20


def put(path, text):
    with open(path + ".new", "w", encoding="ascii") as file:
        file.write(text)
    os.rename(path + ".new", path)


class Host(Node):
    """A node with what a test can do to its host."""

    small_disk = False
    holder = None

    def __init__(self, cluster, number):
        super().__init__(cluster, number, cluster.network.addresses[number - 1])
        self.namespace = cluster.network.names[number - 1]
        self.disk_order = os.path.join(self.folder, "disk.order")
        self.clock_order = os.path.join(self.folder, "clock.order")
        self.environment = {
            "LD_PRELOAD": f"{BUILD}/tests/fault/libslow_disk.so {BUILD}/tests/fault/libclock_shift.so",
            "SLOW_DISK_CONTROL": self.disk_order,
            "SLOW_DISK_FOLDER": os.path.join(self.folder, "data"),
            "CLOCK_SHIFT_CONTROL": self.clock_order,
        }

    def in_namespace(self, command):
        of_disk = self.small_disk and command[0].endswith("understudyd")
        command = super().in_namespace(command)
        return ["nsenter", "-t", str(self.disk_holder()), "-m", *command] if of_disk else command

    def disk_holder(self):
        """Pid of the process whose mount namespace has this host's small disk. It outlives the
        daemons, as a disk does, and ends with the test."""
        if self.holder is None:
            data = f"{self.folder}/data"
            mount = f"mount -t tmpfs -o size={DISK_BYTES},mode=0700 small {data}"
            self.holder = subprocess.Popen(["unshare", "-m", "sh", "-c", f"{mount} && exec cat"],
                                           stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
            wait_until(lambda: data in open_text(f"/proc/{self.holder.pid}/mounts"),
                       "the small disk is mounted")
        return self.holder.pid

    def end_disk(self):
        if self.holder is not None:
            self.holder.stdin.close()
            self.holder.wait()
            self.holder = None

    def write_config(self, founders, extra="", **more):
        super().write_config(founders, extra=extra, **more)
        with open(self.config, encoding="utf-8") as file:
            text = file.read()
        check("  pm2: {enabled: false}\n" in text, "cluster.py writes another configuration")
        put(self.config, text.replace("  pm2: {enabled: false}\n", self.cluster.pm2_config(self)))

    # -- its processes --

    def home(self):
        return os.path.join(self.folder, "pm2")

    def god(self):
        """Pid of its PM2 daemon when it lives."""
        pid = read_pid(os.path.join(self.home(), "pm2.pid"))
        return pid if pid and alive(pid) and self.home().encode() in command_line(pid) else None

    def managers(self):
        worker = self.worker()
        pids = [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]
        return [pid for pid in pids if worker and parent_of(pid) == worker and
                b"understudy-manager" in command_line(pid)]

    def guards(self):
        """Pids of fronts and keepers on this host."""
        return [pid for pid in self.cluster.own_pids_of("understudy-guard")
                if f"{self.folder}/".encode() in command_line(pid)]

    def workers(self):
        return [pid for pid in self.cluster.own_pids_of("worker.py")
                if command_line(pid).split(b"\0")[-4:-3] == [self.name.encode()]]

    def all_pids(self):
        """Everything that runs on this host, PM2 too; not those who ask it."""
        return {pid for pid in self.cluster.own_pids()
                if f"{self.folder}/".encode() in command_line(pid) and
                b"--follow" not in command_line(pid)} | set(self.workers())

    def stop_pids(self, pids):
        for pid in pids:
            kill(pid, signal.SIGSTOP)
        wait_until(lambda: all(process_state(pid) in ("T", "Z", None) for pid in pids),
                   "they are stopped", pause_s=0.001)
        return list(pids)

    def thaw(self, pids):
        self.cluster.recorder.thawing(self)
        for pid in pids:
            kill(pid, signal.SIGCONT)

    # -- its disk and clock --

    def disk(self, order):
        """As slow_disk.c says; "" is a good disk."""
        put(self.disk_order, order + "\n")

    def clock(self, shift_s):
        put(self.clock_order, f"{shift_s}\n")

    def inside(self, path):
        """A path as this node's processes see it (their own mounts)."""
        return f"/proc/{self.disk_holder()}/root{path}"

    def mounts(self, *words):
        return subprocess.run(["nsenter", "-t", str(self.disk_holder()), "-m", *words],
                              capture_output=True, text=True, check=False)


def open_text(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def command_line(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read()
    except OSError:
        return b""


def parent_of(pid):
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except OSError:
        return None


class World(Cluster):
    """A cluster on hosts of its own, with duties and a recorder; leaves nothing behind."""

    def __init__(self, count=3, seed=1, small_disks=False, primary=False, extra=None, asked=()):
        self.program = require_pm2()
        self.network = Network(count, seed)
        try:
            super().__init__(0, base=7400)
        except BaseException:
            self.network.remove()
            raise
        os.chmod(self.folder, 0o755)
        self.primary = primary
        self.extra = "leadership: {handover_below: 0}\n" if extra is None else extra
        self.writes = os.path.join(self.folder, "writes.log")
        self.nodes = [Host(self, i) for i in range(1, count + 1)]
        self.founders = list(self.nodes)
        for node in self.nodes:
            node.small_disk = small_disks
            os.makedirs(node.folder, exist_ok=True)
        self.recorder = Recorder(self.nodes, self.writes, self._line)
        self.wakes = []
        # Causes on purpose that the test makes possible; a busy machine can make a leader gray.
        self.asked = {"gray", *asked}
        self.log_marks = {}

    @staticmethod
    def _line(text):
        return writes.parse(text + "\n")[0]

    @property
    def exclusive(self):
        return DUTIES + ((WORKER_BACKUP,) if self.primary else ())

    def pm2_config(self, node):
        def backup(name, mode):
            role = "always" if mode == "always" else "backup"
            words = f'"{self.writes}", {node.name}, {role}, {name}'
            more = "" if mode == "always" else (
                f", stands_in_for: {PRIMARY}, settle: 1s, when_unreachable: {{start_after: 2s}}")
            return (f"      - {{name: {name}, mode: {mode}, script: \"{HERE}/worker.py\", "
                    f"args: [{words}], cwd: \"{self.folder}\"{more}}}\n")
        # The faults bring a dead PM2 daemon back themselves, and know when.
        text = f"  pm2:\n    homes: [\"{node.home()}\"]\n    revive: false\n"
        if self.primary:
            text += f"    primaries:\n      - {{name: {PRIMARY}, on: [n1]}}\n"
        text += "    backups:\n" + "".join(backup(name, "always") for name in DUTIES)
        return text + (backup(WORKER_BACKUP, "standby") if self.primary else "")

    # -- life --

    def __enter__(self):
        try:
            self._start_pm2()
            self.start()
            self.recorder.__enter__()
            self.came_back()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, kind, value, trace):
        try:
            self.recorder.stopping.set()
            if any(thread.is_alive() for thread in self.recorder.threads):
                self.recorder.__exit__(kind, value, trace)
            super().__exit__(kind, value, trace)
        finally:
            for node in self.nodes:
                node.end_disk()
            self.network.remove()

    def pm2(self, node, *words, must=True):
        done = subprocess.run(
            [self.program, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL,
            env=dict(os.environ, PM2_HOME=node.home(), PM2_DISABLE_VERSION_CHECK="1"),
            timeout=90, check=False)
        check(not must or done.returncode == 0, f"pm2 {words}: {done.stdout[-500:]} {done.stderr[-500:]}")
        return done.stdout

    def start_daemon(self, node):
        """PM2 again after its daemon's death; what it ran is not in its list any more."""
        self.pm2(node, "ping")
        if self.primary and node.name == "n1":
            self.start_primary()

    def start_primary(self):
        """Whatever became of it: once, in PM2's list, running."""
        self.pm2(self["n1"], "delete", PRIMARY, must=False)
        for pid in self.own_pids_of("worker.py"):  # a dead daemon leaves its processes behind
            if command_line(pid).rstrip(b"\0").split(b"\0")[-2:] == [b"primary", PRIMARY.encode()]:
                kill(pid)
        self.pm2(self["n1"], "start", f"{HERE}/worker.py", "--name", PRIMARY, "--interpreter",
                 "python3", "--cwd", self.folder, "--", self.writes, "n1", "primary", PRIMARY)

    def _start_pm2(self):
        for node in self.nodes:
            os.makedirs(node.home(), exist_ok=True)
        starting = [subprocess.Popen(
            [self.program, "ping"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            env=dict(os.environ, PM2_HOME=node.home(), PM2_DISABLE_VERSION_CHECK="1"))
            for node in self.nodes]
        for process in starting:
            check(process.wait() == 0, "PM2 does not start")
        if self.primary:
            self.start_primary()

    def own_pids_of(self, program):
        return [pid for pid in self.own_pids() if program.encode() in command_line(pid)]

    def others(self, *nodes):
        return [node for node in self.nodes if node not in nodes]

    def number(self, node):
        return self.nodes.index(node) + 1

    # -- what must hold --

    def wanted_duties(self):
        return self.exclusive if self.primary and self.primary_down else DUTIES

    primary_down = False

    def all_run(self, among=None):
        """Every wanted duty writes, once, on a node of `among`, and all of these agree where."""
        names = [node.name for node in among or self.nodes]
        lists = []
        for node in among or self.nodes:
            answer = node.cli("duty", "list", timeout="3s")
            check(answer.exit == 0, f"duty list on {node.name}: {answer}")
            lists.append({row["id"]: row for row in answer.data})
        for name in self.wanted_duties():
            rows = [duties["pm2/" + name] for duties in lists]
            check(all(row["state"] == "running" for row in rows), f"{rows}")
            places = {row["node"] for row in rows}
            writing = self.writing(name)
            check(len(writing) == 1 and len(places) == 1, f"{name}: {rows} {writing}")
            check({node for node, _ in writing} == places and places <= set(names),
                  f"{name} is told on {places}, writes {writing}")
        return True

    def came_back(self, among=None, patience_s=BACK_S):
        """One acting leader that all name, all alive, all duties run; seconds that it took."""
        at = boot_s()
        leader = self.wait_leader(among=among, patience_s=patience_s)
        left = patience_s - (boot_s() - at)
        wait_until(lambda: self.all_run(among), "all duties run", max(left, 1), pause_s=0.1)
        return leader, boot_s() - at

    def came_back_without(self, node, patience_s=BACK_S):
        """The same of the others while `node` is away; its duties run elsewhere."""
        return self.came_back(self.others(node), patience_s)

    def verify(self):
        lines, running, events, answers, confused = self.recorder.everything()
        check(lines and events and answers, "the recorder saw nothing")
        check(not confused, f"acting nodes name another leader: {confused[:3]}")
        verdict = checker.verify(lines, running, events, answers, self.exclusive, self.wakes,
                                 self.asked, LEASE_MS)
        wait_until(self.histories_agree, "all nodes tell the same history", 20)
        return verdict

    def histories_agree(self):
        told = [[(row["term"], row["node"], row["cause"]) for row in history(node)]
                for node in self.nodes]
        check(told[0] and all(rows == told[0] for rows in told), f"histories differ: {told}")
        return True

    def case(self, test):
        """Run one case: fault, heal, everything back, nothing twice."""
        at = boot_s()
        self.log_marks = {path: os.path.getsize(path) for path in
                          glob.glob(f"{self.folder}/n*/log/*")}
        told = test(self)
        _, back_s = self.came_back()
        verdict = self.verify()
        say(f"{test.__name__}: {told or 'no change told'}; back after {back_s:.1f} s; "
            f"{boot_s() - at:.1f} s in all")
        return verdict

    def run_cases(self, *tests):
        chosen = set(sys.argv[1:])
        verdict = None
        for test in tests:
            if not chosen or test.__name__ in chosen:
                verdict = self.case(test)
        check(verdict is not None, f"no case is named {sorted(chosen)}")
        say(checker.say_verdict(verdict))

    def tell_logs(self, lines=40):
        super().tell_logs(lines)
        for path in sorted(glob.glob(f"{self.folder}/n*/pm2/pm2.log")):
            with open(path, encoding="utf-8", errors="replace") as file:
                say(f"--- the end of {path}")
                for line in file.read().splitlines()[-15:]:
                    say("    " + line)

    # -- helpers of cases --

    def new_log(self, node):
        """What the node logged since the case began, on its console too."""
        text = ""
        for path in glob.glob(f"{node.folder}/log/*"):
            with open(path, encoding="utf-8", errors="replace") as file:
                file.seek(self.log_marks.get(path, 0))
                text += file.read()
        return text

    def freeze(self, node, pids):
        """SIGSTOP; what was stopped, for node.thaw()."""
        pids = [pid for pid in pids if pid]
        check(pids, f"nothing to freeze on {node.name}")
        return node.stop_pids(pids)

    def all_pids(self, node):
        return node.all_pids() - {os.getpid()}

    def writing(self, name):
        """{(node name, pid)} of living processes that wrote under `name` just now."""
        return {(node, pid) for node, pid in self.recorder.running(name, boot_s() - 0.3)
                if alive(pid)}

    def one_writer(self, name):
        found = self.writing(name)
        check(len(found) == 1, f"{name} is written by {found}")
        return found

    @staticmethod
    def guard_of(pid):
        """(front, keeper) above a guarded process."""
        keeper = parent_of(pid)
        front = parent_of(keeper)
        check(all(b"understudy-guard" in command_line(each) for each in (front, keeper)),
              f"{pid} is not guarded")
        return front, keeper

    def slept(self, node):
        """The whole host of `node` is thawed now."""
        at = boot_ms()
        self.wakes.append(checker.Wake(node.name, at, at + WAKE_MS))

    def keeps(self, condition, seconds, what):
        """Holds at every look for so long: for what must not happen."""
        until = boot_s() + seconds
        while boot_s() < until:
            check(condition(), what)
            time.sleep(0.02)


class Cuts:
    """Nodes that are cut off, both ways or one way, among the faults that one() draws from: a base
    that goes before test_schedules.Faults."""

    KINDS = ("cut", "cut", "mute", "deaf", "kill", "kill_both", "freeze", "transfer")

    def cut(self, node, **ways):
        network = self.cluster.network
        network.cut(self.cluster.number(node), **ways)
        time.sleep(self.random.uniform(0.2, 4))  # how long it is cut off
        network.heal()

    def mute(self, node):
        self.cut(node, incoming=False)

    def deaf(self, node):
        self.cut(node, outgoing=False)


def main(tests, world_of=World, **options):
    """The body of a script: its cases by name on the command line, or all."""
    checker.self_test()

    def cases():
        with world_of(**options) as world:
            world.run_cases(*tests)

    cases.__name__ = os.path.basename(sys.argv[0]).removesuffix(".py")
    arguments, sys.argv[1:] = sys.argv[1:], []
    def chosen():
        sys.argv[1:] = arguments
        cases()
    chosen.__name__ = cases.__name__
    run(chosen)
