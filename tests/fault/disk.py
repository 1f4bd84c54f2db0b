"""Nodes whose disk a test holds: they run with slow_disk.c preloaded, each with a control file."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

from cluster import BUILD, Skip  # noqa: E402  (the harness of the folder beside this one)

LIBRARY = os.path.join(BUILD, "tests", "fault", "libslow_disk.so")


def require():
    if not os.path.exists(LIBRARY):
        raise Skip(f"{LIBRARY} is not there (no preloading under a sanitizer)")


def order(node, line):
    """What the node's disk does from now on (the words are in slow_disk.c); "" lets it go on."""
    path = os.path.join(node.folder, "disk")
    with open(path + ".new", "w", encoding="ascii") as file:
        file.write(line)
    os.rename(path + ".new", path)


def start(node):
    """Start the node with its disk under control."""
    ours = {"LD_PRELOAD": LIBRARY, "SLOW_DISK_CONTROL": os.path.join(node.folder, "disk"),
            "SLOW_DISK_FOLDER": os.path.join(node.folder, "data")}
    os.environ.update(ours)
    try:
        node.start()
    finally:
        for name in ours:
            del os.environ[name]
