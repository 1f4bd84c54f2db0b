"""Peers from Debian without installing them: fetched and unpacked below build/bench/peers.

Nothing is started as a service and no file of the system changes. Libraries that a package needs
and that are not installed are unpacked beside it; LD_LIBRARY_PATH names them (environment()).
"""

import os
import pathlib
import subprocess
import urllib.parse

from harness.netns import Missing

ROOT = pathlib.Path(__file__).resolve().parents[4]
BUILD = pathlib.Path(os.environ.get("UNDERSTUDY_BUILD", ROOT / "build"))
PLACE = BUILD / "bench/peers"
PATIENCE_S = 300


def lines(*words, where=None):
    try:
        done = subprocess.run(words, cwd=where, capture_output=True, text=True, check=False,
                              timeout=PATIENCE_S, env={**os.environ, "LC_ALL": "C"})
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise Missing(f"{words[0]}: {problem}") from None
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise Missing(f"{words[0]} {words[1]}: {said[-1] if said else 'failed'}")
    return done.stdout.splitlines()


class Unpacked:
    """Packages below one folder: root/usr/bin and so on."""

    def __init__(self, *packages):
        """Fetch what is not there yet. Raises Missing when a package cannot be had."""
        self.root = PLACE / packages[0]
        self.versions = {}
        if not (self.root / "complete").exists():
            self.fetch(packages)
        for line in (self.root / "complete").read_text().splitlines():
            name, version = line.split(" ")
            self.versions[name] = version

    def fetch(self, packages):
        self.root.mkdir(parents=True, exist_ok=True)
        wanted = sorted({*packages, *not_installed(packages)})
        lines("apt-get", "download", *wanted, where=self.root)
        found = []
        for archive in sorted(self.root.glob("*.deb")):
            name, version, _ = archive.stem.split("_")
            lines("dpkg", "-x", str(archive), str(self.root))
            found.append(f"{name} {urllib.parse.unquote(version)}\n")
            archive.unlink()
        (self.root / "complete").write_text("".join(found))  # last: half a fetch is done again

    def program(self, name):
        for folder in ("usr/bin", "usr/sbin"):
            if (self.root / folder / name).exists():
                return self.root / folder / name
        raise Missing(f"{name} is not in {', '.join(self.versions)}")

    def environment(self):
        folders = sorted({str(path.parent) for pattern in ("lib/*/*.so*", "usr/lib/*/*.so*")
                          for path in self.root.glob(pattern)})
        return {"LD_LIBRARY_PATH": ":".join(folders)} if folders else {}

    def version(self, package):
        """3.4.23 of 3.4.23-4+b4, 7.0.15 of 5:7.0.15-1~deb12u10."""
        return self.versions[package].split(":")[-1].split("-")[0].split("~")[0]


def not_installed(packages):
    """Dependencies that apt would install anew (an upgrade of what is there is none)."""
    planned = lines("apt-get", "install", "-s", "--no-install-recommends", *packages)
    return [line.split()[1] for line in planned
            if line.startswith("Inst ") and not line.split()[2].startswith("[")]
