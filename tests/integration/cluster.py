"""A cluster of real processes on this machine, for the tests of this folder.

Every process is started here, in a folder of its own that goes at the end; only those are killed.
Tests wait for conditions with a generous deadline, never for seconds. Times are CLOCK_BOOTTIME.

The build is build/ of the repository, or UNDERSTUDY_BUILD. UNDERSTUDY_KEEP=1 keeps the folder.
"""

import glob
import gzip
import http.client
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("UNDERSTUDY_BUILD", os.path.join(ROOT, "build"))
PATIENCE_S = 90  # for anything that takes a second on an idle machine


# What the sanitizers were told before any cluster; each adds where its reports go.
SANITIZER_OPTIONS = {name: os.environ.get(name, "")
                     for name in ("ASAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS")}


class Skip(Exception):
    """This machine cannot run the test; the text says why."""


def boot_s():
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def say(text):
    print(text, flush=True)


def check(condition, text):
    if not condition:
        raise AssertionError(text)


def wait_until(condition, what, patience_s=PATIENCE_S, pause_s=0.02):
    """The first true value of condition(); an exception of it counts as not yet."""
    deadline = boot_s() + patience_s
    last = None
    while True:
        try:
            last = condition()
            if last:
                return last
        except (OSError, AssertionError, KeyError, TypeError, ValueError,
                subprocess.SubprocessError) as error:
            last = repr(error)
        if boot_s() > deadline:
            raise AssertionError(f"waited {patience_s} s in vain until {what}; last: {last}")
        time.sleep(pause_s)


def sanitizer():
    """What the build looks for by itself: "address,undefined", "thread", or ""."""
    try:
        with open(os.path.join(BUILD, "CMakeCache.txt"), encoding="utf-8") as file:
            for line in file:
                if line.startswith("UNDERSTUDY_SANITIZE:"):
                    return line.split("=", 1)[1].strip()
    except FileNotFoundError:
        pass
    return ""


# ---- processes ----


def process_state(pid):
    """R S D T Z ..., or None when there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0].decode()
    except (FileNotFoundError, ProcessLookupError):
        return None


def alive(pid):
    return process_state(pid) not in (None, "Z", "X")


def read_pid(path):
    try:
        with open(path, encoding="ascii") as file:
            return int(file.read())
    except (FileNotFoundError, ValueError):
        return None


def mentions(pid, text):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return text.encode() in file.read()
    except OSError:
        return False


def kill(pid, number=signal.SIGKILL):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


PORTS_HELD = []  # sockets that keep this process's ports from other tests, until it ends


def free_base_port(count):
    """A base such that base+10*i and the two after it are free for 1..count."""
    for _ in range(200):
        base = random.randrange(10000, 32000 - 10 * count, 10)
        held, kept = [], []
        try:
            for i in range(1, count + 1):
                for port in range(base + 10 * i, base + 10 * i + 4):
                    sock = socket.socket()
                    (held if port % 10 < 3 else kept).append(sock)
                    sock.bind(("127.0.0.1", port))
            PORTS_HELD.extend(kept)
            return base
        except OSError:
            for sock in kept:
                sock.close()
        finally:
            for sock in held:
                sock.close()
    raise AssertionError("no free ports")


class Answer:
    """What the command line said: exit code, the envelope or None, the error document or None."""

    def __init__(self, done):
        self.exit = done.returncode
        self.stdout = done.stdout
        self.stderr = done.stderr
        self.envelope = self._json(done.stdout)
        self.error = self._json(done.stderr)

    @staticmethod
    def _json(text):
        try:
            return json.loads(text)
        except ValueError:
            return None

    @property
    def data(self):
        return None if self.envelope is None else self.envelope.get("data")

    def __repr__(self):
        return f"exit {self.exit}: {self.stdout[:4000]} {self.stderr[:1000]}"


class Node:
    def __init__(self, cluster, number, host="127.0.0.1"):
        self.cluster = cluster
        self.number = number
        self.name = f"n{number}"
        self.host = host
        self.folder = os.path.join(cluster.folder, self.name)
        self.config = os.path.join(self.folder, "understudy.yml")
        self.peer_port = cluster.base + 10 * number
        self.http_port = self.peer_port + 1
        self.control_port = self.peer_port + 2  # only with the cluster's tcp_control
        self.process = None  # the parent, when started by us directly
        self.namespace = None
        self.environment = {}  # added to ours for the daemon

    @property
    def address(self):
        return f"tcp://{self.host}:{self.peer_port}"

    def in_namespace(self, command):
        return command if self.namespace is None else (
            ["ip", "netns", "exec", self.namespace] + command)

    # -- files and configuration --

    def keys_folder(self):
        return os.path.join(self.folder, "keys")

    def take_keys(self):
        keys = self.keys_folder()
        os.makedirs(keys, 0o700, exist_ok=True)
        source = self.cluster.keys
        for path in glob.glob(f"{source}/*.key") + [f"{source}/{self.name}.key_secret"]:
            shutil.copy2(path, keys)

    def write_config(self, founders, cluster_name="demo", environment="production", extra=""):
        peers = ", ".join(f'{node.name}: "{node.address}"' for node in founders)
        text = f"""cluster:
  name: {cluster_name}
  environment: {environment}
  node: {self.name}
  listen: "{self.address}"
  advertise: "{self.address}"
  peers: {{{peers}}}
  profile: lan
  keys: "{self.keys_folder()}"
control:
  listen: "ipc://{self.folder}/control.sock"
{self.tcp_control()}dashboard:
  listen: ["{self.host}:{self.http_port}"]
data_dir: "{self.folder}/data"
runtime_dir: "{self.folder}"
log:
  dir: "{self.folder}/log"
health:
  inject_file: "{self.folder}/health.inject"
managers:
  {self.cluster.managers}
{extra}"""
        os.makedirs(os.path.join(self.folder, "log"), exist_ok=True)
        os.makedirs(os.path.join(self.folder, "data"), 0o700, exist_ok=True)
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(text)

    def tcp_control(self):
        return f'  listen_tcp: "tcp://{self.host}:{self.control_port}"\n' if (
            self.cluster.tcp_control) else ""

    # -- life --

    def start(self):
        with open(os.path.join(self.folder, "log", "console.log"), "ab") as console:
            self.process = subprocess.Popen(
                self.in_namespace([f"{BUILD}/bin/understudyd", "--config", self.config]),
                env=dict(os.environ, **self.environment), stdin=subprocess.DEVNULL,
                stdout=console, stderr=console, start_new_session=True)

    def pid(self, name):
        pid = read_pid(os.path.join(self.folder, name))
        return pid if pid and alive(pid) and mentions(pid, self.config) else None

    def parent(self):
        return self.pid("node.pid")

    def worker(self):
        return self.pid("worker.pid")

    def reap(self):
        if self.process is not None:
            self.process.poll()

    def kill_both(self):
        """Parent first, so that it cannot speak for the node, then the node."""
        pids = [pid for pid in (self.parent(), self.worker()) if pid]
        for pid in pids:
            kill(pid)
        wait_until(lambda: self.reap() or not any(alive(pid) for pid in pids), "they are dead")

    def freeze(self):
        pid = self.worker()
        kill(pid, signal.SIGSTOP)
        wait_until(lambda: process_state(pid) == "T", f"{self.name} is stopped", pause_s=0.001)
        return pid

    def terminate(self):
        """SIGTERM to the parent, wait for its end; the exit code when it was ours."""
        pid = self.parent()
        kill(pid, signal.SIGTERM)
        wait_until(lambda: self.reap() or not alive(pid), f"{self.name} has ended", pause_s=0.01)
        started_here = self.process is not None and self.process.pid == pid
        return self.process.wait() if started_here else None

    # -- questions --

    def cli(self, *words, timeout="10s", json_output=True):
        command = [f"{BUILD}/bin/understudy", "--dir", self.folder, "--timeout", timeout]
        command += (["--json"] if json_output else []) + list(words)
        return Answer(subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S,
                                     stdin=subprocess.DEVNULL, check=False))

    def status(self):
        """Data of `status`, or None when it does not answer at all."""
        return self.cli("status", timeout="3s").data

    def http(self, path, timeout_s=5.0):
        """(status, body); (None, reason) when nobody answers."""
        if self.namespace is not None:
            done = subprocess.run(self.in_namespace(
                ["curl", "-s", "-m", str(timeout_s), "-w", "\n%{http_code}",
                 f"http://{self.host}:{self.http_port}{path}"]),
                capture_output=True, text=True, check=False)
            body, _, code = done.stdout.rpartition("\n")
            return (int(code) if code not in ("", "000") else None), body
        connection = http.client.HTTPConnection(self.host, self.http_port, timeout=timeout_s)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        except (OSError, http.client.HTTPException) as error:
            return None, repr(error)
        finally:
            connection.close()

    def metrics(self):
        """Sample name with labels -> value."""
        status, body = self.http("/metrics")
        check(status == 200, f"/metrics of {self.name} answers {status}")
        rows = (line.rsplit(" ", 1) for line in body.splitlines() if line and line[0] != "#")
        return {name: float(value) for name, value in rows}

    def log_text(self):
        text = ""
        for path in sorted(glob.glob(f"{self.folder}/log/*.log*"), key=os.path.getmtime):
            opened = gzip.open if path.endswith(".gz") else open
            with opened(path, "rt", encoding="utf-8", errors="replace") as file:
                text += file.read()
        return text

    def log_bytes(self):
        return sum(os.path.getsize(path) for path in glob.glob(f"{self.folder}/log/*"))


class Cluster:
    """n1..nN; a context manager that leaves nothing behind."""

    def __init__(self, count=3, hosts=None, base=None, extra="", tcp_control=False,
                 managers="pm2: {enabled: false}"):
        self.managers = managers
        self.tcp_control = tcp_control
        self.folder = tempfile.mkdtemp(prefix="us-", dir="/tmp")
        self.keys = os.path.join(self.folder, "keys")
        if sanitizer():  # to files, so that none is lost between the parent's and the node's output
            for name, options in SANITIZER_OPTIONS.items():
                os.environ[name] = f"{options}:log_path={self.folder}/report".lstrip(":")
        self.base = base if base is not None else free_base_port(count + 2)
        self.extra = extra
        self.nodes = []
        for i in range(1, count + 1):
            self.nodes.append(Node(self, i, hosts[i - 1] if hosts else "127.0.0.1"))
        self.founders = list(self.nodes)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        try:
            if kind is not None and kind is not Skip:
                self.tell_logs()
            found = self.reports()
            for name, text in found.items():
                say(f"--- {name}\n{text[:6000]}")
            check(kind is not None or not found, f"{len(found)} reports of {sanitizer() or 'valgrind'}")
        finally:
            self.end()

    def reports(self):
        """Every report of a sanitizer or of valgrind, by file; files without any left out."""
        found = {}
        for path in glob.glob(f"{self.folder}/report.*"):
            with open(path, encoding="utf-8", errors="replace") as file:
                # valgrind's remarks about itself begin with --, its findings with ==
                text = "".join(line for line in file if not line.startswith("--"))
            if text.strip():
                found[os.path.basename(path)] = text
        return found

    def __getitem__(self, name):
        return next(node for node in self.nodes if node.name == name)

    def make_keys(self, *names):
        done = subprocess.run([f"{BUILD}/bin/understudy", "--keys", self.keys, "keys", "init",
                               *names], capture_output=True, text=True, check=False)
        check(done.returncode == 0, f"keys init: {done.stderr}")

    def public_key(self, name):
        with open(os.path.join(self.keys, f"{name}.key"), encoding="ascii") as file:
            return next(line.split(": ", 1)[1].rstrip("\n") for line in file
                        if line.startswith("public: "))

    def secret_key(self, name):
        with open(os.path.join(self.keys, f"{name}.key_secret"), encoding="ascii") as file:
            return next(line.split(": ", 1)[1].rstrip("\n") for line in file
                        if line.startswith("secret: "))

    def prepare(self):
        self.make_keys(*(node.name for node in self.nodes))
        for node in self.nodes:
            node.take_keys()
            node.write_config(self.founders, extra=self.extra)

    def start(self):
        self.prepare()
        for node in self.nodes:
            node.start()
        return self.wait_leader()

    def wait_leader(self, among=None, other_than=None, members_alive=None, patience_s=PATIENCE_S):
        """The one node that all of `among` name as leader and that acts."""
        nodes = list(among or self.nodes)

        def agreed():
            documents = [node.status() for node in nodes]
            check(all(documents), "a node does not answer")
            leaders = {document["leader"] for document in documents}
            check(len(leaders) == 1 and None not in leaders, f"leaders {leaders}")
            check(all(document["quorum"] for document in documents), "no quorum")
            leader = self[leaders.pop()]
            check(leader is not other_than, f"{leader.name} still leads")
            check(leader in nodes and documents[nodes.index(leader)]["acting"],
                  f"{leader.name} does not act")
            wanted = len(nodes) if members_alive is None else members_alive
            for node, document in zip(nodes, documents):
                states = {row["name"]: row["state"] for row in document["members"]}
                check(sum(state == "alive" for state in states.values()) >= wanted,
                      f"{node.name} sees {states}")
            return leader

        return wait_until(agreed, "all name one acting leader", patience_s, pause_s=0.05)

    def own_pids(self):
        """Living processes whose command line mentions this cluster's folder."""
        pids = []
        for entry in os.listdir("/proc"):
            if entry.isdigit() and int(entry) != os.getpid() and mentions(entry, self.folder + "/"):
                if alive(int(entry)):
                    pids.append(int(entry))
        return pids

    def end(self):
        def all_gone():
            pids = self.own_pids()
            for pid in pids:
                kill(pid, signal.SIGKILL)
            for node in self.nodes:
                node.reap()
            return not pids

        try:
            wait_until(all_gone, "all processes are gone", 20)
        finally:
            if os.environ.get("UNDERSTUDY_KEEP"):
                say(f"kept: {self.folder}")
            else:
                shutil.rmtree(self.folder, ignore_errors=True)

    def tell_logs(self, lines=40):
        for node in self.nodes:
            say(f"--- the end of the logs of {node.name}")
            for line in node.log_text().splitlines()[-lines:]:
                say("    " + line)


class ActingWatch:
    """Asks every node's /leader all the time and keeps what was seen, to show that no two act.

    An answer says what was true at some instant between `begin` and `end` of its request. What is
    checked needs no assumption about that instant: once a node was certainly seen to act in a
    term (by the end of that request), no node may be seen to act in an older term by a request
    that began later; and no two nodes act in one term. `frozen` tells that a node could not have
    answered before it was thawed, which sharpens the check of a node that wakes up.
    """

    def __init__(self, nodes, pause_s=0.003):
        self.nodes = list(nodes)
        self.pause_s = pause_s
        self.seen = []  # (begin, end, node name, term)
        self.confused = []  # answers of an acting node that name another one as leader
        self.asked = 0
        self.thawed_at = {}
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self._run, args=(node,), daemon=True)
                        for node in self.nodes]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def thawing(self, node):
        """Call right before SIGCONT."""
        self.thawed_at[node.name] = boot_s()

    def _run(self, node):
        while not self.stopping.is_set():
            begin = boot_s()
            status, body = node.http("/leader", timeout_s=0.25)
            end = boot_s()
            thawed = self.thawed_at.get(node.name, 0.0)
            with self.lock:
                self.asked += 1
                if status == 200:
                    document = json.loads(body)
                    begin = max(begin, thawed) if end > thawed else begin
                    if document["leader"] == node.name:
                        self.seen.append((begin, end, node.name, document["term"]))
                    else:
                        self.confused.append((node.name, body))
            time.sleep(self.pause_s)

    def names(self, since=0.0):
        with self.lock:
            return [row[2] for row in sorted(self.seen) if row[0] >= since]

    def first_acting(self, node, since):
        """Begin of the first answer of `node` after `since` that says it acts, or None."""
        with self.lock:
            return min((row[0] for row in self.seen if row[2] == node.name and row[0] >= since),
                       default=None)

    def verify(self):
        with self.lock:
            seen = list(self.seen)
        holder = {}
        for begin, end, name, term in seen:
            check(holder.setdefault(term, name) == name,
                  f"{name} and {holder[term]} both act in term {term}")
        certain = {}  # term -> by when it was certainly acted in
        for begin, end, name, term in seen:
            certain[term] = min(end, certain.get(term, end))
        for begin, end, name, term in seen:
            for newer, when in certain.items():
                check(newer <= term or begin <= when,
                      f"{name} acts in term {term} although {holder[newer]} acted in term {newer} "
                      f"{1000 * (begin - when):.1f} ms before")
        check(seen, "nobody was ever seen to act: the watch saw nothing")
        check(not self.confused, f"{len(self.confused)} answers of acting nodes name another "
              f"leader, so their terms are no fencing tokens: {self.confused[:3]}")
        return len(seen)


def history(node):
    return node.cli("leader", "history").data or []


def terms_of_history(node):
    return {entry["term"] for entry in history(node)}


def median(values):
    values = sorted(values)
    middle = len(values) // 2
    return values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) / 2


def require_build():
    missing = [name for name in ("understudyd", "understudy") if
               not os.access(f"{BUILD}/bin/{name}", os.X_OK)]
    check(not missing, f"{BUILD} lacks {missing}: build first")


def run(*tests):
    """Run the test functions one after the other; the exit code says how it went."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    started = boot_s()
    chosen = sys.argv[1:]
    for test in tests:
        if chosen and test.__name__ not in chosen:
            continue
        at = boot_s()
        try:
            require_build()
            test()
        except Skip as why:
            say(f"skipped: {why}")
            sys.exit(77)
        except Exception:  # a failed test says all it knows
            traceback.print_exc()
            say(f"FAILED {test.__name__}")
            sys.exit(1)
        say(f"ok {test.__name__} ({boot_s() - at:.1f} s)")
    say(f"all done in {boot_s() - started:.1f} s")
