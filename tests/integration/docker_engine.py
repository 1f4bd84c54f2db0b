"""A Docker engine for tests: the one that answers, else one of our own for the time of the test.

Our own one needs root. It keeps images under build/docker (so that a second run is quick), keeps
its sockets in a folder in /tmp, leaves the host's firewall and routing alone, and ends with the
test. Its base image is made with mmdebstrap: no registry is asked.
"""

import ctypes
import fcntl
import os
import re
import shutil
import signal
import subprocess
import tempfile

from cluster import ROOT, Skip, check, say, wait_until

CACHE = os.path.join(ROOT, "build", "docker")
BASE_IMAGE = "understudy-base:bookworm"
SUBNETS = "10.213.0.0/16"  # of the networks that our engine makes
PR_SET_PDEATHSIG = 1


def run(command, patience_s=120, **more):
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=patience_s, check=False, **more)


def last_line(text):
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1][:300] if lines else "no word"


def interfaces():
    """Docker's bridges on this host."""
    return {name for name in os.listdir("/sys/class/net") if re.fullmatch("br-[0-9a-f]{12}", name)}


def mounts_below(folder):
    with open("/proc/self/mounts", encoding="utf-8") as file:
        return [line.split()[1] for line in file if line.split()[1].startswith(folder + "/")]


class Engine:
    """A context manager; `environment` is what docker and compose need to reach the engine."""

    def __init__(self):
        self.own = False
        self.folder = None
        self.process = None
        self.lock = None
        self.environment = dict(os.environ)
        self.interfaces = interfaces()

    def __enter__(self):
        if not self.answers():
            try:
                self._start_own()
            except BaseException:
                self.end()
                raise
        return self

    def __exit__(self, *_):
        self.end()

    # -- asking it --

    def docker(self, *words, patience_s=120, fine=True):
        done = run(["docker", *words], patience_s, env=self.environment)
        check(done.returncode == 0 or not fine,
              f"docker {' '.join(words)}: exit {done.returncode}: {done.stderr[-1500:]}")
        return done

    def answers(self):
        try:
            return self.docker("info", "--format", "{{.ServerVersion}}", patience_s=30,
                               fine=False).returncode == 0
        except (OSError, subprocess.SubprocessError):
            return False

    def compose_command(self):
        if shutil.which("docker-compose"):
            return ["docker-compose"]
        if self.docker("compose", "version", fine=False).returncode == 0:
            return ["docker", "compose"]
        raise Skip("there is an engine, but neither docker-compose nor docker's plugin compose")

    # -- one of our own --

    def _start_own(self):
        if os.geteuid() != 0:
            raise Skip("no Docker engine answers, and only root can start one")
        installed = run([f"{ROOT}/deploy/install-packages", "docker"], patience_s=600)
        if installed.returncode != 0 or not shutil.which("dockerd"):
            raise Skip(f"Docker cannot be installed here: {last_line(installed.stderr)}")
        os.makedirs(CACHE, exist_ok=True)
        self.lock = open(os.path.join(CACHE, "lock"), "w", encoding="ascii")
        wait_until(lambda: fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB) or True,
                   "another run of this test has ended", 600, pause_s=0.5)
        self.own = True
        self.folder = tempfile.mkdtemp(prefix="us-docker-", dir="/tmp")
        self.environment["DOCKER_HOST"] = f"unix://{self.folder}/docker.sock"
        self.environment["DOCKER_CONFIG"] = self.folder
        self.environment["DOCKER_BUILDKIT"] = "0"  # no plugin of the client is needed
        self._start_daemon()
        self._forget_earlier_runs()
        self._try_out()

    def _start_daemon(self):
        log = os.path.join(self.folder, "dockerd.log")
        libc = ctypes.CDLL(None)
        with open(log, "wb") as file:
            self.process = subprocess.Popen(
                ["dockerd", "--host", self.environment["DOCKER_HOST"],
                 "--data-root", os.path.join(CACHE, "data"),
                 "--exec-root", os.path.join(self.folder, "exec"),
                 "--pidfile", os.path.join(self.folder, "pid"),
                 "--bridge=none", "--iptables=false", "--ip-masq=false", "--ip-forward=false",
                 "--default-address-pool", f"base={SUBNETS},size=24"],
                stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True,
                preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM))
        wait_until(lambda: self.process.poll() is not None or self.answers(), "the engine answers")
        if self.process.poll() is not None:
            with open(log, encoding="utf-8", errors="replace") as file:
                raise Skip(f"dockerd cannot run here: {last_line(file.read())}")

    def _forget_earlier_runs(self):
        """What a run that was killed left in our data folder; all in there is ours."""
        left = self.docker("ps", "--all", "--quiet").stdout.split()
        if left:
            self.docker("rm", "--force", "--volumes", *left)
        self.docker("network", "prune", "--force")
        volumes = self.docker("volume", "ls", "--quiet").stdout.split()
        if volumes:
            self.docker("volume", "rm", "--force", *volumes)

    def _try_out(self):
        self.base_image()
        tried = self.docker("run", "--rm", "--network", "none", BASE_IMAGE, "/bin/true",
                            fine=False)
        if tried.returncode != 0:
            raise Skip(f"the engine runs, but no container can: {last_line(tried.stderr)}")

    # -- images --

    def base_image(self):
        """The name of a Debian 12 to build on."""
        if self.docker("image", "inspect", BASE_IMAGE, fine=False).returncode == 0:
            return BASE_IMAGE
        if not shutil.which("mmdebstrap"):
            run([f"{ROOT}/deploy/install-packages", "docker"], patience_s=600)
        os.makedirs(CACHE, exist_ok=True)
        archive = os.path.join(CACHE, "base.tar")
        if not os.path.exists(archive):
            fresh = os.path.join(CACHE, "fresh-base.tar")
            made = run(["mmdebstrap", "--quiet", "--variant=minbase",
                        "--dpkgopt=force-unsafe-io", "bookworm", fresh], patience_s=600)
            if made.returncode != 0:
                raise Skip(f"mmdebstrap makes no base image here: {last_line(made.stderr)}")
            os.rename(fresh, archive)
        self.docker("import", archive, BASE_IMAGE)
        return BASE_IMAGE

    def build(self, tag):
        # Ours has no bridge to the world: while building, the host's network is used.
        network = ["--network", "host"] if self.own else []
        done = self.docker("build", *network, "--build-arg", f"BASE={self.base_image()}", "--file",
                           f"{ROOT}/deploy/Dockerfile", "--tag", tag, ROOT, patience_s=1500,
                           fine=False)
        check(done.returncode == 0,
              f"docker build failed:\n{done.stdout[-3000:]}\n{done.stderr[-2000:]}")

    # -- the end --

    def end(self):
        """Ours ends and leaves only its cache; somebody else's goes on."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.folder is None:
            return
        for path in mounts_below(self.folder):
            run(["umount", path])  # the engine forgets the mount of the host's own namespace
        try:
            wait_until(lambda: not self._processes(), "the engine's helpers have ended", 20)
        finally:
            self._clean_up()

    def _clean_up(self):
        left = [f"mount {path}" for path in mounts_below(self.folder) + mounts_below(CACHE)]
        left += [f"interface {name}" for name in interfaces() - self.interfaces]
        left += [f"process {pid}" for pid in self._processes()]
        shutil.rmtree(self.folder, ignore_errors=True)
        self.lock.close()
        for what in left:
            say(f"left behind by the engine: {what}")
        check(not left, f"the engine left {len(left)} things behind")

    def _processes(self):
        """Processes whose command line mentions this engine's folder (containerd, its shims)."""
        found = []
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{entry}/cmdline", "rb") as file:
                    if self.folder.encode() in file.read():
                        found.append(int(entry))
            except OSError:
                continue
        return found
