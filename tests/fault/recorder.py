"""Sees what a cluster does while faults are put to it: events, answers of /leader, and which worker
processes run. checker.py proves things from it. Times are ms of CLOCK_BOOTTIME."""

import ctypes
import http.client
import json
import os
import select
import subprocess
import threading
import time

from cluster import BUILD, boot_s, process_state

CLONE_NEWNET = 0x40000000
ASK_PAUSE_S = 0.01
LOOK_PAUSE_S = 0.005


def boot_ms():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) / 1e6


def enter_namespace(name):
    """This thread alone moves into a network namespace."""
    descriptor = os.open(f"/run/netns/{name}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(descriptor, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns {name}")
    finally:
        os.close(descriptor)


class Recorder:
    """A context manager around the life of a started cluster."""

    def __init__(self, nodes, writes_path, line_of):
        self.nodes = nodes
        self.writes_path = writes_path
        self.line_of = line_of  # text -> Line, raises for what no worker wrote
        self.lock = threading.Lock()
        self.events = []
        self.event_texts = set()
        self.answers = []       # (begin, end, node, term)
        self.confused = []      # answers of acting nodes that name another leader
        self.lines = []
        self.seen_running = {}  # (node, pid) -> ms
        self.thawed_at = {}     # node -> ms
        self.stopping = threading.Event()
        self.followers = {}
        targets = [(self._ask, node) for node in nodes] + [(self._follow, node) for node in nodes]
        self.threads = [threading.Thread(target=target, args=(node,), daemon=True)
                        for target, node in targets]
        self.threads.append(threading.Thread(target=self._look, daemon=True))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for process in list(self.followers.values()):
            process.kill()
        for thread in self.threads:
            thread.join()

    # -- events --

    def _follow(self, node):
        """`events --follow`, again and again: a node's end ends its stream."""
        while not self.stopping.is_set():
            process = subprocess.Popen(
                [f"{BUILD}/bin/understudy", "--dir", node.folder, "--json", "events", "--follow",
                 "--since", "300d"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                stdin=subprocess.DEVNULL, text=True)
            self.followers[node.name] = process
            if self.stopping.is_set():
                process.kill()
            for text in process.stdout:
                self._take_event(text)
            process.stdout.close()
            process.wait()
            self.stopping.wait(0.05)

    def _take_event(self, text):
        try:
            event = json.loads(text)["data"]
        except (ValueError, KeyError):
            return  # the last line of a stream that was cut
        key = json.dumps(event, sort_keys=True)
        with self.lock:
            if key not in self.event_texts:
                self.event_texts.add(key)
                self.events.append(event)

    # -- who acts --

    def thawing(self, node):
        """Call right before SIGCONT: an answer after it was not given before."""
        self.thawed_at[node.name] = boot_ms()

    def _ask(self, node):
        if node.namespace is not None:
            enter_namespace(node.namespace)
        link = None
        while not self.stopping.wait(ASK_PAUSE_S):
            begin = boot_ms()
            try:
                if link is None:
                    link = http.client.HTTPConnection(node.host, node.http_port, timeout=0.5)
                link.request("GET", "/leader")
                answer = link.getresponse()
                body = answer.read()
            except (OSError, http.client.HTTPException):
                if link is not None:
                    link.close()
                link = None
                continue
            if answer.status == 200:
                self._take_answer(node, begin, boot_ms(), json.loads(body))

    def _take_answer(self, node, begin, end, document):
        thawed = self.thawed_at.get(node.name, 0.0)
        with self.lock:
            if document["leader"] == node.name:
                self.answers.append((max(begin, thawed) if end > thawed else begin, end, node.name,
                                     document["term"]))
            else:
                self.confused.append((node.name, document))

    # -- workers --

    def _look(self):
        """Reads new lines, and notes which of their processes run at this instant."""
        living = {}  # (node, pid) -> pidfd
        offset, rest = 0, b""
        while not self.stopping.is_set():
            if os.path.exists(self.writes_path):
                with open(self.writes_path, "rb") as file:
                    file.seek(offset)
                    text = file.read()
                offset += len(text)
                rest = self._take_lines(rest + text, living)
            self._note_running(living)
            self.stopping.wait(LOOK_PAUSE_S)
        for descriptor in living.values():
            os.close(descriptor)

    def _take_lines(self, text, living):
        body, _, rest = text.rpartition(b"\n")
        for row in body.split(b"\n") if body else []:
            line = self.line_of(row.decode())
            with self.lock:
                known = (line.node, line.pid) in self.seen_running
                self.lines.append(line)
                self.seen_running.setdefault((line.node, line.pid), 0.0)
            if not known:
                self._watch(living, line)
        return rest

    def _watch(self, living, line):
        try:
            descriptor = os.pidfd_open(line.pid)
            with open(f"/proc/{line.pid}/cmdline", "rb") as file:
                ours = self.writes_path.encode() in file.read()
        except OSError:
            return
        if ours:
            living[(line.node, line.pid)] = descriptor
        else:
            os.close(descriptor)

    def _note_running(self, living):
        at = boot_ms()
        stopped = {key for key in living if process_state(key[1]) in ("T", "t")}
        poller = select.poll()
        for descriptor in living.values():
            poller.register(descriptor, select.POLLIN)
        ended = {descriptor for descriptor, _ in poller.poll(0)}
        for key, descriptor in list(living.items()):
            if descriptor in ended:
                os.close(descriptor)
                del living[key]
            elif key not in stopped:
                with self.lock:
                    self.seen_running[key] = at

    # -- questions --

    def running(self, name, since_s=None):
        """{(node, pid)} of those that wrote under `name` within the last second."""
        since = (boot_s() - 1 if since_s is None else since_s) * 1e9
        found = set()
        with self.lock:
            for line in reversed(self.lines):
                if line.time < since:
                    break
                if line.name == name:
                    found.add((line.node, line.pid))
        return found

    def kinds(self, *kinds, since_ms=0):
        with self.lock:
            return [event for event in self.events
                    if event["kind"] in kinds and event["boot_ms"] >= since_ms]

    def everything(self):
        with self.lock:
            return (list(self.lines), dict(self.seen_running), sorted(
                self.events, key=lambda event: event["boot_ms"]), list(self.answers),
                list(self.confused))
