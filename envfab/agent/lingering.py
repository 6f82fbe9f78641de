"""Processes that were started by a virtualenv before its current generation was, and still run the one before.

As far as /proc tells: not on systems without it, and not of processes that are hidden from this user.
"""

from __future__ import absolute_import

import os
import time

from .layout import CURRENT
from .protocol import text

MOST = 50
# what an agent's own command line has
OURS = b"exec(zlib.decompress("
# the kernel counts starts in hundredths of a second
GRAIN = 0.02


def lingering(path):
    """[{"pid", "started", "name"}, …] of those that started before the last switch; `started` is in ticks since boot."""
    try:
        switched = os.lstat(os.path.join(path, CURRENT)).st_mtime - GRAIN
        booted = boot_time()
    except (EnvironmentError, ValueError):
        return []
    ticks = os.sysconf("SC_CLK_TCK")
    # some start it by another name, where a link leads to it
    prefixes = tuple(encoded(os.path.join(name, "")) for name in (path, os.path.realpath(path)))
    there = {}
    for pid in (name for name in os.listdir("/proc") if name.isdigit()):
        command = read_bytes(os.path.join("/proc", pid, "cmdline")).split(b"\0")
        if any(part.startswith(prefixes) for part in command[:2]) and OURS not in b" ".join(command):
            found = described(pid)
            if found is not None:
                there[pid] = found + (command,)
    old = set(pid for pid in there if booted + there[pid][1] / float(ticks) < switched)
    # one that was forked runs what its parent runs
    more = old
    while more:
        more = set(
            pid for pid in there if pid not in old and there[pid][2] in old and there[pid][3] == there[there[pid][2]][3]
        )
        old |= more
    found = sorted(old, key=int)[:MOST]
    return [{"pid": int(pid), "started": there[pid][1], "name": there[pid][0]} for pid in found]


def still_there(said):
    """Those of the processes that a record tells of (as `lingering` does) which still run."""
    found = []
    for one in said[:MOST] if isinstance(said, list) else []:
        pid = one.get("pid") if isinstance(one, dict) else None
        now = described(str(pid)) if isinstance(pid, int) else None
        if now is not None and now[1] == one.get("started"):
            found.append({"pid": pid, "started": now[1], "name": now[0]})
    return found


def described(pid):
    """(name, start in ticks since boot, parent) of a process; None where it is gone."""
    data = read_bytes(os.path.join("/proc", pid, "stat"))
    name, _, rest = data.partition(b"(")[2].rpartition(b")")
    fields = rest.split()
    if len(fields) < 20:
        return None
    return text(name), int(fields[19]), fields[1].decode("ascii")


def boot_time():
    """When this machine was started, in seconds since 1970; raises ValueError where nothing tells."""
    for word in read_bytes("/proc/uptime").split():
        return time.time() - float(word)
    raise ValueError("no boot time")


def read_bytes(file):
    """What a file of /proc has; nothing where it cannot be read."""
    try:
        with open(file, "rb") as stream:
            return stream.read(1 << 16)
    except EnvironmentError:
        return b""


def encoded(path):
    """A path as bytes."""
    return path if isinstance(path, bytes) else os.fsencode(path)
